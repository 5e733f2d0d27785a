"""Tables of what comes in from outside and of what is written back to the CRM.

What lives here: notifications as they came, records that nobody could read, intended writes. What does not: what they
mean (``leads``, ``replies``), messages to leads (``sending``).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from leadpipe.store.tables.base import at, jsonb, metadata, one_of, row_id, xid

# One row per notification from outside, stored before it is answered. `handled_at` null = still to do.
inbox = Table(
    "inbox", metadata,
    row_id(),
    Column("source", Text, nullable=False),  # fub | twilio_status | twilio_inbound | ses_event | ...
    Column("kind", Text, nullable=False, server_default=""),  # the provider's event name, e.g. peopleCreated
    Column("dedupe_key", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    jsonb("headers"),
    at("received_at", nullable=False),
    Column("state", Text, nullable=False, server_default="new"),
    Column("reason", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    at("lease_expires_at"),
    at("handled_at"),
    xid(),
    UniqueConstraint("source", "dedupe_key"),
    one_of("state", ("new", "handled", "kept_aside")),
    Index("ix_inbox_waiting", "source", "id", postgresql_where=text("state = 'new'")),
    Index("ix_inbox_kept_aside", "source", postgresql_where=text("state = 'kept_aside'")),
)  # fmt: skip

quarantine = Table(
    "quarantine", metadata,
    row_id(),
    Column("source", Text, nullable=False),  # fub_people | fub_events | phone | webhook | csv ...
    Column("record_key", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    at("at", nullable=False),
    xid(),
    UniqueConstraint("source", "record_key", "reason"),
)  # fmt: skip

# Every intended write to the CRM, journalled first; `marker` travels in the note so that a crash never writes it twice.
writebacks = Table(
    "writebacks", metadata,
    row_id(),
    Column("person_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # note | tags | fields | task | stage | delete_person
    Column("marker", Text, nullable=False, unique=True),
    jsonb("payload"),
    Column("priority", Integer, nullable=False, server_default="50"),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("code", Text),
    Column("crm_id", Text),
    at("created_at", nullable=False),
    at("not_before_at"),
    at("started_at"),
    at("done_at"),
    Column("lease_owner", Text),
    at("lease_expires_at"),
    xid(),
    one_of("state", ("pending", "sending", "done", "failed", "superseded")),
    Index("ix_writebacks_pending", "priority", "id", postgresql_where=text("state in ('pending', 'sending')")),
)  # fmt: skip
