"""The poller's reads: what the webhooks may have missed, incrementally.

What lives here: one pass over each collection, the probe of ``updatedAfter``, the first full read. What does not: the
nightly id sweep (``sweep``), the order of a pass (``work.poll``), deciding whom to answer (``outreach``).

Facts: FUB sheet section 3.3. A watermark is what the CRM said at the *start* of a pass, never local time: whatever
changes under the walk lies beyond it and is read by the next pass. Each pass reads again the last minutes before it
(timestamps have a grain of one second, replicas lag), and landing drops what did not change.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.crm import gone, held, intake, landing, optouts, tables, watermark
from leadpipe.crm.passes import Pass, digest_of, in_batches, noting_ids
from leadpipe.crm.tables import RawTable, read_id, read_time
from leadpipe.errors import Rejected
from leadpipe.store import quarantine

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.crm.intake import Intake
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
OVERLAP = timedelta(minutes=3)
# Ids below the newest one read that are read again: records are numbered before they become visible.
OVERLAP_IDS = 50
PEOPLE_QUERY = {"fields": "allFields", "includeTrash": "true", "includeUnclaimed": "true"}
SMALL = (tables.USERS, tables.STAGES, tables.PIPELINES, tables.DEALS)
ACTIVITY = (tables.EVENTS, tables.NOTES, tables.CALLS, tables.TASKS, tables.APPOINTMENTS)
# Records are stored in batches as they come, so that a killed pass keeps what it has read.
PEOPLE_BATCH = 5_000
ACTIVITY_BATCH = 2_000
# A million old events at 200 a second are an hour and a half: history is read in slices, a slice a pass. The first
# pass keeps its short: the team waits for it.
HISTORY_SECONDS = 25.0
HISTORY_FIRST_SECONDS = 8.0


class Sync:
    """One account's poller over the client, the lake and the ledger."""

    def __init__(
        self,
        *,
        crm: FubClient,
        lake: Lake,
        engine: Engine,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._crm = crm
        self._lake = lake
        self._engine = engine
        self._settings = settings
        self._monotonic = monotonic

    # people

    def people(self, *, now: datetime) -> Pass:
        """People changed since the last pass; on the first pass everyone.

        Raises:
            TransientError: the CRM does not answer; the watermark stays, the next pass reads the same again.
        """
        mark = watermark.read(self._engine, "fub_people")
        result = Pass(is_first=mark is None)
        newest = self._newest_person()
        pages = self._everyone() if mark is None else self._changed_people(mark - OVERLAP, newest)
        self._take("fub_people", pages, PEOPLE_BATCH, lambda rows: result.add(self._store(people=rows, now=now)), now)
        at = _updated(newest) if newest else None
        if at is not None:
            watermark.write(self._engine, "fub_people", at, now=now)
        return result

    def _newest_person(self) -> Row | None:
        rows = next(self._crm.pages("people", {"sort": "-updated", "limit": 1, "includeTrash": "true"}), [])
        return rows[0] if rows else None

    def _everyone(self) -> Iterator[list[Row]]:
        # Default order is a keyset walk, id descending: right while rows change under it (sheet 3.1).
        return self._crm.pages("people", PEOPLE_QUERY)

    def _changed_people(self, since: datetime, newest: Row | None) -> Iterator[list[Row]]:
        if newest is None or not self._updated_after_works(newest):
            yield from self._walk(since)
            return
        # No sort: the default order is keyset-paged, so a bulk change of 50,000 people meets no offset wall.
        for page in self._crm.pages("people", {**PEOPLE_QUERY, "updatedAfter": _iso(since)}):
            if any((_updated(row) or since) < since - timedelta(seconds=1) for row in page):
                # Unknown filters are ignored without an error: the rows, not the status, say whether this one works.
                yield from self._walk(since)
                return
            yield page

    def _walk(self, since: datetime) -> Iterator[list[Row]]:
        """Newest change first until a page lies wholly before ``since``; beyond the offset wall, everyone."""
        try:
            for page in self._crm.pages("people", {**PEOPLE_QUERY, "sort": "-updated"}):
                fresh = [row for row in page if (_updated(row) or since) >= since]
                if fresh:
                    yield fresh
                if not fresh:
                    return
        except Rejected as error:
            if error.code != "400":
                raise
            yield from self._everyone()

    def _updated_after_works(self, newest: Row) -> bool:
        """Whether the newest person is found again by its own time minus a second (sheet section 3.3)."""
        at = _updated(newest)
        if at is None:
            return False
        query = {"updatedAfter": _iso(at - timedelta(seconds=1)), "includeTrash": "true", "sort": "-updated"}
        found = next(self._crm.pages("people", query), [])
        return any(read_id(row) == read_id(newest) for row in found)

    # events, notes, calls, tasks, appointments

    def activity(self, table: RawTable, *, now: datetime) -> Pass:
        """New records of a collection without change times, newest id first; then a slice of its history.

        The newest id at the start of the pass becomes the mark once everything above the last one is stored. What lies
        below the first mark is history: read downwards in slices, the place kept, so that a stop costs nothing.
        """
        source = f"fub_{table.collection}"
        high = watermark.read_int(self._engine, source)
        result = Pass(is_first=high is None)
        if high is None:
            page = next(self._crm.pages(table.collection), [])
            newest = max((i for row in page if (i := read_id(row)) is not None), default=0)
            watermark.put_place(self._engine, f"{source}_history", newest + 1, None, now=now)
        else:
            tops = [high]
            pages = noting_ids(self._above(table, max(0, high - OVERLAP_IDS)), tops)
            self._take(source, pages, ACTIVITY_BATCH, lambda rows: self._keep(table, rows, result, now=now), now)
            newest = max(tops)
        watermark.write_int(self._engine, source, newest, now=now)
        result.is_history_complete = self._history(table, source, result, now=now)
        return result

    def _above(self, table: RawTable, floor: int) -> Iterator[list[Row]]:
        for page in self._crm.pages(table.collection):
            fresh = [row for row in page if (read_id(row) or floor + 1) > floor]
            yield fresh
            if len(fresh) < len(page):
                return

    def _history(self, table: RawTable, source: str, result: Pass, *, now: datetime) -> bool:
        """Read on downwards for a while; True when everything there was before the first pass is stored."""
        low, token = watermark.read_place(self._engine, f"{source}_history")
        if low is None or low == 0:
            return True
        until = self._monotonic() + (HISTORY_FIRST_SECONDS if result.is_first else HISTORY_SECONDS)
        rows: list[Row] = []
        for page, following in self._below(table, low, token):
            rows += page
            is_over = bool(rows) and self._monotonic() >= until
            if len(rows) >= ACTIVITY_BATCH or is_over:
                self._keep(table, rows, result, now=now, is_history=True)
                low = min((i for row in rows if (i := read_id(row)) is not None), default=low)
                watermark.put_place(self._engine, f"{source}_history", low, following, now=now)
                rows = []
            if is_over:
                return False
        if rows:
            self._keep(table, rows, result, now=now, is_history=True)
        watermark.put_place(self._engine, f"{source}_history", 0, None, now=now)
        return True

    def _below(self, table: RawTable, low: int, token: str | None) -> Iterator[tuple[list[Row], str | None]]:
        """Pages of ids below ``low`` with the token of the next: by the documented filter, else by the token kept.

        An ignored filter or a token that is no longer good shows in the rows; then the list is walked from its top and
        what lies above is dropped.
        """
        ways: list[Row] = [{"idLessThan": low}, *([{"next": token}] if token else []), {}]
        for way in ways:
            try:
                for number, (page, following) in enumerate(self._crm.walk(table.collection, way)):
                    older = [row for row in page if (read_id(row) or 0) < low]
                    if number == 0 and way and len(older) < len(page):
                        break
                    yield older, following
                else:
                    return
            except Rejected as error:
                if error.code != "400" or not way:
                    raise

    def _keep(self, table: RawTable, rows: list[Row], result: Pass, *, now: datetime, is_history: bool = False) -> None:
        if table is tables.EVENTS:
            # The people of old events are read by the people pass; new ones may be newer than it.
            ids = set[int]() if is_history else {int(row["personId"]) for row in rows if _is_id(row.get("personId"))}
            people = self._crm.people(sorted(ids - self._fresh_ids(ids, now)))
            result.add(self._store(people=people, events=rows, now=now))
        elif table.collection in intake.ACTIVITIES:
            result.add(self._store(activities={table.collection: rows}, now=now))
        else:
            self._land({table: rows}, result, now=now)

    def _fresh_ids(self, ids: set[int], now: datetime) -> set[int]:
        """Of these, the people read within the overlap: the people pass a moment ago, or a webhook."""
        from sqlalchemy import select

        from leadpipe.store.tables import people

        if not ids:
            return set()
        with self._engine.connect() as connection:
            wanted = select(people.c.person_id).where(
                people.c.person_id.in_(ids), people.c.refreshed_at > now - OVERLAP, people.c.deleted_at.is_(None)
            )
            return set(connection.execute(wanted).scalars())

    # what has no order of its own

    def conversations(self, person_ids: list[int], *, now: datetime) -> Pass:
        """People with an open conversation: their texts (the API lists texts by person only) and their own fields.

        An email or a call of the team moves those fields, not the person's ``updated``.
        """
        result = Pass()
        people = self._crm.people(person_ids) if person_ids else []
        texts = [
            row
            for person_id in person_ids
            for page in self._crm.pages("textMessages", {"personId": person_id})
            for row in page
        ]
        digest = digest_of([*people, *texts])
        if not watermark.is_same(self._engine, "conversations", digest):
            result.add(self._store(people=people, activities={"textMessages": texts}, now=now))
            watermark.put_digest(self._engine, "conversations", digest, now=now)
        return result

    def whole(self, wanted: Iterable[RawTable], *, now: datetime) -> Pass:
        """Whole collections: small ones (users, stages, pipelines), and those whose changes show nowhere (deals).

        A record that is not in the list any more is asked for by itself, and lands as deleted once that answers 404.
        """
        result = Pass()
        changed: dict[RawTable, list[Row]] = {}
        digests: dict[str, str] = {}
        for table in wanted:
            query = {"includeDeleted": 1, "includeArchived": 1} if table is tables.DEALS else {}
            rows = [row for page in self._crm.pages(table.collection, query) for row in page]
            result.count(table.name, 0)
            source, digest = f"fub_{table.collection}_whole", digest_of(rows)
            if not watermark.is_same(self._engine, source, digest):
                changed[table] = rows
                digests[source] = digest
        self._land(changed, result, now=now)
        for table, rows in changed.items():
            missing = held.live_ids(self._lake, table).difference(i for row in rows if (i := read_id(row)) is not None)
            confirmed = gone.confirm(
                table, missing, crm=self._crm, lake=self._lake, engine=self._engine, now=now, landed_by="poll"
            )
            result.count(table.name, len(confirmed.gone_ids))
        for source, digest in digests.items():
            watermark.put_digest(self._engine, source, digest, now=now)
        return result

    def unsubscribes(self, *, now: datetime) -> int:
        """Opt-outs that the CRM's own marketing mail met, since the last pass; returns how many were new to us."""
        count = 0
        for kind in optouts.KINDS:
            source = f"fub_emEvents_{kind}"
            high = watermark.read_int(self._engine, source) or 0
            newest = high
            for page in self._crm.pages("emEvents", {"type": kind}):
                fresh = [row for row in page if (read_id(row) or 0) > high - OVERLAP_IDS]
                count += optouts.store_em_events(self._engine, fresh, now=now)
                newest = max([newest, *(read_id(row) or 0 for row in fresh)])
                if len(fresh) < len(page):
                    break
            if newest > high:
                watermark.write_int(self._engine, source, newest, now=now)
        return count

    # storing

    def _store(
        self,
        *,
        now: datetime,
        people: list[Row] | None = None,
        events: list[Row] | None = None,
        activities: dict[str, list[Row]] | None = None,
    ) -> Intake:
        return intake.store(
            people or [],
            events or [],
            activities or {},
            lake=self._lake,
            engine=self._engine,
            now=now,
            landed_by="poll",
            settings=self._settings,
        )

    def _land(self, rows_by_table: dict[RawTable, list[Row]], result: Pass, *, now: datetime) -> None:
        reports = landing.land_all(self._lake, rows_by_table, landed_by="poll", now=now)
        for report in reports:
            result.count(report.table, report.count_written)
        with self._engine.begin() as connection:
            set_aside = [record for report in reports for record in report.set_aside]
            result.count_set_aside += quarantine.store(connection, set_aside, now=now)

    def _take(
        self, source: str, pages: Iterator[list[Row]], size: int, keep: Callable[[list[Row]], None], now: datetime
    ) -> None:
        """Store what a pass read, batch by batch; nothing when it is what the last pass read.

        The overlap makes every pass read some records again, and opening the lake to find that none changed is most of
        what a pass costs. Whatever a record is changed to, its times or the team's next act differ from what was read.
        """
        batches = in_batches(pages, size)
        first = next(batches, [])
        digest = digest_of(first)
        if watermark.is_same(self._engine, source, digest) and len(first) < size:
            return
        for batch in itertools.chain([first] if first else [], batches):
            keep(batch)
        watermark.put_digest(self._engine, source, digest, now=now)


def _is_id(value: object) -> bool:
    return str(value).isdigit() and int(str(value)) > 0


def _updated(row: Row) -> datetime | None:
    try:
        return read_time(row.get("updated"))
    except ValueError:
        return None


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
