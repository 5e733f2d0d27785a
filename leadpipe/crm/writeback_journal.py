"""The journal of intended writes to Follow Up Boss: what is to be written, who is at it, and how each one ended.

What lives here: the rows of ``ledger.writebacks`` and their states. What does not: calling the CRM
(``writeback_calls``), which error ends a write in which way (``writeback``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from leadpipe.store.tables.exchange import writebacks

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Row = dict[str, Any]
LEASE = timedelta(minutes=3)
MAX_ATTEMPTS = 6
# Somebody has to create the fields; asking more often would only use up the budget.
WITHOUT_FIELDS = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class WriteBack:
    """One intended write. ``marker`` identifies it for ever; journalling the same marker twice keeps the first."""

    person_id: int
    kind: str
    marker: str
    payload: Row
    priority: int = 50


def journal(connection: Connection, items: Sequence[WriteBack], *, now: datetime) -> int:
    """Store intended writes in the caller's transaction.

    Fields of a person take in older fields of that person that have not left: one write then brings both.

    Returns:
        How many are new.
    """
    if not items:
        return 0
    items = _with_unsent_fields(connection, items, now)
    rows = [
        {
            "person_id": item.person_id,
            "kind": item.kind,
            "marker": item.marker,
            "payload": item.payload,
            "priority": item.priority,
            "created_at": now,
        }
        for item in items
    ]
    statement = insert(writebacks).on_conflict_do_nothing(index_elements=["marker"]).returning(writebacks.c.id)
    return len(connection.execute(statement, rows).all())


def _with_unsent_fields(connection: Connection, items: Sequence[WriteBack], now: datetime) -> list[WriteBack]:
    people = [item.person_id for item in items if item.kind == "fields"]
    if not people:
        return list(items)
    known = select(writebacks.c.marker).where(writebacks.c.marker.in_([item.marker for item in items]))
    repeated = set(connection.execute(known).scalars())
    older = connection.execute(
        update(writebacks)
        .where(
            writebacks.c.person_id.in_(people),
            writebacks.c.kind == "fields",
            writebacks.c.state == "pending",
            writebacks.c.marker.not_in(repeated),
        )
        .values(state="superseded", done_at=now)
        .returning(writebacks.c.id, writebacks.c.person_id, writebacks.c.payload)
    ).all()
    unsent: dict[int, Row] = {}
    for row in sorted(older, key=lambda row: row.id):
        unsent[row.person_id] = {**unsent.get(row.person_id, {}), **row.payload}
    return [
        replace(item, payload={**unsent.get(item.person_id, {}), **item.payload}) if item.kind == "fields" else item
        for item in items
    ]


def claim(engine: Engine, worker: str, now: datetime, limit: int) -> list[Row]:
    """Take up to ``limit`` due writes, best first; ``was_sending`` tells one that may be in the CRM already."""
    free = or_(writebacks.c.lease_expires_at.is_(None), writebacks.c.lease_expires_at < now)
    due = or_(writebacks.c.not_before_at.is_(None), writebacks.c.not_before_at <= now)
    ids = (
        select(writebacks.c.id)
        .where(writebacks.c.state.in_(("pending", "sending")), free, due)
        .order_by(writebacks.c.priority, writebacks.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    # `was_sending` tells a write that may already be there from one that never left.
    with engine.begin() as connection:
        before = {
            row.id: row.state
            for row in connection.execute(select(writebacks.c.id, writebacks.c.state).where(writebacks.c.id.in_(ids)))
        }
        rows = connection.execute(
            update(writebacks)
            .where(writebacks.c.id.in_(list(before)))
            .values(
                state="sending",
                lease_owner=worker,
                lease_expires_at=now + LEASE,
                started_at=case((writebacks.c.started_at.is_(None), now), else_=writebacks.c.started_at),
                attempts=writebacks.c.attempts + 1,
            )
            .returning(writebacks)
        ).mappings()
        claimed = [{**row, "was_sending": before[row["id"]] == "sending"} for row in rows]
    return sorted(claimed, key=lambda row: (row["priority"], row["id"]))


def count_waiting(engine: Engine) -> int:
    """Writes that are neither done nor given up."""
    with engine.connect() as connection:
        return connection.execute(
            select(func.count()).select_from(writebacks).where(writebacks.c.state.in_(("pending", "sending")))
        ).scalar_one()


def end(engine: Engine, row: Row, *, state: str, code: str | None, crm_id: str | None, now: datetime) -> None:
    """The write is over."""
    with engine.begin() as connection:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.id == row["id"])
            .values(state=state, code=code, crm_id=crm_id, done_at=now, lease_expires_at=None)
        )


def try_later(
    engine: Engine, row: Row, *, code: str, now: datetime, is_unsure: bool, at_least: timedelta = timedelta(0)
) -> None:
    """Try again after a growing pause; an unsure write stays ``sending``, so that it is looked up first."""
    if row["attempts"] >= MAX_ATTEMPTS:
        end(engine, row, state="failed", code=f"{code}: {MAX_ATTEMPTS} attempts", crm_id=None, now=now)
        return
    wait = max(timedelta(seconds=10 * 2 ** row["attempts"]), at_least)
    state = "sending" if is_unsure else "pending"
    with engine.begin() as connection:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.id == row["id"])
            .values(state=state, code=code, not_before_at=now + wait, lease_expires_at=None)
        )


def give_back(engine: Engine, row: Row) -> None:
    """The write was not tried: it stands as it stood, and the attempt does not count."""
    state = "sending" if row["was_sending"] else "pending"
    with engine.begin() as connection:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.id == row["id"])
            .values(state=state, attempts=writebacks.c.attempts - 1, lease_expires_at=None, code="configuration")
        )


def wait_for_fields(engine: Engine, row: Row, *, now: datetime) -> None:
    """The account lacks a field of ours, which is not this write's fault: it waits, and the attempt does not count."""
    with engine.begin() as connection:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.id == row["id"])
            .values(
                state="pending",
                attempts=writebacks.c.attempts - 1,
                code="fields_missing",
                not_before_at=now + WITHOUT_FIELDS,
                lease_expires_at=None,
            )
        )
