"""``leadpipe chaos``: kill everything, everywhere, and see whether a message was lost or sent twice.

What lives here: the command, its home and its output. What does not: the run (``leadpipe.chaos``).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.chaos.verdict import Verdict

AGED_FOR_EACH_KILL = 6
LEADS_FOR_EACH_KILL = 1.0
FEWEST_AGED, FEWEST_LEADS = 60, 10
# The marts have no part in sending; their builds would take a machine of two cores from those who have.
MARTS_EVERY_MINUTES = "59"


def chaos(
    kills: Annotated[int, typer.Option(help="Processes to kill.", min=0)] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the script, the faults and the population.")] = 7,
    workers: Annotated[int, typer.Option(help="Send workers beside each other.", min=1, max=16)] = 4,
    aged: Annotated[int | None, typer.Option(help="Aged leads; by default six for each kill.", min=1)] = None,
    leads: Annotated[int | None, typer.Option(help="New leads; by default one for each kill.", min=0)] = None,
    without_dagster: Annotated[
        bool,
        typer.Option(
            "--without-dagster",
            help="One plain process does what Dagster's runs do, and is killed in their place. A run of 20 kills then "
            "takes a minute.",
        ),
    ] = False,
    bound: Annotated[float, typer.Option(help="Seconds that the end may take, after the last kill.", min=0)] = 300.0,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the home, its database and its logs.")] = False,
    without_safeguard: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave a safeguard out, to see that duplicates are noticed: attempt_commit or row_lock.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Kill a running system's processes at every step, under failing providers, and compare what it did with the truth.

    Runs a sandbox, PostgreSQL, the gateway, Dagster and send workers in a temporary home; reads no .env and reaches
    nobody. Ends with 1 when a message was lost, sent twice, sent after an opt-out, or left without an answer. The home
    is then kept and named.

    Example: leadpipe chaos --kills 200 --seed 3 --json
    """
    with failing(), _home() as home:
        verdict = _run(
            home,
            workers=workers,
            with_dagster=not without_dagster,
            without=tuple(without_safeguard or ()),
            plan={
                "kills": kills,
                "seed": seed,
                "bound_seconds": bound,
                "aged": aged or max(FEWEST_AGED, kills * AGED_FOR_EACH_KILL),
                "leads": max(FEWEST_LEADS, int(kills * LEADS_FOR_EACH_KILL)) if leads is None else leads,
            },
        )
    is_kept = keep or bool(verdict.complaints)
    if not is_kept:
        shutil.rmtree(home, ignore_errors=True)
    _print(verdict, as_json=as_json)
    for complaint in verdict.complaints:
        typer.echo(f"not right: {complaint}", err=True)
    if is_kept:
        typer.echo(f"kept: {home}", err=True)
    raise typer.Exit(1 if verdict.complaints else 0)


@contextmanager
def _home() -> Generator[Path]:
    """A new home; one whose run did not come to an end is kept and named."""
    home = Path(tempfile.mkdtemp(prefix="leadpipe-chaos-"))
    home.chmod(0o755)  # the account that PostgreSQL runs as must enter it
    try:
        yield home
    except BaseException:
        typer.echo(f"kept: {home}", err=True)
        raise


def _run(home: Path, *, workers: int, with_dagster: bool, without: tuple[str, ...], plan: dict[str, Any]) -> Verdict:
    from leadpipe.chaos.load import hurried_plans
    from leadpipe.chaos.run import Plan, run
    from leadpipe.chaos.world import ChaosWorld
    from leadpipe.cli.database import database
    from leadpipe.cli.demo import FOREIGN, enter_demo_world
    from leadpipe.cli.services import free_port
    from leadpipe.cli.supervisor import stop_signals, supervising
    from leadpipe.cli.system import Ports, System
    from leadpipe.sandbox.config import SandboxConfig
    from leadpipe.setting_loading import load_settings

    with stop_signals() as stop, supervising(home) as supervisor:
        _log_into(home / "chaos.log")
        ports = Ports(gateway=free_port(), dagster=free_port(), code_server=free_port())
        config = SandboxConfig(
            base_url=f"http://127.0.0.1:{free_port()}",
            gateway_url=f"http://127.0.0.1:{ports.gateway}",
            seed=plan["seed"],
        )
        os.environ.pop("LEADPIPE_ZILLOW_FOLDER", None)
        enter_demo_world(home, config, ports)
        os.environ["LEADPIPE_MARTS_EVERY_MINUTES"] = MARTS_EVERY_MINUTES
        os.environ["LEADPIPE_PLANS_PATH"] = str(hurried_plans(home / "plans"))
        settings = load_settings(env_file=None)
        with database(settings, supervisor, watch_seconds=0.2) as url:
            world = ChaosWorld(
                system=System(settings=settings, supervisor=supervisor, database_url=url, ports=ports, without=FOREIGN),
                config=config,
                count_workers=workers,
                with_dagster=with_dagster,
                without=without,
            )
            with world.closing():
                return run(world, Plan(**plan), stop=stop, tell=_telling())


def _telling() -> Callable[[str], None]:
    """Progress on stderr, with the seconds since the beginning."""
    started = time.monotonic()
    return lambda words: typer.echo(f"{time.monotonic() - started:5.0f} s  {words}", err=True)


def _log_into(path: Path) -> None:
    """Deaths by the hundred would hide everything else; they go into a file."""
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(path.open("a", buffering=1)))


def _print(verdict: Verdict, *, as_json: bool) -> None:
    from leadpipe.chaos.run import as_json as rows

    if as_json:
        sys.stdout.write(json.dumps(rows(verdict)) + "\n")
        return
    for name, value in rows(verdict).items():
        shown = ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else value
        typer.echo(f"{name:<24}{shown}")
