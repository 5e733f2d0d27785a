"""Commands where nothing was set up or PostgreSQL is away: one line, code 2, no server made, no password told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadpipe.cli import main

COMMANDS = (
    ("sending", "stop"),
    ("sending", "status"),
    ("sending", "resume"),
    ("messages", "list"),
    ("conversation", "show", "42"),
    ("inbox", "list"),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("LEADPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADPIPE_HOME", str(tmp_path / "new"))
    return tmp_path / "new"


@pytest.mark.parametrize("words", [*COMMANDS, ("send-worker", "--exit-after", "1")], ids=" ".join)
def test_a_home_that_was_never_set_up_gets_no_server(words: tuple[str, ...], home: Path) -> None:
    done = CliRunner().invoke(main.app, list(words))
    assert done.exit_code == 2, done.output
    assert done.stderr.splitlines()[-1].startswith(f"nothing is set up in {home}; run `leadpipe up`")
    assert not home.exists()


@pytest.mark.parametrize("words", [*COMMANDS, ("sandbox", "clock", "--url", "http://127.0.0.1:1")], ids=" ".join)
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:s3cret@127.0.0.1:1/x", ("PostgreSQL does not answer", "127.0.0.1")),
        ("mysql://u:s3cret@127.0.0.1:1/x", ("LEADPIPE_DATABASE_URL", "postgresql://")),
    ],
)
def test_a_database_that_is_away_or_of_another_kind_is_one_line(
    words: tuple[str, ...], url: str, says: tuple[str, ...], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADPIPE_DATABASE_URL", url)
    done = CliRunner().invoke(main.app, list(words))
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.splitlines()
    if "sandbox" not in words or url.startswith("mysql"):
        assert all(part in line for part in says), line
    assert "s3cret" not in done.output
    assert not home.exists()


def test_an_empty_database_is_told_to_be_set_up(server_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _, after = server_url.partition("?")
    monkeypatch.setenv("LEADPIPE_DATABASE_URL", f"{before.rpartition('/')[0]}/postgres?{after}")
    done = CliRunner().invoke(main.app, ["messages", "list"])
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("no ledger is set up in this database")
    assert not home.exists()
