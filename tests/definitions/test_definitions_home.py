"""Dagster's home: a configuration that Dagster accepts, in our database, with logs in S3 when asked."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from leadpipe.cli.dagster_home import PG_URL_VARIABLE, dagster_variables, instance_config, write_dagster_home
from leadpipe.errors import ConfigurationError
from leadpipe.settings import Settings


@pytest.fixture
def at_home(
    settings: Settings, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Generator[Settings]:
    """Settings whose home is this test's, in an environment as the supervisor gives it to Dagster's processes."""
    for name, value in dagster_variables(tmp_path, database_url).items():
        monkeypatch.setenv(name, value)
    yield settings.model_copy(update={"home": tmp_path})


def test_runs_are_kept_in_our_database_in_a_schema_of_their_own(at_home: Settings, database_url: str) -> None:
    home = write_dagster_home(at_home)
    assert str(home) == dagster_variables(at_home.home, database_url)["DAGSTER_HOME"]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        job = dg.JobDefinition(name="probe", graph_def=dg.GraphDefinition(name="probe"))
        run = instance.create_run_for_job(job_def=job)
        assert instance.get_run_by_id(run.run_id) is not None
        assert not instance.telemetry_enabled
    with psycopg.connect(database_url) as connection:
        schemas = connection.execute("select table_schema from information_schema.tables where table_name = 'runs'")
        assert schemas.fetchall() == [("dagster",)]


def test_each_slot_holds_one_run_and_a_queued_run_leaves_within_a_second(at_home: Settings) -> None:
    with dg.DagsterInstance.from_config(str(write_dagster_home(at_home))) as instance:
        limits = instance.get_concurrency_config()
        assert limits.run_queue_config is not None
        assert limits.run_queue_config.tag_concurrency_limits == [
            {"key": "leadpipe/slot", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
        ]
        assert limits.pool_config.default_pool_limit == 1
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        assert instance.run_monitoring_enabled
        assert instance.run_retries_max_retries == 2
        assert not instance.run_retries_retry_on_asset_or_op_failure


def test_there_are_more_places_than_slots_so_that_no_slot_waits_for_another(at_home: Settings) -> None:
    from leadpipe.definitions import defs

    slots = {job.tags.get("leadpipe/slot") for job in defs.get_repository_def().get_all_jobs()} - {None}
    assert instance_config(at_home)["concurrency"]["runs"]["max_concurrent_runs"] > len(slots)


def test_the_file_holds_no_secret_and_is_not_written_again(at_home: Settings) -> None:
    target = write_dagster_home(at_home) / "dagster.yaml"
    text, written = target.read_text(), target.stat().st_mtime_ns
    assert "postgres" not in text.replace("postgres:", "").replace("postgres_url:", "")
    assert PG_URL_VARIABLE in text
    write_dagster_home(at_home)
    assert target.stat().st_mtime_ns == written


def test_logs_of_runs_go_to_s3_and_can_be_read_back(at_home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    changed = at_home.model_copy(update={"compute_logs_path": "s3://team-logs/leadpipe/runs"})
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="team-logs")
        with dg.DagsterInstance.from_config(str(write_dagster_home(changed))) as instance:
            key = ["run-1", "compute_logs", "step"]
            with instance.compute_log_manager.capture_logs(key):
                sys.stdout.write("three leads answered\n")
            stored = [entry["Key"] for entry in s3.list_objects_v2(Bucket="team-logs")["Contents"]]
            assert all(name.startswith("leadpipe/runs/") for name in stored)
            log = instance.compute_log_manager.get_log_data(key)
            assert b"three leads answered" in (log.stdout or b"")
            instance.compute_log_manager.delete_logs(prefix=["run-1"])
            assert "Contents" not in s3.list_objects_v2(Bucket="team-logs")


@pytest.mark.parametrize("path", ["team-logs/leadpipe", "s3://", "file:///tmp/logs"])
def test_a_log_path_that_names_no_bucket_is_refused(path: str, at_home: Settings) -> None:
    with pytest.raises(ConfigurationError, match="LEADPIPE_COMPUTE_LOGS_PATH.*s3://bucket/prefix"):
        write_dagster_home(at_home.model_copy(update={"compute_logs_path": path}))
