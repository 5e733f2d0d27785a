"""Tables that prove later what was done: the audit log, erasures, and the texts decisions were made from.

What lives here: what is only ever added to. What does not: the rows that the audit log seals (their own areas).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY

from leadpipe.store.tables.base import at, jsonb, metadata, one_of, row_id, xid

# One row per request to erase a person. The certificate holds counts and places; `needles` what the scan looks for,
# and only until it has looked.
erasures = Table(
    "erasures", metadata,
    row_id(),
    Column("person_id", BigInteger, nullable=False),
    Column("person_ids", ARRAY(BigInteger), nullable=False),  # the records of that person, merged ones too
    Column("reason", Text, nullable=False, server_default=""),
    Column("actor", Text, nullable=False),
    Column("state", Text, nullable=False),
    jsonb("needles"),
    jsonb("certificate"),
    at("requested_at", nullable=False),
    at("done_at"),
    one_of("state", ("requested", "cleared", "done")),
)  # fmt: skip

# What stays of an erased address: a salted hash, by which the address is known again and never contacted.
erased_addresses = Table(
    "erased_addresses", metadata,
    Column("kind", Text, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("erasure_id", BigInteger, ForeignKey(erasures.c.id), nullable=False),
    at("at", nullable=False),
)  # fmt: skip

# What people did that no other table tells: exports, erasures, settings, the switch. Ids and hashes, append-only.
acts = Table(
    "acts", metadata,
    row_id(),
    Column("kind", Text, nullable=False),           # export | erasure | settings | sending | retention ...
    Column("actor", Text, nullable=False),          # account@machine, or system
    Column("person_id", BigInteger),
    jsonb("detail"),
    at("at", nullable=False),
    xid(),
    Index("ix_acts_xid", text("((xid::text)::bigint)"), postgresql_using="brin",
          postgresql_with={"pages_per_range": 16, "autosummarize": "on"}),
)  # fmt: skip

# The audit log: one row per row of an append-only table, in the order they were sealed, with that row's hash.
audit = Table(
    "audit", metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("seal_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),         # the table
    Column("row_id", BigInteger, nullable=False),
    Column("row_hash", LargeBinary, nullable=False),
    UniqueConstraint("source", "row_id"),
)  # fmt: skip

# One link of the chain per sealing: its hash covers the rows of it and the link before.
audit_seals = Table(
    "audit_seals", metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("below_xid", BigInteger, nullable=False),  # everything written by older transactions is sealed
    Column("first_seq", BigInteger, nullable=False),
    Column("count_rows", BigInteger, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    at("sealed_at", nullable=False),
)  # fmt: skip

# Templates, plans, packs and settings that decisions were made from: one row a distinct text (store.inputs).
inputs = Table(
    "inputs", metadata,
    Column("kind", Text, primary_key=True),  # template | plan | pack | settings | answers | prompt
    Column("version", Text, primary_key=True),  # as messages and verdicts name it
    Column("sha256", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content", Text, nullable=False),
    at("recorded_at", nullable=False),
)  # fmt: skip
