"""The rate budget in the ledger: one row per provider and context, shared by every process.

What lives here: taking a call's place, what answers and refusals change, what happens while PostgreSQL is away. What
does not: the arithmetic (``rate_window``).

Every call takes its place in a short transaction that locks its row. That is asked for each call and not for several at
once: the limits themselves keep it to some thirty a second, and a process that held places in advance would go on with
them after another one was told to wait.

Time here is the machine's, not the ledger's simulated one: providers recover by it. PostgreSQL tells it, so that the
processes of several machines count by one clock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from psycopg.errors import InvalidSchemaName, UndefinedTable
from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from leadpipe.errors import TransientError
from leadpipe.store.rate_budget import OwnBudget, Said, Turn
from leadpipe.store.rate_window import Window, window_of
from leadpipe.store.tables.running import rate_budgets

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RowMapping

logger = logging.getLogger(__name__)
# Calls may be lost from the count when PostgreSQL is killed; the next answer's headers bring them back, so no call
# waits for a disk.
_BEGIN = text("select set_config('synchronous_commit', 'off', true), extract(epoch from clock_timestamp())::float8")
_BLOCK = text(
    """
    with mine as (
      select context from ledger.rate_budgets where provider = :provider order by context for update
    )
    update ledger.rate_budgets b
    set blocked_until_at = greatest(b.blocked_until_at, clock_timestamp() + make_interval(secs => :seconds)),
      changed_at = clock_timestamp()
    from mine where b.provider = :provider and b.context = mine.context
    """
)


class LedgerBudget:
    """The windows of one provider in ``ledger.rate_budgets``, for every process of this ledger.

    While PostgreSQL is away nothing may leave: ``take`` raises. Only a refusal is remembered here meanwhile, and
    written with the next call. In a database without the table no process shares anything, and this one counts alone.
    """

    def __init__(
        self, engine: Engine, provider: str, limits: Mapping[str, int | None], *, window_seconds: float
    ) -> None:
        self._engine = engine
        self._provider = provider
        self._limits = dict(limits)
        self._window_seconds = window_seconds
        self._unwritten_until = 0.0
        self._alone: OwnBudget | None = None

    def take(self, context: str, *, is_bulk: bool) -> Turn:
        """See ``RateBudget``."""
        if self._alone is not None:
            return self._alone.take(context, is_bulk=is_bulk)
        try:
            if (rest := self._unwritten_until - time.monotonic()) > 0:
                self._write_block(rest)
            with self._locked(context) as (window, now):
                return Turn.of(context, window, window.take(now, is_bulk=is_bulk))
        except ProgrammingError as error:
            if not isinstance(error.orig, UndefinedTable | InvalidSchemaName):
                raise
            # `leadpipe doctor` at a database where nothing was set up, or not since before this table.
            self._alone = OwnBudget(self._limits, window_seconds=self._window_seconds)
            return self._alone.take(context, is_bulk=is_bulk)
        except SQLAlchemyError as error:
            why = type(getattr(error, "orig", None) or error).__name__
            raise TransientError(
                f"{self._provider}: the rate budget in the ledger cannot be read ({why}); nothing was asked"
            ) from None

    def learn(self, turn: Turn, said: Said) -> None:
        """See ``RateBudget``."""
        if self._alone is not None:
            self._alone.learn(turn, said)
        if self._alone is not None or not said.is_news(turn):
            return
        try:
            with self._locked(said.context) as (window, now):
                said.teach(window, now)
        except SQLAlchemyError as error:
            # The call was answered; what its headers said comes again with the next one.
            logger.warning("%s: the rate budget was not written: %s", self._provider, type(error).__name__)

    def block(self, seconds: float) -> None:
        """See ``RateBudget``."""
        if self._alone is not None:
            self._alone.block(seconds)
            return
        try:
            self._write_block(seconds)
        except SQLAlchemyError as error:
            self._unwritten_until = time.monotonic() + seconds
            logger.warning("%s: the refusal was not written yet: %s", self._provider, type(error).__name__)

    def _write_block(self, seconds: float) -> None:
        with self._engine.begin() as connection:
            self._make_rows(connection)
            connection.execute(_BLOCK, {"provider": self._provider, "seconds": seconds})
        self._unwritten_until = 0.0

    @contextmanager
    def _locked(self, context: str) -> Generator[tuple[Window, float]]:
        """A context's window, alone, and now; what becomes of the window is written."""
        with self._engine.begin() as connection:
            row = self._row(connection, context)
            now = float(connection.execute(_BEGIN).one()[1])
            window = Window(
                limit=row["limit_calls"],
                window_seconds=row["window_seconds"],
                counts=window_of(row["slot_counts"]),
                newest_slot=row["newest_slot"],
                blocked_until=_seconds(row["blocked_until_at"]),
                bulk_from=_seconds(row["bulk_from_at"]),
                yield_until=_seconds(row["yield_until_at"]),
            )
            yield window, now
            connection.execute(
                update(rate_budgets)
                .where(rate_budgets.c.provider == self._provider, rate_budgets.c.context == context)
                .values(
                    limit_calls=window.limit,
                    window_seconds=window.window_seconds,
                    slot_counts=window.counts,
                    newest_slot=window.newest_slot,
                    bulk_from_at=_at(window.bulk_from),
                    yield_until_at=_at(window.yield_until),
                    changed_at=_at(now),
                )
            )

    def _row(self, connection: Connection, context: str) -> RowMapping:
        wanted = (
            select(rate_budgets)
            .where(rate_budgets.c.provider == self._provider, rate_budgets.c.context == bindparam("context"))
            .with_for_update()
        )
        row = connection.execute(wanted, {"context": context}).mappings().one_or_none()
        if row is None:
            self._make_rows(connection, context)
            row = connection.execute(wanted, {"context": context}).mappings().one()
        return row

    def _make_rows(self, connection: Connection, *others: str) -> None:
        """The rows of every context, so that a block reaches those that were never asked; they start open."""
        limits: dict[str, int | None] = {**dict.fromkeys(others), **self._limits}
        blocked = (
            select(func.max(rate_budgets.c.blocked_until_at))
            .where(rate_budgets.c.provider == self._provider)
            .scalar_subquery()
        )
        statement = insert(rate_budgets).on_conflict_do_nothing()
        for context, limit in sorted(limits.items()):
            connection.execute(
                statement.values(
                    provider=self._provider,
                    context=context,
                    limit_calls=limit,
                    window_seconds=self._window_seconds,
                    slot_counts=[],
                    newest_slot=0,
                    blocked_until_at=blocked,
                    changed_at=func.clock_timestamp(),
                )
            )


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at is not None else 0.0


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
