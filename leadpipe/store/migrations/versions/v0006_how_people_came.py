"""How a person came into the CRM, and people by the time they came: a bulk import is told from leads by both."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; people already there came before anybody asks how."""
    op.add_column(
        "people", sa.Column("created_via", sa.Text, nullable=False, server_default=sa.text("''")), schema="ledger"
    )
    op.create_index("ix_people_created", "people", ["crm_created_at"], schema="ledger")
