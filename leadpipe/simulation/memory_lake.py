"""A lake in memory with what planning reads of the real one, so that planning can write its queue and nobody sees it.

What lives here: the stand-in and filling it. What does not: planning (``outreach.planner``).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe.market import tables as market_tables
from leadpipe.scoring.tables import LEAD_SCORES
from leadpipe.store.lake import SCHEMAS, Lake

if TYPE_CHECKING:
    import duckdb


class MemoryLake(Lake):
    """As ``Lake``, for one process: every connection is a cursor of one database in memory."""

    def __init__(self, home: Path) -> None:
        import duckdb

        super().__init__(database_url="", data_path="", home=home)
        self._memory = duckdb.connect()
        for schema in SCHEMAS:
            self._memory.execute(f"create schema if not exists {schema}")

    @contextmanager
    def connect(self, *, read_only: bool = False, with_ledger: bool = False) -> Generator[duckdb.DuckDBPyConnection]:
        """A cursor; nothing to attach, and nothing that a reader could break for others."""
        del read_only, with_ledger
        cursor = self._memory.cursor()
        try:
            cursor.execute("set TimeZone = 'UTC'")
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def write(self, table: str) -> Generator[duckdb.DuckDBPyConnection]:
        """A transaction; there is nobody to lock out."""
        del table
        with self.connect() as cursor:
            cursor.begin()
            yield cursor
            cursor.commit()

    def close(self) -> None:
        """Let the memory go."""
        self._memory.close()


def filled(lake: Lake, *, at: datetime, home: Path) -> MemoryLake:
    """Scores in force at ``at`` and the market trend, taken from the real lake."""
    scores = lake.query(
        f"select * from {LEAD_SCORES} where scored_at <= ? "  # noqa: S608 - our own name
        "qualify row_number() over (partition by person_id order by scored_at desc) = 1",
        [at],
    )
    trend = lake.query(f"select * from {market_tables.MARKET_TREND}")  # noqa: S608 - our own name
    made = MemoryLake(home)
    with made.write("") as connection:
        for name, rows in ((LEAD_SCORES, scores), (market_tables.MARKET_TREND, trend)):
            connection.register("rows", rows)
            connection.execute(f"create table {name} as from rows")
            connection.unregister("rows")
    return made
