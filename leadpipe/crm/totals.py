"""Deletions that no webhook told of: a list that says it holds fewer records than the lake does.

What lives here: the comparison of counts and what follows from it. What does not: walking a collection (``compare``),
the nightly sweep (``sweep``).

No list shows what is gone (FUB sheet 3.3), but each says its ``total``. That number may be wrong (sheet 3.1), so it is
a hint and nothing more: it starts a walk, and a record is believed gone only after its own GET answers 404. What two
walks in turn leave between the two counts is how wrong the total is, and starts no third.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.crm import held, tables, watermark
from leadpipe.crm.client import PAGE_LIMIT, rows_of
from leadpipe.crm.tables import RawTable
from leadpipe.crm.values import read_id

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.store.lake import Lake

PEOPLE_SEEN: Mapping[str, Any] = {"includeTrash": "true", "includeUnclaimed": "true"}
COUNTED = (tables.PEOPLE, tables.EVENTS, tables.NOTES, tables.CALLS, tables.TASKS, tables.APPOINTMENTS)
# By day a walk may use half a minute of its context's budget (sheet section 2); what is longer is left to the night.
MOST_PAGES = {"events": 60, "notes": 30}
MOST_PAGES_ELSE = 750
# A team that cleans up deletes all day; a thousand pages are not walked for each of them.
BIG_PAGES = 100
BETWEEN_BIG = timedelta(minutes=15)


def shrunk(*, crm: FubClient, lake: Lake, engine: Engine, now: datetime) -> tuple[RawTable, ...]:
    """The collections that hold fewer records than we do, as far as they may be walked now.

    Raises:
        TransientError: the CRM does not answer.
    """
    return tuple(table for table in COUNTED if _is_shrunk(table, crm, lake, engine, now))


def _is_shrunk(table: RawTable, crm: FubClient, lake: Lake, engine: Engine, now: datetime) -> bool:
    source = _source(table)
    total, newest = _said(table, crm)
    if total is None or watermark.is_same(engine, source, f"{total}:{newest}"):
        return False
    ours = count_held(table, lake, engine)
    if total - ours >= (watermark.read_place(engine, f"{source}_bias")[0] or 0):
        watermark.put_digest(engine, source, f"{total}:{newest}", now=now)
        return False
    pages = ours / PAGE_LIMIT
    walked_at = watermark.read(engine, f"{source}_walk")
    is_early = pages > BIG_PAGES and walked_at is not None and now - walked_at < BETWEEN_BIG
    return pages <= MOST_PAGES.get(table.collection, MOST_PAGES_ELSE) and not is_early


def settle(table: RawTable, *, crm: FubClient, lake: Lake, engine: Engine, now: datetime) -> None:
    """After a walk: note what still lies between the two counts."""
    source = _source(table)
    watermark.write(engine, f"{source}_walk", now, now=now)
    total, newest = _said(table, crm)
    if total is None:
        return
    left = min(0, total - count_held(table, lake, engine))
    if left in (0, watermark.read_place(engine, f"{source}_left")[0]):
        watermark.put_place(engine, f"{source}_bias", left, None, now=now)
        watermark.put_digest(engine, source, f"{total}:{newest}", now=now)
    # Something may have been deleted since the walk: what is left is believed when the next walk leaves the same.
    watermark.put_place(engine, f"{source}_left", left, None, now=now)


def count_held(table: RawTable, lake: Lake, engine: Engine) -> int:
    """Live records on our side: people by the ledger, all others by the lake."""
    if table is tables.PEOPLE:
        with engine.connect() as connection:
            return int(
                connection.execute(text("select count(*) from ledger.people where deleted_at is null")).scalar_one()
            )
    return held.count_live(lake, table)


def _said(table: RawTable, crm: FubClient) -> tuple[int | None, int]:
    """What the list says it holds, and its newest id; no number when it says none."""
    query = {"limit": 1, **(PEOPLE_SEEN if table is tables.PEOPLE else {})}
    answer = crm.get(table.collection, query)
    rows = rows_of(answer, table.collection)
    total = str(answer.get("_metadata", {}).get("total", ""))
    return (int(total) if total.isdigit() else None), (read_id(rows[0]) or 0) if rows else 0


def _source(table: RawTable) -> str:
    return f"fub_{table.collection}_total"
