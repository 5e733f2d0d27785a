"""The ledger's mirror in the lake: what was sent, said, decided and suppressed, every version once.

What lives here: the mirrored tables as one asset step, and the check that mirror and ledger agree. What does not: how
rows are read without losing any (``leadpipe.store.mirror``).
"""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from assets import raw_fub
from resources.runtime import LeadpipeResource

MESSAGES = dg.AssetKey(["outreach", "messages"])
_PEOPLE = [raw_fub.key("people")]
_ACTS = [raw_fub.key(name) for name in ("calls", "notes", "text_messages", "tasks")]
# Grain, and whose work the rows are. `outreach.queue` reads the ledger itself for what was sent before, so no table
# that depends on messages is upstream of the queue and the graph has no circle.
TABLES: dict[str, tuple[str, list[dg.AssetKey]]] = {
    "inbox": ("One row per notification received and version of its state; bodies stay in the ledger.", []),
    "people": ("One row per person and version: identity, stage, pause, what leadpipe made of them.", _PEOPLE),
    "contact_points": ("One row per email address or phone and version; the addresses stay in the ledger.", _PEOPLE),
    "person_contact_points": ("One row per person and contact point and version.", _PEOPLE),
    "inquiries": ("One row per event that asks for something and version.", [raw_fub.key("events")]),
    "human_actions": ("One row per act of the team in the CRM and version.", _ACTS),
    "consents": ("One row per consent and version.", _PEOPLE),
    "enrolments": ("One row per passage of a person through a plan and version.", [MESSAGES]),
    "messages": ("One row per message and version of its state.", [MESSAGES]),
    "attempts": ("One row per try to hand a message to a provider and version.", [MESSAGES]),
    "message_events": ("One row per change of a message's state.", [MESSAGES]),
    "verdicts": ("One row per verdict on a message.", [MESSAGES]),
    "decisions": ("One row per lead, plan and planning run that ended without a message.", [MESSAGES]),
    "suppressions": ("One row per opt-out or its lifting.", [MESSAGES]),
    "inbound_messages": ("One row per message of a lead and version.", [MESSAGES]),
    "qualifications": ("One row per fact a lead told us and version.", [MESSAGES]),
    "conversations": ("One row per person in conversation and version.", [MESSAGES]),
    "handoffs": ("One row per hand-off to an agent and version.", [MESSAGES]),
    "writebacks": ("One row per write to the CRM and version.", [MESSAGES]),
    "quarantine": ("One row per record set aside; contents stay in the ledger.", _PEOPLE),
    "token_usage": ("One row per call of a language model.", [MESSAGES]),
    "service_days": ("One row per service and day and version: seconds it was to run, and did.", []),
}
PERSONAL = ("people", "inquiries", "messages", "inbound_messages", "qualifications", "writebacks")
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=15), warn_window=timedelta(minutes=2))


def key(table: str) -> dg.AssetKey:
    """The asset key of a mirrored table."""
    return dg.AssetKey(["raw", f"ledger__{table}"])


@dg.multi_asset(
    name="ledger_mirror",
    specs=[
        dg.AssetSpec(
            key(table),
            deps=deps,
            description=f"Mirror of ledger.{table}. {grain}",
            group_name="raw_ledger",
            owners=["team:operations"],
            kinds={"postgres", "duckdb"},
            tags={"pii": "true"} if table in PERSONAL else {},
            metadata={"dagster/table_name": f"lake.raw.ledger__{table}"},
            freshness_policy=FRESHNESS,
        )
        for table, (grain, deps) in TABLES.items()
    ],
)
def ledger_mirror(leadpipe: LeadpipeResource) -> Iterator[dg.MaterializeResult]:
    """Append what the ledger committed since the last time. One row per version of a ledger row, append-only."""
    from leadpipe.store.mirror import PREFIX, mirror
    from leadpipe.store.row_counts import row_counts

    runtime = leadpipe.runtime
    now = runtime.clock.now()
    done = mirror(runtime.engine, runtime.lake, now=now)
    rows = row_counts(runtime.engine, [PREFIX + table for table in TABLES])
    for table in TABLES:
        yield dg.MaterializeResult(
            asset_key=key(table),
            metadata={
                "dagster/row_count": rows.get(PREFIX + table, 0),
                "rows_written": done.count_by_table[table],
                "watermark_xid": done.below_xid,
                "mirrored_at": dg.MetadataValue.timestamp(now),
            },
        )


@dg.asset_check(asset=key("messages"), blocking=True)
def mirror_agrees_with_the_ledger(leadpipe: LeadpipeResource) -> dg.AssetCheckResult:
    """Every key the ledger held below the mirror's mark is in the lake, for every mirrored table."""
    from leadpipe.store.mirror import differences

    found = differences(leadpipe.runtime.engine, leadpipe.runtime.lake)
    return dg.AssetCheckResult(passed=not found, metadata={"missing_keys": found})
