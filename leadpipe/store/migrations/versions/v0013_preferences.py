"""What people asked for short of a refusal: fewer emails. How long a refusal took is read by when it was recorded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from leadpipe.store.tables.base import Xid8

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; nobody could say so before."""
    op.create_table(
        "preferences",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column(
            "contact_point_id",
            sa.BigInteger(),
            sa.ForeignKey("ledger.contact_points.id", name=op.f("fk_preferences_contact_point_id")),
            nullable=False,
        ),
        sa.Column("person_id", sa.BigInteger()),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("gap_days", sa.Integer()),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint("channel in ('email', 'sms', 'whatsapp')", name=op.f("ck_preferences_channel")),
        schema="ledger",
    )
    op.create_index("ix_preferences_point", "preferences", ["contact_point_id"], schema="ledger")
    op.create_index(
        "ix_preferences_xid",
        "preferences",
        [sa.text("((xid::text)::bigint)")],
        schema="ledger",
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 16, "autosummarize": "on"},
    )
    op.create_index("ix_suppressions_recorded", "suppressions", ["recorded_at"], schema="ledger")
