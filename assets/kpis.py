"""Checks of the targets, the rates and the forgotten leads, on the marts that hold them.

What lives here: one check a KPI, and its severity. What does not: definitions (``dbt``), rules
(``leadpipe.monitoring``), telling people (``sensors.watching``, which also evaluates the checks every ten minutes).

None blocks: a target that is missed must not keep the marts from being rebuilt.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from resources.runtime import LeadpipeResource

if TYPE_CHECKING:
    from leadpipe.monitoring.judged import Judged

KPIS = dg.AssetKey(["marts", "kpis"])
STARVING = dg.AssetKey(["marts", "starving_leads"])
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
# Check -> the KPI or rate it is of. A missed target is an error; a rate that changed is worth a look.
TARGETS = {f"{kpi}_is_as_wanted": kpi for kpi in ("delivered", "services_up", "errors", "first_touch")}
RATES = {f"{rate}_is_as_usual": rate for rate in ("response", "conversion")}
NOBODY_STARVES = "nobody_starves"


def results(judged: "Judged") -> Iterator[dg.AssetCheckResult]:
    """The checks' results. With too little to say a check passes, and says so."""
    for check, name in TARGETS.items():
        kpi = judged.kpis.get(name)
        yield dg.AssetCheckResult(
            asset_key=KPIS,
            check_name=check,
            passed=kpi is None or kpi.is_met is not False,
            severity=ERROR,
            metadata=kpi.as_metadata() if kpi else {"words": "nothing to measure yet"},
        )
    for check, name in RATES.items():
        rate = judged.rates[name]
        yield dg.AssetCheckResult(
            asset_key=KPIS, check_name=check, passed=not rate.is_anomaly, severity=WARN, metadata=rate.as_metadata()
        )
    yield dg.AssetCheckResult(
        asset_key=STARVING,
        check_name=NOBODY_STARVES,
        passed=judged.starving.count == 0,
        severity=WARN,
        metadata=judged.starving.as_metadata(),
    )


@dg.multi_asset_check(
    specs=[
        *(dg.AssetCheckSpec(check, asset=KPIS) for check in (*TARGETS, *RATES)),
        dg.AssetCheckSpec(NOBODY_STARVES, asset=STARVING),
    ]
)
def the_system_does_well(leadpipe: LeadpipeResource) -> Iterator[dg.AssetCheckResult]:
    """Targets are met over their days, no rate changed beyond chance, and no lead is forgotten."""
    from leadpipe.monitoring.judged import judge

    runtime = leadpipe.runtime
    yield from results(judge(runtime.lake, runtime.settings, now=runtime.clock.now()))
