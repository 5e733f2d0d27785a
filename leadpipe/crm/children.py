"""Records of people who were deleted, merged or moved to Trash: they move or go with them, and nothing says so.

What lives here: finding and reading them again. What does not: the people themselves (``sweep``).

Deleting a person deletes their notes, calls and texts without a webhook for any; a merge moves them to the winner
without moving their ``updated``, and leaves no pointer (FUB sheet 4.6). So every record that the lake still holds for
such a person is looked for: first in their own lists, then by itself. A text that moved before anybody read it is in no
list but the winner's, so that one is read too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.crm import gone, held, landing, tables, watermark
from leadpipe.crm.sweep import follow_merges
from leadpipe.crm.tables import RawTable
from leadpipe.crm.values import read_id

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
SOURCE = "fub_children"
CHILDREN = (tables.EVENTS, tables.NOTES, tables.CALLS, tables.TEXT_MESSAGES, tables.TASKS)
# A bulk clean-up of thousands goes over several passes: notes allow one request a second.
PEOPLE_A_PASS = 100

# What others store meanwhile may carry a moment before ours.
OVERLAP = timedelta(minutes=1)

_LEFT = text(
    """
    with left_us as (
      select person_id, merged_into, deleted_at is not null as is_deleted, coalesce(deleted_at, refreshed_at) as at
      from ledger.people where deleted_at is not null or stage = 'Trash'
    )
    select * from left_us where (at, person_id) > (:at, :id) order by at, person_id limit :most
    """
)


@dataclass(kw_only=True)
class Followed:
    """How many people were looked after, and what became of the records: moved or still there, or gone.

    ``is_over`` is False when so many records were missing that some were not asked for.
    """

    count_people: int = 0
    count_landed: int = 0
    count_gone: int = 0
    is_over: bool = True
    count_by_table: dict[str, int] = field(default_factory=dict[str, int])


def follow(*, crm: FubClient, lake: Lake, engine: Engine, now: datetime) -> Followed:
    """Read again what the lake holds of people who were deleted or came into Trash since the last pass.

    Raises:
        TransientError: the CRM does not answer; the mark stays, the next pass looks after the same people.
    """
    last_id, written = watermark.read_place(engine, SOURCE)
    if last_id is None or written is None:
        watermark.put_place(engine, SOURCE, 0, now.isoformat(), now=now)
        return Followed()
    follow_merges(engine, now=now)
    with engine.connect() as connection:
        place = {"at": datetime.fromisoformat(written), "id": last_id, "most": PEOPLE_A_PASS}
        left = connection.execute(_LEFT, place).all()
    done = Followed(count_people=len(left))
    if left:
        chosen = {row.merged_into: False for row in left if row.merged_into is not None}
        chosen |= {row.person_id: row.is_deleted for row in left}
        for table in CHILDREN:
            winners = {row.merged_into for row in left if row.merged_into is not None and table is tables.TEXT_MESSAGES}
            _follow(table, chosen, winners, done, crm=crm, lake=lake, engine=engine, now=now)
    if not done.is_over:
        return done  # the next pass asks for the rest of the same people's
    if len(left) == PEOPLE_A_PASS:
        watermark.put_place(engine, SOURCE, left[-1].person_id, left[-1].at.isoformat(), now=now)
    else:
        watermark.put_place(engine, SOURCE, 0, (now - OVERLAP).isoformat(), now=now)
    return done


def _follow(
    table: RawTable,
    people: dict[int, bool],
    winners: set[int],
    done: Followed,
    *,
    crm: FubClient,
    lake: Lake,
    engine: Engine,
    now: datetime,
) -> None:
    known = held.live_of_people(lake, table, list(people))
    theirs = {person_id for person_id in (*known.values(), *winners) if not people[person_id]}
    rows = [
        row
        for person_id in sorted(theirs)
        for page in crm.pages(table.collection, {"personId": person_id})
        for row in page
        if row.get("personId") == person_id
    ]
    report = landing.land(lake, table, rows, landed_by="poll", now=now)
    missing = set(known).difference(i for row in rows if (i := read_id(row)) is not None)
    confirmed = gone.confirm(table, missing, crm=crm, lake=lake, engine=engine, now=now, landed_by="poll")
    done.count_landed += report.count_written + len(confirmed.found_ids)
    done.count_gone += len(confirmed.gone_ids)
    done.is_over = done.is_over and not confirmed.unasked_ids
    written = report.count_written + len(confirmed.found_ids) + len(confirmed.gone_ids)
    done.count_by_table[table.name] = done.count_by_table.get(table.name, 0) + written
