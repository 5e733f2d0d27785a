"""Every person of the account, several pages at a time.

What lives here: the walk over all ids, in spans that are read side by side. What does not: what is done with the
people, when everyone is read (``sync``, ``sweep``).

One page names the next, so a single walk is as slow as the answers are. But the list falls by id, and an id never
changes: a span of ids is a walk of its own, right while rows change under it, and spans share no row. Whoever is
created meanwhile lies above all of them; whoever changes meanwhile lies beyond the caller's mark. That the filter is
heeded is seen by the rows: where ids do not fall from below the span's top, everyone is read once more, page by page.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leadpipe.crm.readahead import Give, in_threads
from leadpipe.crm.values import read_id
from leadpipe.errors import Rejected

if TYPE_CHECKING:
    from leadpipe.crm.client import FubClient

Row = dict[str, Any]
# 25 requests a second, answers within a third of a second.
READERS = 8
PAGES_AHEAD = 60
# A span shorter than ten full pages is not worth another request.
SHORTEST_SPAN = 1_000


class _Unordered(Exception):  # noqa: N818 - the state of a list
    """The list does not fall by id from where it was asked to."""


@dataclass
class _Span:
    """Ids from ``floor`` up to and without ``below``; read down to ``at``."""

    below: int
    floor: int
    at: int


def everyone(crm: FubClient, query: Mapping[str, Any]) -> Generator[list[Row]]:
    """Pages of everyone that the query shows, in no order between them; some may come twice, nobody is left out.

    Args:
        crm: the account.
        query: fields and what to include; no sort and no filter of ids.

    Raises:
        TransientError: the CRM does not answer; what was given so far is not everyone.
    """
    rows, token = next(crm.walk("people", query))
    yield rows
    if token is None:
        return
    ids = _ids(rows)
    try:
        if not ids or not _falls(ids, ids[0] + 1):
            raise _Unordered
        lowest = _lowest(crm, query, ids[-1])
        spans = _Spans(crm, query, below=ids[-1], lowest=lowest)
        yield from in_threads([spans.read] * spans.count, ahead=PAGES_AHEAD)
    except (_Unordered, Rejected) as error:
        if isinstance(error, Rejected) and error.code != "400":
            raise
        yield from crm.pages("people", query)


def _lowest(crm: FubClient, query: Mapping[str, Any], below: int) -> int:
    """About where the ids begin: only for cutting spans, so a list that does not sort does no harm."""
    rows = next(crm.pages("people", {**query, "sort": "id", "limit": 1}), [])
    return min([below, *_ids(rows)])


class _Spans:
    """The spans of one walk; a reader that has finished its own takes half of the longest that is left."""

    def __init__(self, crm: FubClient, query: Mapping[str, Any], *, below: int, lowest: int) -> None:
        self._crm, self._query, self._lowest = crm, query, lowest
        self._lock = threading.Lock()
        self.count = max(1, min(READERS, (below - lowest) // SHORTEST_SPAN))
        cuts = [lowest + (below - lowest) * number // self.count for number in range(self.count + 1)]
        # The lowest span reads to the end of the list, wherever that is.
        floors = [0, *cuts[1:-1]]
        self._waiting = [_Span(top, floor, top) for floor, top in zip(floors, cuts[1:], strict=True)]
        self._read: list[_Span] = []

    def read(self, give: Give[list[Row]]) -> None:
        """One reader: span after span, until none is worth another request."""
        while (span := self._next()) is not None:
            self._walk(span, give)
            with self._lock:
                self._read.remove(span)

    def _next(self) -> _Span | None:
        with self._lock:
            if self._waiting:
                span = self._waiting.pop()
            else:
                longest = max(self._read, key=self._length, default=None)
                if longest is None or self._length(longest) < 2 * SHORTEST_SPAN:
                    return None
                middle = longest.at - self._length(longest) // 2
                span = _Span(middle, longest.floor, middle)
                longest.floor = middle
            self._read.append(span)
            return span

    def _length(self, span: _Span) -> int:
        return span.at - max(span.floor, self._lowest)

    def _walk(self, span: _Span, give: Give[list[Row]]) -> None:
        for page in self._crm.pages("people", {**self._query, "idLessThan": span.below}):
            ids = _ids(page)
            if not _falls(ids, span.at):
                raise _Unordered
            with self._lock:
                span.at = ids[-1] if ids else span.at
                floor = span.floor
            # A row without a usable id is set aside where rows are read; it belongs to no span.
            if kept := [row for row in page if (read_id(row) or floor) >= floor]:
                give(kept)
            if span.at <= floor:
                return


def _ids(rows: Sequence[Row]) -> list[int]:
    return [i for row in rows if (i := read_id(row)) is not None]


def _falls(ids: Sequence[int], below: int) -> bool:
    """Whether each id is lower than the one before it, and the first than ``below``."""
    return all(lower < higher for higher, lower in zip([below, *ids], ids, strict=False))
