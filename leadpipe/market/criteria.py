"""What leads said they look for: place and budget, and nothing else.

What lives here: reading stated criteria from the ledger. What does not: finding homes for them (``recommend``,
``matches``).

No steering (compliance C37): place, price and bedrooms as the lead stated them are the only inputs; a name, a language
or the address they write from never is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.market.bridge import Search

if TYPE_CHECKING:
    from sqlalchemy import Connection

# How far a home may be from the price of the one they asked about.
PRICE_SPREAD = 0.2
_ZIP = re.compile(r"\b\d{5}\b")

_CRITERIA = text(
    """
    with said as (
      select person_id, jsonb_object_agg(key, value) as answers
      from (
        select distinct on (person_id, key) person_id, key, value
        from ledger.qualifications
        where (:everyone or person_id = any(cast(:ids as bigint[]))) and at <= :now
        order by person_id, key, at desc, id desc
      ) newest group by person_id
    ), asked as (
      select distinct on (person_id) person_id, type, property
      from ledger.inquiries
      where (:everyone or person_id = any(cast(:ids as bigint[]))) and occurred_at <= :now
        and (property <> '{}'::jsonb or type = 'Seller Inquiry')
      order by person_id, occurred_at desc, event_id desc
    )
    select p.person_id, p.price_usd, s.answers, a.type, a.property
    from ledger.people p
    left join said s using (person_id)
    left join asked a using (person_id)
    where (:everyone or p.person_id = any(cast(:ids as bigint[])))
      and p.merged_into is null and p.deleted_at is null
      and (s.person_id is not null or a.person_id is not null)
    order by p.person_id
    """
)


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """A place and, when stated, a budget in dollars and a number of bedrooms; equal criteria mean equal homes."""

    zip: str = ""
    city: str = ""
    state: str = ""
    low_usd: int | None = None
    high_usd: int | None = None
    beds: int | None = None

    def as_search(self) -> Search:
        """The search at Bridge for these criteria."""
        return Search(
            zips=(self.zip,) if self.zip else (),
            city=self.city,
            state=self.state,
            low_usd=self.low_usd,
            high_usd=self.high_usd,
            beds=self.beds,
        )

    def fits(self, *, price_usd: float, beds: int | None) -> bool:
        """Whether a home in the right place fits; a home that does not tell its bedrooms fits no wish for them."""
        if self.low_usd is not None and price_usd < self.low_usd:
            return False
        if self.high_usd is not None and price_usd > self.high_usd:
            return False
        return self.beds is None or (beds is not None and beds >= self.beds)


def stated(connection: Connection, *, now: Any, person_ids: Iterable[int] | None = None) -> dict[int, Criteria]:
    """Criteria of those who stated a place and look for a home to buy; the others are left out.

    Answers come first, then the newest home they asked about, then the CRM's price.

    Args:
        connection: of the ledger.
        now: later statements do not count.
        person_ids: whom to look at; None looks at everyone.
    """
    rows = connection.execute(
        _CRITERIA, {"ids": list(person_ids or ()), "everyone": person_ids is None, "now": now}
    ).all()
    found: dict[int, Criteria] = {}
    for person_id, price_usd, answers, inquiry_type, home in rows:
        criteria = _criteria(answers or {}, home or {}, inquiry_type, price_usd)
        if criteria is not None:
            found[person_id] = criteria
    return found


def _criteria(
    answers: Mapping[str, Any], home: Mapping[str, Any], inquiry_type: str | None, price_usd: int | None
) -> Criteria | None:
    side = str(answers.get("side") or "").lower()
    is_seller = side.startswith("sell") if side else inquiry_type == "Seller Inquiry"
    # The home in a seller's inquiry is their own.
    place = None if is_seller else _place(answers) or _place(home)
    if place is None:
        return None
    low, high = _budget(answers, home, price_usd)
    return Criteria(**place, low_usd=low, high_usd=high, beds=_number(answers.get("beds") or answers.get("bedrooms")))


def _place(stated: Mapping[str, Any]) -> dict[str, str] | None:
    said = str(stated.get("place") or "")
    code = _ZIP.search(str(stated.get("zip") or "") or said)
    if code:
        return {"zip": code[0]}
    city = str(stated.get("city") or said).strip()
    state = str(stated.get("state") or "").strip().upper()
    if "," in city:
        city, _, rest = (part.strip() for part in city.partition(","))
        state = state or rest.upper()
    return {"city": city, "state": state if re.fullmatch("[A-Z]{2}", state) else ""} if city else None


def _budget(
    answers: Mapping[str, Any], home: Mapping[str, Any], price_usd: int | None
) -> tuple[int | None, int | None]:
    low, high = _number(answers.get("budget_low_usd")), _number(answers.get("budget_high_usd"))
    if low is not None or high is not None:
        return low, high
    price = _number(answers.get("budget_usd")) or _number(home.get("price_usd")) or price_usd
    if not price:
        return None, None
    return round(price * (1 - PRICE_SPREAD)), round(price * (1 + PRICE_SPREAD))


def _number(value: object) -> int | None:
    try:
        number = int(float(str(value).replace(",", "").replace("$", "")))
    except (ValueError, OverflowError):
        return None
    return number if number > 0 else None
