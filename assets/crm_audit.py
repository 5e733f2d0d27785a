"""The audit of the CRM's copy: what differed last night, and what is still open.

What lives here: the table as an asset, and the check that nothing is open. What does not: comparing
(``leadpipe.crm.audit``), writing again what is leadpipe's: that is an op's (``sensors.crm_audit``).
"""

from datetime import timedelta

import dagster as dg

from assets import ledger_mirror
from assets.raw_fub import raw_fub
from resources.runtime import LeadpipeResource

AUDIT = dg.AssetKey(["ops", "crm_audit"])


@dg.asset(
    key=AUDIT,
    deps=[*(spec.key for spec in raw_fub), ledger_mirror.key("people"), ledger_mirror.key("writebacks")],
    group_name="maintenance",
    owners=["team:operations"],
    kinds={"python", "duckdb"},
    pool="crm_audit",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)),
)
def crm_audit(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """What differed between Follow Up Boss, lake, ledger and our own writes at the last audit. One row per difference.

    Reading a record again heals most; the rows say which. Nothing is written to the CRM.
    """
    from leadpipe.work.audit import audit

    return dg.MaterializeResult(metadata=audit(leadpipe.runtime).as_metadata())


@dg.asset_check(asset=AUDIT)
def nothing_differs_from_the_crm(leadpipe: LeadpipeResource) -> dg.AssetCheckResult:
    """No difference of the last audit is open: everything was healed, or is about to be written again."""
    from leadpipe.crm.audit import open_by_kind

    found = open_by_kind(leadpipe.runtime.lake)
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"open": sum(found.values()), **{f"open/{kind}": count for kind, count in found.items()}},
    )
