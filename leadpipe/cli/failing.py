"""How a command ends when something of ours fails, or the database it needs is not there.

What lives here: errors onto stderr and the exit code. What does not: what the errors mean (``errors``).
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

import typer

from leadpipe.errors import ConfigurationError, LeadpipeError, TransientError

# PostgreSQL's classes of refusing a connection: lost, who are you, which database, no more places, shutting down.
NO_CONNECTION = ("08", "28", "3D", "53", "57P")


@contextmanager
def failing(code: int = 2) -> Generator[None]:
    """Turn an error of ours into its message on stderr and exit code ``code`` (2: wrong use or wrong set-up)."""
    try:
        yield
    except LeadpipeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code) from error
    except Exception as error:
        ours = of_the_database(error)
        if ours is None:
            raise
        typer.echo(str(ours), err=True)
        raise typer.Exit(code) from None


def of_the_database(error: Exception) -> LeadpipeError | None:
    """The error of ours for a ledger that cannot be reached or was never set up; None for anything else.

    Holds no password: PostgreSQL's own words name host and port, never the address as it was given.
    """
    # Nothing of SQLAlchemy's can have been raised where nobody imported it; importing it here would cost every command.
    if "sqlalchemy.exc" not in sys.modules:
        return None
    import psycopg.errors
    from sqlalchemy.exc import OperationalError, ProgrammingError

    if isinstance(error, OperationalError) and _is_no_connection(error.orig):
        said = " ".join(str(error.orig).strip().splitlines()[0].split())
        return TransientError(
            f"PostgreSQL does not answer ({said}); start that server or correct LEADPIPE_DATABASE_URL, "
            "`leadpipe doctor` looks at it"
        )
    missing = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)
    if isinstance(error, ProgrammingError) and isinstance(error.orig, missing):
        return ConfigurationError(
            "no ledger is set up in this database, or one of an older version; run `leadpipe up`, which sets it up"
        )
    return None


def _is_no_connection(error: object) -> bool:
    """Whether the server could not be reached or let nobody in; a deadlock, say, is another matter."""
    state = getattr(error, "sqlstate", None)
    return state is None or str(state).startswith(NO_CONNECTION)
