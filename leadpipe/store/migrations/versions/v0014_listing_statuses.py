"""The newest look at each listing, so that a message about a home is judged without the lake."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the next reading of the listing service fills it, until then messages know what was frozen with them."""
    op.create_table(
        "listing_statuses",
        sa.Column("listing_key", sa.Text(), nullable=False),
        sa.Column("listing_id", sa.Text(), nullable=False, server_default=""),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, server_default=""),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("listing_key", name=op.f("pk_listing_statuses")),
        schema="ledger",
    )
    op.create_index("ix_listing_statuses_listing_id", "listing_statuses", ["listing_id"], schema="ledger")
