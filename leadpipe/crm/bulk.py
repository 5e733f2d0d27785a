"""Writing many rows to the ledger at once: COPY into a temporary table, and a transaction again after a deadlock.

What lives here: the ways of writing. What does not: what is written (``people``, ``inquiries``, ``human_actions``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import psycopg

if TYPE_CHECKING:
    from psycopg import Cursor
    from sqlalchemy import Connection

T = TypeVar("T")


def again_after_deadlock(run: Callable[[], T], *, attempts: int = 5) -> T:
    """Run a transaction again when PostgreSQL ended it for another's sake: poller and webhook met at one person."""
    for attempt in range(attempts):
        try:
            return run()
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            if attempt == attempts - 1:
                raise
    raise AssertionError("unreachable")


def cursor_of(connection: Connection) -> Cursor[Any]:
    """The driver's own cursor in the connection's transaction."""
    return connection.connection.cursor()  # type: ignore[return-value] - psycopg's own cursor, for COPY


def copy_in(cursor: Cursor[Any], table: LiteralString, columns: LiteralString, rows: Iterable[Sequence[Any]]) -> None:
    """Fill a temporary table that lives until the transaction ends; what it held before is gone."""
    cursor.execute(f"create temp table if not exists {table} ({columns}) on commit drop".encode())
    cursor.execute(f"truncate {table}".encode())
    with cursor.copy(f"copy {table} from stdin".encode()) as copy:
        for row in rows:
            copy.write_row(row)
