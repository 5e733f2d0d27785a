"""The variables that every template can use, from what is known about a person.

What lives here: their names and how each is made fit to print. What does not: the words (``templates``).

``first_name agent_name brokerage_name postal_address licence assistant_name language side place property_address
listings market offer`` are always there; ``licence`` (what a state wants to be said) and the last three may be empty.
Nothing that came from outside can become a link by itself, and homes keep theirs only where the team allows the portal.
Listings have ``address price_usd beds baths url
attribution``; ``market`` has ``zip change_12m_pct month sentence``; ``offer`` has ``id title text``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from leadpipe.leads.place import prefix_of
from leadpipe.policy.licences import licence_text
from leadpipe.policy.links import hosts_in, is_own
from leadpipe.policy.pack import own_domains

if TYPE_CHECKING:
    from leadpipe.outreach.facts import Known
    from leadpipe.outreach.offers import Offer
    from leadpipe.settings import Settings

Variables = dict[str, Any]
# Zillow's own terms for its aggregates (zillow sheet 4.3).
ATTRIBUTION = "Data Provided by Zillow Group."
FRESH_FOR = timedelta(days=75)
LANGUAGES = ("en", "es")
# A dot without a blank makes a link of two words: "12 Oak St.Unit 5", or what somebody typed as their street.
_JOINED = re.compile(r"(?<=[^\W\d_])\.(?=\w)|(?<=\w)\.(?=[^\W\d_])")
_NAME = re.compile(r"[^\W\d_]+(?:[ '\u2019-][^\W\d_]+){0,2}")


@lru_cache(maxsize=65536)
def clean_name(name: str) -> str:
    """A name fit for a greeting: letters only, at most 30; what a form or a portal left there instead is "there"."""
    found = _NAME.match(name.strip())
    if not found or found.end() != len(name.strip()) or len(found[0]) > 30:
        return "there"
    return found[0]


def variables_for(
    known: Known,
    settings: Settings,
    *,
    now: datetime,
    listings: Sequence[Mapping[str, Any]] = (),
    market: Mapping[str, Any] | None = None,
    offer: Offer | None = None,
) -> Variables:
    """All template variables for one person; plain values only, as they are frozen as JSON."""
    row, home = known.row, known.row.property or {}
    language = language_of(row.custom)
    return {
        "first_name": clean_name(row.first_name),
        "agent_name": row.assigned_to or "the team",
        "brokerage_name": settings.brokerage_name,
        "postal_address": settings.postal_address,
        "licence": licence_text(row.place, prefix_of(row.phone), settings.licences, settings.licence_links, now.date()),
        "assistant_name": settings.assistant_name,
        "language": language,
        "side": known.side,
        "place": unlinked(known.place),
        "property_address": unlinked(str(home.get("street") or "")),
        "listings": [_with_own_link(listing_variables(listing), settings) for listing in listings],
        "market": dict(market) if market else None,
        "offer": {"id": offer.id, "title": offer.title, "text": offer.text} if offer else None,
    }


def unlinked(text: str) -> str:
    """The text with a blank after each dot between words, so that no device makes a link of it."""
    return _JOINED.sub(". ", text) if "." in text else text


def _with_own_link(listing: Variables, settings: Settings) -> Variables:
    """The home without its link where that leads to a domain the team does not allow (LEADPIPE_LINK_DOMAINS)."""
    if not listing["url"] or all(is_own(host, own_domains(settings)) for host in hosts_in(listing["url"])):
        return listing
    return {**listing, "url": ""}


def language_of(custom: Mapping[str, Any]) -> str:
    """``es`` when the CRM's custom field says Spanish, else ``en``."""
    return "es" if str(custom.get("customLanguage") or "").lower() in {"es", "spanish", "español"} else "en"


def listing_variables(listing: Mapping[str, Any]) -> Variables:
    """One listing as templates print it, without what its switches hide (zillow sheet 2.3)."""
    return {
        "address": unlinked(str(listing.get("address") or listing.get("city") or "Address on request")),
        "price_usd": float(listing.get("price_usd") or 0),
        "beds": listing.get("beds"),
        "baths": listing.get("baths"),
        "url": str(listing.get("url") or ""),
        "attribution": str(listing.get("attribution") or ""),
        "listing_key": str(listing.get("listing_key") or ""),
        # Not for printing: what the gate must know of it, then and later (``messaging.homes``).
        "state": str(listing.get("state") or ""),
        "status": str(listing.get("status") or ""),
        "checked_at": _iso(listing.get("checked_at")),
    }


def _iso(at: object) -> str:
    return at.isoformat() if isinstance(at, datetime) else str(at or "")


def market_variables(
    *, zip_code: str, change_12m_pct: float | None, month: date | None, now: datetime
) -> Variables | None:
    """The market fact of a ZIP code with its source and date, or None when it is missing or older than 75 days."""
    if change_12m_pct is None or month is None or not zip_code or now.date() - month > FRESH_FOR:
        return None
    return _market_variables(zip_code, round(change_12m_pct, 1), month)


def market_variables_for(
    facts_by_zip: Mapping[str, tuple[float, date]], *, now: datetime
) -> dict[str, Mapping[str, Any]]:
    """The market facts of some ZIP codes as templates print them; stale ones are left out."""
    made = {
        code: market_variables(zip_code=code, change_12m_pct=change, month=month, now=now)
        for code, (change, month) in facts_by_zip.items()
    }
    return {code: variables for code, variables in made.items() if variables is not None}


@lru_cache(maxsize=65536)
def _market_variables(zip_code: str, change_12m_pct: float, month: date) -> Variables:
    moved = "stayed about level"
    if abs(change_12m_pct) >= 0.1:
        moved = f"{'rose' if change_12m_pct > 0 else 'fell'} by {abs(change_12m_pct):.1f}%"
    sentence = (
        f"The value of a typical home in ZIP {zip_code} {moved} over the twelve months to {month:%B %Y} "
        f"(Zillow Home Value Index). {ATTRIBUTION}"
    )
    return {"zip": zip_code, "change_12m_pct": change_12m_pct, "month": month.isoformat(), "sentence": sentence}
