"""Landing CRM records in the lake's raw tables, each version once.

What lives here: payloads -> rows -> append, with unreadable records set aside. What does not: fetching (``client``),
what the ledger makes of them (``people``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.crm.tables import RawTable, canonical
from leadpipe.errors import BadRecord
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from datetime import datetime

    from leadpipe.store.lake import Lake

Row = dict[str, Any]
CHUNK_ROWS = 20_000


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
    dedupe: bool = True,
) -> Landed:
    """Append the payloads whose content differs from the newest version landed; running it twice adds nothing.

    Args:
        lake: where to.
        table: which raw table.
        payloads: records as the API gave them.
        landed_by: webhook, poll, sweep or first_touch.
        now: landing time.
        deleted: last known payloads of records that are gone; landed as a version with ``is_deleted``.
        dedupe: False skips the comparison (first sync into an empty table).
    """
    rows: dict[tuple[Any, str], Row] = {}
    set_aside: list[SetAside] = []
    count_read = 0
    for is_deleted, group in ((False, payloads), (True, deleted)):
        for payload in group:
            count_read += 1
            try:
                row = table.row(payload, landed_by=landed_by, landed_at=now, is_deleted=is_deleted)
            except BadRecord as error:
                set_aside.append(
                    SetAside(
                        source=table.name,
                        record_key=str(payload.get("id", f"row-{count_read}")),
                        reason=str(error),
                        raw=canonical(payload).encode(),
                    )
                )
                continue
            rows[row[table.key], row["content_hash"]] = row
    fresh = list(rows.values())
    if dedupe and fresh:
        fresh = _changed(lake, table, fresh)
    for start in range(0, len(fresh), CHUNK_ROWS):
        lake.append(table.name, pa.Table.from_pylist(fresh[start : start + CHUNK_ROWS], schema=table.schema))
    return Landed(table=table.name, count_read=count_read, count_written=len(fresh), set_aside=tuple(set_aside))


def _changed(lake: Lake, table: RawTable, rows: list[Row]) -> list[Row]:
    """The rows that are no repetition of the newest version of their record."""
    if not lake.has_table(table.name):
        return rows
    keys = pa.table({"key": pa.array([row[table.key] for row in rows], pa.int64())})
    with lake.connect() as connection:
        connection.register("wanted", keys)
        known = connection.execute(
            f"select {table.key}, arg_max(content_hash, landed_at) from {table.name} "  # noqa: S608 - our own names
            f"where {table.key} in (select key from wanted) group by 1"
        ).fetchall()
    newest = dict(known)
    return [row for row in rows if newest.get(row[table.key]) != row["content_hash"]]
