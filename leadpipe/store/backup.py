"""A backup: one dump of the database, then the lake's files that the dump lists, sealed into one file.

What lives here: what goes into a backup, and in which order. What does not: reading it (``restore``), the formats
(``archive``, ``sealed``).

The dump is one snapshot of ledger, catalog and Dagster's records. Everything goes on meanwhile: files are only added to
a lake, and those who delete some wait for the cleanup lock. Nothing lies on disk in clear.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError
from leadpipe.store import dump, lake_files, ledger, locks, sealed
from leadpipe.store.archive import Writer

if TYPE_CHECKING:
    import psycopg

    from leadpipe.store.lake import Lake

FORMAT = 1
SUFFIX = ".leadpipe.age"
DUMP_PREFIX, LAKE_PREFIX, MODELS_PREFIX = "dump/", "lake/", "models/"
# So much of the dump is in memory at once; packed, it is one member.
PART_BYTES = 32 << 20

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class BackedUp:
    """What a backup holds.

    Attributes:
        at: the moment that it is of.
        dump_bytes: the dump, unpacked.
        lake_bytes: the lake's files.
        archive_bytes: the sealed file.
    """

    path: Path
    at: datetime
    revision: str
    dump_bytes: int
    count_lake_files: int
    lake_bytes: int
    archive_bytes: int


def back_up(
    *, lake: Lake, home: Path, target: Path, key: str, now: Callable[[], datetime], tell: Tell = lambda _: None
) -> BackedUp:
    """Write a backup of the running system to ``target``; a file or a folder, where it is named after its moment.

    Args:
        lake: the lake, whose database is the one that is dumped.
        home: LEADPIPE_HOME, for the score's models.
        target: where to; an existing file is never overwritten.
        key: age's public or secret key.
        now: the machine's own clock.
        tell: hears of progress.

    Raises:
        ConfigurationError: no key, no ledger, or the file exists.
        PermanentError: a file that the lake needs is missing or has another size; there is no backup then.
        TransientError: the database or S3 does not answer.
    """
    if not key:
        raise ConfigurationError(
            "LEADPIPE_BACKUP_KEY is empty, and a backup holds every lead's address and messages; make a pair of keys "
            "with `leadpipe backup --new-key`, keep the secret one elsewhere and set the public one here"
        )
    at = now()
    path = target / f"leadpipe-{at:%Y%m%d-%H%M%S}{SUFFIX}" if target.is_dir() else target
    if path.exists():
        raise ConfigurationError(f"{path} exists, and a backup overwrites nothing; name another file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with locks.cleanup_lock(lake.database_url), _snapshot(lake.database_url) as (connection, snapshot):
            header = _header(connection, at)
            files = lake_files.listed(connection, lake.data_path)
            with sealed.sealing(part, key) as stream:
                writer = Writer(stream, header)
                tell("dumping the database ...")
                dump_bytes = _add_dump(writer, lake.database_url, snapshot)
                lake_bytes = sum(file.size for file in files)
                tell(f"{dump_bytes >> 20} MB of SQL; {len(files)} files of the lake, {lake_bytes >> 20} MB ...")
                _add_lake(writer, lake.data_path, files)
                _add_models(writer, home)
                writer.finish()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return BackedUp(
        path=path,
        at=at,
        revision=header["revision"],
        dump_bytes=dump_bytes,
        count_lake_files=len(files),
        lake_bytes=lake_bytes,
        archive_bytes=path.stat().st_size,
    )


@contextmanager
def _snapshot(database_url: str) -> Generator[tuple[psycopg.Connection[Any], str]]:
    """A transaction whose snapshot other sessions can look through, and its name."""
    import psycopg

    with psycopg.connect(database_url) as connection:
        connection.execute(b"set transaction isolation level repeatable read, read only")
        row = connection.execute(b"select pg_export_snapshot()").fetchone()
        assert row is not None
        yield connection, str(row[0])


def _header(connection: psycopg.Connection[Any], at: datetime) -> dict[str, Any]:
    import duckdb

    known = connection.execute(b"select to_regclass('ledger.alembic_version')").fetchone()
    if known is None or known[0] is None:
        raise ConfigurationError("no ledger is set up in this database; there is nothing to back up")
    row = connection.execute(
        b"select (select version_num from ledger.alembic_version), pg_snapshot_xmax(pg_current_snapshot())::text"
    ).fetchone()
    assert row is not None
    return {
        "format": FORMAT,
        "at": at.isoformat(),
        "revision": row[0],
        "newest_revision": ledger.head_revision(),
        "next_xid": int(row[1]),
        "postgresql": dump.server_version(connection),
        "duckdb": duckdb.__version__,
    }


def _add_dump(writer: Writer, database_url: str, snapshot: str) -> int:
    total = number = 0
    with dump.dumping(database_url, snapshot) as stream:
        while part := stream.read(PART_BYTES):
            number += 1
            total += len(part)
            writer.add_bytes(f"{DUMP_PREFIX}{number:06d}.sql.gz", gzip.compress(part, compresslevel=3, mtime=0))
    return total


def _add_lake(writer: Writer, data_path: str, files: list[lake_files.LakeFile]) -> None:
    place = lake_files.files_at(data_path)
    for file in files:
        with place.open(file.path) as source:
            writer.add(LAKE_PREFIX + file.path, source, file.size)


def _add_models(writer: Writer, home: Path) -> None:
    folder = home / "models"
    for path in sorted(folder.rglob("*")) if folder.exists() else []:
        if path.is_file():
            with path.open("rb") as source:
                writer.add(MODELS_PREFIX + path.relative_to(folder).as_posix(), source, path.stat().st_size)
