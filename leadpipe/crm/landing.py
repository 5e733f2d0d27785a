"""Landing CRM records in the lake's raw tables, each version once.

What lives here: payloads -> rows -> append, with unreadable records set aside. What does not: fetching (``client``),
what the ledger makes of them (``people``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.crm.erased import ABOUT, LISTS, without_erased
from leadpipe.crm.tables import ALL, RawTable
from leadpipe.crm.values import canonical
from leadpipe.errors import BadRecord
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from datetime import datetime

    from duckdb import DuckDBPyConnection

    from leadpipe.store.lake import Lake

Row = dict[str, Any]
CHUNK_ROWS = 20_000
# Steps of one pass may share a moment; a webhook's reading is never so near.
TIED_US = 1_000


@dataclass(frozen=True, kw_only=True)
class Landed:
    """What a landing did: rows read, new versions written, and the records set aside with their reasons."""

    table: str
    count_read: int
    count_written: int
    set_aside: tuple[SetAside, ...]

    def as_metadata(self) -> dict[str, int]:
        """Counts for a materialization; never contents."""
        return {"rows_read": self.count_read, "rows_written": self.count_written, "quarantined": len(self.set_aside)}


def land(
    lake: Lake,
    table: RawTable,
    payloads: Iterable[Row],
    *,
    landed_by: str,
    now: datetime,
    deleted: Iterable[Row] = (),
) -> Landed:
    """Append the payloads whose content differs from the newest version landed; running it twice adds nothing.

    Of two versions of one record read at the same ``now`` the one given later is the newer.

    Args:
        lake: where to.
        table: which raw table.
        payloads: records as the API gave them.
        landed_by: webhook, poll, sweep, audit or first_touch.
        now: a moment before the records were read, so that a version read later lies beyond it.
        deleted: last known payloads of records that are gone; landed as a version with ``is_deleted``.
    """
    read = _read(table, payloads, deleted, landed_by, now)
    return _land(lake, [read])[0]


def land_all(
    lake: Lake, payloads_by_table: Mapping[RawTable, Iterable[Row]], *, landed_by: str, now: datetime
) -> list[Landed]:
    """The same for several tables with one look and one commit: opening the lake costs more than most landings."""
    return _land(lake, [_read(table, rows, (), landed_by, now) for table, rows in payloads_by_table.items()])


@dataclass(frozen=True, kw_only=True)
class _Read:
    """One table's payloads as rows."""

    table: RawTable
    rows: list[Row]
    count_read: int
    set_aside: tuple[SetAside, ...]


def _read(table: RawTable, payloads: Iterable[Row], deleted: Iterable[Row], landed_by: str, now: datetime) -> _Read:
    rows: dict[Any, Row] = {}
    set_aside: list[SetAside] = []
    count = 0
    for is_deleted, group in ((False, payloads), (True, deleted)):
        for payload in group:
            count += 1
            try:
                row = table.row(payload, landed_by=landed_by, landed_at=now, is_deleted=is_deleted)
            except BadRecord as error:
                key = str(payload.get("id", f"row-{count}"))[:100]
                raw = canonical(payload).encode()
                set_aside.append(SetAside(source=table.name, record_key=key, reason=str(error), raw=raw))
                continue
            rows[row[table.key]] = row
    return _Read(table=table, rows=list(rows.values()), count_read=count, set_aside=tuple(set_aside))


def _land(lake: Lake, reads: list[_Read]) -> list[Landed]:
    fresh = [each.rows for each in reads]
    if any(fresh):
        with lake.connect(read_only=True) as connection:
            fresh = [_changed(connection, each) for each in reads]
    counts = [len(rows) for rows in fresh]
    while any(fresh):
        commit = {
            each.table.name: pa.Table.from_pylist(rows[:CHUNK_ROWS], schema=each.table.schema)
            for each, rows in zip(reads, fresh, strict=True)
            if rows
        }
        lake.append_all(commit, last_look=lambda rows: _without_erased(lake, rows))
        fresh = [rows[CHUNK_ROWS:] for rows in fresh]
    return [
        Landed(table=each.table.name, count_read=each.count_read, count_written=count, set_aside=each.set_aside)
        for each, count in zip(reads, counts, strict=True)
    ]


def _without_erased(lake: Lake, rows_by_table: Mapping[str, pa.Table]) -> Mapping[str, pa.Table]:
    """Without people who were erased since these rows were read; the caller holds the lake, so none is from here on."""
    import psycopg

    with psycopg.connect(lake.database_url) as connection:
        found = connection.execute(b"select person_id from ledger.people where erased_at is not null").fetchall()
    erased = frozenset(int(person_id) for (person_id,) in found)
    if not erased:
        return rows_by_table
    return {name: _rows_without(_TABLES[name], rows, erased) for name, rows in rows_by_table.items()}


def _rows_without(table: RawTable, rows: pa.Table, erased: frozenset[int]) -> pa.Table:
    if table.collection not in {*ABOUT, *LISTS}:
        return rows
    kept: list[Row] = []
    for row in rows.to_pylist():
        payload = json.loads(row["payload"])
        left = without_erased(table.collection, [payload], erased)
        if left == [payload]:
            kept.append(row)
        elif left:
            names = {name: row[name] for name in ("landed_by", "landed_at", "is_deleted")}
            kept.append(table.row(left[0], **names))
    return pa.Table.from_pylist(kept, schema=table.schema)


_TABLES = {table.name: table for table in ALL}


def _changed(connection: DuckDBPyConnection, read: _Read) -> list[Row]:
    """The rows that are no repetition of the newest version of their record."""
    import duckdb

    if not read.rows:
        return []
    table = read.table
    keys = pa.table({"key": pa.array([row[table.key] for row in read.rows], pa.int64())})
    connection.register("wanted", keys)
    try:
        known = connection.execute(
            f"select {table.key}, arg_max(content_hash, landed_at), epoch_us(max(landed_at)) from {table.name} "  # noqa: S608 - our own names
            f"where {table.key} in (select key from wanted) group by 1"
        ).fetchall()
    except duckdb.CatalogException:
        return read.rows  # the table is created by its first append
    finally:
        connection.unregister("wanted")
    newest = {key: (content_hash, landed_us) for key, content_hash, landed_us in known}
    fresh = [row for row in read.rows if newest.get(row[table.key], ("", 0))[0] != row["content_hash"]]
    return [_after(row, newest[row[table.key]][1]) if row[table.key] in newest else row for row in fresh]


def _after(row: Row, landed_us: int) -> Row:
    """The row a microsecond after the newest version when both were read at the same moment: no two may tie."""
    behind = landed_us - round(row["landed_at"].timestamp() * 1_000_000)
    return row | {"landed_at": row["landed_at"] + timedelta(microseconds=behind + 1)} if 0 <= behind < TIED_US else row
