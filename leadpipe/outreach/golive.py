"""From when on new people are welcomed.

What lives here: the one moment of going live. What does not: who is new (``first_touch``).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

KEY = "go_live"


def go_live_at(connection: Connection, settings: Settings) -> datetime | None:
    """The setting, else what the first sync recorded; None while neither says so, and then nobody is new."""
    if settings.go_live_at is not None:
        return settings.go_live_at
    value = connection.execute(text("select value->>'at' from ledger.controls where key = :key"), {"key": KEY}).scalar()
    return datetime.fromisoformat(value) if value else None


def record_go_live(connection: Connection, at: datetime) -> None:
    """Go live at ``at`` unless a moment is already recorded; the first sync calls this before it reads anyone."""
    connection.execute(
        text(
            "insert into ledger.controls (key, value, changed_at) "
            "values (:key, jsonb_build_object('at', cast(:iso as text)), :at) on conflict (key) do nothing"
        ),
        {"key": KEY, "iso": at.isoformat(), "at": at},
    )
