"""The queue: who is to get what, when, in which words and why.

What lives here: ``outreach.queue`` by cohort, its blocking checks, and the place of ``outreach.messages`` in the graph.
What does not: planning (``leadpipe.outreach.planner``), making messages of it (an op, so that no backfill and no re-run
ever messages anyone by itself).
"""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from assets import ledger_mirror, raw_fub
from resources.runtime import LeadpipeResource

COMMON = {"group_name": "outreach", "owners": ["team:operations"]}
# Month of creation in the CRM, which is not older than 2011; the current month counts from its first day.
COHORTS = dg.MonthlyPartitionsDefinition(start_date="2010-01-01", end_offset=1)
QUEUE = dg.AssetKey(["outreach", "queue"])
READ = [
    raw_fub.key("people"),
    ledger_mirror.key("people"),
    dg.AssetKey(["scoring", "lead_scores"]),
    dg.AssetKey(["enrichment", "market_trend"]),
]
# What is wrong with planned rows, by the name that `queue_problems` counts it under.
CHECKS = {
    "planned_twice": "one_planned_row_per_person_plan_and_step",
    "suppressed": "nobody_planned_is_suppressed",
    "wordless": "every_planned_row_has_its_words",
    "untimely": "every_planned_row_is_due_after_its_planning",
    "unexplained": "every_row_says_why",
}


@dg.asset(
    key=QUEUE,
    deps=READ,
    partitions_def=COHORTS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    kinds={"python", "duckdb"},
    tags={"pii": "true"},
    pool="planning",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36), warn_window=timedelta(hours=26)),
    **COMMON,
)
def queue(context: dg.AssetExecutionContext, leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """What is to be sent to whom, or why nothing is. One row per person, plan and step of a cohort's last planning."""
    from leadpipe.work.reactivation import plan_cohorts

    cohorts = [date.fromisoformat(key) for key in context.partition_keys]
    done = plan_cohorts(leadpipe.runtime, cohorts=cohorts)
    planned_at = dg.MetadataValue.timestamp(leadpipe.runtime.clock.now())
    return dg.MaterializeResult(metadata={**done.as_metadata(), "planned_at": planned_at})


@dg.multi_asset_check(specs=[dg.AssetCheckSpec(name, asset=QUEUE, blocking=True) for name in CHECKS.values()])
def queue_is_sound(leadpipe: LeadpipeResource) -> Iterator[dg.AssetCheckResult]:
    """Nothing in the queue would send twice, to somebody who opted out, without words, or at the wrong time."""
    from leadpipe.outreach.queue_problems import problems

    found = problems(leadpipe.runtime.engine, leadpipe.runtime.lake)
    for problem, name in CHECKS.items():
        count = found.get(problem, 0)
        yield dg.AssetCheckResult(asset_key=QUEUE, check_name=name, passed=count == 0, metadata={"count": count})


messages = dg.AssetSpec(
    ledger_mirror.MESSAGES,
    deps=[QUEUE],
    description="Messages handed to providers, in the ledger; reported by the ops that send. One row per message.",
    kinds={"postgres"},
    tags={"pii": "true"},
    **COMMON,
)
