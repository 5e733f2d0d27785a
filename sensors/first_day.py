"""The first day: what otherwise waits for its night runs once as soon as there are people to do it for.

What lives here: one sensor. What does not: the jobs (``market``, ``scoring``), the first sync (``polling``).

Without it a new system would have no scores and no market trend until its first night, and plan without them.
"""

from datetime import timedelta

import dagster as dg

from leadpipe.clock import WallClock
from sensors.market import refresh_listings, refresh_market
from sensors.polling import poll_job
from sensors.scoring import score_leads

ONCE = (refresh_market, score_leads, refresh_listings)
# Leads that came while the system started are answered first.
AFTER_FIRST_POLL = timedelta(minutes=2)


@dg.sensor(jobs=ONCE, minimum_interval_seconds=20, default_status=dg.DefaultSensorStatus.RUNNING)
def first_day(context: dg.SensorEvaluationContext) -> dg.SkipReason | dg.RunRequest:
    """Starts market data, scores and listings, one after the other, where they never ran and the sync is over."""
    never = [job for job in ONCE if not context.instance.get_runs(dg.RunsFilter(job_name=job.name), limit=1)]
    if not never:
        return dg.SkipReason("everything has run once")
    polled = dg.RunsFilter(job_name=poll_job.name, statuses=[dg.DagsterRunStatus.SUCCESS])
    first = context.instance.get_run_records(polled, limit=1, ascending=True)
    # Dagster's own times are the machine's.
    if not first or (first[0].end_time or 0) > (WallClock().now() - AFTER_FIRST_POLL).timestamp():
        return dg.SkipReason("the first poll is not over, or only just")
    return dg.RunRequest(job_name=never[0].name)


SENSORS = [first_day]
