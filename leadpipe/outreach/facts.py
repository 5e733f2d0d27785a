"""What is known about people when a plan looks at them.

What lives here: one query over the ledger for any number of people, and the named facts that plans ask for. What does
not: whether a message may go (``policy`` judges consent, hours and caps again, on its own reading).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from leadpipe.store.ledger import id_array

if TYPE_CHECKING:
    from sqlalchemy import Connection

# States in which a message of ours is still on its way to the person, or waits for a person of the team.
UNDER_WAY = ("queued", "held", "review", "sending", "unknown")

_PEOPLE = text(
    """
    with wanted as materialized (
      select p.* from ledger.people p where p.person_id = any(cast(:ids as bigint[]))
    ), points as materialized (
      select o.person_id, o.rank, c.id, c.kind, c.address, c.is_relay or c.is_role as is_indirect
      from ledger.person_contact_points o
      cross join lateral (
        -- one look each: joined, all contact points would be read for every chunk of some thousand people
        select * from ledger.contact_points where id = o.contact_point_id offset 0
      ) c
      where o.person_id = any(cast(:ids as bigint[])) and o.detached_at is null
    ), suppressed as (
      select distinct on (s.contact_point_id, each.channel) s.contact_point_id, each.channel, s.action
      from points p
      cross join lateral (
        select * from ledger.suppressions where contact_point_id = p.id
          and (cast(:by as timestamptz) is null or at <= :by) offset 0
      ) s
      cross join lateral unnest(
        case s.channel when 'all' then array['email', 'sms', 'whatsapp'] else array[s.channel] end) each(channel)
      order by s.contact_point_id, each.channel, s.at desc, s.id desc
    ), reach as (
      select p.*,
        exists (select 1 from suppressed s where s.contact_point_id = p.id and s.action = 'suppress'
          and s.channel = case p.kind when 'email' then 'email' else 'sms' end) as is_off,
        exists (select 1 from suppressed s where s.contact_point_id = p.id and s.action = 'suppress'
          and s.channel = 'whatsapp') as is_whatsapp_off
      from points p
    ), usable as (
      select person_id,
        (array_agg(id order by is_indirect, rank) filter (where kind = 'email' and not is_off))[1] as email_id,
        (array_agg(id order by rank) filter (where kind = 'email' and not is_off and not is_indirect))[1] as direct_id,
        (array_agg(id order by rank) filter (where kind = 'phone' and not is_off))[1] as phone_id,
        (array_agg(address order by rank) filter (where kind = 'phone'))[1] as phone,
        (array_agg(id order by rank) filter (where kind = 'phone' and not is_whatsapp_off))[1] as whatsapp_id
      from reach group by person_id
    ), consent as (
      select person_id,
        bool_or(channel = 'sms' and level = 'pewc') as has_sms_pewc,
        bool_or(channel = 'whatsapp' and level in ('express', 'pewc')) as has_whatsapp
      from ledger.consents
      where person_id = any(cast(:ids as bigint[])) and (expires_at is null or expires_at > :now)
        and (cast(:by as timestamptz) is null or at <= :by)
      group by person_id
    ), known as (
      select person_id,
        bool_or(key like 'timeline%') as timeline, bool_or(key like 'budget%') as budget,
        bool_or(key in ('zip', 'city', 'place', 'state')) as place,
        (array_agg(value order by at desc) filter (where key = 'side'))[1] as side
      from ledger.qualifications where person_id = any(cast(:ids as bigint[])) group by person_id
    ), asked as (
      select distinct on (person_id) person_id, event_id, type, property, occurred_at
      from ledger.inquiries where person_id = any(cast(:ids as bigint[]))
        and (cast(:by as timestamptz) is null or occurred_at <= :by)
      order by person_id, occurred_at desc
    ), busy as (
      select distinct person_id from ledger.messages
      where person_id = any(cast(:ids as bigint[])) and state = any(:under_way)
    )
    select w.person_id, w.first_name, w.assigned_to, w.assigned_user_id, w.stage, w.price_usd, w.place, w.custom,
      w.last_human_at, w.last_two_way_at, w.automation_paused_at, w.automation_paused_reason, w.crm_created_at,
      w.merged_into is not null or w.deleted_at is not null as is_gone,
      u.email_id, u.direct_id, u.phone_id, u.whatsapp_id, u.phone,
      coalesce(c.has_sms_pewc, false) as has_sms_pewc, coalesce(c.has_whatsapp, false) as has_whatsapp,
      coalesce(k.timeline, false) as knows_timeline, coalesce(k.budget, false) as knows_budget,
      coalesce(k.place, false) as knows_place, k.side, a.event_id, a.type as inquiry_type, a.property,
      a.occurred_at as asked_at,
      b.person_id is not null as is_busy
    from wanted w
    left join usable u using (person_id)
    left join consent c using (person_id)
    left join known k using (person_id)
    left join asked a using (person_id)
    left join busy b using (person_id)
    order by w.person_id
    """
)


_ZIPS = text(
    """
    with wanted as (
      select p.person_id, p.merged_into from ledger.people p where p.person_id = any(cast(:ids as bigint[]))
    )
    select p.place ->> 'zip' from ledger.people p
    where p.person_id in (select person_id from wanted union select merged_into from wanted)
    union
    select i.property ->> 'zip' from ledger.inquiries i
    where i.person_id in (select person_id from wanted union select merged_into from wanted)
    """
)


class PersonRow(NamedTuple):
    """One person as the ledger knows them now; grain: person. Column order is the query's."""

    person_id: int
    first_name: str
    assigned_to: str | None
    assigned_user_id: int | None
    stage: str
    price_usd: int | None
    place: Mapping[str, Any]
    custom: Mapping[str, Any]
    last_human_at: datetime | None
    last_two_way_at: datetime | None
    automation_paused_at: datetime | None
    automation_paused_reason: str | None
    crm_created_at: datetime
    is_gone: bool
    email_id: int | None
    direct_id: int | None
    phone_id: int | None
    whatsapp_id: int | None
    phone: str | None
    has_sms_pewc: bool
    has_whatsapp: bool
    knows_timeline: bool
    knows_budget: bool
    knows_place: bool
    side: str | None
    event_id: int | None
    inquiry_type: str | None
    property: Mapping[str, Any] | None
    asked_at: datetime | None
    is_busy: bool


@dataclass(frozen=True, slots=True)
class Known:
    """A person with the facts that plans ask for.

    Attributes:
        side: ``buy`` or ``sell``; what they said, else what they asked for, else buy.
        place: where they look or sell, in words; empty if unknown.
        zip: the ZIP code the market facts are for.
        state: two letters, empty if unknown.
    """

    row: PersonRow
    facts: frozenset[str]
    side: str
    place: str
    zip: str
    state: str

    def contact_point(self, channel: str, purpose: str) -> int | None:
        """The address to use for a channel: a portal's relay only ever answers an inquiry (C24)."""
        if channel == "email":
            return self.row.email_id if purpose in {"inquiry_response", "conversation"} else self.row.direct_id
        return self.row.whatsapp_id if channel == "whatsapp" else self.row.phone_id


def people(
    connection: Connection, person_ids: Iterable[int], *, now: datetime, by: datetime | None = None
) -> dict[int, PersonRow]:
    """What the ledger knows about these people, by id; unknown ids are left out.

    Args:
        connection: the ledger.
        person_ids: who.
        now: consents that ended by then are none.
        by: refusals, consents and inquiries of a later moment are passed over; None takes all there are.
    """
    names = {"ids": id_array(person_ids), "now": now, "by": by, "under_way": list(UNDER_WAY)}
    rows = connection.execute(_PEOPLE, names)
    return {row[0]: PersonRow._make(row) for row in rows.all()}


def zips_of(connection: Connection, person_ids: Iterable[int]) -> set[str]:
    """The ZIP codes that market facts are wanted for, of these people and of those they were merged into."""
    found = connection.execute(_ZIPS, {"ids": list(person_ids)}).scalars()
    return {code[:5] for code in found if code}


def know(
    row: PersonRow, *, lead_type: str | None = None, has_market_trend: bool = False, has_offer: bool = False
) -> Known:
    """The facts about one person.

    Args:
        row: the ledger's view.
        lead_type: the CRM's Buyer or Seller, if the caller knows it.
        has_market_trend: a fresh market fact exists for ``zip_of(row)``.
        has_offer: an approved offer stands for this person.
    """
    home = row.property or {}
    side = side_of(row, lead_type)
    holding = (
        row.email_id is not None,
        row.direct_id is not None,
        row.phone_id is not None,
        row.phone_id is not None and row.has_sms_pewc,
        row.whatsapp_id is not None and row.has_whatsapp and not is_us_number(row.phone or ""),
        has_market_trend,
        has_offer,
        row.knows_timeline,
        row.knows_budget or bool(row.price_usd),
        row.knows_place or bool(home.get("zip") or home.get("city")),
        row.side is not None or row.inquiry_type == "Seller Inquiry" or bool(home),
        side == "sell",
    )
    return Known(
        row=row,
        facts=_named(holding),
        side=side,
        place=str(home.get("city") or row.place.get("city") or ""),
        zip=zip_of(row),
        state=state_of(row),
    )


# In the order in which ``know`` finds them.
_FACTS = (
    "has_email", "has_direct_email", "has_phone", "has_sms_pewc", "whatsapp_reaches", "has_market_trend", "has_offer",
    "knows_timeline", "knows_budget", "knows_place", "knows_side", "is_seller",
)  # fmt: skip


@lru_cache(maxsize=4096)
def _named(holding: tuple[bool, ...]) -> frozenset[str]:
    """The names of the facts that hold; one object for equal sets, so that its hash is computed once."""
    return frozenset(name for name, holds in zip(_FACTS, holding, strict=True) if holds)


def side_of(row: PersonRow, lead_type: str | None = None) -> str:
    """``sell`` if they said so, asked so or the CRM files them so; else ``buy``."""
    if row.side:
        return "sell" if row.side.lower().startswith("sell") else "buy"
    said = row.inquiry_type == "Seller Inquiry" or (lead_type or "").lower() == "seller"
    return "sell" if said else "buy"


def state_of(row: PersonRow) -> str:
    """The state of the home they asked about, else of their own address; empty if unknown."""
    return str((row.property or {}).get("state") or row.place.get("state") or "")


def zip_of(row: PersonRow) -> str:
    """The ZIP code of the home they asked about, else of their own address; empty if unknown."""
    home = row.property or {}
    return str(home.get("zip") or row.place.get("zip") or "")[:5]


@lru_cache(maxsize=65536)
def is_us_number(number: str) -> bool:
    """Whether an E.164 number is of the United States; +1 alone is Canada or the Caribbean too (C30)."""
    if not number.startswith("+1"):
        return False
    import phonenumbers

    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) not in {"CA", *_CARIBBEAN}
    except phonenumbers.NumberParseException:
        return True


# Regions inside +1 that are not the United States; its own territories (PR, VI, GU, AS, MP) count as US.
_CARIBBEAN = frozenset("AG AI BB BM BS DM DO GD JM KN KY LC MS SX TC TT VC VG".split())
