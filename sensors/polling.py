"""Reading Follow Up Boss: what webhooks may have missed, and what no poll can see.

What lives here: the ops, their jobs and schedules. What does not: reading (``leadpipe.work``, ``leadpipe.crm``).
"""

from typing import TYPE_CHECKING

import dagster as dg

from assets.raw_fub import raw_fub, reports
from leadpipe.settings import Settings
from leadpipe.work import waiting
from resources.runtime import LeadpipeResource
from sensors.slots import every_minutes, nightly, slot, state_sensor

# A run of an hour at most, so that one that hangs is noticed; the next goes on where it stopped.
HISTORY_SECONDS = 50 * 60

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime
    from leadpipe.work.history import HistoryRead
    from leadpipe.work.polled import Polled

RAW = [".".join(spec.key.path) for spec in raw_fub]


@dg.op
def poll_crm(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Read what changed since the last pass; reports the raw tables."""
    from leadpipe.work.poll import poll

    _report(context, leadpipe.runtime, poll(leadpipe.runtime))


@dg.op
def read_crm_history(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Read on in what was there before the first sync; reports the raw tables."""
    from leadpipe.work.history import read_history

    _report(context, leadpipe.runtime, read_history(leadpipe.runtime, seconds=HISTORY_SECONDS))


def _report(context: dg.OpExecutionContext, runtime: "Runtime", done: "Polled | HistoryRead") -> None:
    from leadpipe.crm import watermark
    from leadpipe.store.row_counts import row_counts

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
    from leadpipe.work.sweep import sweep

    done = sweep(leadpipe.runtime)
    context.log_event(dg.AssetObservation(raw_fub[0].key, metadata=done.as_metadata()))


@dg.job(name="poll", tags=slot("poll", priority=30, max_minutes=60))
def poll_job() -> None:
    """Read what changed in Follow Up Boss."""
    poll_crm()


@dg.job(name="history", tags=slot("history", priority=10, max_minutes=60))
def history_job() -> None:
    """Read what Follow Up Boss held before the first sync."""
    read_crm_history()


@dg.job(name="sweep", tags=slot("poll", priority=20, max_minutes=240))
def sweep_job() -> None:
    """Find what polling cannot see: deletions, merges, people who became invisible."""
    sweep_crm()


unread_history = state_sensor(
    history_job, name="unread_history", what="history", question=waiting.count_histories, every_seconds=10
)

JOBS = [poll_job, history_job, sweep_job]
SENSORS = [unread_history]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """A poll every minute, a sweep every night."""
    return [
        every_minutes(poll_job, 1),
        nightly(sweep_job, at="10 1 * * *", timezone=settings.team_timezone),
    ]
