"""``leadpipe down``: stop everything of this LEADPIPE_HOME.

What lives here: the command. What does not: how services are stopped (``supervisor``).
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from leadpipe.cli.failing import failing

# The supervisor gives its services ten seconds and PostgreSQL a minute.
TIMEOUT_SECONDS = 90


def down(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False) -> None:
    """Stop the services and the embedded database of this LEADPIPE_HOME; running it twice changes nothing.

    Example: leadpipe down
    """
    from leadpipe.cli.emergency import emergency_settings
    from leadpipe.cli.supervisor import ask_to_stop, end_left_overs
    from leadpipe.store.server import EmbeddedServer

    with failing():
        settings = emergency_settings().settings
        was_supervised = ask_to_stop(settings.home, timeout_seconds=TIMEOUT_SECONDS)
        count_left_over = 0 if was_supervised else end_left_overs(settings.home)
        stopped_database = (settings.home / "pg").exists() and EmbeddedServer(settings.home).stop()
    done = {
        "home": str(settings.home.absolute()),
        "supervisor": was_supervised,
        "left_over_services": count_left_over,
        "database": stopped_database,
    }
    if as_json:
        typer.echo(json.dumps(done))
        return
    words = [
        "the services" if was_supervised else "",
        f"{count_left_over} services that a killed supervisor left" if count_left_over else "",
        "the database" if stopped_database else "",
    ]
    said = ", ".join(word for word in words if word)
    typer.echo(f"Stopped {said}." if said else f"Nothing of {settings.home.absolute()} was running.")
