"""What `leadpipe up` refuses before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadpipe import readiness
from leadpipe.cli import main

READY = {
    "SENDING": "live",
    "FUB_API_KEY": "fka_invented",
    "PUBLIC_BASE_URL": "https://hooks.demo-realty.example",
    "BROKERAGE_NAME": "Demo Realty",
    "POSTAL_ADDRESS": "1 Example Street, Austin, TX 78701",
    "EMAIL_FROM": "Demo Realty <hello@demo-realty.example>",
    "REPLY_DOMAIN": "in.demo-realty.example",
    "UNSUBSCRIBE_SECRET": "test-unsubscribe-secret",
    "FUB_WEBHOOK_TOKEN": "test-webhook-token",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a ``.env``, and an environment that says nothing."""
    for name in [name for name in os.environ if name.startswith("LEADPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_live_with_nothing_set_names_everything_and_starts_nothing(folder: Path) -> None:
    (folder / ".env").write_text("LEADPIPE_SENDING=live\n")
    done = CliRunner().invoke(main.app, ["up"])
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.splitlines()
    assert line.startswith("LEADPIPE_SENDING=live refuses to start; missing: ")
    for name in ("FUB_API_KEY", "PUBLIC_BASE_URL=http://127.0.0.1:8801", *map(str.upper, readiness.NEEDED)):
        assert f"LEADPIPE_{name}" in line
    assert not (folder / ".leadpipe").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, "") for name in READY if name not in {"SENDING", "PUBLIC_BASE_URL"}]
    + [("PUBLIC_BASE_URL", "https://127.0.0.1:8801"), ("PUBLIC_BASE_URL", "http://hooks.demo-realty.example")],
)
def test_live_misses_each_setting_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    for key, text in (READY | {name: value}).items():
        monkeypatch.setenv(f"LEADPIPE_{key}", text)
    done = CliRunner().invoke(main.app, ["up"])
    assert done.exit_code == 2, done.output
    assert [key for key in READY if f"LEADPIPE_{key}" in done.stderr] == ["SENDING", name]
    assert not (folder / ".leadpipe").exists()


def test_live_with_all_of_them_gets_past_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, text in (READY | {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}).items():
        monkeypatch.setenv(f"LEADPIPE_{key}", text)
    monkeypatch.setattr("leadpipe.cli.up._refuse_taken_ports", lambda _: None)
    done = CliRunner().invoke(main.app, ["up"])
    assert done.exit_code == 2, done.output
    assert "PostgreSQL does not answer" in done.stderr
