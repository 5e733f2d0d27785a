"""The lake: DuckDB over Parquet files, its catalog in PostgreSQL.

What lives here: connections, appends, locked writes, reads. What does not: the tables' meaning, maintenance
(``maintenance``), the locks themselves (``locks``). Never hold a connection across a network call.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from leadpipe.errors import TransientError
from leadpipe.store import locks
from leadpipe.store.away import transient_when_away
from leadpipe.store.extensions import connection_config
from leadpipe.store.kept import Kept, close
from leadpipe.store.urls import keyword_dsn

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    LastLook = Callable[[Mapping[str, pa.Table]], Mapping[str, pa.Table]]

T = TypeVar("T")

CATALOG_SCHEMA = "lake_catalog"
SCHEMAS = ("raw", "staging", "intermediate", "enrichment", "scoring", "outreach", "conversation", "marts", "ops")
# DuckLake refuses a commit that met another one; the whole commit is tried again, a little later each time.
COMMIT_ATTEMPTS = 12
_CONFLICTS = ("conflict", "retry", "could not serialize", "concurrent", "deadlock")


class Lake:
    """One lake: catalog URL, data path and the folder of the extensions.

    A plain object without open connections; every method opens what it needs and closes it, also on errors. Inside of
    ``keep_open`` what was used well stays open for the next use.
    """

    def __init__(self, *, database_url: str, data_path: str, home: Path, memory_limit: str = "2GB") -> None:
        self.database_url = database_url
        self.data_path = data_path.rstrip("/") + "/"
        self.home = home
        self._memory_limit = memory_limit
        self._kept: Kept | None = None

    @contextmanager
    def keep_open(self) -> Generator[None]:
        """Keep connections open between their uses until the block ends; for a process that comes back to the lake."""
        if self._kept is not None:
            yield
            return
        self._kept = kept = Kept()
        try:
            yield
        finally:
            self._kept = None
            kept.close()

    @contextmanager
    def connect(self, *, read_only: bool = False, with_ledger: bool = False) -> Generator[duckdb.DuckDBPyConnection]:
        """A connection with the lake as the current catalog, in UTC.

        Args:
            read_only: refuse writes.
            with_ledger: also attach the ledger's tables, read-only, as ``pg.ledger.*``.

        Raises:
            TransientError: PostgreSQL, which keeps the catalog, is away or went away while the block ran.
        """
        kept = None if with_ledger else self._kept
        with transient_when_away("the lake"):
            connection = kept.take(read_only=read_only) if kept else None
            if connection is None:
                connection = self._open(read_only=read_only, with_ledger=with_ledger)
            try:
                yield connection
            except BaseException:
                close(connection)
                raise
        if kept is not None and kept is self._kept:
            kept.give_back(connection, read_only=read_only)
        else:
            close(connection)

    def _open(
        self, *, read_only: bool, with_ledger: bool, may_upgrade: bool = False, is_encrypted: bool = False
    ) -> duckdb.DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(config=connection_config(self.home))
        try:
            connection.execute(f"set memory_limit = '{self._memory_limit}'")
            options = {"may_upgrade": may_upgrade, "is_encrypted": is_encrypted}
            for statement in self.attach_statements(read_only=read_only, **options):
                connection.execute(statement)
            if with_ledger:
                dsn = keyword_dsn(self.database_url).replace("'", "''")
                connection.execute(f"attach '{dsn}' as pg (type postgres, read_only)")
        except BaseException:
            connection.close()
            raise
        return connection

    def attach_statements(
        self, *, read_only: bool = False, may_upgrade: bool = False, is_encrypted: bool = False
    ) -> list[str]:
        """The SQL that makes this lake the current catalog, as ``lake`` and in UTC; analysts use the same.

        Args:
            read_only: refuse writes.
            may_upgrade: let DuckLake bring a catalog that an older version made to its own; no way leads back.
            is_encrypted: make an encrypted lake; only the first attachment of all decides it, the catalog remembers.
        """
        options = [f"data_path '{self.data_path}'", f"metadata_schema '{CATALOG_SCHEMA}'", "data_inlining_row_limit 0"]
        if read_only:
            options.append("read_only")
        if may_upgrade:
            options.append("automatic_migration true")
        if is_encrypted:
            options.append("encrypted")
        dsn = keyword_dsn(self.database_url).replace("'", "''")
        statements = ["set TimeZone = 'UTC'"]
        if self.data_path.startswith("s3://"):
            statements += ["load httpfs", "create secret lake_s3 (type s3, provider credential_chain)"]
        return [*statements, f"attach 'ducklake:postgres:{dsn}' as lake ({', '.join(options)})", "use lake"]

    def set_up(self) -> None:
        """Create the catalog and the schemas, or bring an older catalog up to date; repeating it changes nothing.

        A new lake whose files lie apart from its home (on S3, on another disk) is encrypted; the keys lie in the
        catalog. Beside the catalog that would protect nothing. A lake is encrypted or not for its whole life.
        """
        if "://" not in self.data_path:
            Path(self.data_path).mkdir(parents=True, exist_ok=True)
        with locks.table_lock(self.database_url, "set-up", shared=False):
            is_encrypted = self.is_apart and not self._has_catalog()
            connection = self._open(read_only=False, with_ledger=False, may_upgrade=True, is_encrypted=is_encrypted)
            try:
                for schema in SCHEMAS:
                    connection.execute(f"create schema if not exists {schema}")
            finally:
                connection.close()

    @property
    def is_apart(self) -> bool:
        """Whether the files lie elsewhere than the home."""
        return "://" in self.data_path or not Path(self.data_path).is_relative_to(self.home.absolute())

    def _has_catalog(self) -> bool:
        import psycopg

        with psycopg.connect(self.database_url) as connection:
            found = connection.execute(b"select to_regclass(%s)", [f"{CATALOG_SCHEMA}.ducklake_metadata"]).fetchone()
        return bool(found and found[0])

    @contextmanager
    def write(self, table: str) -> Generator[duckdb.DuckDBPyConnection]:
        """A connection that alone may update, delete, merge into or replace ``table``; keep the block short.

        The block runs in one transaction, committed at its end and rolled back on any error.
        """
        with locks.table_lock(self.database_url, table, shared=False), self.connect() as connection:
            connection.begin()
            yield connection
            connection.commit()

    def append(self, table: str, rows: pa.Table) -> int:
        """Append rows, creating the table from their schema when it is missing; returns the count."""
        if rows.num_rows == 0 and self.has_table(table):
            return 0
        return self.append_all({table: rows})

    def append_all(self, rows_by_table: Mapping[str, pa.Table], *, last_look: LastLook | None = None) -> int:
        """Append to several tables in one commit: a reader sees all of it or nothing; returns the count.

        ``last_look`` is given the rows under the locks and returns those that may be written: since they were read, an
        erasure may have held the lake.
        """
        if not rows_by_table:
            return 0

        def commit() -> int:
            with locks.tables_lock(self.database_url, rows_by_table, shared=True), self.connect() as connection:
                may_be_written = last_look(rows_by_table) if last_look else rows_by_table
                connection.begin()
                for table, rows in may_be_written.items():
                    connection.register("appended", rows)
                    connection.execute(f"create table if not exists {table} as from appended limit 0")
                    connection.execute(f"insert into {table} by name from appended")  # noqa: S608 - our own names
                    connection.unregister("appended")
                connection.commit()
            return sum(rows.num_rows for rows in rows_by_table.values())

        return retried(commit, what=f"append to {', '.join(rows_by_table)}")

    def replace_partition(self, table: str, column: str, values: Sequence[Any], rows: pa.Table) -> int:
        """Make ``rows`` the only rows of ``table`` whose ``column`` is one of ``values``, in one transaction."""

        def commit() -> int:
            with self.write(table) as connection:
                connection.register("replaced", rows)
                connection.execute(f"create table if not exists {table} as from replaced limit 0")
                connection.execute(
                    f"delete from {table} where {column} in (select unnest(?))",  # noqa: S608 - our own names
                    [list(values)],
                )
                connection.execute(f"insert into {table} by name from replaced")  # noqa: S608 - our own names
                connection.unregister("replaced")
            return rows.num_rows

        return retried(commit, what=f"replace in {table}")

    def replace(self, table: str, rows: pa.Table) -> int:
        """Make ``rows`` the whole content of ``table``."""

        def commit() -> int:
            with self.write(table) as connection:
                connection.register("replaced", rows)
                connection.execute(f"create or replace table {table} as from replaced")
                connection.unregister("replaced")
            return rows.num_rows

        return retried(commit, what=f"replace {table}")

    def create(self, table: str, schema: pa.Schema) -> None:
        """Create an empty table of this schema unless it exists."""
        if not self.has_table(table):
            self.append(table, schema.empty_table())

    def query(self, sql: str, parameters: Sequence[Any] = (), *, with_ledger: bool = False) -> pa.Table:
        """The result of one read-only query."""
        with self.connect(read_only=True, with_ledger=with_ledger) as connection:
            return connection.execute(sql, list(parameters)).to_arrow_table()

    def has_table(self, table: str) -> bool:
        """Whether ``schema.table`` exists in the lake."""
        schema, _, name = table.partition(".")
        with self.connect(read_only=True) as connection:
            found = connection.execute(
                "select 1 from duckdb_tables() where database_name = 'lake' and schema_name = ? and table_name = ?",
                [schema, name],
            ).fetchone()
        return found is not None

    def snapshot_id(self) -> int:
        """The id of the newest snapshot."""
        with self.connect(read_only=True) as connection:
            row = connection.execute("select max(snapshot_id) from ducklake_snapshots('lake')").fetchone()
        return int(row[0]) if row and row[0] is not None else 0


def retried(commit: Callable[[], T], *, what: str) -> T:
    """Run a whole commit again while it only lost against another one.

    Raises:
        TransientError: it lost every time.
    """
    import duckdb

    for attempt in range(COMMIT_ATTEMPTS):
        try:
            return commit()
        except duckdb.Error as error:
            if not any(word in str(error).lower() for word in _CONFLICTS):
                raise
            if attempt == COMMIT_ATTEMPTS - 1:
                raise TransientError(f"the lake: {what} lost against other writers {COMMIT_ATTEMPTS} times") from error
            time.sleep(0.02 * 2 ** min(attempt, 6) * (0.5 + random.random()))  # noqa: S311 - jitter
    raise AssertionError("unreachable")
