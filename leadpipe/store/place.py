"""Where a ledger stands: what tells the installation that made it from a copy of it.

What lives here: the fingerprint of a ledger's place, and its words. What does not: the right to send that is bound to
it (``messaging.right``).

What each way of copying leaves different:

- a home copied by ``cp -a``, ``tar`` or ``rsync``, beside, over it or to another machine: the machine's id, the inode
  of PostgreSQL's control file (which the server writes in place, and which a copy replaces, since its content always
  differs), or the time at which the cluster's version file was made, which no tool can set;
- a dump restored anywhere: the cluster's system identifier, or the database's number in it;
- a copied server of one's own (disk snapshot, replica): its address.

A home that is moved within its disk keeps them all. A disk that is rolled back under a stopped system, and a whole
virtual machine that is cloned with its machine id, look like themselves; against the first stands the mark of
``messaging.right``, and ``docs/operations.md`` says what to do about both.
"""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from leadpipe.settings import Settings

# systemd writes the first, D-Bus the second; a container may have neither.
MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
# What the database itself tells, as columns of any query.
COLUMNS = (
    "(select system_identifier::text from pg_control_system()) as server, "
    "(select oid::text from pg_database where datname = current_database()) as database"
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """The parts of a fingerprint; two places are the same when all of them are.

    Attributes:
        server: the PostgreSQL cluster's system identifier.
        database: the database's number in that cluster.
        machine: a hash of the machine's id; empty for a server of one's own, which many machines may use.
        files: the cluster's files, by what a copy changes; empty for a server of one's own.
        address: host, port and name of a server of one's own; empty for the embedded one.
    """

    server: str
    database: str
    machine: str = ""
    files: str = ""
    address: str = ""

    def as_json(self) -> dict[str, str]:
        """The parts by name; holds no password and no machine id."""
        return asdict(self)

    def differs_from(self, other: Mapping[str, object]) -> tuple[str, ...]:
        """Names of the parts in which ``other``, as ``as_json`` wrote it, is another place."""
        return tuple(name for name, value in self.as_json().items() if other.get(name) != value)


def here(connection: Connection, settings: Settings) -> Place:
    """The place of the ledger behind ``connection``, as this process sees it.

    Raises:
        OSError: the embedded server's folder cannot be read.
    """
    return of(connection.execute(text(f"select {COLUMNS}")).one(), settings)


def of(row: Row[Any], settings: Settings) -> Place:
    """The place, from a row that has ``COLUMNS``: two looks at files, since every claim asks.

    Raises:
        OSError: the embedded server's folder cannot be read.
    """
    if settings.database_url:
        return Place(server=row.server, database=row.database, address=address_of(settings.database_url))
    return Place(
        server=row.server, database=row.database, machine=machine(MACHINE_ID_FILES), files=files_of(settings.home)
    )


def words(settings: Settings) -> str:
    """The place for people: host and home, or the address of a server of one's own."""
    if settings.database_url:
        return address_of(settings.database_url)
    return f"{socket.gethostname()}:{_resolved(settings.home)}"


def address_of(database_url: str) -> str:
    """Host, port and database of a URL, without account and password."""
    parts = urlsplit(database_url)
    query = dict(parse_qsl(parts.query))
    hosts = parts.netloc.rpartition("@")[2].lower() or query.get("host", "localhost")
    if hosts.rpartition("]")[2].rpartition(":")[1] == "" and not hosts.startswith("/"):
        hosts += ":" + query.get("port", "5432")
    return f"{hosts}/{parts.path.lstrip('/')}"


@cache
def machine(id_files: tuple[Path, ...]) -> str:
    """A hash of this machine's id, which itself should not be shown around; ``none`` where there is none."""
    for path in id_files:
        try:
            found = path.read_text().strip()
        except OSError:
            continue
        if found:
            return hashlib.sha256(f"leadpipe:{found}".encode()).hexdigest()[:16]
    return "none"


def files_of(home: Path) -> str:
    """What a copy of the embedded server's files changes."""
    data = _resolved(home) / "pg" / "data"
    version, control = os.stat(data / "PG_VERSION"), os.stat(data / "global" / "pg_control")  # noqa: PTH116
    return f"{version.st_ino}:{version.st_ctime_ns}:{control.st_ino}"


@cache
def _resolved(home: Path) -> Path:
    return home.expanduser().resolve()
