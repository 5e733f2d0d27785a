"""How the new leads of a quarter were answered, one row a lead, for comparing groups of them.

What lives here: reading the leads from the ledger. What does not: grouping and comparing (``fairness``).

A group must not follow from the answer it is to be judged by: the language is that of the lead's own first words and
of the CRM's field, and not that of a conversation, which only those have who replied.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.conversation import answers
from leadpipe.outreach.variables import language_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

# A record that was merged counts as the one who stays. Who was erased is in no figure.
_LEADS = text(
    """
    with recursive chain as (
      select person_id, person_id as lead_id, merged_into, 0 as hops from ledger.people
      union all
      select c.person_id, p.person_id, p.merged_into, c.hops + 1 from chain c
      join ledger.people p on p.person_id = c.merged_into where c.hops < 10
    ), leads as (
      select distinct on (person_id) person_id, lead_id from chain order by person_id, hops desc
    ), asked as (
      select person_id, min(at) as asked_at from (
        select l.lead_id as person_id, i.occurred_at as at from ledger.inquiries i join leads l using (person_id)
        union all select person_id, crm_created_at from ledger.people
      ) askings where at >= :begin and at < :end group by 1
    ), cohort as (
      select p.person_id, a.asked_at, p.source, p.custom, p.place->>'zip' as zip from ledger.people p
      join asked a using (person_id)
      where p.is_new_lead and p.merged_into is null and p.erased_at is null
    ), touches as (
      select c.person_id, min(t.at) as touched_at from cohort c join (
        select l.lead_id as person_id, m.accepted_at as at from ledger.messages m join leads l using (person_id)
        where m.accepted_at is not null and m.purpose <> 'optout_confirmation'
        union all
        select l.lead_id, h.at from ledger.human_actions h join leads l using (person_id) where h.kind <> 'note'
      ) t on t.person_id = c.person_id and t.at >= c.asked_at group by 1
    ), replies as (
      select t.person_id, min(i.received_at) as replied_at from touches t
      join leads l on l.lead_id = t.person_id
      join ledger.inbound_messages i on i.person_id = l.person_id and not i.is_auto_reply
        and i.received_at >= t.touched_at
      group by 1
    ), handed as (
      select distinct r.person_id from replies r
      join leads l on l.lead_id = r.person_id
      join ledger.handoffs h on h.person_id = l.person_id and h.opened_at >= r.replied_at
    ), said as (
      select distinct on (c.person_id) c.person_id, i.message as words from cohort c
      join leads l on l.lead_id = c.person_id
      join ledger.inquiries i on i.person_id = l.person_id and i.message <> ''
      order by c.person_id, i.occurred_at
    )
    select c.person_id, c.asked_at, c.source, c.custom, c.zip, t.touched_at, r.replied_at is not null as has_replied,
      h.person_id is not null as is_handed_off, coalesce(s.words, '') as words
    from cohort c
    left join touches t using (person_id) left join replies r using (person_id)
    left join handed h using (person_id) left join said s using (person_id)
    order by c.person_id
    """
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lead:
    """One new lead of the quarter.

    Attributes:
        zip: of their own address, five digits; empty if unknown.
        touch_seconds: from asking until a provider took our first message or somebody of the team called or wrote,
            whichever came first; None while nobody did.
        has_replied: they wrote after that.
        is_handed_off: they were handed to an agent after they wrote.
    """

    language: str
    zip: str
    source: str
    touch_seconds: float | None
    has_replied: bool
    is_handed_off: bool


def read_leads(connection: Connection, *, begin: datetime, end: datetime) -> list[Lead]:
    """The new leads who came, or asked anew, from ``begin`` to before ``end``, as things stand now."""
    return [
        Lead(
            language=answers.language_of(row.words, language_of(row.custom)),
            zip=(row.zip or "")[:5],
            source=row.source,
            touch_seconds=(row.touched_at - row.asked_at).total_seconds() if row.touched_at else None,
            has_replied=row.has_replied,
            is_handed_off=row.is_handed_off,
        )
        for row in connection.execute(_LEADS, {"begin": begin, "end": end})
    ]
