"""Lake connections kept open between two uses.

What lives here: keeping and checking them. What does not: what a connection is made of (``lake``).

Attaching the lake costs 260 ms of processor time, a question to an attached one 2 ms (``docs/decisions``), and a run
that answers leads asks several times for each. A kept connection holds no transaction and no lock, and is looked at
before it is used again: PostgreSQL may have gone and come back meanwhile.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# By whether they are read-only. A run uses one or two at once.
MOST_OF_A_KIND = 2


class Kept:
    """Open connections of one process; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._free: dict[bool, list[duckdb.DuckDBPyConnection]] = {True: [], False: []}

    def take(self, *, read_only: bool) -> duckdb.DuckDBPyConnection | None:
        """A connection whose catalog still answers, or None; it is the caller's alone."""
        import duckdb

        while True:
            with self._lock:
                if not self._free[read_only]:
                    return None
                connection = self._free[read_only].pop()
            try:
                connection.execute("from ducklake_current_snapshot('lake')").fetchall()
            except duckdb.Error:
                close(connection)  # the server behind it is gone; the next one may be younger
            else:
                return connection

    def give_back(self, connection: duckdb.DuckDBPyConnection, *, read_only: bool) -> None:
        """Keep a connection whose use ended well.

        A result that was not read to its end keeps a transaction open, at PostgreSQL too: no dead row of the whole
        database could be cleaned up, and no table of the catalog be written anew. The next statement ends it.
        """
        connection.execute("select 1").fetchall()
        with self._lock:
            if len(self._free[read_only]) < MOST_OF_A_KIND:
                self._free[read_only].append(connection)
                return
        close(connection)

    def close(self) -> None:
        """Close what is not in use."""
        with self._lock:
            free = [connection for kind in self._free.values() for connection in kind]
            self._free = {True: [], False: []}
        for connection in free:
            close(connection)


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """Close a connection, whatever became of the server behind it.

    A transaction that is open then is rolled back first: DuckDB does so itself, but where PostgreSQL is away that fails
    in a destructor and takes the whole process with it.
    """
    import duckdb

    with suppress(duckdb.Error):  # there is no transaction, or nobody to tell
        connection.rollback()
    connection.close()
