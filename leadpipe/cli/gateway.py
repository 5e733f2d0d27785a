"""``leadpipe gateway``: serve the webhooks, callbacks and unsubscribe pages.

What lives here: arguments. What does not: any route (``gateway``). ``leadpipe up`` and ``leadpipe demo`` run it as one
of their services.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadpipe.errors import LeadpipeError


def gateway(
    port: Annotated[int | None, typer.Option(help="Port on loopback; empty: LEADPIPE_GATEWAY_PORT.")] = None,
    env_file: Annotated[Path | None, typer.Option(help="File of settings.")] = Path(".env"),
    no_env_file: Annotated[bool, typer.Option("--no-env-file", help="Read the environment only.")] = False,
) -> None:
    """Serve what the outside world calls: webhooks, callbacks, replies, unsubscribe.

    Does not start with LEADPIPE_SENDING=live while a setting is missing that live sending needs.

    Example: leadpipe gateway --port 8801
    """
    from leadpipe.gateway.app import serve
    from leadpipe.readiness import refuse_unready
    from leadpipe.runtime import open_runtime

    try:
        runtime = open_runtime(env_file=None if no_env_file else env_file)
        refuse_unready(runtime.settings)
    except LeadpipeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    try:
        serve(runtime, port=port)
    finally:
        runtime.close()


def main() -> None:
    """Run the command alone."""
    typer.run(gateway)
