"""What a collection held before the first pass: read downwards, in slices, by one reader at a time.

What lives here: the place in each history and the reading on from it. What does not: what is new (``sync``), who asks
for a slice and when (``work.poll``, ``work.history``).

A million old events at two pages a second are an hour and a half. So a history is read for as long as the caller has
time, its place is kept with every batch, and a stop costs nothing. Pages are fetched in bulk, at the pace that the
limit of their context allows, while the ones before are stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from leadpipe.crm import watermark
from leadpipe.crm.passes import Pass
from leadpipe.crm.readahead import Give, in_threads
from leadpipe.crm.tables import RawTable
from leadpipe.crm.values import read_id
from leadpipe.errors import Rejected
from leadpipe.store.locks import lock_key

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import Clock
    from leadpipe.crm.client import FubClient
    from leadpipe.crm.keeping import Keeper

Row = dict[str, Any]
# Records are stored in batches as they come, so that a killed pass keeps what it has read.
BATCH = 2_000
# While people of a first pass are stored, pages of two minutes may wait.
PAGES_AHEAD = 240


class Page(NamedTuple):
    """Rows, the token of the page below them, and a moment before they were read."""

    rows: list[Row]
    following: str | None
    read_at: datetime


def begin(engine: Engine, table: RawTable, newest: int, *, now: datetime) -> None:
    """Whatever is not newer than ``newest`` is history from here on."""
    watermark.put_place(engine, f"{table.source}_history", newest + 1, None, now=now)


def is_over(engine: Engine, table: RawTable) -> bool:
    """Whether the history of a collection is stored, or was never begun."""
    low, _ = watermark.read_place(engine, f"{table.source}_history")
    return not low


class History:
    """Reads one account's histories; safe to share between threads, one a collection."""

    def __init__(self, keeper: Keeper, *, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._keeper = keeper
        self._clock = clock
        self._monotonic = monotonic
        self._storing = threading.Lock()

    def read(self, table: RawTable, result: Pass, *, seconds: float) -> bool:
        """Read on downwards for so long; True when everything there was before the first pass is stored.

        Where another process reads this history already, nothing is done: False.

        Raises:
            TransientError: the CRM or a store does not answer; the place stays where the last batch left it.
        """
        source, engine = f"{table.source}_history", self._keeper.engine
        if is_over(engine, table):
            return True
        with _alone(engine, source) as is_ours:
            if not is_ours:
                return False
            low, token = watermark.read_place(engine, source)
            return not low or self._read_below(low, token, table, result, until=self._monotonic() + seconds)

    def _read_below(self, low: int, token: str | None, table: RawTable, result: Pass, *, until: float) -> bool:
        rows: list[Row] = []
        read_at: datetime | None = None
        crm = self._keeper.crm.in_bulk()

        def fetch(give: Give[Page]) -> None:
            at = self._clock.now()
            for page, following in _below(crm, table, low, token):
                give(Page(page, following, at))
                at = self._clock.now()

        with closing(in_threads([fetch], ahead=PAGES_AHEAD)) as pages:
            for page in pages:
                rows += page.rows
                read_at = read_at or page.read_at
                is_late = bool(rows) and self._monotonic() >= until
                if len(rows) >= BATCH or is_late:
                    self._keep(table, rows, result, page.following, read_at)
                    rows, read_at = [], None
                if is_late:
                    return False
        if rows and read_at is not None:
            self._keep(table, rows, result, None, read_at)
        watermark.put_place(self._keeper.engine, f"{table.source}_history", 0, None, now=self._clock.now())
        return True

    def _keep(self, table: RawTable, rows: list[Row], result: Pass, following: str | None, read_at: datetime) -> None:
        """Store a batch and the place below it; several histories are read at once, and stored in turns.

        It counts as landed when its first page was asked for: a version that a webhook brought since is newer.
        """
        lowest = min((i for row in rows if (i := read_id(row)) is not None), default=None)
        with self._storing:
            self._keeper.keep(table, rows, result, now=read_at, is_history=True)
            if lowest is not None:
                watermark.put_place(self._keeper.engine, f"{table.source}_history", lowest, following, now=read_at)


def _below(crm: FubClient, table: RawTable, low: int, token: str | None) -> Iterator[tuple[list[Row], str | None]]:
    """Pages of ids below ``low`` with the token of the next: by the documented filter, else by the token kept.

    An ignored filter or a token that is no longer good shows in the rows; then the list is walked from its top and
    what lies above is dropped.
    """
    ways: list[Row] = [{"idLessThan": low}, *([{"next": token}] if token else []), {}]
    for way in ways:
        try:
            for number, (page, following) in enumerate(crm.walk(table.collection, way)):
                older = [row for row in page if (read_id(row) or 0) < low]
                if number == 0 and way and len(older) < len(page):
                    break
                yield older, following
            else:
                return
        except Rejected as error:
            if error.code != "400" or not way:
                raise


@contextmanager
def _alone(engine: Engine, name: str) -> Generator[bool]:
    """Whether this process alone reads this history while the block runs; a process that dies lets go at once."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = {"key": lock_key(name)}
        is_ours = bool(connection.execute(text("select pg_try_advisory_lock(:key)"), key).scalar_one())
        try:
            yield is_ours
        finally:
            if is_ours:
                with suppress(DBAPIError):  # a session that was lost has let go already
                    connection.execute(text("select pg_advisory_unlock(:key)"), key)
