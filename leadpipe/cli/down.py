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

    Where only a demo was set up, in the folder `demo` of the home, it is the demo's that stop.

    Example: leadpipe down
    """
    from leadpipe.cli.emergency import emergency_settings
    from leadpipe.cli.home import home_set_up
    from leadpipe.cli.supervisor import ask_to_stop, end_left_overs, is_supervised
    from leadpipe.store.server import EmbeddedServer

    with failing():
        settings = emergency_settings().settings
        home = settings.home
        # `leadpipe sql` falls back to the demo as well, and starts its server. Whatever runs in the home itself wins.
        if not is_supervised(home):
            home = home_set_up(settings) or home
        was_supervised = ask_to_stop(home, timeout_seconds=TIMEOUT_SECONDS)
        count_left_over = 0 if was_supervised else end_left_overs(home)
        stopped_database = (home / "pg").exists() and EmbeddedServer(home).stop()
    done = {
        "home": str(home.absolute()),
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
    typer.echo(f"Stopped {said} in {home.absolute()}." if said else f"Nothing of {home.absolute()} was running.")
