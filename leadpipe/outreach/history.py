"""What plans did with people before: passages, messages at their addresses, refusals.

What lives here: reading it for many people at once. What does not: what follows from it (``nightly``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from leadpipe.messaging.suppression import LIFTABLE_SOURCES
from leadpipe.store.ledger import id_array

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.outreach.facts import PersonRow
    from leadpipe.outreach.plan import Plan

# What a person said themselves, by whatever channel, keeps nightly plans away from all their addresses; a bounce or a
# wrong number is a fact about one address and leaves the others.
REFUSALS = frozenset({*LIFTABLE_SOURCES, "complaint", "internal_dnc", "import", "privacy_request", "unsubscribed"})

_PASSAGES = text(
    """
    select person_id, plan, max(occurrence) as times, max(opened_at) as opened_at,
      max(step) filter (where state in ('open', 'paused') or ended_at > cast(:by as timestamptz)) as inside_at,
      bool_or(state in ('open', 'paused') or coalesce(ended_at > cast(:by as timestamptz), false)) as is_inside
    from ledger.enrolments where person_id = any(cast(:ids as bigint[]))
      and (cast(:by as timestamptz) is null or opened_at <= :by)
    group by person_id, plan
    """
)
_AT_POINTS = text(
    """
    select contact_point_id, plan, person_id, max(occurrence) as times, max(created_at) as at
    from ledger.messages
    where contact_point_id = any(cast(:points as bigint[])) and plan = any(cast(:plans as text[]))
      and (cast(:by as timestamptz) is null or created_at <= :by)
    group by contact_point_id, plan, person_id
    """
)
_REFUSED = text(
    """
    select distinct o.person_id
    from ledger.person_contact_points o
    cross join lateral (
      -- one look each: joined, all suppressions would be read for every chunk of some thousand people
      select * from ledger.suppressions s where s.contact_point_id = o.contact_point_id
        and s.action = 'suppress' and s.source = any(cast(:sources as text[]))
        and (cast(:by as timestamptz) is null or s.at <= :by)
      offset 0
    ) s
    where o.detached_reason is distinct from 'wrong_number'
      and o.person_id = any(cast(:ids as bigint[]))
      and not exists (
        select 1 from ledger.suppressions l
        where l.contact_point_id = s.contact_point_id and l.action = 'lift' and (l.at, l.id) > (s.at, s.id)
          and (cast(:by as timestamptz) is null or l.at <= :by))
    """
)


class Passages(NamedTuple):
    """All passages of one person through one plan; ``inside_at`` is the step of the one that is not over."""

    times: int
    opened_at: datetime
    inside_at: str | None
    is_inside: bool


class AtPoint(NamedTuple):
    """Messages of one plan that one person's records had at one address."""

    person_id: int
    times: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class History:
    """The past of some people."""

    passages: dict[tuple[int, str], Passages] = field(default_factory=dict[tuple[int, str], Passages])
    inside: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    at_points: dict[tuple[int, str], list[AtPoint]] = field(default_factory=dict[tuple[int, str], list[AtPoint]])
    refused: frozenset[int] = frozenset()

    def times_at(self, point: int, plan: str) -> int:
        """How often the plan met anyone at this address."""
        return max((met.times for met in self.at_points.get((point, plan), ())), default=0)

    def others_at(self, point: int, plan: str, person_id: int) -> datetime | None:
        """When the plan last wrote to this address for another record; None if never."""
        return max(
            (met.at for met in self.at_points.get((point, plan), ()) if met.person_id != person_id), default=None
        )


def read_history(
    connection: Connection, rows: Collection[PersonRow], plans: Iterable[Plan], *, by: datetime | None = None
) -> History:
    """The past of these people with these plans, and every plan they are inside; with ``by`` as far as that moment."""
    ids = id_array(row.person_id for row in rows)
    points = {
        point
        for row in rows
        for point in (row.email_id, row.direct_id, row.phone_id, row.whatsapp_id)
        if point is not None
    }
    passages: dict[tuple[int, str], Passages] = {}
    inside: dict[int, list[str]] = {}
    for person_id, plan, *values in connection.execute(_PASSAGES, {"ids": ids, "by": by}):
        passages[person_id, plan] = Passages(*values)
        if passages[person_id, plan].is_inside:
            inside.setdefault(person_id, []).append(plan)
    at_points: dict[tuple[int, str], list[AtPoint]] = {}
    names = {"points": id_array(points), "plans": [plan.name for plan in plans], "by": by}
    found = connection.execute(_AT_POINTS, names)
    for point, plan, *values in found:
        at_points.setdefault((point, plan), []).append(AtPoint(*values))
    refused = connection.execute(_REFUSED, {"ids": ids, "sources": sorted(REFUSALS), "by": by}).scalars()
    return History(passages=passages, inside=inside, at_points=at_points, refused=frozenset(refused))
