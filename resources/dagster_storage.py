"""Dagster's storage in our PostgreSQL, over connections that are kept.

What lives here: the one class that ``dagster.yaml`` names. What does not: what is stored (Dagster), the file itself
(``leadpipe.cli.dagster_home``).

``dagster-postgres`` opens a connection for every statement, which costs 4.4 ms of processor time against 0.2 ms over
one that is kept (measured on two cores; a running demo made 40 connections a second). Its own remedy,
``optimize_for_webserver``, is used by the webserver alone and does not notice that the server was restarted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import create_engine

# Threads of the daemon write at once; a run writes one thing after the other.
KEPT, MORE = 2, 20
RECYCLE_SECONDS = 600


class PooledPostgresStorage(DagsterPostgresStorage):
    """Runs, events and ticks over one small pool, whose connections are proven alive before each use."""

    def __init__(self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        engine = create_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=KEPT,
            max_overflow=MORE,
            pool_recycle=RECYCLE_SECONDS,
            pool_pre_ping=True,
            pool_use_lifo=True,
        )
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            # The engine is the storages' own attribute; their public way to change it is the webserver's, see above.
            storage._engine.dispose()  # pyright: ignore[reportPrivateUsage]
            storage._engine = engine  # pyright: ignore[reportPrivateUsage]

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The storage that ``dagster.yaml`` describes."""
        return cls(pg_url_from_config(config_value), inst_data=inst_data)
