"""Whether an error means that PostgreSQL is away: killed, restarting, unreachable, full.

What lives here: telling such errors, of the ledger's driver and of the lake's catalog, from those of the work itself.
What does not: what to do about it (each caller).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from leadpipe.errors import TransientError

# Connection exceptions, and the server's own "shutting down", "crashed", "starting up" and "too many connections".
_STATES = ("08", "57P", "53300")
# The lake's catalog speaks through DuckDB, which hands on the words of PostgreSQL's client library.
_WORDS = (
    "unable to connect to postgres",
    "connection to server",
    "no connection to the server",
    "server closed the connection",
    "terminating connection",
    "could not receive data from server",
    "could not send data to server",
    "the database system is",
    "ssl connection has been closed",
    'failed to execute query "rollback"',
    # DuckLake met it inside of a statement and only says what followed: ours never goes on after an error of its own.
    "from ducklake: current transaction is aborted",
)


def is_away(error: BaseException) -> bool:
    """Whether the same work may succeed once PostgreSQL answers again."""
    import duckdb
    import psycopg
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_away(error.orig))
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return error.sqlstate is None or error.sqlstate.startswith(_STATES)
    return isinstance(error, duckdb.Error) and any(word in str(error).lower() for word in _WORDS)


@contextmanager
def transient_when_away(what: str) -> Generator[None]:
    """Let errors of an absent PostgreSQL leave the block as what they are to everyone else.

    Raises:
        TransientError: PostgreSQL is away; without the error's own words, which may name its address and account.
    """
    try:
        yield
    except Exception as error:
        if is_away(error):
            raise TransientError(f"{what}: PostgreSQL does not answer ({type(error).__name__}); try again") from None
        raise
