"""Claiming: one short transaction that decides which due messages leave now and books an attempt for each.

What lives here: choosing the candidates, and the locks. What does not: deciding about each (``batch``), the calls
(``drain``).

Locks: contact points first (those another worker or an inbound message holds are left for the next round), then the
messages. Whoever writes a suppression or an inbound message takes the same lock on the contact point, so each claim
either sees it or comes before it (design section 5).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.messaging import caps, failpoints, poison, safeguards, switch
from leadpipe.messaging.batch import Batch, Claim
from leadpipe.outreach.plan import paused_plans

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.settings import Settings

# Best priority first, within one the longest due. The priorities that wait are few and found by hopping along the
# index; within each, one range of the index holds what is due, however much else waits for another day.
_CANDIDATES = """
    with recursive priorities (priority) as (
      (select priority from ledger.messages where state in ('queued', 'held') order by priority limit 1)
      union all
      select (
        select m.priority from ledger.messages m
        where m.state in ('queued', 'held') and m.priority > p.priority order by m.priority limit 1)
      from priorities p where p.priority is not null
    )
    select due.id
    from priorities p cross join lateral (
      select m.id::text as id
      from ledger.messages m join ledger.contact_points c on c.id = m.contact_point_id
      where m.state in ('queued', 'held') and m.priority = p.priority
        and coalesce(m.not_before_at, m.due_at) <= :now
        and m.channel <> all(:closed_channels)
        and (m.plan <> all(:full_plans) or m.purpose = any(:answers)) and m.plan <> all(:closed_plans)
      order by coalesce(m.not_before_at, m.due_at)
      limit :count
      for no key update of c skip locked
    ) due
    limit :count
"""
_NAMED = """
    select m.id::text as id
    from ledger.messages m join ledger.contact_points c on c.id = m.contact_point_id
    where m.id = any(cast(:only as uuid[])) and m.state in ('queued', 'held')
      and coalesce(m.not_before_at, m.due_at) <= :now
      and m.channel <> all(:closed_channels)
      and (m.plan <> all(:full_plans) or m.purpose = any(:answers)) and m.plan <> all(:closed_plans)
    order by m.priority, coalesce(m.not_before_at, m.due_at)
    limit :count
    for no key update of c skip locked
"""


def claim(
    engine: Engine,
    *,
    settings: Settings,
    now: datetime,
    worker: str,
    providers: dict[str, str],
    count: int,
    closed_channels: Collection[str] = (),
    only_message_ids: Sequence[str] | None = None,
    counter: caps.Counter | None = None,
) -> Claim:
    """Claim up to ``count`` due messages, best priority first; when this returns, their attempts are committed.

    ``providers`` names the provider of every channel that exists; ``closed_channels`` are passed over this time;
    ``counter`` is the sender's own memory of the caps, none counts anew. A message that cannot be made ready waits
    for a person; the others of its batch go.
    """
    take = partial(
        _claim, engine, settings=settings, now=now, worker=worker, providers=providers, closed_channels=closed_channels,
        counter=counter,
    )  # fmt: skip
    try:
        return take(count=count, only_message_ids=only_message_ids)
    except poison.Unclaimable as failed:
        ids = failed.ids
    return poison.claim_apart(engine, ids, lambda one: take(count=1, only_message_ids=[one]), now=now)


def _claim(
    engine: Engine,
    *,
    settings: Settings,
    now: datetime,
    worker: str,
    providers: dict[str, str],
    count: int,
    closed_channels: Collection[str],
    only_message_ids: Sequence[str] | None,
    counter: caps.Counter | None,
) -> Claim:
    """One transaction.

    Raises:
        Unclaimable: it was rolled back by what may be the fault of one of its rows.
    """
    found = Claim()
    with safeguards.claiming(engine, settings, found) as connection:
        stop = switch.read(connection)
        if stop.is_stopped:
            found.stopped_by = "stopped"
            return found
        room = (counter or caps.Counter()).room(connection, settings, now=now)
        if room.total == 0:
            found.stopped_by = room.reason
            return found
        closed = {*closed_channels, *stop.channels, *(("sms",) if room.sms <= 0 else ())}
        ids = connection.execute(
            text(safeguards.locking(_NAMED if only_message_ids else _CANDIDATES, settings)),
            {
                "now": now,
                "closed_channels": sorted(closed),
                "closed_plans": sorted({*stop.plans, *paused_plans(settings.plans_path)}),
                "full_plans": room.full_plans,
                "answers": list(caps.UNCAPPED_PURPOSES),
                "count": count,
                **({"only": list(only_message_ids)} if only_message_ids else {}),
            },
        ).scalars()
        ids = list(ids)
        try:
            Batch(connection, settings, now, worker, providers, room).run(ids, found)
        except Exception as error:
            if poison.is_of_one_row(error):
                raise poison.Unclaimable(ids, error) from error
            raise
        if found.claimed:
            failpoints.hit("claim.before_commit")
    if found.claimed:
        failpoints.hit("claim.committed")
    return found
