"""The lake and its locks, with several processes at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest

from leadpipe.errors import TransientError
from leadpipe.store import lake as lake_module
from leadpipe.store import locks
from leadpipe.store.away import is_away
from leadpipe.store.lake import COMMIT_ATTEMPTS, Lake, retried
from tests.store.sessions import end_all_sessions

PARTS = {"database_url", "data_path", "home"}


def parts_of(lake: Lake) -> dict[str, Any]:
    """What another process needs to build the same lake."""
    return {name: getattr(lake, name) for name in PARTS}


@pytest.fixture(scope="module")
def processes() -> Generator[ProcessPoolExecutor]:
    """Fresh interpreters, as other commands and other machines are."""
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def merge_keys(parts: dict[str, Any], worker: int, rounds: int) -> None:
    lake = Lake(**parts)
    for turn in range(rounds):
        rows = pa.table({"id": list(range(50)), "seen_by": [worker * 100 + turn] * 50})

        def commit(rows: pa.Table = rows) -> None:
            with lake.write("raw.merged") as connection:
                connection.register("rows", rows)
                connection.execute(
                    "merge into raw.merged as t using rows as r on t.id = r.id "
                    "when matched then update set seen_by = r.seen_by when not matched then insert by name"
                )

        retried(commit, what="merge")


def append_one_by_one(parts: dict[str, Any], worker: int, rows: int) -> None:
    lake = Lake(**parts)
    for number in range(rows):
        lake.append("raw.appended", pa.table({"worker": [worker], "number": [number]}))


def replace_slice(parts: dict[str, Any], worker: int, rounds: int) -> None:
    lake = Lake(**parts)
    for turn in range(rounds):
        rows = pa.table({"slice": [worker] * 10, "turn": [turn] * 10})
        lake.replace_partition("raw.sliced", "slice", [worker], rows)


def die_holding(database_url: str, table: str) -> None:
    with locks.table_lock(database_url, table, shared=False):
        os.kill(os.getpid(), signal.SIGKILL)


def test_two_processes_that_merge_the_same_keys_leave_each_key_once(lake: Lake, processes: ProcessPoolExecutor) -> None:
    lake.create("raw.merged", pa.schema([("id", pa.int64()), ("seen_by", pa.int64())]))
    list(processes.map(merge_keys, [parts_of(lake)] * 3, range(3), [4] * 3))
    assert lake.query("select count(*) as n, count(distinct id) as ids from raw.merged").to_pylist() == [
        {"n": 50, "ids": 50}
    ]


def test_every_append_of_every_process_arrives_also_the_one_that_creates_the_table(
    lake: Lake, processes: ProcessPoolExecutor
) -> None:
    list(processes.map(append_one_by_one, [parts_of(lake)] * 3, range(3), [8] * 3))
    assert lake.query("select count(*) as n, count(distinct (worker, number)) as d from raw.appended").to_pylist() == [
        {"n": 24, "d": 24}
    ]


def test_processes_that_replace_their_own_slices_of_one_table_do_not_disturb_each_other(
    lake: Lake, processes: ProcessPoolExecutor
) -> None:
    lake.create("raw.sliced", pa.schema([("slice", pa.int64()), ("turn", pa.int64())]))
    list(processes.map(replace_slice, [parts_of(lake)] * 3, range(3), [4] * 3))
    rows = lake.query("select slice, turn, count(*) as n from raw.sliced group by all order by slice").to_pylist()
    assert rows == [{"slice": worker, "turn": 3, "n": 10} for worker in range(3)]


def test_a_holder_that_is_killed_frees_its_lock(database_url: str) -> None:
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        pytest.raises(BrokenProcessPool),
    ):
        pool.submit(die_holding, database_url, "raw.killed").result()
    started = time.monotonic()
    with locks.table_lock(database_url, "raw.killed", shared=False):
        assert time.monotonic() - started < 10


def test_an_append_waits_for_a_writer_of_its_table_and_for_nobody_else(database_url: str) -> None:
    order: list[str] = []

    def append(table: str) -> None:
        with locks.table_lock(database_url, table, shared=True):
            order.append(table)

    with ThreadPoolExecutor(3) as pool:
        with locks.table_lock(database_url, "raw.a", shared=False):
            waiting = pool.submit(append, "raw.a")
            pool.submit(append, "raw.b").result(timeout=20)
            assert order == ["raw.b"]
            assert not waiting.done()
            order.append("written")
        waiting.result(timeout=20)
    assert order == ["raw.b", "written", "raw.a"]


def test_maintenance_asks_politely_first_so_that_appends_behind_it_go_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "POLITE_SECONDS", 60.0)
    has_it = threading.Event()

    def maintain() -> None:
        with locks.lake_lock(database_url):
            has_it.set()

    with ThreadPoolExecutor(1) as pool:
        with locks.table_lock(database_url, "dbt", shared=False):
            job = pool.submit(maintain)
            time.sleep(0.3)
            with locks.table_lock(database_url, "raw.a", shared=True):  # would hang behind a queued exclusive lock
                assert not has_it.is_set()
        job.result(timeout=20)
    assert has_it.is_set()


def test_maintenance_takes_its_place_in_the_queue_once_it_was_polite_long_enough(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "POLITE_SECONDS", 0.0)

    def maintain() -> None:
        with locks.lake_lock(database_url):
            pass

    with ThreadPoolExecutor(1) as pool:
        with locks.table_lock(database_url, "dbt", shared=False):
            job = pool.submit(maintain)
            with psycopg.connect(database_url) as watcher:
                deadline = time.monotonic() + 20
                while time.monotonic() < deadline:
                    waiting = watcher.execute(
                        "select count(*) from pg_locks where locktype = 'advisory' and not granted "
                        "and database = (select oid from pg_database where datname = current_database())"
                    ).fetchone()
                    if waiting and waiting[0]:
                        break
                    time.sleep(0.02)
                assert waiting == (1,)
        job.result(timeout=20)


def test_a_block_that_fails_leaves_nothing_behind(lake: Lake) -> None:
    lake.append("raw.rows", pa.table({"a": [1]}))
    with pytest.raises(RuntimeError, match="halfway"), lake.write("raw.rows") as connection:
        connection.execute("delete from raw.rows")
        raise RuntimeError("halfway")
    assert lake.query("from raw.rows").to_pylist() == [{"a": 1}]


def test_several_tables_arrive_in_one_commit(lake: Lake) -> None:
    before = lake.snapshot_id()
    count = lake.append_all({"raw.left": pa.table({"a": [1]}), "raw.right": pa.table({"a": [1, 2]})})
    assert count == 3
    assert lake.snapshot_id() == before + 1
    assert lake.append_all({}) == 0


def test_columns_are_matched_by_name_and_a_missing_one_is_empty(lake: Lake) -> None:
    lake.append("raw.rows", pa.table({"a": [1], "b": ["x"]}))
    lake.append("raw.rows", pa.table({"b": ["y"]}))
    assert lake.query("from raw.rows order by b").to_pylist() == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]


def test_a_reader_cannot_write(lake: Lake) -> None:
    lake.append("raw.rows", pa.table({"a": [1]}))
    with lake.connect(read_only=True) as connection, pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("insert into raw.rows values (2)")


def test_a_commit_that_lost_is_tried_again_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_module.time, "sleep", lambda _: None)
    tries: list[int] = []

    def commit() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise duckdb.TransactionException("Transaction conflict - attempting to insert")
        return "done"

    assert retried(commit, what="this") == "done"
    assert len(tries) == 3


def test_a_commit_that_always_loses_says_what_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_module.time, "sleep", lambda _: None)
    tries: list[int] = []

    def commit() -> None:
        tries.append(1)
        raise duckdb.TransactionException("Transaction conflict")

    with pytest.raises(TransientError, match="append to raw.x lost"):
        retried(commit, what="append to raw.x")
    assert len(tries) == COMMIT_ATTEMPTS


def test_a_commit_that_fails_for_another_reason_is_not_repeated() -> None:
    tries: list[int] = []

    def commit() -> None:
        tries.append(1)
        raise duckdb.CatalogException("Table with name x does not exist")

    with pytest.raises(duckdb.CatalogException):
        retried(commit, what="this")
    assert len(tries) == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda lake: lake.append("raw.rows", pa.table({"at": [1]})),
        lambda lake: lake.replace("raw.rows", pa.table({"at": [1]})),
        lambda lake: lake.replace_partition("raw.rows", "day", [1], pa.table({"at": [1], "day": [1]})),
    ],
)
def test_every_way_to_write_makes_its_table(lake: Lake, write: Callable[[Lake], int]) -> None:
    assert not lake.has_table("raw.rows")
    assert write(lake) == 1
    assert lake.has_table("raw.rows")
    assert write(lake) == 1


def test_a_catalog_of_an_older_ducklake_is_named_and_only_set_up_may_bring_it_up_to_date(lake: Lake) -> None:
    """Bringing up a real one was tried by hand (docs/operations.md): its extension is in no lock file."""
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("update lake_catalog.ducklake_metadata set value = '0.3' where key = 'version'")
    fresh = Lake(database_url=lake.database_url, data_path=lake.data_path, home=lake.home)
    with pytest.raises(duckdb.InvalidInputException, match="catalog version mismatch"):
        fresh.query("select 1")
    asked = [statement for statement in fresh.attach_statements() if "automatic_migration" in statement]
    assert asked == []
    assert "automatic_migration true" in " ".join(fresh.attach_statements(may_upgrade=True))


class TestKeptOpen:
    def test_a_kept_connection_is_used_again_and_sees_what_others_committed_meanwhile(
        self, database_url: str, lake: Lake
    ) -> None:
        lake.append("raw.rows", pa.table({"a": [1]}))
        keeping = Lake(database_url=database_url, data_path=lake.data_path, home=lake.home)
        with keeping.keep_open():
            with keeping.connect(read_only=True) as first:
                assert first.execute("select count(*) from raw.rows").fetchone() == (1,)
            lake.append("raw.rows", pa.table({"a": [2]}))
            lake.append("raw.more", pa.table({"a": [2]}))
            with keeping.connect(read_only=True) as second:
                assert second is first
                assert second.execute("select count(*) from raw.rows, raw.more").fetchone() == (2,)
        with pytest.raises(duckdb.Error, match="closed"):
            first.execute("select 1")

    def test_readers_and_writers_have_their_own(self, lake: Lake) -> None:
        with lake.keep_open():
            lake.append("raw.rows", pa.table({"a": [1]}))
            with lake.connect(read_only=True) as reader, pytest.raises(duckdb.Error, match="read-only"):
                reader.execute("insert into raw.rows values (2)")

    def test_a_block_that_fails_takes_its_connection_with_it(self, lake: Lake) -> None:
        with lake.keep_open():
            lake.append("raw.rows", pa.table({"a": [1]}))
            with pytest.raises(RuntimeError, match="halfway"), lake.write("raw.rows") as failed:
                failed.execute("delete from raw.rows")
                raise RuntimeError("halfway")
            with lake.write("raw.rows") as next_one:
                assert next_one is not failed
            assert lake.query("from raw.rows").to_pylist() == [{"a": 1}]

    def test_a_server_that_went_and_came_back_is_attached_anew(self, database_url: str, lake: Lake) -> None:
        lake.append("raw.rows", pa.table({"a": [1]}))
        with lake.keep_open():
            assert lake.query("from raw.rows").num_rows == 1
            with psycopg.connect(database_url, autocommit=True) as connection:
                ended = connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                ).fetchall()
            assert ended
            assert lake.append("raw.rows", pa.table({"a": [2]})) == 1
            assert lake.query("from raw.rows").num_rows == 2

    def test_what_is_kept_holds_no_transaction(self, database_url: str, lake: Lake) -> None:
        with lake.keep_open():
            lake.append("raw.rows", pa.table({"a": [1]}))
            lake.query("from raw.rows")
            with psycopg.connect(database_url) as connection:
                states = connection.execute(
                    "select distinct state from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
                ).fetchall()
        assert states == [("idle",)]


class TestWithoutPostgresql:
    """What PostgreSQL's absence is to whoever uses the lake: the same work may succeed later."""

    NOWHERE = "postgresql://nobody:secret@127.0.0.1:1/none"

    @pytest.mark.parametrize(
        "use",
        [
            lambda lake: lake.query("select 1"),
            lambda lake: lake.append("raw.rows", pa.table({"a": [1]})),
            lambda lake: lake.append_all({"raw.rows": pa.table({"a": [1]})}),
            lambda lake: lake.replace("raw.rows", pa.table({"a": [1]})),
            lambda lake: lake.has_table("raw.rows"),
        ],
    )
    def test_a_server_that_is_not_there_is_a_transient_error_without_its_address(
        self, lake: Lake, use: Callable[[Lake], Any]
    ) -> None:
        away = Lake(database_url=self.NOWHERE, data_path=lake.data_path, home=lake.home)
        with pytest.raises(TransientError) as caught:
            use(away)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_a_server_that_dies_under_a_transaction_is_a_transient_error_too(
        self, database_url: str, lake: Lake
    ) -> None:
        lake.append("raw.rows", pa.table({"a": [1]}))
        with pytest.raises(TransientError), lake.write("raw.rows") as connection:
            connection.execute("insert into raw.rows values (2)")
            end_all_sessions(database_url)
        with pytest.raises(TransientError), lake.connect(read_only=True) as connection:
            connection.begin()
            connection.execute("from raw.rows").fetchall()
            end_all_sessions(database_url)
            connection.execute("from raw.rows").fetchall()
        assert lake.query("from raw.rows").to_pylist() == [{"a": 1}]

    @pytest.mark.parametrize(
        "words",
        [
            "IO Error: Unable to connect to Postgres at dbname=x",
            "TransactionContext Error: Failed to get data file list from DuckLake: Current transaction is aborted "
            "(please ROLLBACK)",
        ],
    )
    def test_what_duckdb_says_of_a_catalog_that_went_is_understood(self, words: str) -> None:
        assert is_away(duckdb.TransactionException(words))

    def test_a_transaction_that_failed_by_itself_is_no_absence(self) -> None:
        assert not is_away(duckdb.TransactionException("Current transaction is aborted (please ROLLBACK)"))

    def test_a_server_that_dies_while_a_lock_is_waited_for_is_a_transient_error_too(self, database_url: str) -> None:
        def wait() -> None:
            with locks.table_lock(database_url, "raw.a", shared=True):
                pass

        with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("select pg_advisory_lock(%s)", [locks.lock_key("raw.a")])
            waiting = pool.submit(wait)
            while not end_all_sessions(database_url, but=connection.info.backend_pid):
                time.sleep(0.02)
            with pytest.raises(TransientError):
                waiting.result(timeout=20)

    def test_other_errors_stay_what_they_are(self, lake: Lake) -> None:
        with pytest.raises(duckdb.CatalogException):
            lake.query("from raw.nothing")
        with pytest.raises(RuntimeError, match="server closed the connection"), lake.connect():
            raise RuntimeError("server closed the connection, says somebody else")
