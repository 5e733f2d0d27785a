"""New homes on the market that fit what leads said.

What lives here: matching stored listings with stated criteria. What does not: landing listings (``listings``), the
email about them (the ``property_alert`` plan).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.market.criteria import Criteria, stated
from leadpipe.market.listings import current_listings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.store.lake import Lake

COUNT = 3
# A listing's status is at most so old when it is offered (compliance C41).
CHECKED_WITHIN = timedelta(hours=24)
# Time zones and late MLS entries: a home listed the day before the window still counts as new.
LISTED_SLACK = timedelta(days=1)

Row = dict[str, Any]


def new_matches(engine: Engine, lake: Lake, *, now: datetime, since: datetime) -> dict[int, list[Row]]:
    """Up to three homes by person that came on the market after ``since`` and fit what the person stated.

    A home counts as new when it first landed after ``since`` and was listed then too: one that merely became known,
    because a lead named its ZIP code for the first time, is no news. Homes hidden from consumers, gone, or not
    checked within 24 hours are left out. Equal criteria give equal homes (C37).

    Returns:
        Homes as ``outreach.variables.listing_variables`` reads them; people without a match are left out.
    """
    homes = [home for home in current_listings(lake) if _is_news(home, now=now, since=since)]
    if not homes:
        return {}
    by_zip: dict[str, list[Row]] = defaultdict(list)
    by_city: dict[str, list[Row]] = defaultdict(list)
    for home in sorted(homes, key=lambda row: (-row["first_landed_at"].timestamp(), row["listing_key"])):
        by_zip[home["zip"]].append(home)
        by_city[home["city"].lower()].append(home)
    with engine.connect() as connection:
        wishes = stated(connection, now=now)
    found: dict[Criteria, list[Row]] = {}
    for wish in set(wishes.values()):
        near = by_zip[wish.zip] if wish.zip else by_city[wish.city.lower()]
        fitting = [home for home in near if _fits(home, wish)]
        found[wish] = [_recommendation(home) for home in fitting[:COUNT]]
    return {person_id: found[wish] for person_id, wish in wishes.items() if found[wish]}


def _is_news(home: Row, *, now: datetime, since: datetime) -> bool:
    if not (home["is_active"] and home["is_displayable"] and home["status"] == "Active"):
        return False
    if home["first_landed_at"] <= since or now - home["checked_at"] > CHECKED_WITHIN:
        return False
    return home["listed_on"] is None or home["listed_on"] >= (since - LISTED_SLACK).date()


def _fits(home: Row, wish: Criteria) -> bool:
    if not wish.zip and wish.state and home["state"] != wish.state:
        return False
    return wish.fits(price_usd=home["price_usd"], beds=home["beds"])


def _recommendation(home: Row) -> Row:
    place = home["city"] or home["zip"]
    return {
        "address": home["address"] or (f"Home in {place}" if place else ""),
        "price_usd": home["price_usd"],
        "beds": home["beds"],
        "baths": home["baths"],
        "url": home["url"],
        "attribution": home["attribution"],
        "listing_key": home["listing_key"],
        "state": home["state"],
        "status": home["status"],
        "checked_at": home["checked_at"],
    }
