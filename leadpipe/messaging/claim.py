"""Claiming: one short transaction that decides which due messages leave now and books an attempt for each.

What lives here: choosing the candidates, and the locks. What does not: deciding about each (``batch``), the calls
(``drain``), who may claim at all (``right``, ``switch``).

Locks: contact points first (those another worker or an inbound message holds are left for the next round), then the
messages. Whoever writes a suppression or an inbound message takes the same lock on the contact point, so each claim
either sees it or comes before it (design section 5). What comes before it is called before it: the addresses of what is
claimed stay held until the calls have ended (``under_way``). Nothing is read before they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.messaging import caps, failpoints, poison, right, safeguards, switch
from leadpipe.messaging.batch import Batch, Claim
from leadpipe.outreach.plan import paused_plans

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy import Engine, Row

    from leadpipe.messaging.under_way import Hold
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
    select due.id, due.point
    from priorities p cross join lateral (
      select m.id::text as id, c.id as point
      from ledger.messages m join ledger.contact_points c on c.id = m.contact_point_id
      where m.state in ('queued', 'held') and m.priority = p.priority
        and coalesce(m.not_before_at, m.due_at) <= :now
        and m.channel <> all(:closed_channels)
        and (m.plan <> all(:full_plans) or m.purpose = any(:answers)) and m.plan <> all(:closed_plans)
        and m.contact_point_id <> all(cast(:closed_points as bigint[]))
      order by coalesce(m.not_before_at, m.due_at)
      limit :count
      for no key update of c skip locked
    ) due
    limit :count
"""
_NAMED = """
    select m.id::text as id, c.id as point
    from ledger.messages m join ledger.contact_points c on c.id = m.contact_point_id
    where m.id = any(cast(:only as uuid[])) and m.state in ('queued', 'held')
      and coalesce(m.not_before_at, m.due_at) <= :now
      and m.channel <> all(:closed_channels)
      and (m.plan <> all(:full_plans) or m.purpose = any(:answers)) and m.plan <> all(:closed_plans)
      and m.contact_point_id <> all(cast(:closed_points as bigint[]))
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
    hold: Hold | None = None,
) -> Claim:
    """Claim up to ``count`` due messages, best priority first; when this returns, their attempts are committed.

    ``providers`` names the provider of every channel that exists; ``closed_channels`` are passed over this time;
    ``counter`` is the sender's own memory of the caps, none counts anew; ``hold`` has the address of each claimed
    message until the sender lets it go after the call (none: the claim is looked at, and nobody calls). A message that
    cannot be made ready waits for a person; the others of its batch go.
    """
    take = partial(
        _claim, engine, settings=settings, now=now, worker=worker, providers=providers, closed_channels=closed_channels,
        counter=counter, hold=hold,
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
    hold: Hold | None,
) -> Claim:
    """One transaction.

    Raises:
        Unclaimable: it was rolled back by what may be the fault of one of its rows.
    """
    found = Claim()
    held = _Held(hold, found)
    with held, safeguards.claiming(engine, settings, found) as connection:
        standing = right.standing(connection, settings)
        if not standing.may_send:
            found.stopped_by = standing.why
            return found
        stop = switch.read(connection)
        if stop.is_stopped:
            found.stopped_by = "stopped"
            return found
        room = (counter or caps.Counter()).room(connection, settings, now=now)
        if room.total == 0:
            found.stopped_by = room.reason
            return found
        closed = {*closed_channels, *stop.channels, *(("sms",) if room.sms <= 0 else ())}
        due = connection.execute(
            text(safeguards.locking(_NAMED if only_message_ids else _CANDIDATES, settings)),
            {
                "now": now,
                "closed_channels": sorted(closed),
                "closed_plans": sorted({*stop.plans, *paused_plans(settings.plans_path)}),
                "closed_points": list(stop.contact_points),
                "full_plans": room.full_plans,
                "answers": list(caps.UNCAPPED_PURPOSES),
                "count": count,
                **({"only": list(only_message_ids)} if only_message_ids else {}),
            },
        ).all()
        ids = held.take(due)
        try:
            batch = Batch(
                connection, settings, now, worker, providers, room, standing.doubt, email_pauses=stop.email_pauses
            )
            batch.run(ids, found)
        except Exception as error:
            if poison.is_of_one_row(error):
                raise poison.Unclaimable(ids, error) from error
            raise
        if found.claimed:
            failpoints.hit("claim.before_commit")
    if found.claimed:
        failpoints.hit("claim.committed")
    return found


class _Held:
    """The addresses of one claim: all it looks at while it decides, in the end those of what it claimed."""

    def __init__(self, hold: Hold | None, found: Claim) -> None:
        self._hold, self._found = hold, found
        self._points: list[int] = []

    def take(self, due: Sequence[Row[Any]]) -> list[str]:
        """The messages whose address could be had; the others' are waited for by somebody, and they come later."""
        if self._hold is None:
            return [row.id for row in due]
        is_taken = self._hold.take([row.point for row in due])
        taken = [row for row, is_ours in zip(due, is_taken, strict=True) if is_ours]
        self._points = [row.point for row in taken]
        return [row.id for row in taken]

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if self._hold is None:
            return
        spare = Counter(self._points)
        if kind is None:
            spare -= Counter(claimed.request.contact_point_id for claimed in self._found.claimed)
        self._hold.let_go(list(spare.elements()))
