"""Indexes of the sending path: what is due next, who wrote to us, what left within the hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.drop_index("ix_messages_due", table_name="messages", schema="ledger")
    op.create_index(
        "ix_messages_due",
        "messages",
        ["priority", sa.text("coalesce(not_before_at, due_at)")],
        schema="ledger",
        postgresql_where=sa.text("state in ('queued', 'held')"),
    )
    op.create_index("ix_inbound_messages_point", "inbound_messages", ["contact_point_id"], schema="ledger")
    op.create_index("ix_inbound_messages_person", "inbound_messages", ["person_id"], schema="ledger")
    op.create_index("ix_attempts_started", "attempts", ["started_at"], schema="ledger")
