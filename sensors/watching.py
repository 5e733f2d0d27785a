"""Watching the system itself: Dagster's sign of life, and the pass that judges targets.

What lives here: the op, its job and schedule, and the sensor that beats. What does not: figures and rules
(``leadpipe.monitoring``, ``leadpipe.work.watch``).
"""

import dagster as dg

from assets.kpis import results
from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors.slots import every_minutes, slot


@dg.op
def watch_system(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Add up signs of life, judge targets and rates, tell people what is off; the marts' checks show the same."""
    from leadpipe.work.watch import watch

    seen = watch(leadpipe.runtime)
    context.add_output_metadata(seen.as_metadata())
    for result in results(seen.judged):
        assert result.asset_key is not None and result.check_name is not None
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=result.asset_key,
                check_name=result.check_name,
                passed=result.passed,
                severity=result.severity,
                metadata=result.metadata,
            )
        )


@dg.job(tags=slot("watch", priority=10, max_minutes=10))
def watch() -> None:
    """Judge how the system does."""
    watch_system()


@dg.sensor(minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING)
def heartbeat(leadpipe: LeadpipeResource) -> dg.SkipReason:
    """Dagster's sign of life: the daemon ticks, and the code server answers and reaches the ledger. Starts no run."""
    from leadpipe.monitoring.heartbeat import DAGSTER, Pulse

    runtime = leadpipe.runtime
    # One name whichever process answers: daemon and code server are one service, and restart apart.
    Pulse(lambda: runtime.engine, DAGSTER).beat()
    return dg.SkipReason("a sign of life was written")


JOBS = [watch]
SENSORS = [heartbeat]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Every ten minutes, between the polls' quarter hours."""
    del settings
    return [every_minutes(watch, 10, offset=7)]
