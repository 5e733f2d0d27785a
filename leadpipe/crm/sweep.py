"""The nightly id sweep: what polling cannot see.

What lives here: hard deletes, moves to Trash, merges and people who became invisible, found by walking every id. What
does not: the incremental reads (``sync``). Facts: FUB sheet section 3.3; a missing id is believed gone only after its
own GET answers 404.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text, update

from leadpipe.crm import intake, landing, tables
from leadpipe.crm.everyone import everyone
from leadpipe.crm.values import read_id, read_time
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.under_way import AT_ONCE, wait_for_people
from leadpipe.store.tables.leads import people

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
REREAD_BATCH = 1_000
# "Gone" and "not visible to this key" are the same 404: when so many vanish at once, it is the key that changed.
MASS_MISSING_SHARE = 0.1
MASS_MISSING_MIN = 25
# The CRM's ``updated`` has whole seconds: what was read within the same second may have changed again since.
SAME_SECOND = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep found: ids in the CRM, ids gone for good, stale ones read again, and merges followed."""

    count_seen: int = 0
    gone_ids: tuple[int, ...] = ()
    reread_ids: tuple[int, ...] = ()
    merged: tuple[tuple[int, int], ...] = ()
    count_missing_unbelieved: int = 0

    def as_metadata(self) -> dict[str, int]:
        """Counts for Dagster."""
        return {
            "people_seen": self.count_seen,
            "people_gone": len(self.gone_ids),
            "people_reread": len(self.reread_ids),
            "merges_followed": len(self.merged),
            "missing_not_believed": self.count_missing_unbelieved,
        }


def sweep(*, crm: FubClient, lake: Lake, engine: Engine, now: datetime, settings: Settings | None = None) -> Swept:
    """Walk every id, read again those whose ``updated`` differs, tombstone those that answer 404, follow merges.

    Who was read within the second of their ``updated`` is read again too.

    When a tenth of all people are missing nothing is tombstoned: a person is told that the API key sees less.

    Raises:
        TransientError: the CRM does not answer; what was stored so far stays.
    """
    remote: dict[int, str] = {}
    query = {"fields": "id,updated,stage", "includeTrash": "true", "includeUnclaimed": "true"}
    for page in everyone(crm.in_bulk(), query):
        remote |= {i: str(row.get("updated") or "") for row in page if (i := read_id(row)) is not None}
    with engine.connect() as connection:
        known = connection.execute(
            select(people.c.person_id, people.c.crm_updated_at, people.c.refreshed_at).where(
                people.c.deleted_at.is_(None)
            )
        ).all()
    local = {row.person_id: row.crm_updated_at for row in known}
    unsure = {row.person_id for row in known if row.refreshed_at < row.crm_updated_at + SAME_SECOND}
    stale = [i for i, updated in remote.items() if i not in local or i in unsure or _differs(updated, local[i])]
    for chunk in _chunks(stale, REREAD_BATCH):
        rows = crm.in_bulk().people(chunk)
        intake.store(rows, [], {}, lake=lake, engine=engine, now=now, landed_by="sweep", settings=settings)
    missing = sorted(set(local) - set(remote))
    gone: tuple[int, ...] = ()
    is_mass = len(missing) >= MASS_MISSING_MIN and len(missing) > MASS_MISSING_SHARE * len(local)
    if is_mass:
        _tell_mass_missing(engine, len(missing), len(local), now)
    else:
        gone = confirm_gone(missing, crm=crm, lake=lake, engine=engine, now=now)
    return Swept(
        count_seen=len(remote),
        gone_ids=gone,
        reread_ids=tuple(stale),
        merged=follow_merges(engine, now=now),
        count_missing_unbelieved=len(missing) if is_mass else 0,
    )


def _differs(updated: str, known: datetime) -> bool:
    try:
        at = read_time(updated)
    except ValueError:
        return True
    return at is not None and at != known


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _tell_mass_missing(engine: Engine, missing: int, known: int, now: datetime) -> None:
    with engine.begin() as connection:
        raise_alert(
            connection,
            kind="people_missing",
            dedupe_key=f"people_missing:{now:%Y-%m-%d}",
            title="Follow Up Boss shows far fewer people than before",
            body=f"{missing} of {known} people are not in its list any more; none was marked as deleted. "
            f"Is LEADPIPE_FUB_API_KEY still the account owner's? `leadpipe doctor` tells.",
            now=now,
        )


def confirm_gone(
    person_ids: Iterable[int],
    *,
    crm: FubClient,
    lake: Lake,
    engine: Engine,
    now: datetime,
    landed_by: str = "sweep",
) -> tuple[int, ...]:
    """Tombstone those of these people whose own GET answers 404, end their plans, and return their ids."""
    gone = tuple(person_id for person_id in sorted(person_ids) if crm.find("people", person_id) is None)
    if not gone:
        return ()
    landing.land(lake, tables.PEOPLE, [], deleted=_last_known(lake, gone), landed_by=landed_by, now=now)
    with engine.begin() as connection:
        connection.execute(
            update(people).where(people.c.person_id.in_(gone), people.c.deleted_at.is_(None)).values(deleted_at=now)
        )
        end_plans(connection, gone, reason="deleted_in_crm", now=now)
    return gone


def _last_known(lake: Lake, person_ids: Sequence[int]) -> list[Row]:
    """The newest payloads landed of these people."""
    with lake.connect(read_only=True) as connection:
        rows = connection.execute(
            "select arg_max(payload, landed_at) from raw.fub__people "
            "where person_id in (select unnest(?)) group by person_id",
            [list(person_ids)],
        ).fetchall()
    return [json.loads(payload) for (payload,) in rows]


_MERGED = text(
    """
    select distinct on (loser.person_id) loser.person_id, winner.person_id
    from ledger.people loser
    join ledger.person_contact_points mine on mine.person_id = loser.person_id
    join ledger.contact_points point on point.id = mine.contact_point_id and not point.is_relay
    join ledger.person_contact_points theirs
      on theirs.contact_point_id = point.id and theirs.person_id <> loser.person_id and theirs.detached_at is null
    join ledger.people winner on winner.person_id = theirs.person_id
    where loser.stage = 'Trash' and loser.merged_into is null and winner.stage <> 'Trash'
      and winner.merged_into is null and winner.deleted_at is null
      and winner.crm_updated_at >= loser.crm_updated_at - interval '1 day'
    order by loser.person_id, winner.person_id limit :most
    """
)
# A passage moves to the winner unless that person met the plan themselves: then it is the winner's own that counts.
_MOVE_PASSAGES = text(
    """
    update ledger.enrolments e set person_id = :winner
    where e.person_id = :loser and e.state in ('open', 'paused')
      and not exists (select 1 from ledger.enrolments w where w.person_id = :winner and w.plan = e.plan
        and (w.state in ('open', 'paused') or w.occurrence = e.occurrence))
    returning e.id
    """
)
_MOVE_WAITING = text(
    """
    update ledger.messages m set person_id = :winner
    where m.enrolment_id = any(:passages) and m.person_id = :loser and m.state in ('queued', 'held', 'review')
      and not exists (select 1 from ledger.messages w where w.person_id = :winner
        and (w.plan, w.step, w.occurrence) = (m.plan, m.step, m.occurrence))
    """
)
_REVIVE = text(
    "update ledger.people set merged_into = null where merged_into is not null and stage <> 'Trash' "
    "and deleted_at is null"
)


def follow_merges(engine: Engine, *, now: datetime) -> tuple[tuple[int, int], ...]:
    """Losers of a merge: newly in Trash, their address now on another person (there is no pointer, FUB sheet 4.6).

    The loser's open passages go on with the winner, at the same step and occurrence, with what waits of them; where the
    winner met the plan themselves, their own passage counts and the loser's ends. Somebody who was taken back out of
    Trash is a lead of their own again. Returns (loser, winner) pairs newly followed.
    """
    with engine.begin() as connection:
        connection.execute(_REVIVE)
    found: list[tuple[int, int]] = []
    while True:
        with engine.begin() as connection:
            pairs = _follow_some(connection, now)
        found += pairs
        if len(pairs) < AT_ONCE:
            return tuple(found)


def _follow_some(connection: Connection, now: datetime) -> list[tuple[int, int]]:
    """Follow the next merges; a pair that was followed is none any more."""
    pairs = [(int(loser), int(winner)) for loser, winner in connection.execute(_MERGED, {"most": AT_ONCE})]
    # What is being called at this moment is called as before the merge; nothing is from then on.
    wait_for_people(connection, [person for pair in pairs for person in pair])
    for loser, winner in pairs:
        connection.execute(update(people).where(people.c.person_id == loser).values(merged_into=winner))
        names = {"loser": loser, "winner": winner}
        passages = list(connection.execute(_MOVE_PASSAGES, names).scalars())
        if passages:
            connection.execute(_MOVE_WAITING, {**names, "passages": passages})
        end_plans(connection, (loser,), reason="merged", now=now)
    return pairs


def end_plans(connection: Connection, person_ids: Sequence[int], *, reason: str, now: datetime) -> None:
    """End the open passages of people who are no longer leads and cancel what is queued for them."""
    from leadpipe.messaging.cancel import cancel_for_people
    from leadpipe.outreach import enrol

    for person_id in person_ids:
        enrol.end_for(connection, person_id, reason, now=now)
    cancel_for_people(connection, person_ids, code=reason, at=now)
