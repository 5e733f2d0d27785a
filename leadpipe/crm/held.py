"""What the lake holds of a collection: the newest version landed of each record.

What lives here: reads. What does not: landing a version (``landing``), what a difference means (``compare``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadpipe.crm.tables import RawTable
    from leadpipe.store.lake import Lake


@dataclass(frozen=True, kw_only=True)
class Version:
    """The newest version of one record."""

    content_hash: str
    is_deleted: bool
    payload: str
    """JSON with sorted keys."""


def versions(lake: Lake, table: RawTable, ids: Collection[int]) -> dict[int, Version]:
    """The newest version of each of these records; a record that never landed is not there."""
    rows = _rows(
        lake,
        f"select {table.key}, arg_max(content_hash, landed_at), arg_max(is_deleted, landed_at), "  # noqa: S608 - our own names
        f"arg_max(payload, landed_at) from {table.name} where {table.key} in (select unnest(?)) group by 1",
        [list(ids)],
    )
    return {
        key: Version(content_hash=content_hash, is_deleted=is_deleted, payload=payload)
        for key, content_hash, is_deleted, payload in rows
    }


def live_ids(lake: Lake, table: RawTable) -> set[int]:
    """Ids whose newest version is no deletion."""
    query = f"select {table.key} from {table.name} group by 1 having not arg_max(is_deleted, landed_at)"  # noqa: S608 - our own names
    return {key for (key,) in _rows(lake, query, [])}


def count_live(lake: Lake, table: RawTable) -> int:
    """How many records are no deletions."""
    rows = _rows(
        lake,
        f"select count(*) from (select 1 from {table.name} group by {table.key} "  # noqa: S608 - our own names
        "having not arg_max(is_deleted, landed_at))",
        [],
    )
    return rows[0][0] if rows else 0


def live_of_people(lake: Lake, table: RawTable, person_ids: Collection[int]) -> dict[int, int]:
    """Live records whose newest version names one of these people: record id -> person id."""
    rows = _rows(
        lake,
        f"select {table.key}, arg_max(person_id, landed_at) as person_id from {table.name} group by 1 "  # noqa: S608 - our own names
        "having not arg_max(is_deleted, landed_at) and arg_max(person_id, landed_at) in (select unnest(?))",
        [list(person_ids)],
    )
    return dict(rows)


def _rows(lake: Lake, query: str, parameters: list[Any]) -> list[Any]:
    import duckdb

    with lake.connect(read_only=True) as connection:
        try:
            return connection.execute(query, parameters).fetchall()
        except duckdb.CatalogException:
            return []  # the table is created by its first append
