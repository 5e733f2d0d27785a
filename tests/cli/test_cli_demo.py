"""``leadpipe demo`` and ``leadpipe up`` at their edges: a report that cannot be written, work that fails, a stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner

from leadpipe.cli import demo_script
from leadpipe.cli import supervisor as supervisor_module
from leadpipe.cli.demo import write_report
from leadpipe.cli.demo_script import Script
from leadpipe.cli.main import app
from leadpipe.errors import TransientError
from tests.cli.test_cli_report import report


def test_a_report_into_a_folder_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", "--report", str(tmp_path / "nope" / "x.json")])
    assert (done.exit_code, "no folder to write to" in done.output) == (2, True)


def test_a_report_that_cannot_be_written_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        write_report(report(leads_new=41), tmp_path)
    assert '"leads_new": 41' in capsys.readouterr().out


def test_leads_keep_arriving_when_the_nights_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_script, "ENDLESS_WINDOW_SECONDS", 0)
    monkeypatch.setattr(demo_script, "BATCH_SECONDS", 0.01)
    arrived, enough = [], threading.Event()

    def populate(**batch: Any) -> None:
        arrived.append(batch)
        if len(arrived) > 2:
            enough.set()

    def refuse(_: str) -> str:
        raise TransientError("no runs today")

    world = SimpleNamespace(sandbox=SimpleNamespace(populate=populate), dagster=SimpleNamespace(launch_job=refuse))
    script = Script(world=cast("Any", world), leads=None, aged=1, exit_after=None, started=0.0)
    script.act(threading.Event())
    assert script.failure == "no runs today"
    assert enough.wait(10)
    script.finish(is_interrupted=True)


@pytest.mark.parametrize(
    ("leads", "exit_after", "words"),
    [
        (None, None, "new leads keep arriving, about one in 4 s"),
        (12, None, "12 new leads arrive over 180 s"),
        (None, 180, "30 new leads arrive over 120 s"),
    ],
)
def test_how_leads_arrive_is_told_as_it_is(leads: int | None, exit_after: int | None, words: str) -> None:
    stop = threading.Event()
    stop.set()
    world = SimpleNamespace(sandbox=SimpleNamespace(populate=lambda **_: None))
    script = Script(
        world=cast("Any", world), leads=leads, aged=0, exit_after=exit_after, started=time.monotonic() + 0.1
    )
    script.act(stop)
    assert words in script.told[0]


def test_up_that_is_stopped_while_it_starts_does_not_say_that_everything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @contextmanager
    def stopped() -> Generator[threading.Event]:
        stop = threading.Event()
        stop.set()
        yield stop

    def nothing(*_: object, **__: object) -> None: ...

    def system(**_: object) -> SimpleNamespace:
        ports = SimpleNamespace(gateway=0, dagster=0)
        acts = dict.fromkeys(("set_up", "start_gateway", "start_dagster", "stop_dagster"), nothing)
        return SimpleNamespace(home=tmp_path, ports=ports, **acts)

    monkeypatch.setenv("LEADPIPE_HOME", str(tmp_path))
    monkeypatch.setattr(supervisor_module, "stop_signals", stopped)
    monkeypatch.setattr("leadpipe.cli.database.database", lambda *_: nullcontext("postgresql://nowhere"))
    monkeypatch.setattr("leadpipe.cli.system.System", system)
    done = CliRunner().invoke(app, ["up"])
    assert done.exit_code == 0, done.output
    assert "Everything runs" not in done.output
    assert "Stopping" in done.output
