"""A restored backup does not bring anybody back, and the scan reads what is encrypted."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pytest

from leadpipe.errors import ConfigurationError
from leadpipe.privacy import erasure_list
from leadpipe.privacy.erase import erase
from leadpipe.privacy.needles import Needles
from leadpipe.privacy.scan import scan
from leadpipe.store.lake import Lake
from tests.privacy.conftest import ADA, BOB, NOW, Place


def as_before_the_erasure(place: Place) -> None:
    """What a backup of before holds: nobody erased, no hashes, no salt."""
    for statement in (
        "delete from ledger.erased_addresses",
        "delete from ledger.erasures",
        "delete from ledger.suppressions where source = 'erased'",
        "delete from ledger.controls where key = 'erasure_salt'",
        "update ledger.people set erased_at = null, deleted_at = null, first_name = 'Ada', last_name = 'Quimby' "
        "where person_id = 7",
        "update ledger.contact_points set address = 'ada.quimby@mail.example' "
        "where id = (select min(id) from ledger.contact_points where kind = 'email')",
        "update ledger.messages set state = 'queued', code = null, body = 'Hi Ada' "
        "where step = 'more' and person_id = 7",
    ):
        place.run(statement)


def test_a_restored_backup_erases_again_before_anything_can_go_out(place: Place) -> None:
    runtime = place.runtime
    erase(runtime, 7, with_scan=False)
    listed = erasure_list.read(erasure_list.path_of(runtime.settings))
    assert [each.people for each in listed] == [(7,)]
    assert "quimby" not in erasure_list.path_of(runtime.settings).read_text().lower()
    as_before_the_erasure(place)
    gone = erasure_list.Listed(people=(70,), addresses=(), salt=listed[0].salt, at=NOW)

    with runtime.engine.begin() as connection:
        erasure_list.afterwards([*listed, gone])(connection, NOW)

    [queued] = place.ledger("select state from ledger.messages where step = 'more' and person_id = 7")
    assert queued.state == "cancelled"
    place.poll(ADA, {**BOB, "id": 70})
    assert place.ledger("select first_name from ledger.people where person_id = 70")[0].first_name == "", (
        "came after it"
    )
    assert erasure_list.unfinished(runtime.engine) == [7, 70]
    assert erasure_list.finish(runtime) == 2
    assert erasure_list.unfinished(runtime.engine) == []
    assert place.ledger("select first_name from ledger.people where person_id = 7")[0].first_name == ""
    with runtime.engine.begin() as connection:
        erasure_list.afterwards(listed)(connection, NOW)
    assert erasure_list.unfinished(runtime.engine) == [], "a backup of after knows it"


def test_a_list_that_is_damaged_or_of_another_system_is_not_passed_over(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "erasures.jsonl"
    assert erasure_list.read(path) == []
    path.write_text('{"people": [7], "addresses": [], "salt": "x", "at": "2026-03-03T16:00:00+00:00"}\n{"people"\n')
    with pytest.raises(ConfigurationError, match="line 2"):
        erasure_list.read(path)
    path.write_text(path.read_text().splitlines()[0])
    with place.runtime.engine.begin() as connection:
        from leadpipe.privacy import clear

        clear.ensure_salt(connection, now=NOW)
    with pytest.raises(ConfigurationError, match="of another system"), place.runtime.engine.begin() as connection:
        erasure_list.afterwards(erasure_list.read(path))(connection, NOW)


def test_a_lake_that_lies_apart_is_encrypted_and_the_scan_reads_it_by_the_catalogs_keys(
    place: Place, server_home: Path
) -> None:
    runtime, apart = place.runtime, server_home / "apart"
    with psycopg.connect(runtime.database_url, autocommit=True) as connection:
        connection.execute(b"drop schema lake_catalog cascade")
        connection.execute(b"create schema lake_catalog")
    lake = Lake(database_url=runtime.database_url, data_path=str(apart), home=runtime.settings.home)
    try:
        lake.set_up()
        lake.append("raw.rows", pa.table({"words": ["write to ada.quimby@mail.example"], "n": [1]}))
        [file] = apart.rglob("*.parquet")
        with pytest.raises(duckdb.Error, match="encrypt"):
            duckdb.sql(f"from read_parquet('{file}')").fetchall()
        assert lake.query("select words from raw.rows").num_rows == 1

        settings = runtime.settings.model_copy(update={"lake_path": str(apart)})
        found = scan(runtime.engine, lake, settings, Needles(literals=("ada.quimby@mail.example",)))
        assert any(name.startswith("file lake/raw/rows/") for name in found.found)
        with psycopg.connect(runtime.database_url, autocommit=True) as connection:
            connection.execute(b"update lake_catalog.ducklake_data_file set encryption_key = null")
        without = scan(runtime.engine, lake, settings, Needles(literals=("ada.quimby@mail.example",)))
        assert any("no key known" in part for part in without.not_looked_at)
    finally:
        shutil.rmtree(apart, ignore_errors=True)
