"""A collection of the CRM against the lake and the ledger: every record, every column; what differs is read again.

What lives here: walking a collection, naming each difference, healing it, and looking whether that helped. What does
not: what leadpipe wrote (``written``), the table of what is left (``audit``).

A difference is healed by landing what the CRM says, as any pass does. What does not agree even then is looked at once
more by itself, since a record may change under the walk, and is open after that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.crm import gone, held, intake, landing, tables, watermark
from leadpipe.crm import sweep as id_sweep
from leadpipe.crm.people_compare import ledger_differences
from leadpipe.crm.sync import PEOPLE_QUERY
from leadpipe.crm.tables import RawTable
from leadpipe.crm.values import canonical, read_id
from leadpipe.errors import BadRecord
from leadpipe.store import quarantine

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import Clock
    from leadpipe.crm.client import FubClient
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
CHUNK = 5_000
# What does not agree after healing is asked for by itself; more than so many is no race.
MOST_LOOKED_AT = 200
HEALED, OPEN, WRITE_AGAIN = "healed", "open", "write_again"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One record that was not the same on all sides, without its values.

    Attributes:
        kind: ``missing`` (the lake lacked it), ``stale`` (older content), ``gone`` (deleted at the CRM), ``ledger``
            (the ledger kept something else), ``unreadable``, ``not_believed`` (too many missing at once), ``not_read``
            (the collection could not be read), ``written`` (what leadpipe wrote is not there), ``write`` (a write that
            failed or waits).
        outcome: ``healed``, ``write_again`` (journalled by the repair that follows) or ``open``.
        fields: names of the CRM's fields or the ledger's columns that differed.
    """

    collection: str
    kind: str
    outcome: str
    record_id: int | None = None
    person_id: int | None = None
    fields: tuple[str, ...] = ()
    reason: str = ""


@dataclass(kw_only=True)
class Compared:
    """What a walk over one collection met; ``is_whole`` is False when its time ended before the collection did."""

    count_seen: int = 0
    is_whole: bool = True
    differences: list[Difference] = field(default_factory=list[Difference])
    human_ids: list[int] = field(default_factory=list[int])
    """People with an act of the team that nobody had seen before."""

    def count(self, kind: str) -> int:
        """Differences of one kind."""
        return sum(1 for each in self.differences if each.kind == kind)


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The three sides that are compared, and the clock."""

    crm: FubClient
    lake: Lake
    engine: Engine
    settings: Settings
    clock: Clock


def compare(
    table: RawTable,
    sides: Sides,
    *,
    max_seconds: float | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Compared:
    """Walk a collection by falling id, heal what differs, and name it.

    With ``max_seconds`` a walk that takes longer stops, and the next one goes on where it stopped.

    Raises:
        TransientError: the CRM does not answer; what was healed stays healed.
    """
    source = f"fub_{table.collection}_audit"
    low = watermark.read_place(sides.engine, source)[0] if max_seconds is not None else None
    until = monotonic() + max_seconds if max_seconds is not None else None
    known = held.live_ids(sides.lake, table)
    result = Compared()
    seen: list[int] = []
    for chunk, read_at in _chunks(table, sides, low or None):
        result.count_seen += len(chunk)
        seen += [i for row in chunk if (i := read_id(row)) is not None]
        _compare(table, chunk, sides, read_at, result)
        if until is not None and monotonic() >= until and len(chunk) >= CHUNK:
            result.is_whole = False
            break
    bottom = min(seen, default=0) if not result.is_whole else 0
    # What we hold was there before the walk began, so it should have met it.
    missing = {i for i in known if bottom <= i and (not low or i < low)}.difference(seen)
    result.differences += _gone(table, missing, len(known), sides)
    if max_seconds is not None:
        watermark.put_place(sides.engine, source, bottom, None, now=sides.clock.now())
    return result


def _chunks(table: RawTable, sides: Sides, low: int | None) -> Iterator[tuple[list[Row], datetime]]:
    """Rows by falling id in chunks, each with a moment before it was read."""
    read_at, chunk = sides.clock.now(), list[Row]()
    for page in _pages(table, sides.crm, low):
        chunk += page
        if len(chunk) >= CHUNK:
            yield chunk, read_at
            read_at, chunk = sides.clock.now(), []
    if chunk:
        yield chunk, read_at


def _pages(table: RawTable, crm: FubClient, low: int | None) -> Iterator[list[Row]]:
    query: Row = {}
    if table is tables.PEOPLE:
        query = dict(PEOPLE_QUERY)
    elif table is tables.DEALS:
        query = {"includeDeleted": 1, "includeArchived": 1}
    if low is None:
        yield from crm.pages(table.collection, query)
        return
    for number, page in enumerate(crm.pages(table.collection, {**query, "idLessThan": low})):
        older = [row for row in page if (read_id(row) or 0) < low]
        if number == 0 and len(older) < len(page):
            break  # the filter is ignored
        yield older
    else:
        return
    for page in crm.pages(table.collection, query):
        yield [row for row in page if (read_id(row) or 0) < low]


def _compare(table: RawTable, rows: Sequence[Row], sides: Sides, read_at: datetime, result: Compared) -> None:
    found = _differences(table, rows, sides, read_at)
    differing = {each.record_id for each in found if each.outcome != OPEN}
    wrong = [row for row in rows if read_id(row) in differing]
    if not wrong:
        result.differences += found
        return
    result.human_ids += _land(table, wrong, sides, read_at)
    again = _differences(table, wrong, sides, read_at)
    left = {each.record_id for each in again}
    if left and len(left) <= MOST_LOOKED_AT:
        left = _second_look(table, [i for i in left if i is not None], sides)
    result.differences += [
        each if each.record_id not in left or each.outcome == OPEN else _left_open(each, again) for each in found
    ]


def _left_open(difference: Difference, again: Sequence[Difference]) -> Difference:
    fields = next((each.fields for each in again if each.record_id == difference.record_id), difference.fields)
    return Difference(
        collection=difference.collection,
        kind=difference.kind,
        outcome=OPEN,
        record_id=difference.record_id,
        person_id=difference.person_id,
        fields=fields,
        reason="it differs after it was read again",
    )


def _second_look(table: RawTable, ids: Sequence[int], sides: Sides) -> set[int | None]:
    """Of these records, those that differ when read by themselves; one that changed under the walk does not."""
    read_at = sides.clock.now()
    if table is tables.PEOPLE:
        rows = sides.crm.people(ids)
    else:
        rows = [row for i in ids if (row := sides.crm.find(table.collection, i)) is not None]
    _land(table, rows, sides, read_at)
    return {each.record_id for each in _differences(table, rows, sides, read_at)}


def _differences(table: RawTable, rows: Sequence[Row], sides: Sides, read_at: datetime) -> list[Difference]:
    by_id = {i: row for row in rows if (i := read_id(row)) is not None}
    known = held.versions(sides.lake, table, list(by_id))
    found: list[Difference] = []
    for record_id, payload in by_id.items():
        names: dict[str, Any] = {
            "collection": table.collection, "record_id": record_id, "person_id": _person_of(table, payload)
        }  # fmt: skip
        try:
            row = table.row(payload, landed_by="audit", landed_at=read_at)
        except BadRecord as error:
            found.append(Difference(**names, kind="unreadable", outcome=OPEN, reason=str(error)))
            continue
        version = known.get(record_id)
        if version is None or version.is_deleted:
            found.append(Difference(**names, kind="missing", outcome=HEALED))
        elif version.content_hash != row["content_hash"]:
            fields = _fields(version.payload, payload)
            found.append(Difference(**names, kind="stale", outcome=HEALED, fields=fields))
    if table is tables.PEOPLE:
        differing = {each.record_id for each in found}
        found += [
            Difference(
                collection=table.collection, record_id=person_id, person_id=person_id, kind="ledger", outcome=HEALED,
                fields=fields,
            )
            for person_id, fields in ledger_differences(sides.engine, list(by_id.values())).items()
            if person_id not in differing
        ]  # fmt: skip
    return found


def _person_of(table: RawTable, payload: Row) -> int | None:
    if table is tables.PEOPLE:
        return read_id(payload)
    return read_id({"id": payload.get("personId")})


def _fields(before: str, after: Row) -> tuple[str, ...]:
    old: Row = json.loads(before)
    new: Row = json.loads(canonical(after))
    return tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))


def _land(table: RawTable, rows: Sequence[Row], sides: Sides, read_at: datetime) -> tuple[int, ...]:
    if table is tables.PEOPLE or table is tables.EVENTS or table.collection in intake.ACTIVITIES:
        taken = intake.store(
            rows if table is tables.PEOPLE else [],
            rows if table is tables.EVENTS else [],
            {table.collection: list(rows)} if table.collection in intake.ACTIVITIES else {},
            lake=sides.lake, engine=sides.engine, now=read_at, landed_by="audit", settings=sides.settings,
        )  # fmt: skip
        return taken.human_ids
    report = landing.land(sides.lake, table, rows, landed_by="audit", now=read_at)
    with sides.engine.begin() as connection:
        quarantine.store(connection, report.set_aside, now=read_at)
    return ()


def _gone(table: RawTable, missing: set[int], count_known: int, sides: Sides) -> list[Difference]:
    now = sides.clock.now()
    if table is tables.PEOPLE:
        if len(missing) >= id_sweep.MASS_MISSING_MIN and len(missing) > id_sweep.MASS_MISSING_SHARE * count_known:
            confirmed = gone.Confirmed(unbelieved_ids=tuple(missing))
        else:
            ids = id_sweep.confirm_gone(
                missing, crm=sides.crm, lake=sides.lake, engine=sides.engine, now=now, landed_by="audit"
            )
            confirmed = gone.Confirmed(gone_ids=ids)
    else:
        confirmed = gone.confirm(
            table, missing, crm=sides.crm, lake=sides.lake, engine=sides.engine, now=now, landed_by="audit"
        )
    found = [
        Difference(collection=table.collection, record_id=record_id, kind="gone", outcome=HEALED)
        for record_id in (*confirmed.gone_ids, *confirmed.found_ids)
    ]
    if confirmed.unasked_ids:
        reason = f"{len(confirmed.unasked_ids)} more are not in the list; they are asked for the next time"
        found.append(Difference(collection=table.collection, kind="gone", outcome=OPEN, reason=reason))
    if confirmed.unbelieved_ids:
        reason = f"{len(confirmed.unbelieved_ids)} of {count_known} are not in the list; does the key see less?"
        found.append(Difference(collection=table.collection, kind="not_believed", outcome=OPEN, reason=reason))
    return found
