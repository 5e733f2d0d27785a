"""Restoring a backup into an empty place, proven whole, and without the right to send.

What lives here: the order of a restore, and what must be put right in a database that came from another server. What
does not: writing a backup (``backup``), who may send afterwards (``messaging.take_over``).

The ledger's rows carry the number of the transaction that wrote them, and the mirror's mark is such a number. A new
server counts from the beginning, so its counter is first moved past the old one's; else the mirror would see nothing
new until it got there. Where that is too far (a server of one's own, whose counter nobody can set), every row is
numbered anew and mirrored anew.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError, LeadpipeError, PermanentError
from leadpipe.store import dump, extensions, lake_files, ledger, mirror, sealed
from leadpipe.store.archive import Reader
from leadpipe.store.backup import DUMP_PREFIX, FORMAT, LAKE_PREFIX, MODELS_PREFIX, Tell
from leadpipe.store.lake import CATALOG_SCHEMA, Lake
from leadpipe.store.server import EmbeddedServer
from leadpipe.store.tables.mirrored import MIRRORED

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

# What must be done to a restored ledger before anybody works with it, in the transaction that ends the restore.
Afterwards = Callable[["Connection", datetime], None]
# In a home that was never used; `leadpipe` itself makes them when asked anything.
HARMLESS = frozenset({"supervisor.lock", "logs", "lost+found"})
# Moving another server's counter costs about a second for so many transactions.
XIDS_AT_ONCE = 100_000
MOST_XIDS = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What was restored: the moment it is of, and how much."""

    at: datetime
    revision: str
    count_lake_files: int
    lake_bytes: int
    database_url: str


def restore(
    *,
    settings: Settings,
    source: Path,
    key: str,
    now: datetime,
    afterwards: Sequence[Afterwards] = (),
    tell: Tell = lambda _: None,
) -> Restored:
    """Make the system that a backup holds, in an empty home (or an empty database and lake of one's own).

    The database and every file are there, proven by their checksums, or nothing is. Nobody has the right to send, and
    ``afterwards`` is done: people who were erased since the backup are blocked again (``privacy.erasure_list``).

    Raises:
        ConfigurationError: the place is not empty, the key is not the backup's, or the backup is of a newer leadpipe.
        PermanentError: the backup is damaged or cut off.
        TransientError: the database does not answer.
    """
    _refuse_used(settings)
    with sealed.opening(source, key) as stream:
        reader = Reader(stream=stream)
        header, members = reader.header()
        _refuse_unknown(header)
        try:
            return _restore(settings, reader, header, members, now=now, afterwards=afterwards, tell=tell)
        except BaseException:
            _undo(settings)
            raise


def _restore(
    settings: Settings,
    reader: Reader,
    header: dict[str, Any],
    members: Iterator[tuple[str, IO[bytes]]],
    *,
    now: datetime,
    afterwards: Sequence[Afterwards],
    tell: Tell,
) -> Restored:
    import psycopg

    at = datetime.fromisoformat(header["at"])
    tell(f"backup of {at:%Y-%m-%d %H:%M:%S} UTC; loading the database ...")
    url = _server(settings, next_xid=header["next_xid"])
    with psycopg.connect(url, autocommit=True) as connection:
        is_passed = _pass_xid(connection, header["next_xid"], tell)
        version = dump.server_version(connection)
    rest = _Rest(members)
    dump.load(url, rest.dump(), server_version=version)
    tell("the lake's files ...")
    count, total = _write_files(settings, rest)
    reader.must_be_complete()
    with psycopg.connect(url) as connection:
        _move_lake(connection, settings.lake_url)
        missing = _missing(connection, settings.lake_url, rest.names)
        if missing:
            raise PermanentError(f"the backup lacks {len(missing)} files of the lake, e.g. {missing[0]}")
    if not is_passed:
        tell("numbering the ledger's rows anew ...")
        _mirror_anew(settings, url)
    _finish(url, at=at, now=now, afterwards=afterwards)
    return Restored(at=at, revision=header["revision"], count_lake_files=count, lake_bytes=total, database_url=url)


class _Rest:
    """The members after the header: first the dump's parts, then the files."""

    def __init__(self, members: Iterator[tuple[str, IO[bytes]]]) -> None:
        self._members = members
        self._ahead: tuple[str, IO[bytes]] | None = None
        self.names: set[str] = set()

    def dump(self) -> Iterator[bytes]:
        """The dump's parts, unpacked."""
        for name, source in self._members:
            if not name.startswith(DUMP_PREFIX):
                self._ahead = (name, source)
                return
            yield gzip.decompress(source.read())

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Everything after the dump."""
        if self._ahead is not None:
            self.names.add(self._ahead[0])
            yield self._ahead
        for name, source in self._members:
            self.names.add(name)
            yield name, source


def _refuse_used(settings: Settings) -> None:
    home = settings.home.expanduser()
    found = sorted(entry.name for entry in home.iterdir() if entry.name not in HARMLESS) if home.exists() else []
    if found and not settings.database_url:
        raise ConfigurationError(
            f"{home.absolute()} is not empty ({', '.join(found[:3])} ...), and a restore overwrites nothing; let "
            "LEADPIPE_HOME name a new folder"
        )
    if not lake_files.files_at(settings.lake_url).is_empty():
        raise ConfigurationError(
            f"{settings.lake_url} is not empty, and a restore overwrites nothing; let LEADPIPE_LAKE_PATH name another "
            "place"
        )
    if settings.database_url and _is_used(settings.database_url):
        raise ConfigurationError(
            "the database of LEADPIPE_DATABASE_URL is in use already, and a restore overwrites nothing; let it name an "
            "empty one"
        )


def _is_used(database_url: str) -> bool:
    import psycopg

    with psycopg.connect(database_url, connect_timeout=10) as connection:
        row = connection.execute(
            b"select count(*) from pg_namespace where nspname in ('ledger', 'lake_catalog', 'dagster')"
        ).fetchone()
    return row is None or row[0] > 0


def _refuse_unknown(header: dict[str, Any]) -> None:
    if header.get("format") != FORMAT:
        raise ConfigurationError(
            f"the backup has format {header.get('format')}, this version of leadpipe reads {FORMAT}; use the one that "
            "made it, or one that is newer"
        )
    if not ledger.is_known(header["revision"]):
        raise ConfigurationError(
            f"the backup's ledger stands at revision {header['revision']}, which this version of leadpipe does not "
            "know; use the version that made it, or one that is newer"
        )


def _server(settings: Settings, *, next_xid: int) -> str:
    """The URL of the database to load into; an embedded server is made with a counter beyond the backup's."""
    if settings.database_url:
        return settings.database_url
    server = EmbeddedServer(settings.home)
    return server.ensure_running(first_epoch=(next_xid >> 32) + 1)


def _pass_xid(connection: psycopg.Connection[Any], next_xid: int, tell: Tell) -> bool:
    """Use up transaction numbers until the server's are beyond those of the backup; False when that is too far."""
    row = connection.execute(b"select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
    assert row is not None
    behind = next_xid - int(row[0]) + 1
    if behind <= 0:
        return True
    if behind > MOST_XIDS:
        return False
    tell(f"moving the server's transaction counter on by {behind} ...")
    while behind > 0:
        count = min(behind, XIDS_AT_ONCE)
        connection.execute(
            f"do $$ begin for i in 1..{count} loop perform pg_current_xact_id(); commit; end loop; end $$".encode()
        )
        behind -= count
    return True


def _mirror_anew(settings: Settings, database_url: str) -> None:
    """Give every mirrored row a number of this server's, and let the mirror begin from nothing."""
    import psycopg

    with psycopg.connect(database_url) as connection:
        for table in MIRRORED:
            for statement in (
                f"alter table ledger.{table} disable trigger user",  # what keeps rows as they were written
                f"update ledger.{table} set xid = pg_current_xact_id()",  # noqa: S608 - our own names
                f"alter table ledger.{table} enable trigger user",
            ):
                connection.execute(statement.encode())
        connection.execute(b"delete from ledger.watermarks where source = 'mirror'")
    extensions.install(settings.home)
    lake = Lake(database_url=database_url, data_path=settings.lake_url, home=settings.home)
    lake.set_up()
    for table in MIRRORED:
        if lake.has_table(mirror.PREFIX + table):
            with lake.write(mirror.PREFIX + table) as connection:
                connection.execute(f"delete from {mirror.PREFIX}{table}")  # noqa: S608 - our own names


def _write_files(settings: Settings, rest: _Rest) -> tuple[int, int]:
    place, models = lake_files.files_at(settings.lake_url), settings.home / "models"
    count = total = 0
    for name, source in rest.files():
        if name.startswith(LAKE_PREFIX):
            place.write(name.removeprefix(LAKE_PREFIX), source)
            count += 1
            total += source.tell()
        elif name.startswith(MODELS_PREFIX):
            target = models / name.removeprefix(MODELS_PREFIX)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as stream:
                shutil.copyfileobj(source, stream)
        else:
            raise PermanentError(f"the backup holds {name}, which this version of leadpipe does not know")
    return count, total


def _move_lake(connection: psycopg.Connection[Any], data_path: str) -> None:
    """The catalog names the folder of its files; from now on it is this one."""
    connection.execute(
        f"update {CATALOG_SCHEMA}.ducklake_metadata set value = %s where key = 'data_path'".encode(),  # noqa: S608 - our own name
        [data_path.rstrip("/") + "/"],
    )


def _missing(connection: psycopg.Connection[Any], data_path: str, names: set[str]) -> list[str]:
    wanted = lake_files.listed(connection, data_path.rstrip("/") + "/")
    return sorted(file.path for file in wanted if LAKE_PREFIX + file.path not in names)


def _finish(database_url: str, *, at: datetime, now: datetime, afterwards: Sequence[Afterwards]) -> None:
    from leadpipe.messaging.take_over import note_restored

    engine = ledger.connect(database_url)
    try:
        with engine.begin() as connection:
            note_restored(connection, backup_at=at, now=now)
            for put_right in afterwards:
                put_right(connection, now)
    finally:
        engine.dispose()


def _undo(settings: Settings) -> None:
    """Leave the place as it was found: empty."""
    if settings.database_url:
        import psycopg

        with suppress(psycopg.Error), psycopg.connect(settings.database_url) as connection:
            connection.execute(b"drop schema if exists ledger, lake_catalog, dagster cascade")
    else:
        server = EmbeddedServer(settings.home)
        if server.is_created:
            try:
                server.stop()
            except LeadpipeError:
                return  # its files are still in use; the next restore says that the home is not empty
        shutil.rmtree(settings.home / "pg", ignore_errors=True)
    shutil.rmtree(settings.home / "models", ignore_errors=True)
    if "://" not in settings.lake_url:
        shutil.rmtree(settings.lake_url, ignore_errors=True)
