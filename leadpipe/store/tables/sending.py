"""Tables of a message's life: the passage it belongs to, the intent, its tries, changes and verdicts.

What lives here: what leadpipe says, and why somebody got nothing. What does not: what leads answer (``replies``).
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

from leadpipe.store.tables.base import CHANNELS, at, jsonb, metadata, one_of, row_id, xid
from leadpipe.store.tables.leads import contact_points, people

MESSAGE_STATES = (
    "queued", "held", "blocked", "review", "sending", "accepted", "sent", "delivered", "undelivered", "bounced",
    "complained", "refused", "unknown", "parked", "cancelled", "expired",
)  # fmt: skip


# One passage of a person through a plan; `occurrence` is the n-th time the plan meets that person.
enrolments = Table(
    "enrolments", metadata,
    row_id(),
    Column("person_id", BigInteger, ForeignKey(people.c.person_id), nullable=False),
    Column("plan", Text, nullable=False),
    Column("plan_version", Text, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("step", Text),  # the step that is due next or waited at
    Column("reason", Text, nullable=False, server_default=""),  # what started it
    jsonb("context"),                               # inquiry id, listing, event seen ...
    at("opened_at", nullable=False),
    at("next_due_at"),
    at("ended_at"),
    Column("end_reason", Text),
    xid(),
    UniqueConstraint("person_id", "plan", "occurrence"),
    one_of("state", ("open", "paused", "done", "ended")),
    Index("uq_enrolments_one_open", "person_id", "plan", unique=True,
          postgresql_where=text("state in ('open', 'paused')")),
    Index("ix_enrolments_due", "next_due_at", postgresql_where=text("state = 'open'")),
)  # fmt: skip

# One row per intent. Two unique constraints hold it (design section 5); the plan's version is no part of a key.
messages = Table(
    "messages", metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("person_id", BigInteger, ForeignKey(people.c.person_id), nullable=False),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), nullable=False),
    Column("enrolment_id", BigInteger, ForeignKey(enrolments.c.id)),
    Column("plan", Text, nullable=False),
    Column("plan_version", Text, nullable=False, server_default=""),
    Column("step", Text, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("template", Text, nullable=False, server_default=""),
    Column("template_version", Text, nullable=False, server_default=""),
    Column("subject", Text, nullable=False, server_default=""),
    Column("body", Text, nullable=False),  # the words: the text part, or the SMS
    Column("segments", Integer, nullable=False, server_default="0"),
    Column("score_pct", Float),
    Column("priority", Integer, nullable=False, server_default="50"),  # 0 goes first
    Column("is_model_written", Boolean, nullable=False, server_default=text("false")),
    jsonb("evidence"),                              # frozen inputs of verdict and words (design 5)
    Column("evidence_hash", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("code", Text),  # reason of the present state: rule code, provider code, cause
    at("due_at", nullable=False),
    at("not_before_at"),                            # held until, or next try
    at("expires_at"),
    Column("provider", Text),
    Column("provider_id", Text),
    Column("worker", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    at("created_at", nullable=False),
    at("changed_at", nullable=False),
    at("accepted_at"),
    xid(),
    UniqueConstraint("contact_point_id", "plan", "step", "occurrence", name="uq_messages_point_intent"),
    UniqueConstraint("person_id", "plan", "step", "occurrence", name="uq_messages_person_intent"),
    UniqueConstraint("provider", "provider_id"),
    one_of("state", MESSAGE_STATES),
    one_of("channel", CHANNELS),
    Index("ix_messages_due", "priority", text("coalesce(not_before_at, due_at)"),
          postgresql_where=text("state in ('queued', 'held')")),
    Index("ix_messages_person", "person_id", "created_at"),
    Index("ix_messages_open_point", "contact_point_id",
          postgresql_where=text("state in ('queued', 'held', 'review', 'sending', 'unknown')")),
    Index("ix_messages_unsure", "state", postgresql_where=text("state in ('sending', 'unknown', 'parked', 'review')")),
)  # fmt: skip

# Committed before the call leaves; an attempt without an outcome after a crash is unknown.
attempts = Table(
    "attempts", metadata,
    row_id(),
    Column("message_id", UUID(as_uuid=False), ForeignKey(messages.c.id), nullable=False),
    Column("worker", Text, nullable=False),
    Column("provider", Text, nullable=False),
    at("started_at", nullable=False),
    at("ended_at"),
    Column("outcome", Text),  # accepted | refused | unknown | not_sent
    Column("code", Text),
    xid(),
    Index("ix_attempts_message", "message_id"),
    Index("ix_attempts_started", "started_at"),
)  # fmt: skip

message_events = Table(
    "message_events", metadata,
    row_id(),
    Column("message_id", UUID(as_uuid=False), nullable=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("event", Text, nullable=False),  # enqueue | claim | outcome | callback | reply | human ...
    Column("code", Text),
    jsonb("detail"),
    at("at", nullable=False),
    xid(),
    Index("ix_message_events_message", "message_id"),
)  # fmt: skip

# The moves the send protocol has, as its migration wrote them; the triggers of messages and message_events hold them.
message_moves = Table(
    "message_moves", metadata,
    Column("event", Text, nullable=False),
    Column("from_state", Text),  # null: the row is new
    Column("to_state", Text, nullable=False),
    UniqueConstraint("event", "from_state", "to_state", postgresql_nulls_not_distinct=True),
)  # fmt: skip

# Every verdict given: at enqueue and again at claim.
verdicts = Table(
    "verdicts", metadata,
    row_id(),
    Column("message_id", UUID(as_uuid=False), nullable=False),
    Column("moment", Text, nullable=False),  # enqueue | claim | release
    Column("decision", Text, nullable=False),
    Column("code", Text),
    Column("rule", Text),
    at("until_at"),
    Column("pack_version", Text, nullable=False),
    jsonb("detail"),                                # all rule verdicts and the evidence (local times, consent id)
    at("judged_at", nullable=False),
    xid(),
    Index("ix_verdicts_message", "message_id"),
)  # fmt: skip

# Why a lead got no message: one row per lead, plan and planning run that ended without an intent.
decisions = Table(
    "decisions", metadata,
    row_id(),
    Column("person_id", BigInteger, nullable=False),
    Column("plan", Text, nullable=False),
    Column("step", Text, nullable=False, server_default=""),
    Column("outcome", Text, nullable=False),  # enqueued | held | blocked | no_contact_point | outranked ...
    Column("code", Text),
    Column("run_key", Text, nullable=False, server_default=""),
    Column("message_id", UUID(as_uuid=False)),
    jsonb("detail"),
    at("at", nullable=False),
    xid(),
    Index("ix_decisions_person", "person_id"),
)  # fmt: skip
