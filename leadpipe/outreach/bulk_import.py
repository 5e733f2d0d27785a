"""Who came by a bulk import, and is therefore not welcomed.

What lives here: the rule, and the one question to the ledger it needs. What does not: what follows (``first_touch``).

The CRM marks no import (FUB sheet 4.1: ``createdVia`` is an open text, and no value for an import is confirmed), so the
rule looks at what an import is: people without an inquiry. One whose ``createdVia`` says import or CSV is imported; so
is one of more than ``import_people_per_minute`` people without an inquiry whom some 60 seconds hold. A lead's inquiry
reaches us moments after the person, so a burst of real leads looks like an import until its events are read: nobody who
made an inquiry is ever counted, and the inquiry, when it comes, is answered whatever was stated before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

OUTCOME = "bulk_import"
# Said before: nothing is to be said again, and what was said stays.
STATED = "stated"
# It may be the head of an import or of a burst of leads whose inquiries are under way: the next look tells.
FORMING = "forming"
# An inquiry of before that is history which came along; people who write into an account bring years of it.
ARRIVAL = timedelta(hours=24)
# From a fifth of an import on, nobody is written to before the others have had the time to come.
FORMING_SHARE = 5
SETTLED_AFTER = timedelta(minutes=2)
_WORDS = ("import", "csv")

_ARRIVALS = text(
    """
    with asked as materialized (
      select person_id, crm_created_at, created_via, outcome from ledger.people
      where person_id = any(cast(:ids as bigint[]))
    ), without_inquiry as (
      select p.person_id, p.crm_created_at from ledger.people p
      where p.crm_created_at >= (select min(crm_created_at) from asked) - interval '60 seconds'
        and p.crm_created_at <= (select max(crm_created_at) from asked) + interval '60 seconds'
        and p.merged_into is null and not exists (
          select 1 from ledger.inquiries i
          where i.person_id = p.person_id and i.occurred_at > p.crm_created_at - cast(:arrival as interval))
    ), ended as (
      select *, count(*) over (
        order by crm_created_at range between interval '60 seconds' preceding and current row) as count_ended
      from without_inquiry
    ), crowds as (
      select person_id, max(count_ended) over (
        order by crm_created_at range between current row and interval '60 seconds' following) as count_together
      from ended
    )
    select a.person_id, a.crm_created_at, a.created_via, coalesce(a.outcome, '') as outcome, c.count_together
    from asked a join crowds c using (person_id)
    """
)


class Arrival(NamedTuple):
    """Somebody without an inquiry; column order is the query's.

    ``count_together`` is the most people without an inquiry, this one among them, whom 60 seconds hold.
    """

    person_id: int
    crm_created_at: datetime
    created_via: str
    outcome: str
    count_together: int


def judge_arrivals(
    connection: Connection, person_ids: Sequence[int], *, settings: Settings, now: datetime
) -> dict[int, str]:
    """What ``judge`` says, by person; whoever is not in it came by themselves, or the team welcomes imports."""
    if settings.welcome_imports or not person_ids:
        return {}
    rows = connection.execute(_ARRIVALS, {"ids": list(person_ids), "arrival": ARRIVAL})
    arrivals = [Arrival._make(row) for row in rows]
    verdicts = {a.person_id: judge(a, most=settings.import_people_per_minute, now=now) for a in arrivals}
    return {person_id: verdict for person_id, verdict in verdicts.items() if verdict}


def judge(arrival: Arrival, *, most: int, now: datetime) -> str:
    """``bulk_import``, ``stated`` (the same, known before), ``forming`` or nothing, for one person without an inquiry.

    What was stated once stays: others of an import may make inquiries, and it is an import all the same.

    Args:
        arrival: the person.
        most: so many people a minute may come without an inquiry and be no import.
        now: when.
    """
    if arrival.outcome == OUTCOME:
        return STATED
    if arrival.count_together > most or any(word in arrival.created_via.lower() for word in _WORDS):
        return OUTCOME
    is_fresh = now - arrival.crm_created_at < SETTLED_AFTER
    return FORMING if is_fresh and arrival.count_together > max(1, most // FORMING_SHARE) else ""
