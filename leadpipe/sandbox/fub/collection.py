"""Records of one kind, found by id, by person, newest first or last changed first, without reading the others.

What lives here: the indexes. What does not: what a record means.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Collection(Generic[T]):
    """Records by rising id. A page costs what it shows, not what there is.

    ``updated_of`` reads a record's time of change. Times only rise while the sandbox runs, so a changed record goes to
    the end of the line; what is loaded from the past is sorted once, when first asked for.
    """

    def __init__(self, *, first_id: int = 1, updated_of: Callable[[T], str] | None = None) -> None:
        self.rows: dict[int, T] = {}
        self._next_id = first_id
        self._ids: list[int] = []
        self._updated_of = updated_of
        self._line: dict[int, None] = {}
        self._is_sorted = True
        self._newest = ""
        self._by_person: dict[int, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self.rows

    def next_id(self) -> int:
        """A fresh id."""
        self._next_id += 1
        return self._next_id - 1

    def get(self, record_id: int) -> T | None:
        """One record."""
        return self.rows.get(record_id)

    def put(self, record_id: int, record: T, *, person_ids: Iterable[int] = ()) -> None:
        """Store a new record."""
        self.rows[record_id] = record
        if not self._ids or record_id > self._ids[-1]:
            self._ids.append(record_id)
        else:
            insort(self._ids, record_id)
        for person_id in person_ids:
            self._by_person[person_id].append(record_id)
        self._to_the_end(record_id, record)

    def touched(self, record_id: int) -> None:
        """A record changed: it is the last one changed now."""
        record = self.rows.get(record_id)
        if record is not None:
            self._line.pop(record_id, None)
            self._to_the_end(record_id, record)

    def _to_the_end(self, record_id: int, record: T) -> None:
        if self._updated_of is None:
            return
        self._line[record_id] = None
        at = self._updated_of(record)
        if at < self._newest:
            self._is_sorted = False
        else:
            self._newest = at

    def pop(self, record_id: int) -> T | None:
        """Remove a record for good."""
        record = self.rows.pop(record_id, None)
        if record is not None:
            position = bisect_left(self._ids, record_id)
            del self._ids[position]
            self._line.pop(record_id, None)
        return record

    def move(self, from_person: int, to_person: int) -> list[T]:
        """Hand one person's records to another; the records that moved."""
        moved = self._by_person.pop(from_person, [])
        self._by_person[to_person] = sorted({*self._by_person[to_person], *moved})
        return [self.rows[record_id] for record_id in moved if record_id in self.rows]

    def newest_first(self, below: int | None = None) -> Iterator[T]:
        """By falling id, from below ``below``."""
        position = len(self._ids) if below is None else bisect_left(self._ids, below)
        while position > 0:
            position -= 1
            yield self.rows[self._ids[position]]

    def last_changed_first(self) -> Iterator[T]:
        """By falling time of change; equal times by falling id of change."""
        if self._updated_of is None:
            yield from self.newest_first()
            return
        if not self._is_sorted:
            updated_of = self._updated_of
            self._line = dict.fromkeys(sorted(self._line, key=lambda record_id: updated_of(self.rows[record_id])))
            self._is_sorted = True
        yield from (self.rows[record_id] for record_id in reversed(self._line))

    def of_person(self, person_id: int) -> Iterator[T]:
        """One person's records, newest id first."""
        for record_id in reversed(self._by_person.get(person_id, [])):
            if record_id in self.rows:
                yield self.rows[record_id]
