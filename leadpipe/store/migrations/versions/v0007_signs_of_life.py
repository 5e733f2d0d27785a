"""Services say that they live, their days are added up, and what was kept aside of the inbox is found without a scan."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from leadpipe.store.tables.base import Xid8

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; what a service did before is not known."""
    op.create_table(
        "heartbeats",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="up", nullable=False),
        sa.Column("detail", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state in ('up', 'stopped')", name=op.f("ck_heartbeats_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heartbeats")),
        schema="ledger",
    )
    op.create_index("ix_heartbeats_service", "heartbeats", ["service", "beat_at"], schema="ledger")
    op.create_index("ix_heartbeats_at", "heartbeats", ["beat_at"], schema="ledger")
    op.create_table(
        "service_days",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("seconds_expected", sa.Float(), nullable=False),
        sa.Column("seconds_up", sa.Float(), nullable=False),
        sa.Column("outages", sa.Integer(), nullable=False),
        sa.Column("longest_outage_seconds", sa.Float(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.PrimaryKeyConstraint("service", "day", name=op.f("pk_service_days")),
        schema="ledger",
    )
    op.execute(
        "create trigger stamp_xid before update on ledger.service_days for each row execute function ledger.stamp_xid()"
    )
    op.create_index(
        "ix_service_days_mirror",
        "service_days",
        [sa.text("((xid::text)::bigint)")],
        schema="ledger",
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 16, "autosummarize": "on"},
    )
    op.create_index(
        "ix_inbox_kept_aside",
        "inbox",
        ["source"],
        schema="ledger",
        postgresql_where=sa.text("state = 'kept_aside'"),
    )
