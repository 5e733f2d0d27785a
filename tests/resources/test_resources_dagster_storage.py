"""Dagster's storage over kept connections: few sessions, alive again after the server was away."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import yaml

from leadpipe.store.urls import dagster_url


@pytest.fixture
def instance(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_PG_URL", dagster_url(database_url))
    storage = {
        "module": "resources.dagster_storage",
        "class": "PooledPostgresStorage",
        "config": {"postgres_url": {"env": "DAGSTER_PG_URL"}},
    }
    config = {"telemetry": {"enabled": False}, "storage": {"custom": storage}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


def backends(database_url: str) -> list[int]:
    """Sessions on this database other than the one that asks."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        return sorted(row[0] for row in rows)


def job() -> dg.JobDefinition:
    return dg.JobDefinition(name="probe", graph_def=dg.GraphDefinition(name="probe"))


def test_many_statements_of_all_three_storages_share_a_few_connections(
    instance: dg.DagsterInstance, database_url: str
) -> None:
    seen: set[int] = set()
    for _ in range(20):
        run = instance.create_run_for_job(job_def=job())
        instance.report_engine_event("hello", run)
        assert instance.get_run_by_id(run.run_id) is not None
        assert len(instance.all_logs(run.run_id)) >= 1
        instance.all_instigator_state()
        seen |= set(backends(database_url))
    assert 1 <= len(seen) <= 3


def test_a_connection_that_the_server_dropped_is_replaced_and_no_statement_fails(
    instance: dg.DagsterInstance, database_url: str
) -> None:
    run = instance.create_run_for_job(job_def=job())
    kept = backends(database_url)
    assert kept
    with psycopg.connect(database_url, autocommit=True) as connection:
        for pid in kept:
            connection.execute("select pg_terminate_backend(%s, 2000)", [pid])
    assert instance.get_run_by_id(run.run_id) is not None
    assert instance.all_logs(run.run_id) is not None
