"""Maintenance: it makes the lake small, deletes what nobody can need, and disturbs neither writers nor a long read."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from leadpipe.clock import WallClock
from leadpipe.store import locks, maintenance
from leadpipe.store.lake import CATALOG_SCHEMA, Lake, retried
from leadpipe.store.maintenance import FILES_KEPT, ORPHANS_KEPT, SNAPSHOTS_KEPT, Maintained, maintain

LITTLE = timedelta(minutes=5)


def files(lake: Lake) -> set[Path]:
    return {path for path in Path(lake.data_path).rglob("*.parquet") if path.is_file()}


def rewind(lake: Lake, table: str, column: str, age: timedelta, *, before_last: int = 0) -> None:
    """Make the catalog believe that what is in ``table`` happened so long ago."""
    keep = "" if not before_last else f" where snapshot_id < (select max(snapshot_id) - {before_last - 1} from {table})"
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(f"set search_path = {CATALOG_SCHEMA}".encode())
        changed = connection.execute(f"update {table} set {column} = %s{keep}".encode(), [datetime.now(UTC) - age])
        assert changed.rowcount > 0


def rows(lake: Lake) -> list[dict[str, int]]:
    return lake.query("select count(*) as n, sum(a) as total from raw.rows").to_pylist()


def fill(lake: Lake, commits: int = 6) -> None:
    for number in range(commits):
        lake.append("raw.rows", pa.table({"a": [number, number]}))


def test_many_small_files_become_one_and_the_rows_stay(lake: Lake) -> None:
    fill(lake)
    before = rows(lake)
    done = maintain(lake, clock=WallClock())
    assert done.files_merged == 6
    assert lake.query("select file_count from ducklake_table_info('lake') where table_name = 'rows'").to_pylist() == [
        {"file_count": 1}
    ]
    assert rows(lake) == before
    again = maintain(lake, clock=WallClock())
    assert (again.files_merged, again.files_rewritten, again.files_deleted) == (0, 0, 0), "nothing is left to do"


def test_a_file_whose_rows_were_deleted_is_written_anew(lake: Lake) -> None:
    lake.append("raw.rows", pa.table({"a": list(range(100))}))
    with lake.write("raw.rows") as connection:
        connection.execute("delete from raw.rows where a < 30")
    done = maintain(lake, clock=WallClock())
    assert done.files_rewritten == 1
    found = lake.query("select delete_file_count as n from ducklake_table_info('lake') where table_name = 'rows'")
    assert found.to_pylist() == [{"n": 0}]
    assert rows(lake) == [{"n": 70, "total": sum(range(30, 100))}]


def test_files_are_deleted_a_day_after_the_last_snapshot_that_names_them(lake: Lake) -> None:
    fill(lake)
    maintain(lake, clock=WallClock())
    merged_away = len(files(lake))
    assert merged_away == 7, "the six merged ones are still there for whoever reads an older snapshot"

    rewind(lake, "ducklake_snapshot", "snapshot_time", SNAPSHOTS_KEPT - LITTLE, before_last=1)
    assert maintain(lake, clock=WallClock()).snapshots_expired == 0
    rewind(lake, "ducklake_snapshot", "snapshot_time", SNAPSHOTS_KEPT + LITTLE, before_last=1)
    done = maintain(lake, clock=WallClock())
    assert done.snapshots_expired > 0
    assert done.files_deleted == 0
    assert len(files(lake)) == 7, "scheduled, and not yet deleted"

    rewind(lake, "ducklake_files_scheduled_for_deletion", "schedule_start", FILES_KEPT - LITTLE)
    assert maintain(lake, clock=WallClock()).files_deleted == 0
    rewind(lake, "ducklake_files_scheduled_for_deletion", "schedule_start", FILES_KEPT + LITTLE)
    assert maintain(lake, clock=WallClock()).files_deleted == 6
    assert len(files(lake)) == 1
    assert rows(lake) == [{"n": 12, "total": 30}]


def test_a_file_of_a_commit_under_way_is_left_alone_and_a_week_old_orphan_is_not(lake: Lake) -> None:
    fill(lake, 2)
    folder = next(iter(files(lake))).parent
    young, old = folder / "under-way.parquet", folder / "orphan.parquet"
    for path, age in ((young, ORPHANS_KEPT - LITTLE), (old, ORPHANS_KEPT + LITTLE)):
        path.write_bytes(b"PAR1")
        then = time.time() - age.total_seconds()
        os.utime(path, (then, then))
    assert maintain(lake, clock=WallClock()).orphans_deleted == 1
    assert young.exists()
    assert not old.exists()
    assert rows(lake) == [{"n": 4, "total": 2}]


def test_the_steps_run_in_the_order_that_is_safe(lake: Lake) -> None:
    done = maintain(lake, clock=WallClock())
    assert list(done.seconds_by_step) == ["flush", "rewrite", "merge", "expire", "cleanup", "orphans"]
    assert done.as_metadata()["longest_hold_seconds"] == round(max(done.seconds_by_step.values()), 3)


def test_writers_and_a_long_read_go_on_beside_maintenance(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but the newest snapshot expires under the reader; its files stay for the day it may take."""
    monkeypatch.setattr(maintenance, "SNAPSHOTS_KEPT", timedelta(0))
    monkeypatch.setattr(locks, "POLITE_SECONDS", 0.2)
    lake.append("raw.rows", pa.table({"a": list(range(1_000))}))
    lake.append("raw.updated", pa.table({"id": [1, 2], "n": [0, 0]}))
    stop = threading.Event()
    appended, updated = [0], [0]

    def append() -> None:
        while not stop.is_set():
            lake.append("raw.rows", pa.table({"a": [0]}))
            appended[0] += 1

    def update() -> None:
        def commit() -> None:
            with lake.write("raw.updated") as connection:
                connection.execute("update raw.updated set n = n + 1")

        while not stop.is_set():
            retried(commit, what="update")
            updated[0] += 1

    done: list[Maintained] = []
    with ThreadPoolExecutor(2) as pool, lake.connect(read_only=True) as reader:
        reader.begin()
        before = reader.execute("select count(*), sum(a) from raw.rows").fetchall()
        writers = [pool.submit(append), pool.submit(update)]
        try:
            for _ in range(2):
                done.append(maintain(lake, clock=WallClock()))
                assert reader.execute("select count(*), sum(a) from raw.rows").fetchall() == before
        finally:
            stop.set()
        for writer in writers:
            writer.result()
        assert reader.execute("select count(*), sum(a) from raw.rows").fetchall() == before
        reader.rollback()

    assert appended[0] > 0
    assert updated[0] > 0
    assert sum(each.snapshots_expired for each in done) > 0
    assert lake.query("select count(*) as n from raw.rows").to_pylist() == [{"n": 1_000 + appended[0]}]
    assert lake.query("select id, n from raw.updated order by id").to_pylist() == [
        {"id": 1, "n": updated[0]},
        {"id": 2, "n": updated[0]},
    ]
