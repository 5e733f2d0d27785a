"""A live system that is not ready starts by no door, and what stops or only looks goes on working beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from click.testing import Result
from sqlalchemy import Engine
from typer.testing import CliRunner

from leadpipe.cli import checks_machine, doctor, main
from leadpipe.errors import ConfigurationError
from leadpipe.messaging import switch
from leadpipe.readiness import missing, refuse_unready
from leadpipe.runtime import Runtime, open_runtime
from resources.runtime import LeadpipeResource
from sensors.first_touch import first_touch, new_leads
from sensors.polling import poll_job
from sensors.sending import due_messages, send_due
from tests.cli.test_cli_up import READY

NOWHERE = "postgresql://127.0.0.1:1/x"
DOORS = [("gateway",), ("send-worker", "--exit-after", "1")]
JOBS = [first_touch, send_due, poll_job]
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a ``.env``, and a live system over http without a postal address."""
    for name in [name for name in os.environ if name.startswith("LEADPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    unready = {"POSTAL_ADDRESS": "", "PUBLIC_BASE_URL": "http://hooks.demo-realty.example", "DATABASE_URL": NOWHERE}
    for name, value in (READY | unready).items():
        monkeypatch.setenv(f"LEADPIPE_{name}", value)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Runtime]:
    """The runtimes that a gateway would have served."""
    seen: list[Runtime] = []
    monkeypatch.setattr("leadpipe.gateway.app.serve", lambda runtime, **_: seen.append(runtime))
    return seen


@pytest.fixture
def run() -> Run:
    return lambda *words: CliRunner().invoke(main.app, list(words))


@pytest.fixture
def words() -> str:
    """The one refusal, as a function gives it."""
    with pytest.raises(ConfigurationError) as refused:
        refuse_unready(open_runtime().settings)
    return str(refused.value)


@pytest.mark.parametrize("door", [("up",), *DOORS], ids=" ".join)
def test_every_command_that_starts_a_service_refuses_with_the_same_words(
    door: tuple[str, ...], run: Run, served: list[Runtime], words: str, folder: Path
) -> None:
    done = run(*door)
    assert (done.exit_code, done.stderr.splitlines()) == (2, [words]), done.output
    assert words.startswith("LEADPIPE_SENDING=live refuses to start; missing: LEADPIPE_POSTAL_ADDRESS (")
    assert "LEADPIPE_PUBLIC_BASE_URL=http:" in words
    assert not served
    assert not (folder / ".leadpipe").exists()


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_run_that_sends_refuses_with_the_same_words_and_touches_nothing(
    job: dg.JobDefinition, words: str
) -> None:
    """The ledger is nowhere: a run that had looked at it would say so."""
    with pytest.raises(ConfigurationError) as refused:
        job.execute_in_process(resources={"leadpipe": LeadpipeResource.of(open_runtime())})
    assert str(refused.value) == words


@pytest.mark.parametrize("sensor", [new_leads, due_messages], ids=lambda sensor: sensor.name)
def test_a_sensor_says_it_too_and_starts_no_run_that_would_refuse(sensor: dg.SensorDefinition, words: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, resources={"leadpipe": LeadpipeResource.of(open_runtime())}
        )
        with pytest.raises(ConfigurationError) as refused:
            sensor(context)
    assert str(refused.value) == words


def test_a_gateway_of_a_ready_system_serves(run: Run, served: list[Runtime], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in READY.items():
        monkeypatch.setenv(f"LEADPIPE_{name}", value)
    assert run("gateway").exit_code == 0
    assert len(served) == 1


@pytest.mark.parametrize("sending", ["off", "allowlist"])
def test_what_is_not_live_starts_with_whatever_it_has(
    sending: str, run: Run, served: list[Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADPIPE_SENDING", sending)
    assert run("gateway").exit_code == 0
    assert len(served) == 1


def test_the_kill_switch_works_in_a_live_system_that_is_not_ready(
    run: Run, ledger_engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADPIPE_DATABASE_URL", database_url)
    stopped = run("sending", "stop", "--reason", "not ready")
    assert (stopped.exit_code, stopped.stderr) == (0, ""), stopped.output
    with ledger_engine.connect() as connection:
        assert switch.read(connection).is_stopped
    shown = run("sending", "status")
    assert (shown.exit_code, shown.stderr) == (1, ""), "exit 1 is the stop's own"
    assert "mode live" in shown.stdout
    assert run("sending", "resume").exit_code == 0


def test_down_stops_a_live_system_that_is_not_ready(run: Run, folder: Path) -> None:
    done = run("down")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    assert str(folder / ".leadpipe") in done.stdout


def test_doctor_looks_at_a_live_system_that_is_not_ready_and_names_what_is_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the checks that would ask real providers.
    monkeypatch.setattr(doctor, "every_check", lambda _: [checks_machine.settings])
    done = run("doctor")
    assert (done.exit_code, done.stderr) == (1, ""), done.output
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert "LEADPIPE_POSTAL_ADDRESS" in line
    assert "LEADPIPE_PUBLIC_BASE_URL=http:" in line


@pytest.mark.parametrize(
    ("address", "licences", "is_told"),
    [
        ("1 Example Street, Austin, TX 78701", "", False),
        ("1 Example Street, Austin", "", True),
        ("1 Example Street, Austin", "TX=9001234", False),
    ],
)
def test_a_team_that_shows_no_state_is_told_before_every_message_about_a_home_waits(
    monkeypatch: pytest.MonkeyPatch, address: str, licences: str, is_told: bool
) -> None:
    monkeypatch.setenv("LEADPIPE_POSTAL_ADDRESS", address)
    monkeypatch.setenv("LEADPIPE_LICENCES", licences)
    told = [each for each in missing(open_runtime().settings) if each.startswith("LEADPIPE_LICENCES")]
    assert bool(told) is is_told
