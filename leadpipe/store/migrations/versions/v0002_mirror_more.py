"""The mirror reads by block range, and sees attempts and whose contact point is whose."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from leadpipe.store.tables.base import Xid8

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NEWLY_MIRRORED = ("attempts", "contact_points", "person_contact_points")
# As of this revision; the list in tables.py may grow.
MIRRORED = (
    "inbox", "people", "inquiries", "human_actions", "enrolments", "messages", "message_events", "verdicts",
    "suppressions", "consents", "inbound_messages", "qualifications", "conversations", "handoffs", "writebacks",
    "quarantine", "token_usage", "decisions", *NEWLY_MIRRORED,
)  # fmt: skip


def upgrade() -> None:
    """Apply."""
    for table in NEWLY_MIRRORED:
        # The volatile default gives every row there is this transaction's id, so the next mirroring takes them all.
        op.add_column(
            table,
            sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
            schema="ledger",
        )
        op.execute(
            f"create trigger stamp_xid before update on ledger.{table} for each row execute function ledger.stamp_xid()"
        )
    for table in MIRRORED:
        op.create_index(
            f"ix_{table}_mirror",
            table,
            [sa.text("((xid::text)::bigint)")],
            schema="ledger",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 16, "autosummarize": "on"},
        )
