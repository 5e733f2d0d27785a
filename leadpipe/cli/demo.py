"""``leadpipe demo``: the whole system against the sandbox, with people in it.

What lives here: the command, its home, its settings, and the loop that shows and watches. What does not: what happens
during it (``demo_script``), the report (``report``), drawing (``live_view``).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing
from leadpipe.store.house_settings import DEMO_FILE, note_demo

if TYPE_CHECKING:
    from leadpipe.cli.demo_script import Script
    from leadpipe.cli.report import Report
    from leadpipe.cli.supervisor import Supervisor
    from leadpipe.sandbox.config import SandboxConfig

MARK = DEMO_FILE
# Settings of the user that a demo respects; every other one, and any key, is left outside.
KEPT = (
    "LEADPIPE_ZILLOW_FOLDER",
    "LEADPIPE_MARTS_EVERY_MINUTES",
    "LEADPIPE_LINGER_SECONDS",
    "LEADPIPE_SPEND_CSV",
)
FOREIGN = ("AWS_", "TWILIO_", "OPENAI_", "DAGSTER_", "DBT_")
SHORTEST_SECONDS = 80
VIEW_SECONDS = 2.0
LINE_SECONDS = 10.0


def demo(
    leads: Annotated[
        int | None, typer.Option(help="New leads that arrive; without it they keep arriving, about one in 4 s.", min=0)
    ] = None,
    aged: Annotated[int, typer.Option(help="Aged leads that are there from the start.", min=0)] = 1000,
    exit_after: Annotated[
        int | None,
        typer.Option(help="Seconds after which it ends by itself; without it, Ctrl-C ends it.", min=SHORTEST_SECONDS),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="File for the report, as JSON.", dir_okay=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the population.")] = 7,
) -> None:
    """Run everything against the sandbox: leads arrive, are answered, reply, opt out; aged ones are revived.

    Needs no account and no key, reads no .env, reaches nobody. Works in .leadpipe/demo, or in LEADPIPE_HOME if that is
    set; what was there of an earlier demo is removed first. Ends with 0 only if nothing was lost, sent twice, sent
    after an opt-out, left untouched, and no run failed. One that you stop is judged by what it sent alone.

    Example: leadpipe demo --leads 60 --aged 1000 --exit-after 180 --report report.json
    """
    started = time.monotonic()
    if report is not None and not os.access(report.absolute().parent, os.W_OK | os.X_OK):
        typer.echo(f"--report {report}: {report.absolute().parent} is no folder to write to", err=True)
        raise typer.Exit(2)
    with failing():
        result = _run(leads=leads, aged=aged, exit_after=exit_after, seed=seed, started=started)
        if result is None:
            return
    if report is not None:
        write_report(result, report)
    for complaint in result.complaints:
        typer.echo(f"not right: {complaint}", err=True)
    for remark in result.remarks:
        typer.echo(remark)
    raise typer.Exit(1 if result.complaints else 0)


def write_report(result: Report, path: Path) -> None:
    """Write the report, or print it where the file cannot be written: nobody wants to run a demo again for it.

    Raises:
        typer.Exit: with 2 when the file cannot be written.
    """
    words = json.dumps(result.as_json(), indent=2)
    try:
        path.write_text(words + "\n")
    except OSError as error:
        typer.echo(words)
        typer.echo(f"--report {path} cannot be written ({error.strerror}); it stands above", err=True)
        raise typer.Exit(2) from error


def _run(*, leads: int | None, aged: int, exit_after: int | None, seed: int, started: float) -> Report | None:
    from leadpipe.cli.database import database
    from leadpipe.cli.demo_script import Script
    from leadpipe.cli.demo_world import World
    from leadpipe.cli.services import free_port
    from leadpipe.cli.supervisor import stop_signals, supervising
    from leadpipe.cli.system import Ports, System
    from leadpipe.sandbox.config import SandboxConfig
    from leadpipe.setting_loading import load_settings

    home = demo_home()
    with stop_signals() as stop, supervising(home) as supervisor:
        clear_home(home)
        ports = Ports(gateway=free_port(8801), dagster=free_port(3000), code_server=free_port())
        sandbox_port = free_port(8800)
        config = SandboxConfig(
            base_url=f"http://127.0.0.1:{sandbox_port}", gateway_url=f"http://127.0.0.1:{ports.gateway}", seed=seed
        )
        enter_demo_world(home, config, ports)
        # Whoever looks at this demo or decides in it from another shell does so under its settings.
        note_demo(home, os.environ)
        settings = load_settings(env_file=None)
        with database(settings, supervisor) as url:
            system = System(settings=settings, supervisor=supervisor, database_url=url, ports=ports, without=FOREIGN)
            world = World(system=system, config=config)
            with world.closing():
                world.set_up(aged=aged, stop=stop, tell=typer.echo)
                if stop.is_set():
                    return None
                typer.echo(f"Live after {time.monotonic() - started:.0f} s.")
                typer.echo("\n".join(f"  {name:<12} {where}" for name, where in world.links.items()))
                script = Script(world=world, leads=leads, aged=aged, exit_after=exit_after, started=started)
                _play(script, supervisor, stop)
                typer.echo("Comparing what the sandbox knows with what leadpipe believes ...")
                return world.report(
                    reactivation=script.reactivation,
                    backfill=script.backfill,
                    failure=script.failure,
                    is_interrupted=stop.is_set(),
                )


def demo_home() -> Path:
    """Where the demo works: LEADPIPE_HOME when the environment names one, else ``.leadpipe/demo``."""
    return Path(os.environ.get("LEADPIPE_HOME") or Path(".leadpipe") / "demo").absolute()


def clear_home(home: Path) -> None:
    """Remove what an earlier demo left; the caller holds the home's lock.

    Raises:
        ConfigurationError: something else than a demo lives there.
    """
    from leadpipe.cli.supervisor import LOCK_FILE
    from leadpipe.errors import ConfigurationError
    from leadpipe.store.server import EmbeddedServer

    found = [entry for entry in home.iterdir() if entry.name != LOCK_FILE]
    if found and not (home / MARK).exists():
        raise ConfigurationError(
            f"{home} holds something else than a demo and a demo begins by emptying its home; "
            "set LEADPIPE_HOME to another folder, or unset it"
        )
    if (home / "pg").exists():
        EmbeddedServer(home).stop()
    for entry in found:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    (home / MARK).write_text(json.dumps({"made_by": "leadpipe demo"}))


def enter_demo_world(home: Path, config: SandboxConfig, ports: object) -> None:
    """Make this process's environment the sandbox's: no setting or key of the user's stays in it."""
    from leadpipe.cli.system import Ports
    from leadpipe.sandbox.environment import sandbox_environment

    assert isinstance(ports, Ports)
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    for name in [name for name in os.environ if name.startswith(("LEADPIPE_", *FOREIGN))]:
        del os.environ[name]
    os.environ |= sandbox_environment(config) | kept
    os.environ.setdefault("LEADPIPE_SPEND_CSV", str(_invented_spend(home, config)))
    os.environ |= {
        "LEADPIPE_HOME": str(home),
        "LEADPIPE_GATEWAY_PORT": str(ports.gateway),
        "LEADPIPE_DAGSTER_PORT": str(ports.dagster),
        # Five thousand aged leads are to be revived within minutes here, which no team should do.
        "LEADPIPE_CAP_PER_RUN": "20000",
        "LEADPIPE_CAP_PER_HOUR": "20000",
        "LEADPIPE_CAP_PER_DAY": "20000",
        "LEADPIPE_CAP_PER_NUMBER_PER_DAY": "20000",
        "LEADPIPE_CAP_PER_PLAN_PER_DAY": "20000",
        "LEADPIPE_WARM_UP": "false",
        # Its people report spam far more often than any real list may.
        "LEADPIPE_EMAIL_PAUSES": "false",
    }


def _invented_spend(home: Path, config: SandboxConfig) -> Path:
    """Two years of spending by source, so that ``marts.source_roi`` has something to divide by."""
    from leadpipe.sandbox.places import SOURCES

    path = home / "spend.csv"
    last = config.starts_at.year * 12 + config.starts_at.month - 1
    lines = [
        f"{month // 12}-{month % 12 + 1:02d},{source},{400 + 150 * number}.00"
        for month in range(last - 23, last + 1)
        for number, source in enumerate(SOURCES)
    ]
    path.write_text("\n".join(["month,source,spend_usd", *lines]) + "\n")
    return path


def _play(script: Script, supervisor: Supervisor, stop: threading.Event) -> None:
    """Show, watch and act until told to stop or the time is over."""
    with _view(script) as show:
        worker = threading.Thread(target=script.act, args=(stop,), daemon=True, name="demo-script")
        worker.start()
        while not stop.is_set() and not script.is_over:
            supervisor.watch()
            show()
            stop.wait(VIEW_SECONDS)
        script.finish(is_interrupted=stop.is_set())
        worker.join(timeout=30)
        show()


@contextmanager
def _view(script: Script) -> Generator[Callable[[], None]]:
    """A function that shows the present state: a picture in a terminal, a line now and then elsewhere."""
    from leadpipe.cli.live_view import draw

    if not sys.stdout.isatty():
        last = 0.0

        def say() -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_SECONDS:
                last = time.monotonic()
                typer.echo(script.world.snapshot().line)

        yield say
        return
    from rich.live import Live

    with Live(refresh_per_second=4, transient=False) as live:

        def paint() -> None:
            live.update(
                draw(script.world.snapshot(), links=script.world.links, told=script.told[-8:], clock=script.clock_words)
            )

        yield paint
