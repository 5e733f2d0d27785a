"""Alerts for people, written with the change that causes them.

What lives here: one row per cause, kept from repeating by its key. What does not: delivering it (the alert sensor).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection


def raise_alert(
    connection: Connection,
    *,
    kind: str,
    dedupe_key: str,
    title: str,
    body: str,
    now: datetime,
    person_id: int | None = None,
) -> bool:
    """Write the alert once per ``dedupe_key``; True when it is new. ``body`` names ids and commands, no addresses."""
    written = connection.execute(
        text(
            "insert into ledger.alerts (kind, dedupe_key, title, body, person_id, created_at) "
            "values (:kind, :key, :title, :body, :person, :now) on conflict (dedupe_key) do nothing"
        ),
        {"kind": kind, "key": dedupe_key, "title": title, "body": body, "person": person_id, "now": now},
    )
    return written.rowcount == 1
