"""Keeping the lake fresh and small: mirror, marts, maintenance.

What lives here: the asset jobs and what starts them. What does not: the assets.
"""

import dagster as dg

from leadpipe.settings import Settings
from sensors.slots import every_minutes, is_under_way, slot

LEDGER = dg.AssetSelection.groups("raw_ledger")
MARTS = dg.AssetSelection.groups("staging", "intermediate", "marts")

mirror_ledger = dg.define_asset_job(
    "mirror_ledger",
    selection=LEDGER - dg.AssetSelection.checks_for_assets(dg.AssetKey(["raw", "ledger__messages"])),
    tags=slot("mirror", priority=40, max_minutes=10),
    description="Append to the lake what the ledger committed.",
)
refresh_marts = dg.define_asset_job(
    "refresh_marts",
    selection=LEDGER | MARTS,
    tags=slot("marts", priority=10, max_minutes=20),
    description="Mirror the ledger, then rebuild what analysts read.",
)


@dg.sensor(job=mirror_ledger, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def ledger_moves(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Mirrors the ledger every half minute, also beside a build of the marts."""
    if is_under_way(context.instance, mirror_ledger.name):
        return dg.SkipReason("the mirror before is under way")
    return dg.RunRequest()


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The marts, every few minutes by a setting."""
    return [every_minutes(refresh_marts, settings.marts_every_minutes)]
