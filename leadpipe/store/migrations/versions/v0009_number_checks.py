"""What lists outside say of a number: do-not-call lists and the reassigned-numbers database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; no number was looked up before."""
    op.create_table(
        "number_checks",
        sa.Column("contact_point_id", sa.BigInteger, sa.ForeignKey("ledger.contact_points.id"), nullable=False),
        sa.Column("list", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("checked_at", sa.Date, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("contact_point_id", "list"),
        sa.CheckConstraint("result in ('yes', 'no', 'no_data')", name=op.f("ck_number_checks_result")),
        schema="ledger",
    )
