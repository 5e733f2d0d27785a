"""The commands that stop things work whatever else of the settings is wrong, and say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from leadpipe.cli import main
from leadpipe.cli.emergency import load_emergency_settings
from leadpipe.errors import ConfigurationError
from leadpipe.messaging import switch
from leadpipe.settings import Sending


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a ``.env``, and an environment that says nothing."""
    for name in [name for name in os.environ if name.startswith("LEADPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("content", "left_out"),
    [
        (b"LEADPIPE_RETENTION=foo\nLEADPIPE_CAP_PER_DAY=many\n", {"retention", "cap_per_day"}),
        (b"LEADPIPE_SENDING=live\nLEADPIPE_FUB_BASE_URL=http://127.0.0.1:1\n", {"sending"}),
        (b"LEADPIPE_BROKERAGE_NAME=Caf\xe9\n", set[str]()),
        (b"LEADPIPE_SENDING live\n", set[str]()),
    ],
)
def test_an_emergency_needs_home_and_database_only_and_tells_the_rest(
    folder: Path, content: bytes, left_out: set[str]
) -> None:
    (folder / ".env").write_bytes(content + b"LEADPIPE_HOME=mine\nLEADPIPE_DATABASE_URL=postgresql:///x\n")
    found = load_emergency_settings()
    assert (found.settings.home, found.settings.database_url) == (Path("mine"), "postgresql:///x")
    assert left_out <= found.left_out
    assert "settings are wrong: " in found.warning
    assert found.settings.sending is Sending.OFF


@pytest.mark.parametrize("line", [b"LEADPIPE_HOME mine\n", b"LEADPIPE_DATABASE_URL=postgresql://caf\xe9/x\n"])
def test_an_emergency_never_acts_on_another_home_than_the_one_that_was_meant(folder: Path, line: bytes) -> None:
    (folder / ".env").write_bytes(line)
    with pytest.raises(ConfigurationError, match="line 1"):
        load_emergency_settings()


def test_settings_that_are_right_are_no_emergency(folder: Path) -> None:
    (folder / ".env").write_text("LEADPIPE_CAP_PER_DAY=7\n")
    found = load_emergency_settings()
    assert (found.settings.cap_per_day, found.warning, found.left_out) == (7, "", frozenset())


def test_the_kill_switch_works_beside_a_wrong_setting_and_warns_of_it(
    folder: Path, ledger_engine: Engine, database_url: str, server_home: Path
) -> None:
    lines = (f"LEADPIPE_HOME={server_home}", f"LEADPIPE_DATABASE_URL={database_url}", "LEADPIPE_SENDING=lvie")
    (folder / ".env").write_text("\n".join((*lines, "LEADPIPE_PLANS_PATH=/nowhere", "")))
    stopped = CliRunner().invoke(main.app, ["sending", "stop"])
    assert (stopped.exit_code, stopped.stdout.split(" since")[0]) == (0, "all sending is stopped"), stopped.output
    (line,) = stopped.stderr.splitlines()
    assert "LEADPIPE_SENDING: write off, allowlist, sandbox or live, not 'lvie'" in line
    assert line.endswith(f"this command goes on without what is wrong, in {server_home}")
    with ledger_engine.connect() as connection:
        assert switch.read(connection).is_stopped
    shown = CliRunner().invoke(main.app, ["sending", "status"])
    assert (shown.exit_code, "mode unknown" in shown.stdout) == (1, True), shown.output
    known = CliRunner().invoke(main.app, ["sending", "stop", "--plan", "conversation"])
    assert known.exit_code == 0, known.output
    unknown = CliRunner().invoke(main.app, ["sending", "stop", "--plan", "nosuch"])
    assert (unknown.exit_code, "/nowhere" in unknown.stderr.splitlines()[-1]) == (2, True)
    assert CliRunner().invoke(main.app, ["sending", "resume"]).exit_code == 2


def test_down_works_beside_a_wrong_setting(folder: Path) -> None:
    (folder / ".env").write_text("LEADPIPE_RETENTION=foo\n")
    done = CliRunner().invoke(main.app, ["down"])
    assert (done.exit_code, done.stdout) == (0, f"Nothing of {folder / '.leadpipe'} was running.\n"), done.output
    assert "LEADPIPE_RETENTION: write dry_run or on, not 'foo'" in done.stderr
