"""Tables of people as the CRM knows them: addresses, what they asked for, what the team did.

What lives here: the person and what came from the CRM about them. What does not: what they allow (``permissions``) or
wrote to us (``replies``).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY

from leadpipe.store.tables.base import at, jsonb, metadata, one_of, row_id, xid

# One row per CRM person, as last read; the canonical lead is the person whose merged_into is null.
people = Table(
    "people", metadata,
    Column("person_id", BigInteger, primary_key=True, autoincrement=False),
    Column("merged_into", BigInteger),
    Column("first_name", Text, nullable=False, server_default=""),
    Column("last_name", Text, nullable=False, server_default=""),
    Column("stage", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    Column("assigned_user_id", BigInteger),
    Column("assigned_to", Text),
    Column("price_usd", BigInteger),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    jsonb("place"),                                 # {"zip","city","state","country","basis"}
    jsonb("custom"),                                # the house's custom fields
    Column("created_via", Text, nullable=False, server_default=""),  # the CRM's createdVia, as it says it
    at("crm_created_at", nullable=False),
    at("crm_updated_at", nullable=False),
    at("last_human_at"),                            # last act of a person of the team seen in the CRM
    at("last_two_way_at"),                          # last time both sides spoke
    Column("is_new_lead", Boolean, nullable=False, server_default=text("false")),
    Column("outcome", Text),  # why a lead met no plan: no_contact_point ...
    at("automation_paused_at"),
    Column("automation_paused_reason", Text),
    at("deleted_at"),
    at("erased_at"),                                # erased on request: what comes in about them is not stored
    at("first_seen_at", nullable=False),
    at("refreshed_at", nullable=False),
    xid(),
    Index("ix_people_created", "crm_created_at"),
    Index("ix_people_erased", "person_id", postgresql_where=text("erased_at is not null")),
)  # fmt: skip

contact_points = Table(
    "contact_points", metadata,
    row_id(),
    Column("kind", Text, nullable=False),  # email | phone
    Column("address", Text, nullable=False),  # lower-cased email or E.164
    Column("is_relay", Boolean, nullable=False, server_default=text("false")),
    Column("is_role", Boolean, nullable=False, server_default=text("false")),
    at("created_at", nullable=False),
    xid(),
    UniqueConstraint("kind", "address"),
    one_of("kind", ("email", "phone")),
)  # fmt: skip

person_contact_points = Table(
    "person_contact_points", metadata,
    Column("person_id", BigInteger, ForeignKey(people.c.person_id), primary_key=True),
    Column("contact_point_id", BigInteger, ForeignKey(contact_points.c.id), primary_key=True),
    Column("rank", Integer, nullable=False, server_default="0"),  # 0 = the one to use
    at("detached_at"),
    Column("detached_reason", Text),
    xid(),
    Index("ix_person_contact_points_point", "contact_point_id"),
)  # fmt: skip

# One row per CRM event that asks for something (inquiry, registration, seller inquiry ...), by the CRM's event id.
inquiries = Table(
    "inquiries", metadata,
    Column("event_id", BigInteger, primary_key=True, autoincrement=False),
    Column("person_id", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False, server_default=""),
    jsonb("property"),                              # {"street","city","state","zip","price_usd","mls_number"}
    at("occurred_at", nullable=False),
    at("first_seen_at", nullable=False),
    at("answered_at"),                              # a plan took it up, or `outcome` says why none did
    Column("outcome", Text),
    xid(),
    Index("ix_inquiries_person", "person_id"),
)  # fmt: skip

# What people of the team did in the CRM, by themselves: it pauses automation for that lead.
human_actions = Table(
    "human_actions", metadata,
    row_id(),
    Column("person_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),           # call | text | email | note
    Column("crm_id", Text, nullable=False),
    Column("user_id", BigInteger),
    at("at", nullable=False),
    at("recorded_at", nullable=False),
    xid(),
    UniqueConstraint("kind", "crm_id"),
    Index("ix_human_actions_person", "person_id"),
)  # fmt: skip
