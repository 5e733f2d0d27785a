"""Advisory locks over the lake, kept in PostgreSQL so that they hold across processes and machines.

What lives here: who may write what at the same time. What does not: the writing (``lake``).

Three holders: a writer of one table (update, delete, merge, replace) holds that table's lock exclusively and the
lake's shared; an appender holds both shared; maintenance and erasure hold the lake's lock exclusively. Without them two
merges of the same keys leave duplicates and most concurrent updates fail (design section 3). A backup holds the cleanup
lock, so that no file goes between the dump that names it and its copy.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from leadpipe.store.away import transient_when_away

if TYPE_CHECKING:
    import psycopg

LAKE = "lake"
CLEANUP = "cleanup"
# PostgreSQL queues a waiting exclusive lock before later shared ones, so one dbt run under way would make every append
# behind it wait too. The exclusive holder asks without queueing for so long, then takes its place in the queue.
POLITE_SECONDS = 20.0
ASK_EVERY_SECONDS = 0.05


def lock_key(name: str) -> int:
    """A stable 63-bit key for ``name``."""
    return int.from_bytes(hashlib.sha256(f"leadpipe:{name}".encode()).digest()[:8], "big") >> 1


@contextmanager
def table_lock(database_url: str, table: str, *, shared: bool) -> Generator[None]:
    """Hold one table's lock, and the lake's shared, for the block; a lost session frees both.

    Raises:
        TransientError: PostgreSQL is away.
    """
    with tables_lock(database_url, [table], shared=shared):
        yield


@contextmanager
def tables_lock(database_url: str, tables: Iterable[str], *, shared: bool) -> Generator[None]:
    """Hold the locks of several tables, in one order for everybody, and the lake's shared."""
    with _session(database_url) as connection:
        with transient_when_away("the lake's locks"):
            _lock(connection, LAKE, shared=True)
            for table in sorted(tables):
                _lock(connection, table, shared=shared)
        yield


@contextmanager
def lake_lock(database_url: str) -> Generator[None]:
    """Hold the whole lake alone: nobody writes or appends meanwhile; readers go on."""
    with _session(database_url) as connection:
        with transient_when_away("the lake's locks"):
            deadline = time.monotonic() + POLITE_SECONDS
            while not _try_lock(connection, LAKE):
                if time.monotonic() > deadline:
                    _lock(connection, LAKE, shared=False)
                    break
                time.sleep(ASK_EVERY_SECONDS)
        yield


@contextmanager
def cleanup_lock(database_url: str) -> Generator[None]:
    """Hold the lake's files in place: whoever reads them without a snapshot of DuckLake's; nothing else waits."""
    with _session(database_url) as connection:
        _lock(connection, CLEANUP, shared=True)
        yield


@contextmanager
def files_lock(database_url: str) -> Generator[None]:
    """Wait until nobody holds files in place, and keep it so: for whoever must delete files now, an erasure say.

    Taken before the lake's lock, so that writers go on while a backup is waited for.
    """
    with _session(database_url) as connection:
        _lock(connection, CLEANUP, shared=False)
        yield


@contextmanager
def try_cleanup(database_url: str) -> Generator[bool]:
    """Whether files may be deleted now; False while somebody holds them in place, which may be for hours."""
    with _session(database_url) as connection:
        yield _try_lock(connection, CLEANUP)


def _session(database_url: str) -> psycopg.Connection[tuple[object, ...]]:
    import psycopg

    with transient_when_away("the lake's locks"):
        return psycopg.connect(database_url, autocommit=True)


def _lock(connection: psycopg.Connection[tuple[object, ...]], name: str, *, shared: bool) -> None:
    kind = "pg_advisory_lock_shared" if shared else "pg_advisory_lock"
    connection.execute(f"select {kind}(%s)".encode(), [lock_key(name)])


def _try_lock(connection: psycopg.Connection[tuple[object, ...]], name: str) -> bool:
    row = connection.execute(b"select pg_try_advisory_lock(%s)", [lock_key(name)]).fetchone()
    return bool(row and row[0])
