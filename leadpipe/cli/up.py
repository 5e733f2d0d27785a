"""``leadpipe up``: every service, against real providers, until Ctrl-C or `leadpipe down`.

What lives here: the command and what it prints. What does not: the order of starting (``system``).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.cli.system import System
    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings

WORDS_FOR_SENDING = {
    "off": "sending is off: what would have gone is recorded, nothing leaves (LEADPIPE_SENDING)",
    "allowlist": "only contacts in LEADPIPE_ALLOWLIST are reached",
    "sandbox": "sending goes to the sandbox on this machine",
    "live": "sending is live; `leadpipe sending stop` halts it within a second",
}


def up() -> None:
    """Run gateway, Dagster and the embedded database against real providers, until Ctrl-C or `leadpipe down`.

    Reads the environment and `.env`. Sends nothing until LEADPIPE_SENDING=live.

    Example: leadpipe up
    """
    from leadpipe.cli.database import database
    from leadpipe.cli.services import free_port
    from leadpipe.cli.supervisor import stop_signals, supervising
    from leadpipe.cli.system import Ports, System
    from leadpipe.readiness import refuse_unready
    from leadpipe.runtime import Runtime
    from leadpipe.setting_loading import load_settings
    from leadpipe.store.house_settings import note_house

    with failing():
        settings = load_settings()
        refuse_chaos(settings)
        _refuse_demo(settings)
        refuse_unready(settings)
        settings = settings.model_copy(update={"home": settings.home.absolute()})
        with stop_signals() as stop, supervising(settings.home) as supervisor, database(settings, supervisor) as url:
            ports = Ports(gateway=settings.gateway_port, dagster=settings.dagster_port, code_server=free_port())
            system = System(settings=settings, supervisor=supervisor, database_url=url, ports=ports)
            _refuse_taken_ports(system)
            runtime = Runtime(settings)
            typer.echo(f"Setting up {system.home} ...")
            system.set_up(runtime)
            note_house(settings)
            system.start_gateway(stop)
            system.start_dagster(stop)
            if not stop.is_set():
                _greet(settings, system, runtime)
            _watch(system, stop)
            typer.echo("Stopping ...")
            system.stop_dagster(runtime)
            runtime.close()


def refuse_chaos(settings: Settings) -> None:
    """No system against real providers has failpoints.

    Raises:
        ConfigurationError: the setting is there.
    """
    from leadpipe.errors import ConfigurationError

    if settings.failpoints is not None:
        raise ConfigurationError(
            "LEADPIPE_FAILPOINTS lets processes kill themselves; unset it, `leadpipe chaos` sets it"
        )


def _refuse_demo(settings: Settings) -> None:
    """A home of invented people on a moved calendar is none for a real account."""
    from leadpipe.errors import ConfigurationError
    from leadpipe.store.house_settings import demo_variables

    if demo_variables(settings.home):
        raise ConfigurationError(f"a demo lives in {settings.home.absolute()}; let LEADPIPE_HOME name another folder")


def _refuse_taken_ports(system: System) -> None:
    from leadpipe.cli.services import listens
    from leadpipe.errors import ConfigurationError

    for name, port in (("GATEWAY", system.ports.gateway), ("DAGSTER", system.ports.dagster)):
        if listens(port)():
            raise ConfigurationError(
                f"port {port} is taken by another program; end it, or set LEADPIPE_{name}_PORT to a free one"
            )


def _greet(settings: Settings, system: System, runtime: Runtime) -> None:
    from leadpipe.messaging import right

    with runtime.engine.connect() as connection:
        standing = right.standing(connection, settings)
    typer.echo(f"Dagster UI   {system.dagster_url}")
    typer.echo(
        f"Gateway      http://127.0.0.1:{system.ports.gateway}/healthz (reached from outside below "
        f"{settings.public_base_url})"
    )
    typer.echo(f"Logs         {system.supervisor.logs}")
    typer.echo(f"Sending      {WORDS_FOR_SENDING[settings.sending.value]}")
    if standing.words:
        typer.echo(f"Right        {standing.words}")
    typer.echo("Everything runs. `leadpipe doctor` checks keys and hooks; Ctrl-C stops.")


def _watch(system: System, stop: threading.Event) -> None:
    while not stop.wait(1):
        system.supervisor.watch()
