"""Erasures and what stays of an erased address, acts of people, the audit log and its chain.

An address that was erased is refused again the moment it is stored, whoever stores it: a trigger compares hashes, so no
path of code can forget to. ``message_events`` stays append-only, but for two things that its own words announce: the
clearing of ``detail`` in an erasure and the removal of rows past their retention.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from leadpipe.store.tables.base import Xid8

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_KEEP = """
create or replace function ledger.keep_as_written() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and current_setting('leadpipe.erasing', true) = 'on'
      and to_jsonb(new) - 'detail' - 'xid' = to_jsonb(old) - 'detail' - 'xid' then
    return new;
  end if;
  if tg_op = 'DELETE' and current_setting('leadpipe.expiring', true) = 'on' then
    return old;
  end if;
  raise exception 'ledger.% is append-only: its rows are neither changed nor removed', tg_table_name
    using errcode = 'LP002';
end
$$
"""
_HASH = """
create function ledger.address_hash(kind text, address text) returns text language sql stable as $$
  select encode(sha256(convert_to(
    (select value ->> 'salt' from ledger.controls where key = 'erasure_salt') || ':' || kind || ':' || lower(address),
    'UTF8')), 'hex')
$$
"""
_REFUSE = """
create function ledger.refuse_erased() returns trigger language plpgsql as $$
begin
  if not exists (select 1 from ledger.erased_addresses) then
    return null;
  end if;
  insert into ledger.suppressions (contact_point_id, channel, source, evidence, at, recorded_at)
  select n.id, 'all', 'erased', jsonb_build_object('erasure_id', e.erasure_id), e.at, n.created_at
  from new_points n join ledger.erased_addresses e
    on e.kind = n.kind and e.hash = ledger.address_hash(n.kind, n.address);
  return null;
end
$$
"""


def upgrade() -> None:
    """Apply."""
    op.add_column("people", sa.Column("erased_at", sa.DateTime(timezone=True)), schema="ledger")
    op.create_index(
        "ix_people_erased", "people", ["person_id"], schema="ledger", postgresql_where=sa.text("erased_at is not null")
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("person_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("needles", postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("certificate", postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("state in ('requested', 'cleared', 'done')", name=op.f("ck_erasures_state")),
        schema="ledger",
    )
    op.create_table(
        "erased_addresses",
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("hash", sa.Text(), primary_key=True),
        sa.Column("erasure_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["erasure_id"], ["ledger.erasures.id"], name=op.f("fk_erased_addresses_erasure_id")),
        schema="ledger",
    )
    op.create_table(
        "acts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger()),
        sa.Column("detail", postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        schema="ledger",
    )
    op.create_index(
        "ix_acts_xid",
        "acts",
        [sa.text("((xid::text)::bigint)")],
        schema="ledger",
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 16, "autosummarize": "on"},
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("seal_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("row_hash", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("source", "row_id", name=op.f("uq_audit_source_row_id")),
        schema="ledger",
    )
    op.create_table(
        "audit_seals",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("below_xid", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("count_rows", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        schema="ledger",
    )
    op.execute(_KEEP)
    for table in ("acts", "audit", "audit_seals"):
        op.execute(
            f"create trigger keep_rows before update or delete on ledger.{table} "
            "for each row execute function ledger.keep_as_written()"
        )
        op.execute(
            f"create trigger keep_table before truncate on ledger.{table} "
            "for each statement execute function ledger.keep_as_written()"
        )
    op.execute(_HASH)
    op.execute(_REFUSE)
    op.execute(
        "create trigger refuse_erased after insert on ledger.contact_points referencing new table as new_points "
        "for each statement execute function ledger.refuse_erased()"
    )
