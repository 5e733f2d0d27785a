"""The mirror: no version of a row is lost, whoever writes meanwhile, and a hole is seen."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, insert, text

from leadpipe.audit.sources import SOURCES
from leadpipe.crm import watermark
from leadpipe.store import bootstrap
from leadpipe.store.lake import Lake
from leadpipe.store.mirror import PREFIX, differences, mirror
from leadpipe.store.tables.exchange import inbox, quarantine
from leadpipe.store.tables.mirrored import MIRRORED, NOT_MIRRORED
from leadpipe.store.tables.sending import decisions

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)
WRITERS = 3
ROWS_EACH = 120


@pytest.fixture
def empty_lake(lake: Lake) -> Lake:
    """A lake with its empty tables."""
    bootstrap.create_tables(lake)
    return lake


def decide(connection: Connection, person_id: int, plan: str = "p") -> None:
    connection.execute(insert(decisions).values(person_id=person_id, plan=plan, outcome="enqueued", at=NOW))


def write_slowly(engine: Engine, writer: int, stop: threading.Event) -> None:
    """Draw an id early and commit late, every second row in a transaction that waits for another."""
    for number in range(ROWS_EACH):
        with engine.connect() as connection, connection.begin() as transaction:
            decide(connection, writer * 1_000 + number)
            if number % 20 == 0:
                stop.wait(0.05)
            if number % 15 == 7:
                transaction.rollback()


def test_the_mirror_loses_no_row_of_writers_that_commit_out_of_order(ledger_engine: Engine, empty_lake: Lake) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write_slowly, ledger_engine, writer, stop) for writer in range(WRITERS)]
        rounds = 0
        while not all(writer.done() for writer in writers):
            mirror(ledger_engine, empty_lake, now=NOW)
            rounds += 1
        for writer in writers:
            writer.result()
    mirror(ledger_engine, empty_lake, now=NOW)

    with ledger_engine.connect() as connection:
        ours = sorted(connection.execute(text("select id from ledger.decisions")).scalars())
    theirs = sorted(row["id"] for row in empty_lake.query("select id from raw.ledger__decisions").to_pylist())
    assert rounds > 1, "the mirror ran beside the writers"
    assert len(ours) == WRITERS * (ROWS_EACH - len(range(7, ROWS_EACH, 15)))
    assert theirs == ours, "each once"


def test_a_transaction_that_is_still_open_holds_the_mark_back(ledger_engine: Engine, empty_lake: Lake) -> None:
    with ledger_engine.connect() as early, early.begin():
        decide(early, 1)
        with ledger_engine.begin() as late:
            decide(late, 2)
        assert mirror(ledger_engine, empty_lake, now=NOW).count_by_table["decisions"] == 0
    assert mirror(ledger_engine, empty_lake, now=NOW).count_by_table["decisions"] == 2


def test_an_update_makes_another_version_and_the_same_version_comes_once(
    ledger_engine: Engine, empty_lake: Lake
) -> None:
    row = {"source": "fub", "dedupe_key": "e1", "body": b"{}", "received_at": NOW}
    with ledger_engine.begin() as connection:
        connection.execute(insert(inbox).values(**row))
    mirror(ledger_engine, empty_lake, now=NOW)
    with ledger_engine.begin() as connection:
        connection.execute(text("update ledger.inbox set state = 'handled', handled_at = :now"), {"now": NOW})
    mirror(ledger_engine, empty_lake, now=NOW)
    assert mirror(ledger_engine, empty_lake, now=NOW).count_by_table["inbox"] == 0
    states = empty_lake.query("select state from raw.ledger__inbox order by xid").to_pylist()
    assert states == [{"state": "new"}, {"state": "handled"}]


def test_bodies_and_addresses_stay_in_the_ledger(ledger_engine: Engine, empty_lake: Lake) -> None:
    with ledger_engine.begin() as connection:
        connection.execute(insert(inbox).values(source="fub", dedupe_key="e1", body=b"{secret}", received_at=NOW))
        connection.execute(insert(quarantine).values(source="csv", record_key="1", reason="why", raw=b"secret", at=NOW))
    mirror(ledger_engine, empty_lake, now=NOW)
    for table, columns in NOT_MIRRORED.items():
        assert not set(columns) & set(empty_lake.query(f"from {PREFIX}{table}").column_names)
    assert empty_lake.query("select record_key, reason from raw.ledger__quarantine").num_rows == 1


def test_json_arrays_and_times_arrive_as_they_are(ledger_engine: Engine, empty_lake: Lake) -> None:
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.people (person_id, tags, place, crm_created_at, crm_updated_at, first_seen_at, "
                "refreshed_at) values (7, array['a','b'], '{\"zip\": \"78701\"}', :now, :now, :now, :now)"
            ),
            {"now": NOW},
        )
    mirror(ledger_engine, empty_lake, now=NOW)
    rows = empty_lake.query("select tags, place ->> '$.zip' as zip, crm_created_at, deleted_at from raw.ledger__people")
    assert rows.to_pylist() == [{"tags": "{a,b}", "zip": "78701", "crm_created_at": NOW, "deleted_at": None}]


def test_all_tables_come_in_one_commit_and_none_when_there_is_nothing(ledger_engine: Engine, empty_lake: Lake) -> None:
    with ledger_engine.begin() as connection:
        decide(connection, 1)
        connection.execute(insert(inbox).values(source="fub", dedupe_key="e1", body=b"{}", received_at=NOW))
    before = empty_lake.snapshot_id()
    mirror(ledger_engine, empty_lake, now=NOW)
    assert empty_lake.snapshot_id() == before + 1
    mirror(ledger_engine, empty_lake, now=NOW)
    assert empty_lake.snapshot_id() == before + 1


def test_a_large_backlog_is_appended_in_several_commits_and_the_mark_moves_at_the_end(
    ledger_engine: Engine, empty_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadpipe.store.mirror.BATCH_ROWS", 40)
    monkeypatch.setattr("leadpipe.store.mirror.CHUNK_ROWS", 25)
    with ledger_engine.begin() as connection:
        for number in range(110):
            decide(connection, number)
    before = empty_lake.snapshot_id()
    done = mirror(ledger_engine, empty_lake, now=NOW)
    assert done.count_by_table["decisions"] == 110
    assert empty_lake.snapshot_id() > before + 1
    assert differences(ledger_engine, empty_lake) == {}


def test_a_crash_between_commit_and_mark_repeats_versions_and_loses_none(
    ledger_engine: Engine, empty_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger_engine.begin() as connection:
        decide(connection, 1)

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(watermark, "write_int", crash)
        with pytest.raises(RuntimeError, match="killed"):
            mirror(ledger_engine, empty_lake, now=NOW)
    mirror(ledger_engine, empty_lake, now=NOW)
    rows = empty_lake.query("select id, xid from raw.ledger__decisions").to_pylist()
    assert len(rows) == 2
    assert rows[0] == rows[1], "the same version twice, which staging folds"
    assert differences(ledger_engine, empty_lake) == {}


def test_a_hole_a_stale_row_and_a_stranger_are_seen_and_counted(ledger_engine: Engine, empty_lake: Lake) -> None:
    with ledger_engine.begin() as connection:
        for number in range(5):
            decide(connection, number)
    mirror(ledger_engine, empty_lake, now=NOW)
    assert differences(ledger_engine, empty_lake) == {}
    with empty_lake.write("raw.ledger__decisions") as connection:
        connection.execute("delete from raw.ledger__decisions where person_id in (1, 2)")
        connection.execute("update raw.ledger__decisions set xid = xid - 1 where person_id = 3")
    # two are missing; of the stale one, the version that is there and the version that should be
    assert differences(ledger_engine, empty_lake) == {"decisions": 4}


def test_rows_written_since_the_mark_are_no_difference(ledger_engine: Engine, empty_lake: Lake) -> None:
    with ledger_engine.begin() as connection:
        connection.execute(insert(inbox).values(source="fub", dedupe_key="e1", body=b"{}", received_at=NOW))
    mirror(ledger_engine, empty_lake, now=NOW)
    with ledger_engine.begin() as connection:
        connection.execute(text("update ledger.inbox set state = 'handled'"))
        decide(connection, 1)
    assert differences(ledger_engine, empty_lake) == {}


def test_every_table_that_is_read_by_transaction_has_a_block_range_index(ledger_engine: Engine) -> None:
    """The mirror reads the mirrored ones so, and the sealer of the audit log its sources."""
    with ledger_engine.connect() as connection:
        indexed = set(
            connection.execute(
                text("select tablename from pg_indexes where schemaname = 'ledger' and indexdef like '%USING brin%'")
            ).scalars()
        )
    assert indexed == {*MIRRORED, *(source.table for source in SOURCES)}
