"""PostgreSQL's own dump and its restoring, as streams.

What lives here: running pg_dump and psql of the wheel against any server, without a password on a command line and
without a plain file on disk. What does not: what else a backup holds (``backup``).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from leadpipe.errors import TransientError
from leadpipe.store.server_folder import binaries
from leadpipe.store.urls import without_password

if TYPE_CHECKING:
    import psycopg

# pg_dump of PostgreSQL 17 and later writes it; an older server does not know it, and it is off there anyway.
_TOO_NEW = b"SET transaction_timeout = 0;\n"
KNOWS_TRANSACTION_TIMEOUT = 17


@contextmanager
def dumping(database_url: str, snapshot: str) -> Generator[IO[bytes]]:
    """The SQL that makes this database anew, as the exported ``snapshot`` sees it.

    Raises:
        TransientError: pg_dump failed; its last line is told.
    """
    command = ("pg_dump", "--no-owner", "--no-privileges", "--no-password", f"--snapshot={snapshot}")
    with _running(command, database_url, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with process.stdout as stream:
            yield stream


def load(database_url: str, parts: Iterable[bytes], *, server_version: int) -> None:
    """Carry out a dump in one transaction: all of it or nothing.

    Raises:
        TransientError: a statement failed; its error is told.
    """
    command = ("psql", "--quiet", "--no-psqlrc", "--no-password", "--single-transaction", "--set=ON_ERROR_STOP=1")
    with _running((*command, "--output=/dev/null"), database_url, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        is_first = True
        try:
            with process.stdin as stream:
                for part in parts:
                    if is_first and server_version < KNOWS_TRANSACTION_TIMEOUT:
                        part = part.replace(_TOO_NEW, b"", 1)  # noqa: PLW2901
                    stream.write(part)
                    is_first = False
        except BrokenPipeError:  # psql has ended, and says why
            pass
        except BaseException:
            process.kill()  # before it takes the end of its input for the end of the dump
            raise


@contextmanager
def _running(
    command: tuple[str, ...], database_url: str, *, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL
) -> Generator[subprocess.Popen[bytes]]:
    password = urlsplit(database_url).password
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment |= {"LC_ALL": "C"} | ({"PGPASSWORD": unquote(password)} if password else {})
    program = str(binaries() / command[0])
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            (program, *command[1:], f"--dbname={without_password(database_url)}"),
            stdin=stdin, stdout=stdout, stderr=words, env=environment,
        )  # fmt: skip
        try:
            yield process
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.wait():
            words.seek(0)
            said = words.read().decode(errors="replace").strip().splitlines()
            raise TransientError(f"{command[0]} failed: {said[-1] if said else 'it said nothing'}")


def server_version(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    """The server's major version."""
    return connection.info.server_version // 10_000
