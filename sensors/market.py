"""Market data on its days, and alerts of new homes after it.

What lives here: jobs, schedules and the op that enqueues property alerts. What does not: any of the work
(``leadpipe.market``, ``leadpipe.outreach.property_alerts``).
"""

import dagster as dg

from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors.slots import nightly, slot

refresh_market = dg.define_asset_job(
    "refresh_market",
    selection=dg.AssetSelection.assets(["enrichment", "zhvi"], ["enrichment", "zori"], ["enrichment", "market_trend"]),
    tags=slot("market", max_minutes=60),
    description="Zillow Research releases and the trend of every ZIP code.",
)
refresh_listings = dg.define_asset_job(
    "refresh_listings",
    selection=dg.AssetSelection.assets(["enrichment", "listings"]),
    tags=slot("market", max_minutes=60),
    description="Active listings of the places that leads named.",
)
read_spend = dg.define_asset_job(
    "read_spend",
    selection=dg.AssetSelection.assets(["raw", "spend"]),
    tags=slot("spend", max_minutes=10),
    description="What lead sources cost, from the team's CSV.",
)


@dg.op
def enqueue_property_alerts(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Match new listings to leads and enqueue one alert each."""
    from leadpipe.work.reactivation import alert_about_homes

    done = alert_about_homes(leadpipe.runtime, run_key=context.run_id)
    context.log_event(dg.AssetObservation(["outreach", "messages"], metadata=done.as_metadata()))


@dg.job(tags=slot("planning", priority=5, max_minutes=30))
def property_alerts() -> None:
    """Tell leads of new homes that match what they asked for."""
    enqueue_property_alerts()


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[refresh_listings],
    request_job=property_alerts,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def listings_are_new() -> dg.RunRequest:
    """After every look at the listings, alert those whom one matches."""
    return dg.RunRequest()


JOBS = [refresh_market, refresh_listings, read_spend, property_alerts]
SENSORS = [listings_are_new]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """A release comes once a month, on a day that moves: a daily look costs one request when nothing changed."""
    zone = settings.team_timezone
    return [
        nightly(refresh_market, at="30 0 * * *", timezone=zone, name="daily_market"),
        nightly(refresh_listings, at="0 7 * * *", timezone=zone, name="daily_listings"),
        nightly(read_spend, at="45 0 * * *", timezone=zone, name="daily_spend"),
    ]
