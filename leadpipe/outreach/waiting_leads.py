"""People who wait for a first answer: what is read of them, and what is stated about them.

What lives here: the questions to the ledger and the outcome written down for each person. What does not: deciding it
(``first_touch``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from leadpipe.outreach import bulk_import

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.outreach.facts import PersonRow

PLAN = "new_lead"
NEW_FOR = timedelta(hours=24)
_WAITING = text(
    """
    select p.person_id,
      (select min(i.occurred_at) from ledger.inquiries i where i.person_id = p.person_id and i.answered_at is null
        and i.occurred_at > :since and i.occurred_at >= :go_live) as asked_at,
      e.id as enrolment_id, e.occurrence, e.state, e.step, e.opened_at,
      exists (select 1 from ledger.messages m where m.person_id = p.person_id and m.plan = :plan
        and m.occurrence = e.occurrence)
      or exists (select 1 from ledger.person_contact_points o
        join ledger.messages m on m.contact_point_id = o.contact_point_id and m.plan = :plan
          and m.occurrence = e.occurrence
        where o.person_id = p.person_id and m.enrolment_id = e.id) as has_message
    from ledger.people p
    left join lateral (
      select * from ledger.enrolments e where e.person_id = p.person_id and e.plan = :plan
      order by occurrence desc limit 1
    ) e on true
    where p.person_id = any(cast(:ids as bigint[]))
    """
)
_CANONICAL = text(
    """
    with recursive chain as (
      select person_id, merged_into, 0 as hops from ledger.people where person_id = any(cast(:ids as bigint[]))
      union all
      select p.person_id, p.merged_into, chain.hops + 1 from chain
      join ledger.people p on p.person_id = chain.merged_into where chain.hops < 10
    ) select distinct person_id from chain where merged_into is null order by person_id
    """
)
# The CRM moves the events of a merged person to the one who stays; so do we, as far as they wait for an answer.
_MOVE_INQUIRIES = text(
    """
    update ledger.inquiries i set person_id = p.merged_into
    from ledger.people p
    where p.person_id = i.person_id and p.merged_into is not null and i.answered_at is null
      and i.person_id = any(cast(:ids as bigint[]))
    """
)
_MET_AT_POINT = text(
    "select distinct contact_point_id from ledger.messages "
    "where contact_point_id = any(cast(:points as bigint[])) and plan = :plan and created_at > :since "
    "and person_id <> all(cast(:ids as bigint[]))"
)


class Waiting(NamedTuple):
    """A person to consider, with their last passage through the plan; column order is the query's."""

    person_id: int
    asked_at: datetime | None
    enrolment_id: int | None
    occurrence: int | None
    state: str | None
    step: str | None
    opened_at: datetime | None
    has_message: bool


def lock_canonical(connection: Connection, person_ids: Sequence[int]) -> list[int]:
    """The people these ids are by now, merges followed and unanswered inquiries moved along; their rows are locked."""
    connection.execute(_MOVE_INQUIRIES, {"ids": list(person_ids)})
    ids = [row[0] for row in connection.execute(_CANONICAL, {"ids": list(person_ids)})]
    connection.execute(
        text(
            "select person_id from ledger.people where person_id = any(cast(:ids as bigint[])) "
            "order by person_id for no key update"
        ),
        {"ids": ids},
    )
    return ids


def read_waiting(
    connection: Connection, person_ids: Sequence[int], *, live_at: datetime | None, now: datetime
) -> list[Waiting]:
    """These people with what they asked since go-live and their last passage through the plan."""
    values = {"ids": list(person_ids), "plan": PLAN, "since": now - NEW_FOR, "go_live": live_at or now}
    return [Waiting._make(row) for row in connection.execute(_WAITING, values)]


def met_points(connection: Connection, rows: Iterable[PersonRow], *, now: datetime) -> set[int]:
    """Addresses of these people at which somebody else was welcomed lately."""
    people = list(rows)
    points = [point for row in people for point in (row.email_id, row.phone_id, row.whatsapp_id) if point is not None]
    ids = [row.person_id for row in people]
    found = connection.execute(_MET_AT_POINT, {"points": points, "plan": PLAN, "since": now - NEW_FOR, "ids": ids})
    return {row[0] for row in found}


def is_created(candidate: Waiting, row: PersonRow, now: datetime) -> bool:
    """New to the CRM, and never met by the plan."""
    return row.crm_created_at > now - NEW_FOR and candidate.enrolment_id is None


def state_outcome(connection: Connection, person_id: int, outcome: str, *, is_new: bool, now: datetime) -> None:
    """Say on the person, on what they asked and among the decisions what came of considering them.

    ``enrolled`` ends a pause of automation. What was stated before stays where the new outcome does not unsay it.
    """
    values = {"person": person_id, "outcome": outcome, "now": now, "is_new": is_new, "plan": PLAN}
    values |= {"arrival": bulk_import.ARRIVAL}
    statements = (
        # A second inquiry that joins an open passage does not unsay that the first was answered.
        "update ledger.people set is_new_lead = is_new_lead or :is_new, "
        # Nor is somebody imported who grows old without having asked.
        "outcome = case when :outcome = 'answered_within_24h' then outcome "
        "when :outcome = 'not_new' and outcome = 'bulk_import' then outcome else :outcome end, "
        "automation_paused_at = case when :outcome = 'enrolled' then null else automation_paused_at end, "
        "automation_paused_reason = case when :outcome = 'enrolled' then null else automation_paused_reason end "
        "where person_id = :person",
        # Only history comes with an import: an inquiry stored while this was judged has yet to be answered.
        "update ledger.inquiries set answered_at = :now, outcome = :outcome "
        "where person_id = :person and answered_at is null and (:outcome <> 'bulk_import' or occurred_at <= "
        "(select crm_created_at from ledger.people where person_id = :person) - cast(:arrival as interval))",
        # Every change of an old person in the CRM comes by here, our own tags among them: said once is enough.
        "insert into ledger.decisions (person_id, plan, outcome, at) select :person, :plan, :outcome, :now "
        "where :outcome <> 'not_new' or not exists (select 1 from ledger.decisions where person_id = :person "
        "and plan = :plan and outcome = 'not_new')",
    )
    for statement in statements:
        connection.execute(text(statement), values)
