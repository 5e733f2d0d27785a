"""``leadpipe sandbox``: the fake providers alone, and the jump of their clock.

What lives here: arguments and printing. What does not: the sandbox (``leadpipe.sandbox``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from leadpipe.cli.failing import failing
from leadpipe.errors import LeadpipeError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.settings import Settings

app = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Port on the loopback.", min=1, max=65535)] = 8800,
    gateway: Annotated[
        str, typer.Option(help="Where leadpipe's gateway listens: callbacks, replies and events go there.")
    ] = "http://127.0.0.1:8801",
    people: Annotated[int, typer.Option(help="New people to arrive once it runs.", min=0)] = 0,
    aged: Annotated[int, typer.Option(help="People of the last three years, there from the start.", min=0)] = 0,
    over: Annotated[float, typer.Option(help="Seconds over which the new people arrive.", min=0)] = 240.0,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 7,
    zillow_folder: Annotated[
        Path | None, typer.Option(help="Folder of Zillow Research files to serve as they are.", exists=True)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve Follow Up Boss, Twilio, SES, SNS, OpenAI, Bridge and Zillow Research on one local port.

    Prints the settings with which leadpipe talks to it. Reads no .env and no key of yours. Ends with Ctrl-C.

    Example: leadpipe sandbox --people 50 --aged 1000
    """
    if context.invoked_subcommand is not None:
        return
    from leadpipe.sandbox.app import create_app, run
    from leadpipe.sandbox.config import SandboxConfig
    from leadpipe.sandbox.control import note_url
    from leadpipe.sandbox.environment import sandbox_environment

    url = f"http://127.0.0.1:{port}"
    config = SandboxConfig(base_url=url, gateway_url=gateway, seed=seed, zillow_folder=zillow_folder)
    try:
        settings = _settings()
        world = create_app(config, population={"new": people, "aged": aged, "seconds": over})
        note_url(settings.home, url)
    except LeadpipeError as error:
        _fail(error)
    environment = sandbox_environment(config)
    if as_json:
        typer.echo(json.dumps({"url": url, "starts_at": config.starts_at.isoformat(), "environment": environment}))
    else:
        typer.echo(f"Sandbox on {url}; it is {config.starts_at:%A, %Y-%m-%d %H:%M} UTC there. Ctrl-C ends it.\n")
        typer.echo("Settings for leadpipe:")
        typer.echo("\n".join(f"  export {name}='{value}'" for name, value in environment.items()))
    run(world, port=port)


@app.command()
def clock(
    jump: Annotated[str, typer.Argument(metavar="[+T]", help="How far to jump: +1d, +3h, +90m, +1d12h.")] = "",
    url: Annotated[str, typer.Option(help="The sandbox; by default the one started with the same home.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the simulated time, or jump it: the sandbox's clock and that of the ledger, if one runs.

    The ledger is the one that LEADPIPE_DATABASE_URL or LEADPIPE_HOME names; no server is started for it.

    Example: leadpipe sandbox clock +1d
    """
    from datetime import timedelta

    from leadpipe.clock import read_offset
    from leadpipe.sandbox.calendar import read_span
    from leadpipe.sandbox.control import SandboxControl, jump_all, noted_url

    engine = None
    try:
        by = read_span(jump) if jump else timedelta(0)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'[+T]'") from error
    try:
        with failing():
            settings = _settings()
            engine = _running_ledger(settings)
            with SandboxControl(url or noted_url(settings.home)) as control:
                told = jump_all(control, engine, by) if jump else control.clock()
            ledger_offset = read_offset(engine).total_seconds() if engine is not None else None
    finally:
        if engine is not None:
            engine.dispose()
    if as_json:
        told_row = {"now": told.now.isoformat(), "offset_seconds": told.offset.total_seconds()}
        typer.echo(json.dumps(told_row | {"ledger_offset_seconds": ledger_offset}))
        return
    typer.echo(f"sandbox: {told.now:%A, %Y-%m-%d %H:%M:%S} UTC")
    if ledger_offset is None:
        typer.echo("ledger: none runs here; only the sandbox has a clock")
    elif abs(ledger_offset - told.offset.total_seconds()) < 1:
        typer.echo("ledger: in step")
    else:
        behind = told.offset.total_seconds() - ledger_offset
        typer.echo(f"ledger: {behind:+.0f} s away; `leadpipe sandbox clock +0s` brings it into step")


def _settings() -> Settings:
    from leadpipe.setting_loading import load_settings

    return load_settings(env_file=None)


def _running_ledger(settings: Settings) -> Engine | None:
    """The ledger of these settings if its server runs; none is started for the sake of a clock."""
    from leadpipe.store import ledger
    from leadpipe.store.server import EmbeddedServer
    from leadpipe.store.urls import require_postgresql

    if settings.database_url:
        require_postgresql(settings.database_url)
        return ledger.connect(settings.database_url)
    if not (settings.home / "pg").exists():
        return None
    status = EmbeddedServer(settings.home).status()
    return ledger.connect(status.database_url) if status.is_running else None


def _fail(error: LeadpipeError) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(2) from error
