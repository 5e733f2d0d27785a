"""Due passages: what is read of them and around them in a few queries, and how waiting ones are put off.

What lives here: the questions and small writes about many passages at once. What does not: what becomes of a passage
(``advance``), opening, moving and ending one (``enrol``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from leadpipe.outreach.facts import UNDER_WAY

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.messaging.intent import Intent

_DUE = text(
    """
    with due as materialized (
      select e.id, e.person_id, e.plan, e.occurrence, e.step, e.opened_at, e.context
      from ledger.enrolments e
      where e.state = 'open' and e.next_due_at <= :now and e.plan <> all(:paused)
      order by e.next_due_at limit :limit
      for no key update of e skip locked
    )
    select due.*, m.state as message_state, m.at as message_at
    from due left join lateral (
      select m.state, coalesce(m.accepted_at, m.changed_at) as at from ledger.messages m
      where m.person_id = due.person_id and m.plan = due.plan and m.step = due.step and m.occurrence = due.occurrence
      union all
      -- Sent to the person this one was merged with, before the passage came over.
      select m.state, coalesce(m.accepted_at, m.changed_at) from ledger.person_contact_points o
      join ledger.messages m on m.contact_point_id = o.contact_point_id and m.plan = due.plan and m.step = due.step
        and m.occurrence = due.occurrence
      where o.person_id = due.person_id and m.enrolment_id = due.id
      limit 1
    ) m on true
    """
)
# What waits for a person of the team longer than any message may wait no longer keeps the plans of the lead back.
_BUSY = text(
    """
    select person_id, max(coalesce(not_before_at, due_at)) as at from ledger.messages
    where person_id = any(cast(:ids as bigint[])) and state = any(:under_way)
      and (state <> 'review' or due_at > :stale_before)
    group by person_id
    """
)
_INSIDE = text(
    "select person_id, array_agg(plan) from ledger.enrolments "
    "where person_id = any(cast(:ids as bigint[])) and state = 'open' group by person_id"
)
_AT_POINTS = text(
    """
    select row.id from unnest(cast(:ids as bigint[]), cast(:points as bigint[]), cast(:plans as text[]),
      cast(:steps as text[]), cast(:occurrences as int[])) as row (id, point_id, plan, step, occurrence)
    where exists (select 1 from ledger.messages m where m.contact_point_id = row.point_id and m.plan = row.plan
      and m.step = row.step and m.occurrence = row.occurrence
      -- A message of this very passage was stored since it was read: its own, not another record's.
      and m.enrolment_id is distinct from row.id)
    """
)
_PAUSE = text("update ledger.enrolments set state = 'paused' where id = any(:ids) and state = 'open'")
_POSTPONE = text(
    "update ledger.enrolments e set next_due_at = p.at "
    "from unnest(cast(:ids as bigint[]), cast(:ats as timestamptz[])) as p (id, at) where p.id = e.id"
)


class Passage(NamedTuple):
    """One due passage with the message of its step; column order is the query's."""

    id: int
    person_id: int
    plan: str
    occurrence: int
    step: str
    opened_at: datetime
    context: Mapping[str, Any]
    message_state: str | None
    message_at: datetime | None


def take_due(connection: Connection, *, now: datetime, paused_plans: Sequence[str], limit: int) -> list[Passage]:
    """Up to ``limit`` open passages whose time has come, oldest first, locked; what another run holds is left to it."""
    rows = connection.execute(_DUE, {"now": now, "paused": list(paused_plans), "limit": limit})
    return [Passage._make(row) for row in rows]


def busy_until(connection: Connection, person_ids: Sequence[int], *, stale_before: datetime) -> dict[int, datetime]:
    """By person with a message under way, when the last of those may leave."""
    values = {"ids": list(person_ids), "under_way": list(UNDER_WAY), "stale_before": stale_before}
    return {person_id: at for person_id, at in connection.execute(_BUSY, values)}


def plans_inside(connection: Connection, person_ids: Sequence[int]) -> dict[int, list[str]]:
    """By person, the plans they are inside of and not paused in."""
    return {person_id: names for person_id, names in connection.execute(_INSIDE, {"ids": list(person_ids)})}


def met_elsewhere(connection: Connection, intents: Sequence[Intent]) -> set[int]:
    """Passages whose very message another record of the CRM had at the same address."""
    values = {
        "ids": [intent.enrolment_id for intent in intents],
        "points": [intent.contact_point_id for intent in intents],
        "plans": [intent.plan for intent in intents],
        "steps": [intent.step for intent in intents],
        "occurrences": [intent.occurrence for intent in intents],
    }
    return set(connection.execute(_AT_POINTS, values).scalars())


def pause(connection: Connection, enrolment_ids: Sequence[int]) -> None:
    """Let these passages wait inside their plans until they are resumed."""
    if enrolment_ids:
        connection.execute(_PAUSE, {"ids": list(enrolment_ids)})


def postpone(connection: Connection, until: Mapping[int, datetime]) -> None:
    """Look at these passages again at these times; they stay where they stand."""
    if until:
        connection.execute(_POSTPONE, {"ids": list(until), "ats": list(until.values())})
