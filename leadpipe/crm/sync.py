"""The poller: what the webhooks may have missed, read incrementally.

What lives here: one pass over each collection with an overlapping watermark, the start-up probe of ``updatedAfter``,
the first full sync. What does not: the nightly id sweep (``sweep``), deciding whom to answer (``outreach``).

Facts: FUB sheet section 3.3. The watermark is the largest ``updated`` seen, never local time; every pass reads again
the last minutes before it (timestamps have a grain of one second, replicas lag), and landing drops what did not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.crm import intake, landing, tables, watermark
from leadpipe.crm.tables import RawTable, read_time
from leadpipe.errors import Rejected
from leadpipe.store import quarantine

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.crm.intake import Intake
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
OVERLAP = timedelta(minutes=3)
PEOPLE_QUERY = {"fields": "allFields", "includeTrash": "true", "includeUnclaimed": "true"}
SMALL = (tables.USERS, tables.STAGES, tables.PIPELINES, tables.DEALS)
ACTIVITY = (tables.NOTES, tables.CALLS, tables.TASKS, tables.APPOINTMENTS)
# People of a first sync are stored as they come, so that a killed sync goes on where it was.
FIRST_SYNC_BATCH = 5_000


@dataclass(kw_only=True)
class Pass:
    """What one pass read: people seen, new ones, counts by table and where the watermark stands."""

    is_first: bool = False
    person_ids: list[int] = field(default_factory=list[int])
    new_ids: list[int] = field(default_factory=list[int])
    human_ids: list[int] = field(default_factory=list[int])
    count_by_table: dict[str, int] = field(default_factory=dict[str, int])
    count_set_aside: int = 0

    def add(self, taken: Intake) -> None:
        """Count one stored batch."""
        self.person_ids += taken.person_ids
        self.new_ids += taken.new_ids
        self.human_ids += taken.human_ids
        self.count_set_aside += taken.count_set_aside


class Sync:
    """One account's poller over the client, the lake and the ledger."""

    def __init__(self, *, crm: FubClient, lake: Lake, engine: Engine) -> None:
        self._crm = crm
        self._lake = lake
        self._engine = engine

    def people(self, *, now: datetime) -> Pass:
        """People changed since the last pass; on the first pass everyone, oldest id last.

        Raises:
            TransientError: the CRM does not answer; the watermark stays, the next pass reads the same again.
        """
        mark = watermark.read(self._engine, "fub_people")
        result = Pass(is_first=mark is None)
        newest = mark
        pages = self._first_people() if mark is None else self._changed_people(mark - OVERLAP)
        for rows in pages:
            taken = intake.store(rows, [], {}, lake=self._lake, engine=self._engine, now=now, landed_by="poll")
            result.add(taken)
            result.count_by_table["raw.fub__people"] = (
                result.count_by_table.get("raw.fub__people", 0) + taken.count_landed
            )
            newest = (
                max((at for row in rows if (at := _updated(row))), default=newest)
                if newest is None
                else max(newest, *(at for row in rows if (at := _updated(row))))
            )
        if newest is not None:
            watermark.write(self._engine, "fub_people", newest, now=now)
        return result

    def _first_people(self) -> Iterator[list[Row]]:
        # Default order is a keyset walk, id descending: right while rows change under it (sheet 3.1).
        batch: list[Row] = []
        for page in self._crm.pages("people", PEOPLE_QUERY):
            batch += page
            if len(batch) >= FIRST_SYNC_BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _changed_people(self, since: datetime) -> Iterator[list[Row]]:
        if self._updated_after_works():
            query = {**PEOPLE_QUERY, "updatedAfter": _iso(since), "sort": "-updated"}
            for page in self._crm.pages("people", query):
                # The filter is believed only as far as the rows confirm it: unknown filters are ignored silently.
                if page and all((_updated(row) or since) < since for row in page):
                    return
                yield page
            return
        yield from self._walk(since)

    def _walk(self, since: datetime) -> Iterator[list[Row]]:
        """Newest change first until a page lies wholly before ``since``; beyond the offset wall, everyone."""
        try:
            for page in self._crm.pages("people", {**PEOPLE_QUERY, "sort": "-updated"}):
                fresh = [row for row in page if (_updated(row) or since) >= since]
                if fresh:
                    yield fresh
                if len(fresh) < len(page) or not page:
                    return
        except Rejected as error:
            if error.code != "400":
                raise
            yield from self._first_people()

    def _updated_after_works(self) -> bool:
        """Whether the newest person is found again by its own time minus a second (sheet section 3.3)."""
        newest = next(self._crm.pages("people", {"sort": "-updated", "limit": 1, "includeTrash": "true"}), [])
        at = _updated(newest[0]) if newest else None
        if at is None:
            return False
        query = {
            "updatedAfter": _iso(at - timedelta(seconds=1)),
            "limit": 10,
            "includeTrash": "true",
            "sort": "-updated",
        }
        found = next(self._crm.pages("people", query), [])
        return any(int(row["id"]) == int(newest[0]["id"]) for row in found)

    def events(self, *, now: datetime) -> Pass:
        """Events newer than the last one read (the list is keyset-paged by id, newest first), and their people."""
        last_id = watermark.read_int(self._engine, "fub_events")
        result = Pass(is_first=last_id is None)
        rows: list[Row] = []
        for page in self._crm.pages("events"):
            fresh = [row for row in page if last_id is None or int(row["id"]) > last_id - 50]
            rows += fresh
            if len(fresh) < len(page):
                break
        people = sorted({int(row["personId"]) for row in rows if row.get("personId")})
        known = self._known_ids(people) if result.is_first else set[int]()
        people_rows = self._crm.people([person_id for person_id in people if person_id not in known])
        taken = intake.store(people_rows, rows, {}, lake=self._lake, engine=self._engine, now=now, landed_by="poll")
        result.add(taken)
        result.count_by_table["raw.fub__events"] = taken.count_landed
        if rows:
            watermark.write_int(self._engine, "fub_events", max(int(row["id"]) for row in rows), now=now)
        return result

    def _known_ids(self, ids: list[int]) -> set[int]:
        from sqlalchemy import select

        from leadpipe.store.tables import people

        with self._engine.connect() as connection:
            return set(connection.execute(select(people.c.person_id).where(people.c.person_id.in_(ids))).scalars())

    def activity(self, table: RawTable, *, now: datetime) -> Pass:
        """Notes, calls, tasks or appointments, newest id first down to the last one read, with a margin for edits."""
        source = f"fub_{table.collection}"
        last_id = watermark.read_int(self._engine, source)
        result = Pass(is_first=last_id is None)
        rows: list[Row] = []
        for page in self._crm.pages(table.collection):
            fresh = [row for row in page if last_id is None or int(row["id"]) > last_id - 50]
            rows += fresh
            if len(fresh) < len(page):
                break
        if table.collection in intake.ACTIVITIES:
            taken = intake.store(
                [], [], {table.collection: rows}, lake=self._lake, engine=self._engine, now=now, landed_by="poll"
            )
            result.add(taken)
            result.count_by_table[table.name] = taken.count_landed
        else:
            self._land(table, rows, result, now=now)
        if rows:
            watermark.write_int(self._engine, source, max(int(row["id"]) for row in rows), now=now)
        return result

    def texts(self, person_ids: list[int], *, now: datetime) -> Pass:
        """Texts of the given people (the API lists texts by person only): those with an open conversation."""
        result = Pass()
        rows = [
            row
            for person_id in person_ids
            for page in self._crm.pages("textMessages", {"personId": person_id})
            for row in page
        ]
        taken = intake.store(
            [], [], {"textMessages": rows}, lake=self._lake, engine=self._engine, now=now, landed_by="poll"
        )
        result.add(taken)
        result.count_by_table["raw.fub__text_messages"] = taken.count_landed
        return result

    def small(self, table: RawTable, *, now: datetime) -> Pass:
        """A whole small collection (users, stages, pipelines) or one without change times (deals)."""
        result = Pass()
        query = {"includeDeleted": 1, "includeArchived": 1} if table is tables.DEALS else {}
        self._land(table, [row for page in self._crm.pages(table.collection, query) for row in page], result, now=now)
        return result

    def _land(self, table: RawTable, rows: list[Row], result: Pass, *, now: datetime) -> None:
        report = landing.land(self._lake, table, rows, landed_by="poll", now=now)
        result.count_by_table[table.name] = report.count_written
        with self._engine.begin() as connection:
            result.count_set_aside += quarantine.store(connection, report.set_aside, now=now)


def _updated(row: Row) -> datetime | None:
    try:
        return read_time(row.get("updated"))
    except ValueError:
        return None


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
