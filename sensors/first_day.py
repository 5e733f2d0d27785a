"""The first day: what otherwise waits for its night runs once as soon as there are people to do it for.

What lives here: one sensor. What does not: the jobs (``market``, ``scoring``), the first sync (``polling``).

Without it a new system would have no scores and no market trend until its first night, and plan without them.
"""

import dagster as dg

from resources.runtime import LeadpipeResource
from sensors.market import refresh_listings, refresh_market
from sensors.scoring import score_leads

ONCE = (refresh_market, score_leads, refresh_listings)


@dg.sensor(jobs=ONCE, minimum_interval_seconds=20, default_status=dg.DefaultSensorStatus.RUNNING)
def first_day(context: dg.SensorEvaluationContext, leadpipe: LeadpipeResource) -> dg.SkipReason | dg.RunRequest:
    """Starts market data, scores and listings, one after the other, when they have never run and the sync is over."""
    from leadpipe.crm import watermark

    never = [job for job in ONCE if not context.instance.get_runs(dg.RunsFilter(job_name=job.name), limit=1)]
    if not never:
        return dg.SkipReason("everything has run once")
    if watermark.read(leadpipe.runtime.engine, "fub_people") is None:
        return dg.SkipReason("nobody is synced yet")
    return dg.RunRequest(job_name=never[0].name)


SENSORS = [first_day]
