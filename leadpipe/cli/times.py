"""Moments as people write them on the command line.

What lives here: reading one option. What does not: any command.
"""

from __future__ import annotations

from datetime import UTC, datetime

import typer


def moment_of(words: str, option: str) -> datetime | None:
    """The moment an option names, in UTC; None when it is empty. What is no time ends the command with exit code 2."""
    if not words:
        return None
    try:
        moment = datetime.fromisoformat(words)
    except ValueError as error:
        typer.echo(f"{option} {words} is no time; write 2026-11-25T09:00 (UTC) or 2026-11-25T09:00-06:00", err=True)
        raise typer.Exit(2) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
