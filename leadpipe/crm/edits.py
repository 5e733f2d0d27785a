"""Records that were edited: a completed task, a corrected note, an appointment that was moved.

What lives here: reading what changed in a collection since the last pass. What does not: its new records (``sync``),
those that are gone (``totals``), people (``sync``, ``touched``).

Ids find new records and nothing else; what an edit moves is the record's own ``updated`` (FUB sheet 3.2, "common
filters"). Whether the account sorts by it shows in the rows, not in the status: a list in another order is not believed
and is left to the nightly audit.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.crm import landing, verbal, watermark
from leadpipe.crm.passes import Pass, digest_of
from leadpipe.crm.sync import OVERLAP
from leadpipe.crm.values import read_time
from leadpipe.errors import Rejected
from leadpipe.store import quarantine

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.crm.tables import RawTable
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

Row = dict[str, Any]


def edited(
    table: RawTable, *, crm: FubClient, lake: Lake, engine: Engine, now: datetime, settings: Settings | None = None
) -> Pass:
    """Land what changed in a collection since the last pass, three minutes overlapping; the first pass sets the mark.

    A refusal that an agent adds to a note is obeyed; ``settings`` as in ``verbal``.

    Raises:
        TransientError: the CRM does not answer; the mark stays, the next pass reads the same again.
    """
    source = f"fub_{table.collection}_edited"
    mark = watermark.read(engine, source)
    result = Pass(is_first=mark is None)
    rows, newest = _changed(crm, table, mark - OVERLAP if mark else None)
    digest = digest_of(rows)
    if rows and not watermark.is_same(engine, source, digest):
        for report in landing.land_all(lake, {table: rows}, landed_by="poll", now=now):
            result.count(report.table, report.count_written)
            with engine.begin() as connection:
                result.count_set_aside += quarantine.store(connection, report.set_aside, now=now)
        verbal.store_activities(engine, {table.collection: rows}, settings=settings, now=now)
        watermark.put_digest(engine, source, digest, now=now)
    if newest is not None:
        watermark.write(engine, source, newest, now=now)
    return result


def _changed(crm: FubClient, table: RawTable, since: datetime | None) -> tuple[list[Row], datetime | None]:
    """Rows changed since, and the newest change of all; no newest when the list is in another order than asked."""
    found: list[Row] = []
    times: list[datetime] = []
    try:
        for page in crm.pages(table.collection, {"sort": "-updated"}):
            stamps = [_updated(row) for row in page]
            times += [at for at in stamps if at is not None]
            if None in stamps or not _falls(times):
                return [], None
            fresh = [row for row, at in zip(page, stamps, strict=True) if since and at and at >= since]
            found += fresh
            if len(fresh) < len(page):
                break
    except Rejected as error:
        if error.code != "400":
            raise
        # Beyond the wall of offsets: more was edited than can be listed by time.
        found = [row for page in crm.pages(table.collection) for row in page]
    return found, times[0] if times else None


def _falls(times: Sequence[datetime]) -> bool:
    return all(newer >= older for newer, older in itertools.pairwise(times))


def _updated(row: Row) -> datetime | None:
    try:
        return read_time(row.get("updated"))
    except ValueError:
        return None
