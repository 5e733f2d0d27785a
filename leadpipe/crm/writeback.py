"""Writing back to Follow Up Boss: journalled first, looked up before a second try, inside FUB's limits.

What lives here: the journal of intended writes and the loop that carries them out. What does not: deciding what to
write (``conversation``, ``scoring``), pacing (``ratelimit``).

There is no idempotency key (FUB sheet section 7), so a note and a task carry a marker in their text, and a row found
in ``sending`` after a crash is looked up by it. Tags merge, fields and stages are plain values: repeating them is safe.
Only fields that a rule gives to leadpipe are written (``conflicts``), and a stage only while the lead stands where it
stood when the write was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from leadpipe.crm import conflicts, custom_fields
from leadpipe.errors import (
    AmbiguousError,
    ConfigurationError,
    PermanentError,
    RateLimited,
    Rejected,
    TransientError,
)
from leadpipe.store.tables.exchange import writebacks

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.crm.client import FubClient

Row = dict[str, Any]
LEASE = timedelta(minutes=3)
MAX_ATTEMPTS = 6
# Creates: their text carries the marker by which they are found again.
MARKED = frozenset({"note", "task"})
# Notes go at 10 per 10 s for every user of the account; a write-back run takes at most half of a minute's share.
BATCH = 30
# Somebody has to create the fields; asking more often would only use up the budget.
WITHOUT_FIELDS = timedelta(hours=1)
MOVED_IN_CRM = "moved_in_crm"


class _Overtaken(Exception):  # noqa: N818 - the state of a write, caught where it is carried out
    """The team moved the lead after the write was decided: their word is the later one."""


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
    """What one pass did, and how many still wait (a backlog is shown, and is not lost).

    ``stopped_by`` is ``configuration`` when the key is refused: then everything waits for a person.
    """

    count_done: int
    count_failed: int
    count_retry: int
    count_waiting: int
    stopped_by: str = ""

    def as_metadata(self) -> dict[str, int | str]:
        """Counts for Dagster."""
        return {
            "done": self.count_done,
            "failed": self.count_failed,
            "retry": self.count_retry,
            "waiting": self.count_waiting,
            "stopped_by": self.stopped_by,
        }


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


def carry_out(*, engine: Engine, crm: FubClient, clock: Clock, worker: str, limit: int = BATCH) -> Written:
    """Carry out up to ``limit`` waiting writes, best first; a failure of one leaves the others alone."""
    done = failed = retry = 0
    stopped_by = ""
    lacking: tuple[str, ...] = ()
    for row in _claim(engine, worker, clock.now(), limit):
        if stopped_by:
            _give_back(engine, row)
            continue
        if row["kind"] == "fields" and set(lacking) & set(row["payload"]):
            _wait_for_fields(engine, row, now=clock.now())
            retry += 1
            continue
        try:
            crm_id = _write(crm, row)
        except _Overtaken:
            _end(engine, row, state="superseded", code=MOVED_IN_CRM, crm_id=None, now=clock.now())
            done += 1
        except ConfigurationError as error:
            # Every other write would fail the same way; none of them is at fault.
            stopped_by = "configuration"
            _give_back(engine, row)
            _tell(engine, error, now=clock.now())
        except RateLimited as error:
            # Certainly not taken.
            wait = timedelta(seconds=error.retry_after_seconds)
            _later(engine, row, code="RateLimited", now=clock.now(), is_unsure=row["was_sending"], at_least=wait)
            retry += 1
        except (AmbiguousError, TransientError) as error:
            # It may be there: a note or task stays in `sending`, and the next pass looks it up by its marker first.
            is_unsure = row["was_sending"] or row["kind"] in MARKED
            _later(engine, row, code=type(error).__name__, now=clock.now(), is_unsure=is_unsure)
            retry += 1
        except PermanentError as error:
            unknown = custom_fields.named_in(str(error)) if row["kind"] == "fields" else ()
            if unknown:
                lacking = unknown
                _wait_for_fields(engine, row, now=clock.now())
                _tell_fields(engine, lacking, now=clock.now())
                retry += 1
                continue
            _end(engine, row, state="failed", code=str(error)[:200], crm_id=None, now=clock.now())
            failed += 1
        else:
            _end(engine, row, state="done", code=None, crm_id=crm_id, now=clock.now())
            done += 1
    with engine.connect() as connection:
        waiting = connection.execute(
            select(func.count()).select_from(writebacks).where(writebacks.c.state.in_(("pending", "sending")))
        ).scalar_one()
    return Written(
        count_done=done, count_failed=failed, count_retry=retry, count_waiting=int(waiting), stopped_by=stopped_by
    )


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
    if kind in MARKED and row["was_sending"]:
        found = _find_marked(crm, kind, person_id, marker)
        if found is not None:
            return found
    if kind == "note":
        body = f"{payload['body']}\n[leadpipe {marker}]"
        return _id_of(
            crm.post("notes", {"personId": person_id, "subject": payload.get("subject", ""), "body": body}), kind
        )
    if kind == "task":
        task = {key: value for key, value in payload.items() if value is not None}
        task |= {"personId": person_id, "name": f"{payload['name']} [leadpipe {marker}]"}
        return _id_of(crm.post("tasks", task), kind)
    if kind == "tags":
        crm.put(f"people/{person_id}", {"tags": payload["tags"]}, {"mergeTags": "true"})
    elif kind == "fields":
        foreign = [name for name in payload if conflicts.winner_of(name) is not conflicts.Winner.LEADPIPE]
        if foreign:
            raise PermanentError(f"by the rule of the field leadpipe does not write {', '.join(sorted(foreign))}")
        crm.put(f"people/{person_id}", payload)
    elif kind == "stage":
        _move(crm, person_id, payload)
    elif kind == "delete_person":
        _delete_person(crm, person_id)
    else:
        raise PermanentError(f"no way to write back a {kind}")
    return None


def _move(crm: FubClient, person_id: int, payload: Row) -> None:
    """Set a stage, unless the lead left the one in which this was decided (``from``, where it is known)."""
    decided_in = payload.get("from")
    if decided_in:
        stands_in = crm.get(f"people/{person_id}").get("stage")
        if stands_in == payload["stage"]:
            return
        if stands_in != decided_in:
            raise _Overtaken
    crm.put(f"people/{person_id}", {"stage": payload["stage"]})


def _delete_person(crm: FubClient, person_id: int) -> None:
    """Delete an erased person's record; one that is gone already is what was wanted."""
    try:
        crm.delete(f"people/{person_id}")
    except Rejected as error:
        if error.code != "404":
            raise


def _id_of(answer: Row, kind: str) -> str:
    """The new record's id; an answer without one leaves open whether there is a record."""
    if not answer.get("id"):
        raise AmbiguousError(f"FUB answered a new {kind} without its id; it is looked up before a second try")
    return str(answer["id"])


def _find_marked(crm: FubClient, kind: str, person_id: int, marker: str) -> str | None:
    collection, field = ("notes", "body") if kind == "note" else ("tasks", "name")
    for page in crm.pages(collection, {"personId": person_id}):
        for row in page:
            if int(row.get("personId", -1)) == person_id and f"[leadpipe {marker}]" in str(row.get(field) or ""):
                return str(row["id"])
    return None


def _later(
    engine: Engine, row: Row, *, code: str, now: datetime, is_unsure: bool, at_least: timedelta = timedelta(0)
) -> None:
    """Try again after a growing pause; an unsure write stays ``sending``, so that it is looked up first."""
    if row["attempts"] >= MAX_ATTEMPTS:
        _end(engine, row, state="failed", code=f"{code}: {MAX_ATTEMPTS} attempts", crm_id=None, now=now)
        return
    wait = max(timedelta(seconds=10 * 2 ** row["attempts"]), at_least)
    state = "sending" if is_unsure else "pending"
    with engine.begin() as connection:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.id == row["id"])
            .values(state=state, code=code, not_before_at=now + wait, lease_expires_at=None)
        )


def _give_back(engine: Engine, row: Row) -> None:
    """The write was not tried: it stands as it stood, and the attempt does not count."""
    state = "sending" if row["was_sending"] else "pending"
    with engine.begin() as connection:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.id == row["id"])
            .values(state=state, attempts=writebacks.c.attempts - 1, lease_expires_at=None, code="configuration")
        )


def _wait_for_fields(engine: Engine, row: Row, *, now: datetime) -> None:
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


def _tell_fields(engine: Engine, names: Sequence[str], *, now: datetime) -> None:
    from leadpipe.messaging.alerts import raise_alert

    with engine.begin() as connection:
        raise_alert(
            connection,
            kind="crm_fields_missing",
            dedupe_key=f"crm_fields_missing:{now:%Y-%m-%d}",
            title="Follow Up Boss has no field for our scores",
            body=f"The account does not know {', '.join(names)}. Run `leadpipe webhooks install`, which creates "
            "what is missing; the scores wait and are written within an hour of it.",
            now=now,
        )


def _tell(engine: Engine, error: ConfigurationError, *, now: datetime) -> None:
    from leadpipe.messaging.alerts import raise_alert

    with engine.begin() as connection:
        raise_alert(
            connection,
            kind="crm_refuses",
            dedupe_key=f"crm_refuses:{now:%Y-%m-%d}",
            title="Follow Up Boss refuses our writes; notes, tasks and scores wait",
            body=f"{error}. Nothing is lost: the journal goes on when the key is right.",
            now=now,
        )


def _end(engine: Engine, row: Row, *, state: str, code: str | None, crm_id: str | None, now: datetime) -> None:
    with engine.begin() as connection:
        connection.execute(
            update(writebacks)
            .where(writebacks.c.id == row["id"])
            .values(state=state, code=code, crm_id=crm_id, done_at=now, lease_expires_at=None)
        )
