"""Everything Dagster runs, gathered: assets, jobs, schedules, sensors and the one resource they share.

What lives here: the gathering. What does not: any rule, asset or job (``assets/``, ``sensors/``). Loading opens no
connection and needs no environment; of the settings only the team's time zone and the marts' pace are read.
"""

from __future__ import annotations

import dagster as dg

from assets import ledger_mirror, market, outreach, raw_fub, scoring
from assets.dbt import build_dbt_assets
from leadpipe.settings import Settings, load_settings
from resources.runtime import LeadpipeResource
from sensors import first_touch, lake, polling, replies, sending


def build_defs(settings: Settings | None = None, *, leadpipe: LeadpipeResource | None = None) -> dg.Definitions:
    """All definitions; tests give their own settings and runtime.

    Raises:
        ConfigurationError: a setting is wrong, or dbt's manifest was never made; the message names it.
    """
    settings = settings or load_settings(env_file=None)
    modules = [market, scoring, outreach, ledger_mirror]
    return dg.Definitions(
        assets=[*dg.load_assets_from_modules(modules), *raw_fub.raw_fub, build_dbt_assets()],
        asset_checks=dg.load_asset_checks_from_modules(modules),
        jobs=[
            first_touch.first_touch,
            replies.read_replies,
            sending.send_due,
            polling.poll_job,
            polling.sweep_job,
            lake.mirror_ledger,
            lake.refresh_marts,
        ],
        schedules=[*polling.schedules(settings), *lake.schedules(settings)],
        sensors=[first_touch.new_leads, replies.unread_replies, sending.due_messages, lake.ledger_moves],
        resources={"leadpipe": leadpipe or LeadpipeResource()},
        executor=dg.in_process_executor,
    )


defs = build_defs()
