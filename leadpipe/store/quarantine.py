"""Records that could not be read, kept whole with a reason.

What lives here: the record set aside and its storing. What does not: deciding that a record is bad.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """One unreadable record: where it came from, its key there, why, and its bytes."""

    source: str
    record_key: str
    reason: str
    raw: bytes


def store(connection: Connection, records: Iterable[SetAside], *, now: datetime) -> int:
    """Keep the records; the same record with the same reason is kept once. Returns how many are new."""
    from sqlalchemy.dialects.postgresql import insert

    from leadpipe.store.tables.exchange import quarantine

    rows = [
        {"source": r.source, "record_key": r.record_key, "reason": r.reason, "raw": r.raw, "at": now} for r in records
    ]
    if not rows:
        return 0
    statement = insert(quarantine).on_conflict_do_nothing().returning(quarantine.c.id)
    return len(connection.execute(statement, rows).all())
