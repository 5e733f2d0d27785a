"""The poller's reads: what the webhooks may have missed, incrementally.

What lives here: one pass over each collection and the probe of ``updatedAfter``. What does not: what was there before
the first pass (``everyone``, ``history``), storing (``keeping``), the nightly id sweep (``sweep``), the order of a pass
(``work.poll``), deciding whom to answer (``outreach``).

Facts: FUB sheet section 3.3. A watermark is what the CRM said at the *start* of a pass, never local time: whatever
changes under the walk lies beyond it and is read by the next pass. Each pass reads again the last minutes before it
(timestamps have a grain of one second, replicas lag), and landing drops what did not change.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.crm import gone, held, history, optouts, tables, watermark
from leadpipe.crm.everyone import everyone
from leadpipe.crm.passes import Pass, digest_of, in_batches, noting_ids
from leadpipe.crm.tables import RawTable
from leadpipe.crm.values import read_id, read_time
from leadpipe.errors import Rejected

if TYPE_CHECKING:
    from leadpipe.crm.keeping import Keeper

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


class Sync:
    """One account's poller: what it reads, the keeper stores."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._crm = keeper.crm
        self._engine = keeper.engine

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

        def keep(rows: list[Row]) -> None:
            result.add(self._keeper.store(people=rows, now=now))

        self._take("fub_people", pages, PEOPLE_BATCH, keep, now)
        at = _updated(newest) if newest else None
        if at is not None:
            watermark.write(self._engine, "fub_people", at, now=now)
        return result

    def _newest_person(self) -> Row | None:
        rows = next(self._crm.pages("people", {"sort": "-updated", "limit": 1, "includeTrash": "true"}), [])
        return rows[0] if rows else None

    def _everyone(self) -> Generator[list[Row]]:
        return everyone(self._crm.in_bulk(), PEOPLE_QUERY)

    def _changed_people(self, since: datetime, newest: Row | None) -> Generator[list[Row]]:
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

    def _walk(self, since: datetime) -> Generator[list[Row]]:
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
        """New records of a collection without change times, newest id first.

        The newest id at the start of the pass becomes the mark once everything above the last one is stored. The first
        pass only sets the mark: what lies below it is history.
        """
        high = watermark.read_int(self._engine, table.source)
        result = Pass(is_first=high is None)
        if high is None:
            page = next(self._crm.pages(table.collection), [])
            newest = max((i for row in page if (i := read_id(row)) is not None), default=0)
            history.begin(self._engine, table, newest, now=now)
        else:
            tops = [high]
            pages = noting_ids(self._above(table, max(0, high - OVERLAP_IDS)), tops)

            def keep(rows: list[Row]) -> None:
                self._keeper.keep(table, rows, result, now=now)

            self._take(table.source, pages, ACTIVITY_BATCH, keep, now)
            newest = max(tops)
        watermark.write_int(self._engine, table.source, newest, now=now)
        return result

    def has_mark(self, table: RawTable) -> bool:
        """Whether a first pass has told new records of this collection from its history."""
        return watermark.read_int(self._engine, table.source) is not None

    def _above(self, table: RawTable, floor: int) -> Generator[list[Row]]:
        for page in self._crm.pages(table.collection):
            fresh = [row for row in page if (read_id(row) or floor + 1) > floor]
            yield fresh
            if len(fresh) < len(page):
                return

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
            result.add(self._keeper.store(people=people, activities={"textMessages": texts}, now=now))
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
            rows = [row for page in self._crm.in_bulk().pages(table.collection, query) for row in page]
            result.count(table.name, 0)
            source, digest = f"{table.source}_whole", digest_of(rows)
            if not watermark.is_same(self._engine, source, digest):
                changed[table] = rows
                digests[source] = digest
        self._keeper.land(changed, result, now=now)
        for table, rows in changed.items():
            lake = self._keeper.lake
            missing = held.live_ids(lake, table).difference(i for row in rows if (i := read_id(row)) is not None)
            confirmed = gone.confirm(
                table, missing, crm=self._crm, lake=lake, engine=self._engine, now=now, landed_by="poll"
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

    def _take(
        self,
        source: str,
        pages: Generator[list[Row]],
        size: int,
        keep: Callable[[list[Row]], None],
        now: datetime,
    ) -> None:
        """Store what a pass read, batch by batch; nothing when it is what the last pass read.

        The overlap makes every pass read some records again, and opening the lake to find that none changed is most of
        what a pass costs. Whatever a record is changed to, its times or the team's next act differ from what was read.
        """
        with closing(pages):
            batches = in_batches(pages, size)
            first = next(batches, [])
            digest = digest_of(first)
            if watermark.is_same(self._engine, source, digest) and len(first) < size:
                return
            for batch in itertools.chain([first] if first else [], batches):
                keep(batch)
        watermark.put_digest(self._engine, source, digest, now=now)


def _updated(row: Row) -> datetime | None:
    try:
        return read_time(row.get("updated"))
    except ValueError:
        return None


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
