"""Which tables the lake mirrors, by which keys, and what of them stays in the ledger.

What lives here: the lists, and the index by which new versions are found. What does not: the tables (their areas), the
mirroring (``store.mirror``).
"""

from __future__ import annotations

from sqlalchemy import Index, Table, text

from leadpipe.store.tables.exchange import inbox, quarantine, writebacks
from leadpipe.store.tables.leads import contact_points, human_actions, inquiries, people, person_contact_points
from leadpipe.store.tables.permissions import consents, suppressions
from leadpipe.store.tables.replies import conversations, handoffs, inbound_messages, qualifications, token_usage
from leadpipe.store.tables.running import service_days
from leadpipe.store.tables.sending import attempts, decisions, enrolments, message_events, messages, verdicts

# Tables whose rows the lake mirrors, every version once, keyed by the columns named.
_KEYS: dict[Table, tuple[str, ...]] = {
    inbox: ("id",),
    people: ("person_id",),
    contact_points: ("id",),
    person_contact_points: ("person_id", "contact_point_id"),
    inquiries: ("event_id",),
    human_actions: ("id",),
    enrolments: ("id",),
    messages: ("id",),
    attempts: ("id",),
    message_events: ("id",),
    verdicts: ("id",),
    suppressions: ("id",),
    consents: ("id",),
    inbound_messages: ("id",),
    qualifications: ("id",),
    conversations: ("person_id",),
    handoffs: ("id",),
    writebacks: ("id",),
    quarantine: ("id",),
    token_usage: ("id",),
    decisions: ("id",),
    service_days: ("service", "day"),
}
MIRRORED: dict[str, tuple[str, ...]] = {table.name: keys for table, keys in _KEYS.items()}
# What stays in the ledger: raw webhook bodies, quarantined records, and the addresses themselves.
NOT_MIRRORED: dict[str, tuple[str, ...]] = {
    "inbox": ("body", "headers"),
    "quarantine": ("raw",),
    "contact_points": ("address",),
    # raw.fub__people has it.
    "people": ("created_via", "erased_at"),
}
# The mirror asks every minute for the rows of the last transactions. A block-range index answers from a few pages and,
# unlike a B-tree, leaves updates heap-only; xid8 itself has no such operator class, its number has.
XID_NUMBER = "((xid::text)::bigint)"
for _table in _KEYS:
    Index(
        f"ix_{_table.name}_mirror",
        text(XID_NUMBER),
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 16, "autosummarize": "on"},
        _table=_table,
    )
