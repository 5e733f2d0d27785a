"""The marts as one DuckDB file that any tool opens: no catalog, no extension, no server.

What lives here: writing that file whole and putting it in place. What does not: building the marts (dbt), reading the
lake itself (``docs/analysts.md``).

The file is written beside its place and renamed over it: whoever has the old one open keeps reading it, whoever opens
it anew gets the new one, and nobody sees half a file.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe.errors import TransientError

if TYPE_CHECKING:
    import duckdb

    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

FILE_NAME = "marts.duckdb"
# The oldest DuckDB whose files the pinned one still writes: an analyst's tool may be older than ours.
STORAGE_VERSION = "v1.0.0"


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where the file is, its rows by table, its size and the lake's snapshot that it shows."""

    path: Path
    rows_by_table: dict[str, int]
    size_bytes: int
    snapshot_id: int

    def as_metadata(self) -> dict[str, int | str]:
        """Counts for a materialization."""
        return {
            "path": str(self.path),
            "dagster/row_count": sum(self.rows_by_table.values()),
            "tables": len(self.rows_by_table),
            "size_bytes": self.size_bytes,
            "snapshot_id": self.snapshot_id,
        }


def path_of(settings: Settings) -> Path:
    """Where the file of this home lies."""
    return settings.home.absolute() / FILE_NAME


def part_of(path: Path) -> Path:
    """Where this process writes before the swap: beside the file, on the same disk."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def publish(lake: Lake, path: Path, *, now: datetime) -> Published:
    """Write every ``marts.*`` table and view of one snapshot into ``path``, swapped in whole.

    The tables stand in the file's main schema: DuckDB names an opened file after itself, so ``marts.leads`` reads the
    same there and in the lake. ``marts.published`` says which snapshot it shows and when it was made.

    Raises:
        TransientError: no mart exists yet, or the disk refuses the file; the old file stays.
    """
    import duckdb

    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        _remove(part)
        with lake.connect(read_only=True) as connection:
            connection.execute(f"attach '{_quoted(part)}' as published (storage_version '{STORAGE_VERSION}')")
            connection.begin()
            snapshot, rows = _copy_all(connection, now)
            connection.commit()
            connection.execute("detach published")
        part.replace(path)
    except (duckdb.IOException, OSError) as error:
        raise TransientError(f"{path} could not be written ({error}); the file before it stays") from error
    finally:
        with suppress(OSError):
            _remove(part)
    return Published(path=path, rows_by_table=rows, size_bytes=path.stat().st_size, snapshot_id=snapshot)


def _copy_all(connection: duckdb.DuckDBPyConnection, now: datetime) -> tuple[int, dict[str, int]]:
    names = [
        str(name)
        for (name,) in connection.execute(
            "select table_name from information_schema.tables "
            "where table_catalog = 'lake' and table_schema = 'marts' and not contains(table_name, '__dbt_') order by 1"
        ).fetchall()
    ]
    if not names:
        raise TransientError("the lake has no marts yet; run dbt first (it is part of `leadpipe up`)")
    row = connection.execute("select id from ducklake_current_snapshot('lake')").fetchone()
    snapshot = int(row[0]) if row else 0
    rows: dict[str, int] = {}
    for name in names:
        connection.execute(f'create table published."{name}" as from lake.marts."{name}"')
        counted = connection.execute(f'select count(*) from published."{name}"').fetchone()  # noqa: S608
        rows[name] = int(counted[0]) if counted else 0
    connection.execute(
        "create table published.published as select ?::bigint as snapshot_id, ?::timestamptz as published_at",
        [snapshot, now],
    )
    return snapshot, rows


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name(part.name + ".wal").unlink(missing_ok=True)
