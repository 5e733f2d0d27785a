"""The nightly id sweep: what polling cannot see.

What lives here: hard deletes, moves to Trash, merges and people who became invisible, found by walking every id. What
does not: the incremental poll (``sync``). Facts: FUB sheet section 3.3; a missing id is believed gone only after its
own GET answers 404.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text, update

from leadpipe.crm import intake, landing, tables
from leadpipe.store.tables import people

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.store.lake import Lake

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep found: ids in the CRM, ids gone for good, stale ones read again, and merges followed."""

    count_seen: int
    gone_ids: tuple[int, ...]
    reread_ids: tuple[int, ...]
    merged: tuple[tuple[int, int], ...]


def sweep(*, crm: FubClient, lake: Lake, engine: Engine, now: datetime) -> Swept:
    """Walk every id, read again those whose ``updated`` differs, tombstone those that answer 404, follow merges."""
    remote: dict[int, str] = {}
    query = {"fields": "id,updated,stage", "includeTrash": "true", "includeUnclaimed": "true"}
    for page in crm.pages("people", query):
        remote.update({int(row["id"]): str(row.get("updated") or "") for row in page})
    with engine.connect() as connection:
        local = dict(
            connection.execute(
                select(people.c.person_id, people.c.crm_updated_at).where(people.c.deleted_at.is_(None))
            ).tuples()
        )
    stale = [
        person_id
        for person_id, updated in remote.items()
        if person_id not in local or (updated and tables.read_time(updated) != local[person_id])
    ]
    if stale:
        intake.store(crm.people(stale), [], {}, lake=lake, engine=engine, now=now, landed_by="sweep")
    missing = sorted(set(local) - set(remote))
    gone = tuple(person_id for person_id in missing if crm.find("people", person_id) is None)
    _tombstone(lake, engine, gone, now)
    return Swept(count_seen=len(remote), gone_ids=gone, reread_ids=tuple(stale), merged=follow_merges(engine, now=now))


def _tombstone(lake: Lake, engine: Engine, gone: tuple[int, ...], now: datetime) -> None:
    if not gone:
        return
    with lake.connect() as connection:
        rows = connection.execute(
            "select arg_max(payload, landed_at) from raw.fub__people "
            "where person_id in (select unnest(?)) group by person_id",
            [list(gone)],
        ).fetchall()
    landing.land(
        lake, tables.PEOPLE, [], deleted=[json.loads(payload) for (payload,) in rows], landed_by="sweep", now=now
    )
    with engine.begin() as connection:
        connection.execute(update(people).where(people.c.person_id.in_(gone)).values(deleted_at=now))
        end_plans(connection, gone, reason="deleted_in_crm", now=now)


def follow_merges(engine: Engine, *, now: datetime) -> tuple[tuple[int, int], ...]:
    """Losers of a merge: newly in Trash, their address now on another person (there is no pointer, FUB sheet 4.6).

    The loser's open enrolments move to the winner unless the winner has its own, so the elder's occurrence is kept.
    Returns (loser, winner) pairs newly followed.
    """
    find = text(
        """
        select distinct on (loser.person_id) loser.person_id, winner.person_id
        from ledger.people loser
        join ledger.person_contact_points mine on mine.person_id = loser.person_id
        join ledger.contact_points point on point.id = mine.contact_point_id and not point.is_relay
        join ledger.person_contact_points theirs
          on theirs.contact_point_id = point.id and theirs.person_id <> loser.person_id and theirs.detached_at is null
        join ledger.people winner on winner.person_id = theirs.person_id
        where loser.stage = 'Trash' and loser.merged_into is null and winner.stage <> 'Trash'
          and winner.deleted_at is null and winner.crm_updated_at >= loser.crm_updated_at - interval '1 day'
        order by loser.person_id, winner.person_id
        """
    )
    with engine.begin() as connection:
        pairs = tuple((int(loser), int(winner)) for loser, winner in connection.execute(find))
        for loser, winner in pairs:
            connection.execute(update(people).where(people.c.person_id == loser).values(merged_into=winner))
            end_plans(connection, (loser,), reason="merged", now=now)
    return pairs


def end_plans(connection: Any, person_ids: tuple[int, ...], *, reason: str, now: datetime) -> None:
    """End the open enrolments of people who are no longer leads and cancel what is queued for them."""
    from leadpipe.messaging.cancel import cancel_for_people

    connection.execute(
        text(
            "update ledger.enrolments set state = 'ended', ended_at = :now, end_reason = :reason, next_due_at = null "
            "where person_id = any(:ids) and state in ('open', 'paused')"
        ),
        {"now": now, "reason": reason, "ids": list(person_ids)},
    )
    cancel_for_people(connection, person_ids, code=reason, at=now)
