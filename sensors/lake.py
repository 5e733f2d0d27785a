"""Keeping the lake fresh and small: mirror, marts, maintenance.

What lives here: the asset jobs and what starts them. What does not: the assets.
"""

from datetime import timedelta

import dagster as dg

from assets import kpis
from assets.ledger_mirror import key
from leadpipe.clock import WallClock
from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors.slots import UNDER_WAY, is_under_way, nightly, slot

LEDGER = dg.AssetSelection.groups("raw_ledger")
DECISIONS = dg.AssetSelection.assets(["outreach", "decisions"])  # dbt's only table beside the planner's own
MARTS = dg.AssetSelection.groups("staging", "intermediate", "conversation", "marts") | DECISIONS
# Comparing every row of ledger and lake takes longer than the half minute between two mirrors.
PROOF = dg.AssetSelection.checks(dg.AssetCheckKey(key("messages"), "mirror_agrees_with_the_ledger"))
# The watching pass evaluates these (``watching``): every build of the marts would be too often.
JUDGEMENT = dg.AssetSelection.checks(kpis.the_system_does_well)

mirror_ledger = dg.define_asset_job(
    "mirror_ledger",
    selection=LEDGER - PROOF,
    tags=slot("mirror", priority=40, max_minutes=10),
    description="Append to the lake what the ledger committed.",
)
refresh_marts = dg.define_asset_job(
    "refresh_marts",
    selection=(LEDGER | MARTS) - PROOF - JUDGEMENT,
    tags=slot("marts", priority=30, max_minutes=20),
    description="Mirror the ledger, then rebuild what analysts read.",
)
prove_mirror = dg.define_asset_job(
    "prove_mirror",
    selection=LEDGER | PROOF,
    tags=slot("mirror", priority=40, max_minutes=30),
    description="Mirror the ledger, then compare every table with it.",
)
publish_marts = dg.define_asset_job(
    "publish_marts",
    selection=dg.AssetSelection.assets(["published", "marts"]),
    tags=slot("publishing", max_minutes=30),
    description="Write marts.duckdb, one file that any DuckDB tool opens.",
)


@dg.sensor(job=mirror_ledger, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def ledger_moves(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Mirrors the ledger every half minute, also beside a build of the marts."""
    if is_under_way(context.instance, mirror_ledger.name):
        return dg.SkipReason("the mirror before is under way")
    return dg.RunRequest()


@dg.sensor(job=refresh_marts, minimum_interval_seconds=20, default_status=dg.DefaultSensorStatus.RUNNING)
def marts_are_old(context: dg.SensorEvaluationContext, leadpipe: LeadpipeResource) -> dg.RunRequest | dg.SkipReason:
    """Rebuilds the marts at once on a new system, then as often as the setting says, start to start.

    A schedule would pass over its moment while a build is under way on a busy machine, and double the marts' age.
    """
    every = timedelta(minutes=leadpipe.runtime.settings.marts_every_minutes)
    before = context.instance.get_run_records(dg.RunsFilter(job_name=refresh_marts.name), limit=1)
    if before and before[0].dagster_run.status in UNDER_WAY:
        return dg.SkipReason("the build before is under way")
    # Dagster's own times are the machine's.
    if before and before[0].create_timestamp.timestamp() > (WallClock().now() - every).timestamp():
        return dg.SkipReason(f"the marts were rebuilt within {leadpipe.runtime.settings.marts_every_minutes} minutes")
    return dg.RunRequest()


JOBS = [mirror_ledger, refresh_marts, prove_mirror, publish_marts]
SENSORS = [ledger_moves, marts_are_old]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The file of the marts every hour, the mirror's proof every night."""
    zone = settings.team_timezone
    return [
        nightly(publish_marts, at="20 * * * *", timezone=zone, name="hourly_marts_file"),
        nightly(prove_mirror, at="30 4 * * *", timezone=zone),
    ]
