"""`leadpipe backup`, `restore` and `sending take-over`: what they say, and what they do only when told twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from leadpipe.cli import checks_stores, main
from leadpipe.messaging import right
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.store.lake import Lake

Command = Callable[..., Result]


@pytest.fixture
def command(settings: Settings, ledger_engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """A function that runs ``leadpipe`` with these words on this test's system; keywords are further variables."""

    def run(*words: str, **variables: str) -> Result:
        for name in ("home", "database_url", "lake_path"):
            monkeypatch.setenv(f"LEADPIPE_{name.upper()}", str(getattr(settings, name)))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        return CliRunner().invoke(main.app, list(words))

    return run


@pytest.fixture
def elsewhere(ledger_engine: Engine) -> None:
    """The ledger is a copy: it names another server."""
    with ledger_engine.begin() as connection:
        connection.execute(
            text("update ledger.controls set value = jsonb_set(value, '{place,server}', '\"1\"') where key = :key"),
            {"key": right.KEY},
        )


def test_a_pair_of_keys_backs_up_and_restores_a_system(
    command: Command, lake: Lake, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    keys = json.loads(command("backup", "--new-key", "--json").stdout)
    without = command("backup", str(tmp_path))
    assert (without.exit_code, "--new-key" in without.stderr) == (2, True)
    done = command("backup", str(tmp_path), "--json", LEADPIPE_BACKUP_KEY=keys["public"])
    assert done.exit_code == 0, done.stderr
    (path,) = tmp_path.glob("leadpipe-*.leadpipe.age")
    assert json.loads(done.stdout)["path"] == str(path)

    place = {
        "LEADPIPE_HOME": str(tmp_path / "new"),
        "LEADPIPE_DATABASE_URL": new_database("template0"),
        "LEADPIPE_LAKE_PATH": str(tmp_path / "lake"),
    }
    sealed_only = command("restore", str(path), **place)
    assert (sealed_only.exit_code, "public key" in sealed_only.stderr) == (2, True)
    no_file = command("restore", str(tmp_path / "none"), **place, LEADPIPE_BACKUP_KEY=keys["secret"])
    assert (no_file.exit_code, "is no file" in no_file.stderr) == (2, True)
    done = command("restore", str(path), **place, LEADPIPE_BACKUP_KEY=keys["secret"])
    assert done.exit_code == 0, done.stderr
    assert "Nobody has the right to send" in done.stdout
    with psycopg.connect(place["LEADPIPE_DATABASE_URL"]) as connection:
        row = connection.execute("select value ->> 'restored_at' is not null from ledger.controls").fetchone()
    assert row == (True,)


@pytest.mark.usefixtures("elsewhere")
def test_a_copy_says_so_and_takes_the_right_only_with_yes(command: Command, settings: Settings) -> None:
    shown = command("sending", "status", "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["right"]["why_not"]) == (1, right.ELSEWHERE)
    runtime = Runtime(settings)
    finding = checks_stores.right_to_send(runtime)
    assert (finding.state, "copy" in finding.words, "take-over" in finding.cure) == ("wrong", True, True)

    first = command("sending", "take-over", "--silent-since", "2026-03-03T10:00-06:00")
    assert first.exit_code == 1
    assert "0 waiting messages were due before" in first.stdout
    assert "Nothing was done" in first.stdout
    assert json.loads(command("sending", "status", "--json").stdout)["right"]["may_send"] is False

    done = command("sending", "take-over", "--yes", "--by", "Bo", "--json")
    assert (done.exit_code, json.loads(done.stdout)["is_taken"]) == (0, True)
    found: dict[str, Any] = json.loads(command("sending", "status", "--json").stdout)["right"]
    assert (found["why_not"], found["taken_by"]) == (right.CATCHING_UP, "Bo")
    assert checks_stores.right_to_send(runtime).state == "note"
    runtime.close()
    assert "is here already" in command("sending", "take-over", "--yes").stdout


@pytest.mark.usefixtures("elsewhere")
def test_a_system_that_moved_sends_on_at_once(command: Command) -> None:
    done = command("sending", "take-over", "--nothing-lost", "--yes")
    assert (done.exit_code, "Nothing is in doubt" in done.stdout) == (0, True)
    shown = command("sending", "status")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("sending is on\nthe right to send is here")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--silent-since", "yesterday"), "no ISO time with a zone"),
        (("--silent-since", "2026-03-03T10:00"), "no ISO time with a zone"),
        (("--silent-since", "2026-03-03T10:00-06:00", "--nothing-lost"), "give one"),
    ],
)
def test_wrong_use_of_a_take_over_exits_2(command: Command, words: tuple[str, ...], says: str) -> None:
    done = command("sending", "take-over", *words)
    assert (done.exit_code, says in done.stderr) == (2, True)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("words", [("webhooks", "install"), ("webhooks", "remove")])
def test_a_copy_leaves_the_webhooks_of_the_account_alone(command: Command, words: tuple[str, ...]) -> None:
    done = command(*words)
    assert (done.exit_code, "take-over" in done.stderr) == (2, True)
