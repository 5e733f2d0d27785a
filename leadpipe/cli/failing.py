"""How a command ends when something of ours fails.

What lives here: errors onto stderr and the exit code. What does not: what the errors mean (``errors``).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import typer

from leadpipe.errors import LeadpipeError


@contextmanager
def failing(code: int = 2) -> Generator[None]:
    """Turn an error of ours into its message on stderr and exit code ``code`` (2: wrong use or wrong set-up)."""
    try:
        yield
    except LeadpipeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code) from error
