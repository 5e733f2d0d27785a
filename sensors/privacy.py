"""Retention every night: first what is due, then, if the setting says so, its removal.

What lives here: the op, its job and schedule. What does not: the rules (``leadpipe.privacy.retention``).
"""

import dagster as dg

from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors.slots import nightly, slot


@dg.op
def expire_old_data(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Count what is past its time by kind; remove it when ``LEADPIPE_RETENTION`` is on."""
    from leadpipe.privacy import retention

    runtime = leadpipe.runtime
    now = runtime.clock.now()
    due = retention.due(runtime.engine, runtime.lake, now=now)
    is_on = runtime.settings.retention == "on"
    done = retention.carry_out(runtime.engine, runtime.lake, due, now=now) if is_on else {}
    context.add_output_metadata(
        {"removes": is_on}
        | {f"due/{each.rule.kind}": each.count for each in due}
        | {f"removed/{kind}": count for kind, count in done.items()}
    )


@dg.job(name="retention", tags=slot("housekeeping", max_minutes=60))
def retention_job() -> None:
    """Remove what is past its time, or say what would go."""
    expire_old_data()


JOBS = [retention_job]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """At night, before the lake's maintenance deletes the files."""
    return [nightly(retention_job, at="40 4 * * *", timezone=settings.team_timezone)]
