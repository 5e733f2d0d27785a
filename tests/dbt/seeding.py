"""The invented team's lake, built once in a session by a real dbt, for the tests of the marts and of the analysts.

What lives here: the shared fixture. What does not: the team's rows (``team``).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from leadpipe.settings import Settings
from leadpipe.store import bootstrap, dbt, ledger, mirror
from leadpipe.store.lake import CATALOG_SCHEMA, Lake
from tests.dbt import team

NOW = team.at("21:00:00")


@dataclass(frozen=True)
class Seeded:
    """The team's ledger and lake, and what dbt printed."""

    settings: Settings
    database_url: str
    engine: Engine
    lake: Lake
    said: str
    empty_home: Path

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows of one query."""
        return self.lake.query(sql, parameters).to_pylist()

    def build(self, *arguments: str) -> str:
        """Run dbt once more."""
        return run_dbt(self.settings, self.database_url, *arguments)


STASH = pytest.StashKey[Seeded]()


def run_dbt(settings: Settings, database_url: str, *arguments: str, home: Path | None = None) -> str:
    """dbt as the running system calls it, with every test: the lake stands still, so all of them hold."""
    variables = {"LEADPIPE_LAKE_STANDS_STILL": "yes", "DBT_EXCLUDE_RESOURCE_TYPES": ""}
    if home is not None:
        variables["HOME"] = str(home)
    return dbt.run(arguments, settings=settings, database_url=database_url, variables=variables)


@pytest.fixture(scope="session")
def seeded(
    request: pytest.FixtureRequest, new_database: Callable[[str], str], lake_template: str, server_home: Path
) -> Generator[Seeded]:
    """The team's lake. Read only: other tests of the session see the same."""
    if STASH not in request.config.stash:
        request.config.stash[STASH] = _seed(new_database(lake_template), server_home)
    yield request.config.stash[STASH]
    request.config.stash[STASH].engine.dispose()


def seed_lake(database_url: str, server_home: Path, name: str) -> tuple[Settings, Lake]:
    """A lake of its own in a database cloned from the template, its tables empty."""
    home = server_home / name
    shutil.copytree(server_home / "duckdb", home / "duckdb")
    folder = home / "lake"
    folder.mkdir()
    with psycopg.connect(database_url) as connection:
        connection.execute(
            f"update {CATALOG_SCHEMA}.ducklake_metadata set value = %s where key = 'data_path'".encode(), [f"{folder}/"]
        )
    settings = Settings(
        home=home,
        database_url=database_url,
        lake_path=str(folder),
        team_timezone="America/Chicago",
        unsubscribe_secret=SecretStr("test-unsubscribe-secret"),
    )
    lake = Lake(database_url=database_url, data_path=str(folder), home=home)
    bootstrap.create_tables(lake)
    return settings, lake


def _seed(database_url: str, server_home: Path) -> Seeded:
    settings, lake = seed_lake(database_url, server_home, "seeded team")
    engine = ledger.connect(database_url)
    team.fill_ledger(engine)
    team.fill_crm(lake)
    team.fill_lake(lake)
    mirror.mirror(engine, lake, now=NOW)
    empty_home = server_home / "nobody's home"
    empty_home.mkdir()
    said = run_dbt(settings, database_url, "build", home=empty_home)
    return Seeded(settings, database_url, engine, lake, said, empty_home)
