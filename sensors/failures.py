"""A failed run becomes an alert in the ledger, delivered like every other one.

What lives here: the sensor and the words. What does not: delivery (``sensors.crm``).
"""

import dagster as dg

from resources.runtime import LeadpipeResource

# An alert about a job that fails every minute would come every minute.
QUIET_MINUTES = 60


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=30)
def failed_runs(context: dg.RunFailureSensorContext, leadpipe: LeadpipeResource) -> None:
    """One alert per job and hour in which a run of it failed; it names steps and kinds of errors, no contents."""
    from leadpipe.messaging.alerts import raise_alert

    runtime = leadpipe.runtime
    now = runtime.clock.now()
    run = context.dagster_run
    causes = sorted({_cause(event) for event in context.get_step_failure_events()}) or ["the process ended"]
    hour = int(now.timestamp() // (QUIET_MINUTES * 60))
    with runtime.engine.begin() as connection:
        raise_alert(
            connection,
            kind="run_failed",
            dedupe_key=f"run_failed:{run.job_name}:{hour}",
            title=f"Dagster: a run of {run.job_name} failed",
            body=f"Run {run.run_id}: {'; '.join(causes)}. Open it in the Dagster UI under Runs; what it was to do "
            "waits in the ledger and is taken up by the next run.",
            now=now,
        )


def _cause(event: dg.DagsterEvent) -> str:
    """Step and class of error; messages of other libraries may quote an address."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{event.step_key}: {error.cls_name if error else 'unknown error'}"


SENSORS = [failed_runs]
