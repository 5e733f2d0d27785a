"""Invented homes for sale, by ZIP code: the same ZIP and day give the same homes.

What lives here: listings in RESO's names (zillow sheet 2.3). What does not: HTTP (``market``).
"""

from __future__ import annotations

import hashlib
import random
from datetime import date, datetime, timedelta
from typing import Any

from leadpipe.sandbox.places import PLACES

Row = dict[str, Any]
STREETS = ("Oak", "Maple", "Cedar", "Pecan", "Birch", "Willow", "Juniper", "Laurel")
PER_ZIP = 12
_EPOCH = date(2026, 1, 1)
_PLACES = {place.zip: place for place in PLACES}


def homes_in(code: str, now: datetime) -> list[Row]:
    """The twelve homes for sale in a ZIP: each day one comes on the market and the oldest one goes."""
    today = (now.date() - _EPOCH).days
    return [_home(code, today - age, now, age) for age in reversed(range(PER_ZIP))]


def _home(code: str, day: int, now: datetime, age: int) -> Row:
    place, dice, number = _PLACES.get(code), random.Random(f"{code}:{day}"), 10_000 + day
    base_price = 180_000 + int(hashlib.md5(code.encode()).hexdigest(), 16) % 60 * 10_000  # noqa: S324 - dice
    price = base_price + dice.randrange(-80, 160) * 1000
    house, street = dice.randrange(100, 9900), dice.choice(STREETS)
    eight = now.replace(hour=8, minute=0, second=0, microsecond=0)
    listed = min(now, eight - timedelta(days=age)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    beds, baths, area = dice.randrange(2, 6), dice.randrange(1, 4), dice.randrange(900, 3600)
    return {
        "@odata.id": f"Property('L{code}{number}')", "ListingKey": f"L{code}{number}",
        "ListingId": f"MLS{code}{number}", "StandardStatus": "Active",
        "MlsStatus": "Active", "PropertyType": "Residential",
        "PropertySubType": "Single Family Residence", "ListPrice": price, "OriginalListPrice": price,
        "BedroomsTotal": beds, "BathroomsTotalInteger": baths, "LivingArea": area, "LivingAreaUnits": "Square Feet",
        "YearBuilt": 1960 + number % 60, "UnparsedAddress": f"{house} {street} St", "StreetNumber": str(house),
        "StreetName": street, "City": place.city if place else "", "PostalCode": code,
        "StateOrProvince": place.state if place else "", "InternetEntireListingDisplayYN": number % 9 != 8,
        "InternetAddressDisplayYN": number % 5 != 3, "InternetAutomatedValuationDisplayYN": False,
        "ListOfficeName": "Sandbox Homes", "ListAgentFullName": "Robin Vale", "Disclaimer": "Invented listing.",
        "FeedTypes": ["IDX"], "OnMarketDate": listed[:10], "PhotosCount": 0, "Media": [],
        "PublicRemarks": f"{beds} bedrooms, {area} square feet.", "ModificationTimestamp": listed,
        "BridgeModificationTimestamp": listed,
    }  # fmt: skip
