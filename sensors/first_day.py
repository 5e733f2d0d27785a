"""The first day: what otherwise waits for its night runs once as soon as there are people to do it for.

What lives here: one sensor. What does not: the jobs (``market``, ``scoring``, ``lake``), the first sync (``polling``).

Without it a new system would have no scores, no market trend and no spend until its first night and plan without them,
and no file of the marts until the hour.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from leadpipe.clock import WallClock
from resources.runtime import LeadpipeResource
from sensors.lake import publish_marts, refresh_marts
from sensors.market import read_spend, refresh_listings, refresh_market
from sensors.polling import poll_job
from sensors.scoring import score_leads

ONCE = (refresh_market, score_leads, refresh_listings, read_spend, publish_marts)
# Leads that came while the system started are answered first.
AFTER_FIRST_POLL = timedelta(minutes=2)


@dg.sensor(jobs=ONCE, minimum_interval_seconds=20, default_status=dg.DefaultSensorStatus.RUNNING)
def first_day(context: dg.SensorEvaluationContext, leadpipe: LeadpipeResource) -> dg.SkipReason | dg.RunRequest:
    """Starts what never ran, one after the other, once the sync is over.

    Spend only where the team keeps a file; the marts' file once a build has seen the people.
    """
    has_spend = leadpipe.runtime.settings.spend_csv is not None
    wanted = [job for job in ONCE if job is not read_spend or has_spend]
    never = [job for job in wanted if not context.instance.get_runs(dg.RunsFilter(job_name=job.name), limit=1)]
    if not never:
        return dg.SkipReason("everything has run once")
    polled = dg.RunsFilter(job_name=poll_job.name, statuses=[dg.DagsterRunStatus.SUCCESS])
    first = context.instance.get_run_records(polled, limit=1, ascending=True)
    # Dagster's own times are the machine's.
    synced_at = first[0].end_time or 0 if first else 0
    if not first or synced_at > (WallClock().now() - AFTER_FIRST_POLL).timestamp():
        return dg.SkipReason("the first poll is not over, or only just")
    if never[0] is publish_marts and not _is_built(context.instance, since=datetime.fromtimestamp(synced_at, UTC)):
        return dg.SkipReason("the marts were not built since the first poll")
    return dg.RunRequest(job_name=never[0].name)


def _is_built(instance: dg.DagsterInstance, *, since: datetime) -> bool:
    built = dg.RunsFilter(job_name=refresh_marts.name, statuses=[dg.DagsterRunStatus.SUCCESS], created_after=since)
    return bool(instance.get_runs(built, limit=1))


SENSORS = [first_day]
