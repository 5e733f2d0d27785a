"""What the doctor says of PostgreSQL, ledger, lake, clock and switch."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest

from leadpipe.cli import checks_stores
from leadpipe.clock import set_offset
from leadpipe.messaging import switch
from leadpipe.runtime import Runtime
from leadpipe.settings import Sending, Settings
from leadpipe.store import extensions, ledger
from tests.cli.doctoring import assert_wrong, changed, diagnose, the_one


def test_a_home_where_nothing_was_set_up_is_told_and_nothing_is_created(
    right_settings: Settings, tmp_path: Path
) -> None:
    empty = changed(right_settings, home=tmp_path, database_url=None)
    found = diagnose(empty, *checks_stores.CHECKS)
    assert {finding.state for finding in found} == {"wrong"}
    assert "leadpipe up" in found[0].cure
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer_is_told_once_with_its_reason(right_settings: Settings) -> None:
    away = changed(right_settings, database_url="postgresql://leadpipe@127.0.0.1:1/leadpipe")
    database, ledger_line, *_ = diagnose(away, checks_stores.database, checks_stores.ledger, checks_stores.lake)
    assert_wrong(database, says="LEADPIPE_DATABASE_URL: connection", cure="start that server")
    assert_wrong(ledger_line, says="does not answer", cure="see the line `database`")


def test_an_empty_database_is_to_be_set_up(right_settings: Settings, server_url: str) -> None:
    empty = changed(right_settings, database_url=server_url)
    assert_wrong(the_one(empty, checks_stores.ledger), says="empty", cure="leadpipe up")


def test_an_older_schema_of_the_ledger_is_to_be_upgraded(
    right_settings: Settings, new_database: Callable[[str], str], ledger_template: str
) -> None:
    url = new_database(ledger_template)
    with psycopg.connect(url) as connection:
        connection.execute("update ledger.alembic_version set version_num = '0001'")
    old = changed(right_settings, database_url=url)
    assert_wrong(the_one(old, checks_stores.ledger), says=f"0001, wanted {ledger.head_revision()}", cure="leadpipe up")


def test_a_missing_extension_is_named(right_settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(extensions.folder(right_settings.home), extensions.folder(tmp_path))
    version = f"v{duckdb.__version__}"
    for file in extensions.folder(tmp_path).glob(f"{version}/*/httpfs.duckdb_extension"):
        file.unlink()
    found = the_one(changed(right_settings, home=tmp_path), checks_stores.extensions)
    assert_wrong(found, says="httpfs for DuckDB", cure="leadpipe up")


def test_a_lake_that_was_never_made_is_told(
    right_settings: Settings, new_database: Callable[[str], str], ledger_template: str, tmp_path: Path
) -> None:
    none = changed(right_settings, database_url=new_database(ledger_template), lake_path=str(tmp_path))
    assert_wrong(the_one(none, checks_stores.lake), says=str(tmp_path), cure="leadpipe up")


def test_a_table_that_the_lake_lacks_is_named(right_settings: Settings) -> None:
    runtime = Runtime(right_settings)
    with runtime.lake.write("raw.spend") as connection:
        connection.execute("alter table raw.spend rename to spend_away")
    try:
        assert_wrong(the_one(right_settings, checks_stores.lake), says="raw.spend", cure="leadpipe up")
    finally:
        with runtime.lake.write("raw.spend") as connection:
            connection.execute("alter table raw.spend_away rename to spend")
        runtime.close()


def test_a_simulated_calendar_is_wrong_where_real_people_are_reached_and_a_note_in_the_sandbox(
    right_settings: Settings,
) -> None:
    runtime = Runtime(right_settings)
    set_offset(runtime.engine, timedelta(days=-2, seconds=-0.3))
    try:
        assert the_one(right_settings, checks_stores.clock).state == "note"
        live = changed(right_settings, sending=Sending.LIVE)
        assert_wrong(the_one(live, checks_stores.clock), says="moved by 2 days back", cure="LEADPIPE_HOME")
    finally:
        set_offset(runtime.engine, timedelta(0))
        runtime.close()


def test_a_clock_that_is_off_is_found_by_the_databases(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_stores, "SKEW", timedelta(seconds=-1))
    assert_wrong(the_one(right_settings, checks_stores.clock), says="away from the database's", cure="NTP")


def test_stopped_sending_is_a_note_with_its_reason(right_settings: Settings) -> None:
    runtime = Runtime(right_settings)
    switch.stop(runtime.engine, now=runtime.clock.now(), reason="rehearsal")
    try:
        found = the_one(right_settings, checks_stores.switch)
        assert found.state == "note"
        assert "rehearsal" in found.words
        assert "resume" in found.cure
    finally:
        switch.resume(runtime.engine, now=runtime.clock.now(), stale_after=timedelta(days=1))
        runtime.close()
