"""``leadpipe sandbox``: served alone in a process of its own, its clock in step with the ledger's."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from leadpipe.cli.main import app
from leadpipe.clock import LedgerClock, read_offset, set_offset
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.control import SandboxControl, jump_all, note_url, noted_url
from leadpipe.sandbox.environment import sandbox_environment
from leadpipe.settings import Sending, Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

runner = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("LEADPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LEADPIPE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Any:
    return runner.invoke(app, ["sandbox", *words], env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def process(home: Path) -> Generator[tuple[str, dict[str, Any], subprocess.Popen[str]]]:
    """The real command in its own process, with a few people in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A .env must not be read, whatever it says.
    (home / ".env").write_text("LEADPIPE_SENDING=live\nLEADPIPE_FUB_BASE_URL=http://127.0.0.1:1\n")
    command = [sys.executable, "-m", "leadpipe.cli.main", "sandbox", "--port", str(port), "--aged", "30",
               "--people", "2", "--over", "0.2", "--json"]  # fmt: skip
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home)
    assert child.stdout is not None and child.stderr is not None
    line = child.stdout.readline()
    yield f"http://127.0.0.1:{port}", json.loads(line), child
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert errors == ""


def test_it_serves_alone_says_how_to_reach_it_and_jumps(
    home: Path, process: tuple[str, dict[str, Any], subprocess.Popen[str]]
) -> None:
    url, told, _ = process
    assert told["url"] == url
    assert told["environment"]["LEADPIPE_FUB_BASE_URL"] == f"{url}/fub/v1"
    until = time.monotonic() + 30
    summary: dict[str, Any] = {}
    with httpx.Client(verify=False) as http:  # loopback, no TLS
        while summary.get("leads_new") != 2:
            assert time.monotonic() < until
            with suppress(httpx.ConnectError):
                summary = http.get(f"{url}/_truth/summary").json()
            time.sleep(0.05)
    assert summary["people"] == 32
    before = run("clock", "--json")
    assert before.exit_code == 0
    assert json.loads(before.stdout)["now"].startswith("2026-05-12T15:0")
    after = run("clock", "+1d2h", "--json")
    assert json.loads(after.stdout)["now"].startswith("2026-05-13T17:0")
    assert json.loads(after.stdout)["ledger_offset_seconds"] is None
    assert "none runs here" in run("clock").stdout


def test_the_environment_it_prints_is_a_sandbox_that_leadpipe_accepts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SandboxConfig(base_url="http://127.0.0.1:8899", gateway_url="http://127.0.0.1:8898")
    for name, value in sandbox_environment(config).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.sending is Sending.SANDBOX
    assert {name for name in settings.provider_urls if "8899" not in settings.provider_urls[name]} == set()
    assert settings.public_base_url == "http://127.0.0.1:8898"
    assert settings.fub_system_key.get_secret_value() == config.fub_system_key
    unknown = {name for name in sandbox_environment(config) if name[9:].lower() not in Settings.model_fields}
    assert unknown == set()


def test_a_jump_brings_the_ledger_into_step_whatever_it_said_before(start: Any, ledger_engine: Engine) -> None:
    sandbox = start()
    set_offset(ledger_engine, timedelta(hours=-3))
    told = jump_all(sandbox.control, ledger_engine, timedelta(days=1))
    assert abs(read_offset(ledger_engine) - told.offset) < timedelta(milliseconds=1)
    assert abs(LedgerClock(ledger_engine).now() - sandbox.world.sandbox.now()) < timedelta(seconds=1)
    jump_all(sandbox.control, None, timedelta(hours=1))
    assert read_offset(ledger_engine) == told.offset


def test_a_process_that_moves_the_clock_sees_it_at_once(ledger_engine: Engine) -> None:
    clock = LedgerClock(ledger_engine)
    for days in (30, -200, 0):
        clock.now()
        set_offset(ledger_engine, timedelta(days=days))
        assert abs(clock.now() - datetime.now(UTC) - timedelta(days=days)) < timedelta(seconds=30)


def test_the_command_moves_both_and_tells_when_they_are_apart(
    home: Path, start: Any, ledger_engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = start()
    monkeypatch.setenv("LEADPIPE_DATABASE_URL", database_url)
    note_url(home, sandbox.url)
    apart = run("clock")
    assert apart.exit_code == 0
    assert re.search(r"ledger: [+-]\d+ s away", apart.stdout)
    jumped = run("clock", "+1d")
    assert "Wednesday, 2026-05-13 15:0" in jumped.stdout
    assert "in step" in jumped.stdout
    assert "in step" in run("clock").stdout
    assert "in step" in run("clock", "+0s", "--url", sandbox.url).stdout


def test_without_a_sandbox_it_says_where_it_looked_and_what_to_do(home: Path) -> None:
    note_url(home, "http://127.0.0.1:9")
    answer = run("clock", "+1d")
    assert answer.exit_code == 2
    assert "http://127.0.0.1:9" in answer.stderr and "leadpipe sandbox" in answer.stderr


def test_wrong_use_is_told(home: Path) -> None:
    for words in (("clock", "yesterday"), ("clock", "--", "-1d"), ("--people", "-3"), ("--port", "0")):
        answer = run(*words)
        assert answer.exit_code == 2, words
    assert "+1d" in run("clock", "yesterday").stderr


def test_help_has_an_example(home: Path) -> None:
    assert "leadpipe sandbox --people 50" in run("--help").stdout
    assert "leadpipe sandbox clock +1d" in run("clock", "--help").stdout


def test_the_noted_address(home: Path) -> None:
    from leadpipe.errors import ConfigurationError

    assert noted_url(home) == "http://127.0.0.1:8800"
    note_url(home, "http://127.0.0.1:1234")
    assert noted_url(home) == "http://127.0.0.1:1234"
    (home / "sandbox.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="--url"):
        noted_url(home)


def test_a_port_that_is_taken_is_said_and_ends_it(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "leadpipe.cli.main", "sandbox", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=60, check=False)
    assert done.returncode != 0
    assert port in done.stderr


def test_the_control_client_closes(start: Any) -> None:
    sandbox = start()
    with SandboxControl(sandbox.url) as control:
        assert control.summary()["people"] == 0


def test_the_documentation_names_every_control_act_and_setting_switch() -> None:
    from leadpipe.sandbox.population.agents import ACTS
    from leadpipe.sandbox.world import World

    text = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    routes = {getattr(route, "path", "") for route in World(SandboxConfig()).routes()}
    controls = {path.rpartition("/")[2] for path in routes if path.startswith("/_control/")}
    assert {name for name in controls if f"`{name}`" not in text and f"/_control/{name}" not in text} == set()
    assert {path for path in routes if path.startswith("/_truth/") and path not in text} == set()
    assert {act for act in ACTS if act not in text} == set()
    named = re.findall(r"`(fub_\w+_works?)`", text)
    assert named and set(named) <= set(SandboxConfig.model_fields)
