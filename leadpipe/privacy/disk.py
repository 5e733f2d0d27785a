"""Making PostgreSQL's files forget: dead rows, statistics, the write-ahead log.

What lives here: writing tables anew, switching the log until what was there is gone. What does not: looking (``scan``).

A deleted row stays in its page until the table is written anew; sampled values stay in ``pg_statistic``; the log keeps
whole pages, compressed, until its segments are removed, and a recycled segment keeps its old bytes under a new name.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from leadpipe.errors import TransientError

if TYPE_CHECKING:
    from psycopg import Connection

# A row stays, deleted or not, while a transaction is open that could still see it.
OPEN_SECONDS = 120.0
ASK_EVERY_SECONDS = 0.25
LOCK_TIMEOUT = "20s"
LOCK_ATTEMPTS = 5
# A gigabyte of segments that were recycled before; more means that somebody writes faster than we switch.
MOST_SWITCHES = 200


def wait_for_open(database_url: str) -> None:
    """Return once no transaction is open that began before now: it would see, and so keep, what was deleted.

    Raises:
        TransientError: one stays open; the message names its session.
    """
    deadline = time.monotonic() + OPEN_SECONDS
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute(b"select pg_current_xact_id()::text::bigint % 4294967296").fetchone()
        own = row[0] if row else 0
        while True:
            holder = connection.execute(
                b"select pid, application_name, now() - xact_start from pg_stat_activity "
                b"where pid <> pg_backend_pid() and backend_xmin is not null "
                b"and backend_type <> 'walsender' and age(backend_xmin) > age(%s::text::xid) "
                b"and (datname = current_database() or datname is null) order by xact_start limit 1",
                [str(own)],
            ).fetchone()
            if holder is None:
                return
            if time.monotonic() > deadline:
                raise TransientError(
                    f"session {holder[0]} of PostgreSQL ({holder[1] or 'without a name'}) has had a transaction open "
                    f"for {holder[2]}, which keeps deleted rows alive; end it "
                    f"(`select pg_terminate_backend({holder[0]})`) and run the same erasure again, it goes on"
                )
            time.sleep(ASK_EVERY_SECONDS)


def rewrite_tables(database_url: str, tables: Iterable[str]) -> tuple[str, ...]:
    """Write these tables and the planner's statistics anew (``vacuum full``); each is locked for its own moment.

    Raises:
        TransientError: somebody held a table for minutes; run the erasure again.
    """
    done: list[str] = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'".encode())
        names = list(dict.fromkeys(tables))
        for name in names:
            _patiently(connection, f"vacuum (full, analyze) {name}", name)
            done.append(name)
        # Analyzed above, so that its live rows hold none of the old values; its dead ones do.
        _patiently(connection, "vacuum full pg_catalog.pg_statistic", "pg_statistic")
        done.append("pg_catalog.pg_statistic")
    return tuple(done)


def _patiently(connection: Connection[tuple[object, ...]], statement: str, name: str) -> None:
    for attempt in range(LOCK_ATTEMPTS):
        try:
            connection.execute(statement.encode())
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if attempt == LOCK_ATTEMPTS - 1:
                raise TransientError(
                    f"{name} could not be written anew: somebody held it for {LOCK_ATTEMPTS} times {LOCK_TIMEOUT}; "
                    "run the same erasure again, it goes on where it stopped"
                ) from None
        else:
            return


def tables_of(database_url: str, schemas: Sequence[str]) -> list[str]:
    """Every table of these schemas, with its schema."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            b"select format('%%I.%%I', schemaname, tablename) from pg_tables where schemaname = any(%s) order by 1",
            [list(schemas)],
        ).fetchall()
    return [str(name) for (name,) in rows]


def switch_log(database_url: str) -> tuple[int, tuple[str, ...]]:
    """Switch and checkpoint until no segment is left that was begun before; recycling is off meanwhile.

    Returns:
        How often it was switched, and what could not be done: on a server that is not ours, its owner's log stays.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        is_ours = bool(
            connection.execute(b"select rolsuper from pg_roles where rolname = current_user").fetchone() == (True,)
        )
        if not is_ours:
            return 0, ("the write-ahead log: this account may not switch it; its owner's retention ends it",)
        connection.execute(b"alter system set wal_recycle = off")
        connection.execute(b"select pg_reload_conf()")
        try:
            return _switched(connection)
        finally:
            connection.execute(b"alter system reset wal_recycle")
            connection.execute(b"select pg_reload_conf()")


def _switched(connection: Connection[tuple[object, ...]]) -> tuple[int, tuple[str, ...]]:
    first = _segment(connection)
    # Segments after the present one are recycled and hold their former bytes: being switched through, each is filled.
    count = 0
    while True:
        count += 1
        _switch(connection)
        if _segments(connection)[-1] <= _segment(connection):
            break
        if count == MOST_SWITCHES:
            return count, ("the write-ahead log: others write faster than it can be switched through",)
    # Segments before the last checkpoint but one are removed by the next.
    for _ in range(2):
        _switch(connection)
        connection.execute(b"checkpoint")
    if _segments(connection)[0] > first:
        return count + 2, ()
    return count + 2, ("the write-ahead log: segments of before are still kept (a slot, or an archive that waits)",)


def _switch(connection: Connection[tuple[object, ...]]) -> None:
    # Without a record in between, a second switch does nothing.
    connection.execute(b"select pg_logical_emit_message(true, 'leadpipe', 'erasure')")
    connection.execute(b"select pg_switch_wal()")


def _segments(connection: Connection[tuple[object, ...]]) -> list[str]:
    names = connection.execute(
        b"select name from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$' order by name"
    ).fetchall()
    return [str(name) for (name,) in names] or [""]


def _segment(connection: Connection[tuple[object, ...]]) -> str:
    row = connection.execute(b"select pg_walfile_name(pg_current_wal_insert_lsn())").fetchone()
    return str(row[0]) if row else ""


def data_folder(database_url: str) -> tuple[Path, int] | None:
    """The folder of the server's files, if it is on this machine and may be read, and the number of our database there.

    A folder of the same name may belong to another server: both have to hold the same identifier.
    """
    with psycopg.connect(database_url) as connection:
        try:
            row = connection.execute(
                b"select current_setting('data_directory'), (select system_identifier from pg_control_system()), "
                b"(select oid::bigint from pg_database where datname = current_database())"
            ).fetchone()
        except psycopg.errors.InsufficientPrivilege:
            return None
    if row is None or not row[0]:
        return None
    folder = Path(str(row[0]))
    try:
        with (folder / "global" / "pg_control").open("rb") as file:
            is_it = int.from_bytes(file.read(8), sys.byteorder) == int(str(row[1])) % 2**64
    except OSError:
        return None
    return (folder, int(str(row[2]))) if is_it else None
