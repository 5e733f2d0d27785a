"""What may be asked of a provider now, shared by all processes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the budget begins full."""
    op.create_table(
        "rate_budgets",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("limit_calls", sa.Integer),
        sa.Column("window_seconds", sa.Float, nullable=False),
        sa.Column("slot_counts", postgresql.ARRAY(sa.Integer), nullable=False),
        sa.Column("newest_slot", sa.BigInteger, nullable=False),
        sa.Column("blocked_until_at", sa.DateTime(timezone=True)),
        sa.Column("bulk_from_at", sa.DateTime(timezone=True)),
        sa.Column("yield_until_at", sa.DateTime(timezone=True)),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider", "context", name="pk_rate_budgets"),
        schema="ledger",
    )
