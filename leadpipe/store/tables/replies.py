"""Tables of what leads answer and of where each conversation stands.

What lives here: inbound messages, the facts in them, turns, hand-offs, what reading and drafting cost. What does not:
our own messages (``sending``).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from leadpipe.store.tables.base import at, metadata, row_id, xid
from leadpipe.store.tables.leads import contact_points

# One row per inbound message. `read_at` null = unread: every message to that contact point holds until it is read.
inbound_messages = Table(
    "inbound_messages", metadata,
    row_id(),
    Column("channel", Text, nullable=False),
    Column("provider_id", Text, nullable=False),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), nullable=False),
    Column("person_id", BigInteger),
    Column("in_reply_to", UUID(as_uuid=False)),  # our message, when known
    Column("to_address", Text, nullable=False, server_default=""),
    Column("subject", Text, nullable=False, server_default=""),
    Column("body", Text, nullable=False),  # quoted text cut off
    Column("full_body", Text, nullable=False, server_default=""),
    at("received_at", nullable=False),
    at("read_at"),
    Column("intent", Text),
    Column("sentiment", Text),
    Column("confidence", Float),
    Column("reader", Text),  # keyword | phrase | openai:<model> | local:<version>
    Column("is_auto_reply", Boolean, nullable=False, server_default=text("false")),
    Column("lease_owner", Text),
    at("lease_expires_at"),
    xid(),
    UniqueConstraint("channel", "provider_id"),
    Index("ix_inbound_messages_unread", "contact_point_id", postgresql_where=text("read_at is null")),
    Index("ix_inbound_messages_point", "contact_point_id"),
    Index("ix_inbound_messages_person", "person_id"),
)  # fmt: skip

# One row per fact a lead told us, with the sentence it came from.
qualifications = Table(
    "qualifications", metadata,
    row_id(),
    Column("person_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),  # timeline_months | budget_low_usd | zip | side ...
    Column("value", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("inbound_id", BigInteger),
    at("at", nullable=False),
    xid(),
    Index("ix_qualifications_person", "person_id"),
)  # fmt: skip

conversations = Table(
    "conversations", metadata,
    Column("person_id", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),  # open | handed_off | paused | closed
    Column("awaits", Text, nullable=False),  # lead | agent | nobody
    Column("reason", Text, nullable=False, server_default=""),
    Column("turns", Integer, nullable=False, server_default="0"),
    Column("assigned_user_id", BigInteger),
    at("since_at", nullable=False),
    at("last_inbound_at"),
    at("last_outbound_at"),
    at("changed_at", nullable=False),
    xid(),
)  # fmt: skip

handoffs = Table(
    "handoffs", metadata,
    row_id(),
    Column("person_id", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("inbound_id", BigInteger),
    Column("assigned_user_id", BigInteger),
    at("opened_at", nullable=False),
    at("last_alert_at"),
    Column("alerts", Integer, nullable=False, server_default="0"),
    at("closed_at"),
    Column("closed_by", Text),
    xid(),
    Index("uq_handoffs_one_open", "person_id", unique=True, postgresql_where=text("closed_at is null")),
)  # fmt: skip

token_usage = Table(
    "token_usage", metadata,
    row_id(),
    Column("purpose", Text, nullable=False),  # read | draft
    Column("model", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("is_estimate", Boolean, nullable=False, server_default=text("false")),
    Column("person_id", BigInteger),
    at("at", nullable=False),
    xid(),
)  # fmt: skip
