"""The webhook inbox: leasing rows, finishing them, giving them back.

What lives here: who works on which notification. What does not: storing one (``gateway``) or what it means
(``intake``). A run that dies keeps its lease until it expires; then the rows are simply waiting again, so nothing is
lost and no cursor is needed (design section 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select, update

from leadpipe.store.tables.exchange import inbox

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine

LEASE = timedelta(seconds=120)
# A row that failed so often is kept aside with its reason, so that it cannot starve the others.
MAX_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One stored notification."""

    id: int
    kind: str
    body: bytes
    received_at: datetime


def count_waiting(connection: Connection, *, source: str, now: datetime) -> int:
    """Rows that nobody works on; the sensor's question."""
    return int(connection.execute(select(func.count()).select_from(inbox).where(*_waiting(source, now))).scalar_one())


def _waiting(source: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    free = or_(inbox.c.lease_expires_at.is_(None), inbox.c.lease_expires_at < now)
    return (inbox.c.source == source, inbox.c.state == "new", free)


def lease(engine: Engine, *, source: str, worker: str, now: datetime, limit: int) -> list[Notice]:
    """Take up to ``limit`` waiting rows, oldest first; no two workers get the same row."""
    waiting = (
        select(inbox.c.id)
        .where(*_waiting(source, now))
        .order_by(inbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(inbox)
        .where(inbox.c.id.in_(waiting))
        .values(lease_owner=worker, lease_expires_at=now + LEASE, attempts=inbox.c.attempts + 1)
        .returning(inbox.c.id, inbox.c.kind, inbox.c.body, inbox.c.received_at)
    )
    with engine.begin() as connection:
        rows = connection.execute(statement).all()
    notices = [Notice(id=row.id, kind=row.kind, body=bytes(row.body), received_at=row.received_at) for row in rows]
    return sorted(notices, key=lambda notice: notice.id)


def finish(engine: Engine, ids: Sequence[int], *, now: datetime, reason: str = "") -> None:
    """These rows had their effect, or ``reason`` says why they needed none."""
    if ids:
        done = {"state": "handled", "handled_at": now, "reason": reason or None}
        with engine.begin() as connection:
            connection.execute(update(inbox).where(inbox.c.id.in_(ids)).values(**done))


def keep_aside(engine: Engine, reasons: Mapping[int, str]) -> None:
    """These rows, by their ids, nobody can process, however often it is tried: each waits for a person and a replay."""
    if reasons:
        with engine.begin() as connection:
            for row_id, reason in reasons.items():
                connection.execute(update(inbox).where(inbox.c.id == row_id).values(state="kept_aside", reason=reason))


def give_back(
    engine: Engine, ids: Sequence[int], *, now: datetime, reason: str, after: timedelta, is_their_fault: bool = True
) -> None:
    """These rows failed for now: they wait ``after``; after too many attempts they are kept aside with the reason.

    With ``is_their_fault`` False the attempt does not count: while the CRM is down no row can do anything about it.
    """
    if not ids:
        return
    with engine.begin() as connection:
        if not is_their_fault:
            connection.execute(
                update(inbox)
                .where(inbox.c.id.in_(ids), inbox.c.state == "new", inbox.c.attempts > 0)
                .values(attempts=inbox.c.attempts - 1)
            )
        connection.execute(
            update(inbox)
            .where(inbox.c.id.in_(ids), inbox.c.attempts >= MAX_ATTEMPTS)
            .values(state="kept_aside", reason=reason)
        )
        connection.execute(
            update(inbox)
            .where(inbox.c.id.in_(ids), inbox.c.state == "new")
            .values(lease_expires_at=now + after, reason=reason)
        )
