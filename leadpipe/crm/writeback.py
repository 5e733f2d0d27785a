"""Writing back to Follow Up Boss: journalled first, looked up before a second try, inside FUB's limits.

What lives here: the journal of intended writes and the loop that carries them out. What does not: deciding what to
write (``conversation``, ``scoring``), pacing (``ratelimit``).

There is no idempotency key (FUB sheet section 7), so a note and a task carry a marker in their text, and a row found
in ``sending`` after a crash is looked up by it. Tags merge, fields and stages are plain values: repeating them is safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from leadpipe.errors import AmbiguousError, PermanentError, TransientError
from leadpipe.store.tables import writebacks

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.crm.client import FubClient

Row = dict[str, Any]
LEASE = timedelta(minutes=3)
MAX_ATTEMPTS = 6
# Notes go at 10 per 10 s for every user of the account; a write-back run takes at most half of a minute's share.
BATCH = 30


@dataclass(frozen=True, kw_only=True)
class WriteBack:
    """One intended write. ``marker`` identifies it for ever; journalling the same marker twice keeps the first."""

    person_id: int
    kind: str
    marker: str
    payload: Row
    priority: int = 50


@dataclass(frozen=True, kw_only=True)
class Written:
    """What one pass did, and how many still wait (a backlog is shown, and is not lost)."""

    count_done: int
    count_failed: int
    count_retry: int
    count_waiting: int


def journal(connection: Connection, items: Sequence[WriteBack], *, now: datetime) -> int:
    """Store intended writes in the caller's transaction. Fields of a person replace an older unsent write of fields.

    Returns:
        How many are new.
    """
    if not items:
        return 0
    newer = [item.person_id for item in items if item.kind == "fields"]
    if newer:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.person_id.in_(newer), writebacks.c.kind == "fields", writebacks.c.state == "pending")
            .values(state="superseded", done_at=now)
        )
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


def carry_out(*, engine: Engine, crm: FubClient, clock: Clock, worker: str, limit: int = BATCH) -> Written:
    """Carry out up to ``limit`` waiting writes, best first; a failure of one leaves the others alone."""
    done = failed = retry = 0
    for row in _claim(engine, worker, clock.now(), limit):
        try:
            crm_id = _write(crm, row)
        except AmbiguousError as error:
            # It may be there: the row stays in `sending`, the next pass looks it up by its marker.
            _later(engine, row, code=type(error).__name__, now=clock.now(), state="sending")
            retry += 1
        except TransientError as error:
            _later(engine, row, code=type(error).__name__, now=clock.now(), state="pending")
            retry += 1
        except PermanentError as error:
            _end(engine, row, state="failed", code=str(error)[:200], crm_id=None, now=clock.now())
            failed += 1
        else:
            _end(engine, row, state="done", code=None, crm_id=crm_id, now=clock.now())
            done += 1
    with engine.connect() as connection:
        waiting = connection.execute(
            select(func.count()).select_from(writebacks).where(writebacks.c.state.in_(("pending", "sending")))
        ).scalar_one()
    return Written(count_done=done, count_failed=failed, count_retry=retry, count_waiting=int(waiting))


def _claim(engine: Engine, worker: str, now: datetime, limit: int) -> list[Row]:
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


def _write(crm: FubClient, row: Row) -> str | None:
    person_id, payload, marker = row["person_id"], row["payload"], row["marker"]
    kind = row["kind"]
    if kind in {"note", "task"} and row["was_sending"]:
        found = _find_marked(crm, kind, person_id, marker)
        if found is not None:
            return found
    if kind == "note":
        body = f"{payload['body']}\n[leadpipe {marker}]"
        return str(
            crm.post("notes", {"personId": person_id, "subject": payload.get("subject", ""), "body": body})["id"]
        )
    if kind == "task":
        task = {key: value for key, value in payload.items() if value is not None}
        task |= {"personId": person_id, "name": f"{payload['name']} [leadpipe {marker}]"}
        return str(crm.post("tasks", task)["id"])
    if kind == "tags":
        crm.put(f"people/{person_id}", {"tags": payload["tags"]}, {"mergeTags": "true"})
    elif kind in {"fields", "stage"}:
        crm.put(f"people/{person_id}", payload)
    else:
        raise PermanentError(f"no way to write back a {kind}")
    return None


def _find_marked(crm: FubClient, kind: str, person_id: int, marker: str) -> str | None:
    collection, field = ("notes", "body") if kind == "note" else ("tasks", "name")
    for page in crm.pages(collection, {"personId": person_id}):
        for row in page:
            if int(row.get("personId", -1)) == person_id and f"[leadpipe {marker}]" in str(row.get(field) or ""):
                return str(row["id"])
    return None


def _later(engine: Engine, row: Row, *, code: str, now: datetime, state: str) -> None:
    if row["attempts"] >= MAX_ATTEMPTS:
        _end(engine, row, state="failed", code=f"{code}: {MAX_ATTEMPTS} attempts", crm_id=None, now=now)
        return
    wait = timedelta(seconds=10 * 2 ** row["attempts"])
    with engine.begin() as connection:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.id == row["id"])
            .values(state=state, code=code, not_before_at=now + wait, lease_expires_at=None)
        )


def _end(engine: Engine, row: Row, *, state: str, code: str | None, crm_id: str | None, now: datetime) -> None:
    with engine.begin() as connection:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.id == row["id"])
            .values(state=state, code=code, crm_id=crm_id, done_at=now, lease_expires_at=None)
        )
