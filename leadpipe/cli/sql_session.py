"""One reading session on the lake, as ``leadpipe sql`` holds it.

What lives here: finding the lake, starting its embedded server when it is down, attaching again after the server
went away, errors in words. What does not: printing (``sql_output``), the prompt (``sql_shell``).
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from leadpipe.errors import ConfigurationError, PermanentError, TransientError

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

# A shell stands beside the running system on the same two cores and the same memory.
MEMORY_LIMIT = "1GB"
# Schemas of dbt's models (``dbt_project.yml``): nothing of theirs is there before its first run.
DBT_SCHEMAS = ("staging", "intermediate", "conversation", "outreach", "marts")
_OF_DBT = re.compile(rf"\b({'|'.join(DBT_SCHEMAS)})\s*\.", re.IGNORECASE)
_TIME_TRAVEL = re.compile(r"\bat\s*\(", re.IGNORECASE)
_GONE = (
    "server closed the connection", "connection refused", "could not connect", "unable to connect",
    "terminating connection", "no such file or directory", "connection to server", "no connection to the server",
    "ssl connection has been closed", "the database system is",
)  # fmt: skip


class SqlError(PermanentError):
    """A statement that DuckDB refuses, in its words and with what to do where we know it."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far back ``AT (...)`` can go: the oldest snapshot kept and the newest."""

    oldest_id: int
    oldest_at: datetime
    newest_id: int

    def __str__(self) -> str:
        """The reach as a sentence."""
        return (
            f"AT (TIMESTAMP => ...) reaches back to {self.oldest_at:%Y-%m-%d %H:%M:%S} UTC, AT (VERSION => ...) from "
            f"{self.oldest_id} to {self.newest_id}; states before that are rows of marts.lead_history"
        )


class Session:
    """An attached, read-only lake; it attaches again by itself once when the server went away in between."""

    def __init__(self, settings: Settings) -> None:
        self._settings = _where_set_up(settings)
        self.home: Path = self._settings.home
        self._opened = ExitStack()
        self._connection = self._attach()

    def close(self) -> None:
        """Leave the lake."""
        self._opened.close()

    def statements(self, text: str) -> list[str]:
        """The single statements of a text.

        Raises:
            SqlError: the text does not parse.
        """
        import duckdb

        try:
            return [statement.query.strip() for statement in self._connection.extract_statements(text)]
        except duckdb.Error as error:
            raise SqlError(self._explained(error, text)) from None

    def execute(self, statement: str) -> duckdb.DuckDBPyRelation | None:
        """The rows of one statement; None when it has none.

        Raises:
            SqlError: DuckDB refuses it.
            TransientError: the server is gone and does not come back.
        """
        import duckdb

        try:
            return self._connection.sql(statement)
        except duckdb.Error as error:
            if not _is_gone(error):
                raise SqlError(self._explained(error, statement)) from None
        self._opened.close()
        self._connection = self._attach()
        try:
            return self._connection.sql(statement)
        except duckdb.Error as error:
            raise SqlError(self._explained(error, statement)) from None

    def attach_script(self) -> str:
        """The statements by which another DuckDB of the same version sees this lake, read-only; without a password."""
        from leadpipe.store.extensions import folder
        from leadpipe.store.lake import Lake
        from leadpipe.store.urls import without_password

        lake = Lake(
            database_url=without_password(self._lake.database_url), data_path=self._lake.data_path, home=self.home
        )
        extensions = str(folder(self.home)).replace("'", "''")
        statements = [f"set extension_directory = '{extensions}'", *lake.attach_statements(read_only=True)]
        return "".join(f"{statement};\n" for statement in statements)

    def interrupt(self) -> None:
        """Stop the statement that runs, from another thread or a signal."""
        self._connection.interrupt()

    def reach(self) -> Reach:
        """How far back time travel goes now; an erasure or 30 days end it."""
        row = self._connection.execute(
            "select min_by(snapshot_id, snapshot_time), min(snapshot_time), max(snapshot_id) "
            "from __ducklake_metadata_lake.lake_catalog.ducklake_snapshot"
        ).fetchone()
        if row is None or row[0] is None:
            raise TransientError("the lake's catalog holds no snapshot; run `leadpipe up` or `make demo` first")
        return Reach(oldest_id=row[0], oldest_at=row[1], newest_id=row[2])

    # parts

    def _attach(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        self._lake = _lake(self._settings)
        self._opened = ExitStack()
        try:
            return self._opened.enter_context(self._lake.connect(read_only=True))
        except duckdb.Error as error:
            if _is_gone(error):
                raise TransientError(f"PostgreSQL does not answer: {_first_line(error)}; `leadpipe doctor`") from None
            _must_answer(self._lake.database_url)
            if "extension" in str(error).lower() and "not found" in str(error).lower():
                raise ConfigurationError(
                    f"DuckDB's extensions are not installed in {self.home.absolute()}: it was never set up, or for "
                    "another version; run `leadpipe up` there, or let LEADPIPE_HOME name the folder that was set up"
                ) from None
            raise ConfigurationError(
                f"no lake in this database yet ({_first_line(error)}); run `leadpipe up` or `make demo` first"
            ) from None

    def _explained(self, error: duckdb.Error, statement: str) -> str:
        said = str(error).strip()
        lower = said.lower()
        if "read-only" in lower or "read only" in lower:
            return f"{said}\n`leadpipe sql` reads only; for a table of your own: create temp table NAME as ..."
        if _TIME_TRAVEL.search(statement):
            return f"{said}\n{self.reach()}"
        if "does not exist" in lower and (
            named := dict.fromkeys(found.lower() for found in _OF_DBT.findall(statement))
        ):
            return self._not_built(said, tuple(named))
        return said

    def _not_built(self, said: str, named: tuple[str, ...]) -> str:
        """What to do where dbt was to make a table: a look-alike of another schema is no help before its first run."""
        rows = self._connection.execute(
            "select schema_name from duckdb_views() where database_name = 'lake' "
            "union select 'marts' from duckdb_tables() where database_name = 'lake' and schema_name = 'marts'"
        ).fetchall()
        unbuilt = set(named) - {row[0] for row in rows}
        lines = [line for line in said.splitlines() if not (unbuilt and line.startswith("Did you mean"))]
        verb = "appear" if named[1:] else "appears"
        return "\n".join(
            (
                *(line for line in lines if line.strip()),
                f"{' and '.join(named)} {verb} with the first dbt run, some minutes after the start (job refresh_marts",
                "in the Dagster UI; where that failed, its log says why); `.tables` in the shell lists what is there",
            )
        )


@contextmanager
def open_session() -> Generator[Session]:
    """A session on the lake that the settings name.

    Raises:
        LeadpipeError: the settings are wrong, nothing was set up there, or the server does not start.
    """
    from leadpipe.setting_loading import load_settings

    session = Session(load_settings())
    try:
        yield session
    finally:
        session.close()


def _where_set_up(settings: Settings) -> Settings:
    """The settings as they are, or with the demo's home where nothing else was ever set up here."""
    from leadpipe.cli.home import home_set_up

    if home := home_set_up(settings):
        return settings.model_copy(update={"home": home})
    raise ConfigurationError(
        f"nothing is set up in {settings.home.absolute()}; run `leadpipe up` or `make demo` first, "
        "or let LEADPIPE_HOME name the folder that was set up"
    )


def _lake(settings: Settings) -> Lake:
    from leadpipe.store.lake import Lake
    from leadpipe.store.server import database_url_of

    url = database_url_of(settings)
    return Lake(database_url=url, data_path=settings.lake_url, home=settings.home, memory_limit=MEMORY_LIMIT)


def _must_answer(url: str) -> None:
    """Ask PostgreSQL itself, when DuckDB blames an extension: the server may be away.

    Only then: with psycopg loaded first, three of four shells that had stopped a query were aborted while they ended.

    Raises:
        TransientError: it does not answer, in its own words; they hold no password.
    """
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        raise TransientError(
            f"PostgreSQL does not answer ({_first_line(error)}); start that server or correct LEADPIPE_DATABASE_URL, "
            "`leadpipe doctor` looks at it"
        ) from None


def _is_gone(error: Exception) -> bool:
    said = str(error).lower()
    return any(words in said for words in _GONE)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
