"""The doctor: exit codes, words and what it leaves as it found it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from leadpipe.cli import checks_machine, checks_stores
from leadpipe.cli.doctor import every_check, server_as_found
from leadpipe.cli.finding import Finding
from leadpipe.cli.main import app
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.store.server import EmbeddedServer
from tests.cli.doctoring import assert_wrong, diagnose, the_one


def test_doctor_exits_0_and_finds_nothing_wrong_when_all_is_right(right_settings: Settings) -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0, done.output
    assert "WRONG" not in done.output
    assert len([line for line in done.output.splitlines() if line.startswith(("ok", "note"))]) == len(every_check())
    assert right_settings.home.exists()


def test_doctor_exits_1_with_one_wrong_line_and_its_cure_when_one_thing_is_wrong(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    del right_settings
    monkeypatch.setenv("LEADPIPE_POSTAL_ADDRESS", "")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    (line,) = [line for line in done.output.splitlines() if line.startswith("WRONG")]
    assert "LEADPIPE_POSTAL_ADDRESS" in line
    assert "-> set them in .env" in line


def test_doctor_as_json_is_read_by_a_program(right_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    del right_settings
    monkeypatch.setenv("LEADPIPE_A2P_CAMPAIGN_ID", "")
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(done.output)
    assert (done.exit_code, found["ok"]) == (1, False)
    assert [row["check"] for row in found["checks"] if row["state"] == "wrong"] == ["SMS campaign"]


def test_settings_that_cannot_be_read_end_doctor_with_2_and_name_the_setting(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    del right_settings
    monkeypatch.setenv("LEADPIPE_CAP_PER_DAY", "many")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 2
    assert "LEADPIPE_CAP_PER_DAY" in done.output


def test_no_secret_is_printed_whatever_is_wrong(right_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    del right_settings
    wrong = {
        "LEADPIPE_FUB_API_KEY": "fka_secret_one",
        "LEADPIPE_FUB_SYSTEM_KEY": "secret-two",
        "LEADPIPE_TWILIO_AUTH_TOKEN": "secret-three",
        "LEADPIPE_OPENAI_API_KEY": "sk-secret-four",
        "LEADPIPE_DATABASE_URL": "postgresql://leadpipe:secret-five@127.0.0.1:1/leadpipe",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "secret" not in done.output.replace("LEADPIPE_UNSUBSCRIBE_SECRET", "").replace("_SECRET_ACCESS_KEY", "")


def test_a_check_that_breaks_is_a_finding_and_stops_no_other(right_settings: Settings) -> None:
    def broken(_: Runtime) -> Finding:
        raise KeyError("surprise")

    first, second = diagnose(right_settings, broken, checks_machine.disk)
    assert_wrong(first, says="KeyError", cure="report it")
    assert second.state == "ok"


def test_a_server_that_was_down_is_down_afterwards_unless_somebody_came_to_use_it(server_home: Path) -> None:
    home = server_home / "homes" / "doctors"
    settings = Settings.model_construct(home=home, database_url=None)
    server = EmbeddedServer(home)
    try:
        server.ensure_running()
        with server_as_found(settings):
            assert the_one(settings, checks_stores.database).state == "ok"
        assert server.status().is_running, "it ran before"
        server.stop()
        with server_as_found(settings):
            assert the_one(settings, checks_stores.database).state == "ok"
        assert not server.status().is_running
        with server_as_found(settings):
            url = server.ensure_running()
            shell = psycopg.connect(url)
        assert shell.execute("select 1").fetchone() == (1,)
        shell.close()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
