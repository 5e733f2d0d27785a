"""Tables of the running system: its clock, its switches, how far it has read, its signs of life and its alerts.

What lives here: what processes tell each other and the team. What does not: anything about a lead.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Float, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from leadpipe.store.tables.base import at, jsonb, metadata, one_of, row_id, xid

clock = Table(
    "clock", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("offset_seconds", Float, nullable=False),
    CheckConstraint("id = 1", name="single"),
)  # fmt: skip

# Small facts shared by all processes: the kill switch ("sending"), go-live, circuit breakers.
controls = Table(
    "controls", metadata,
    Column("key", Text, primary_key=True),
    jsonb("value"),
    at("changed_at", nullable=False),
)  # fmt: skip

watermarks = Table(
    "watermarks", metadata,
    Column("source", Text, primary_key=True),
    jsonb("value"),
    at("changed_at", nullable=False),
)  # fmt: skip

# What may be asked of a provider now, by context of its limits (store.ledger_budget). Times are the machine's, as
# PostgreSQL tells it: providers recover by it, whatever the simulated clock says.
rate_budgets = Table(
    "rate_budgets", metadata,
    Column("provider", Text, primary_key=True),
    Column("context", Text, primary_key=True),
    Column("limit_calls", Integer),                     # null: this context has no limit of its own
    Column("window_seconds", Float, nullable=False),
    Column("slot_counts", ARRAY(Integer), nullable=False),  # calls by hundredth of the window, the newest last
    Column("newest_slot", BigInteger, nullable=False),
    at("blocked_until_at"),                             # the provider said when
    at("bulk_from_at"),                                 # the pace of bulk readers
    at("yield_until_at"),                               # somebody else waits; bulk readers do too
    at("changed_at", nullable=False),
)  # fmt: skip

# One row per sign of life of a service, by the machine's clock: a jump of a simulated calendar is no outage. Pruned
# after a few days; what it adds up to stays in service_days.
heartbeats = Table(
    "heartbeats", metadata,
    row_id(),
    Column("service", Text, nullable=False),  # gateway | dagster | send-worker
    Column("instance", Text, nullable=False),  # host and process
    Column("state", Text, nullable=False, server_default="up"),
    jsonb("detail"),                                # {"rss_bytes", "started_at"}; no contact details
    at("beat_at", nullable=False),
    one_of("state", ("up", "stopped")),
    Index("ix_heartbeats_service", "service", "beat_at"),
    Index("ix_heartbeats_at", "beat_at"),
)  # fmt: skip

# One row per service and day of the team: how long it was to run, and how long it did.
service_days = Table(
    "service_days", metadata,
    Column("service", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("seconds_expected", Float, nullable=False),
    Column("seconds_up", Float, nullable=False),
    Column("outages", Integer, nullable=False),
    Column("longest_outage_seconds", Float, nullable=False),
    at("counted_at", nullable=False),
    xid(),
)  # fmt: skip

alerts = Table(
    "alerts", metadata,
    row_id(),
    Column("kind", Text, nullable=False),  # handoff | webhook_missing | run_failed | high_score | parked ...
    Column("dedupe_key", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),  # ids only, no contact details
    Column("person_id", BigInteger),
    at("created_at", nullable=False),
    at("sent_at"),
    Column("code", Text),
    Index("ix_alerts_unsent", "id", postgresql_where=text("sent_at is null")),
)  # fmt: skip
