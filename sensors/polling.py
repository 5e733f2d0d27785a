"""Reading Follow Up Boss: what webhooks may have missed, and what no poll can see.

What lives here: the ops, their jobs and schedules. What does not: reading (``leadpipe.work.poll``, ``leadpipe.crm``).
"""

import dagster as dg

from assets.raw_fub import raw_fub, reports
from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors.slots import every_minutes, nightly, slot

RAW = [".".join(spec.key.path) for spec in raw_fub]


@dg.op
def poll_crm(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Read what changed since the last pass; reports the raw tables."""
    from leadpipe.crm import watermark
    from leadpipe.store.row_counts import row_counts
    from leadpipe.work.poll import poll

    runtime = leadpipe.runtime
    done = poll(runtime)
    for failure in done.failures:
        context.log.warning(failure)
    read_to = watermark.read(runtime.engine, "fub_people")
    context.add_output_metadata(done.as_metadata())
    for event in reports(
        done.count_by_table, row_counts(runtime.engine, RAW), watermark=read_to.isoformat() if read_to else None
    ):
        context.log_event(event)


@dg.op
def sweep_crm(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Walk every id of the CRM: deletions, merges, moves to Trash."""
    from leadpipe.work.poll import sweep

    done = sweep(leadpipe.runtime)
    context.log_event(dg.AssetObservation(raw_fub[0].key, metadata=done.as_metadata()))


@dg.job(name="poll", tags=slot("poll", priority=30, max_minutes=60))
def poll_job() -> None:
    """Read what changed in Follow Up Boss."""
    poll_crm()


@dg.job(name="sweep", tags=slot("poll", priority=20, max_minutes=240))
def sweep_job() -> None:
    """Find what polling cannot see: deletions, merges, people who became invisible."""
    sweep_crm()


JOBS = [poll_job, sweep_job]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """A poll every minute, a sweep every night."""
    return [
        every_minutes(poll_job, 1),
        nightly(sweep_job, at="10 1 * * *", timezone=settings.team_timezone),
    ]
