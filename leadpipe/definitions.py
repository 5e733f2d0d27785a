"""Everything Dagster runs, gathered: assets, jobs, schedules, sensors and the one resource they share.

What lives here: the gathering. What does not: any rule, asset or job (``assets/``, ``sensors/``). Loading opens no
connection and needs no environment; of the settings only the team's time zone and the marts' pace are read.
"""

from __future__ import annotations

import dagster as dg

from assets import crm_audit, kpis, ledger_mirror, maintenance, market, outreach, raw_fub, scoring, spend
from assets.dbt import build_dbt_assets, read_specs
from leadpipe.setting_loading import load_settings
from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors import (
    crm,
    failures,
    first_day,
    first_touch,
    housekeeping,
    lake,
    polling,
    privacy,
    reactivation,
    replies,
    sending,
    watching,
)
from sensors import crm_audit as crm_audit_sensors
from sensors import market as market_sensors
from sensors import scoring as scoring_sensors

ASSETS = (market, scoring, outreach, ledger_mirror, maintenance, spend, crm_audit, kpis)
# Tables that a step writes beside its own, or that ops report.
SPECS = (*raw_fub.raw_fub, outreach.messages, market.releases, market.listing_checks)
WATCHERS = (
    crm, failures, first_day, first_touch, housekeeping, lake, polling, privacy, reactivation, replies, sending,
    market_sensors, scoring_sensors, crm_audit_sensors, watching,
)  # fmt: skip


def build_defs(settings: Settings | None = None, *, leadpipe: LeadpipeResource | None = None) -> dg.Definitions:
    """All definitions; tests give their own settings and runtime.

    Raises:
        ConfigurationError: a setting is wrong, or dbt's manifest was never made; the message names it.
    """
    settings = settings or load_settings(env_file=None)
    specs = read_specs()
    marts = [spec.key for spec in specs.assets.values() if spec.group_name == "marts"]
    return dg.Definitions(
        assets=[
            *dg.load_assets_from_modules(ASSETS),
            *SPECS,
            build_dbt_assets(specs),
            maintenance.build_published_marts(marts),
        ],
        asset_checks=dg.load_asset_checks_from_modules(ASSETS),
        jobs=[job for module in WATCHERS for job in getattr(module, "JOBS", ())],
        schedules=[
            schedule for module in WATCHERS if hasattr(module, "schedules") for schedule in module.schedules(settings)
        ],
        sensors=[sensor for module in WATCHERS for sensor in getattr(module, "SENSORS", ())],
        resources={"leadpipe": leadpipe or LeadpipeResource()},
        executor=dg.in_process_executor,
    )


defs = build_defs()
