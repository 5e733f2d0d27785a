"""The clock that a person lives by, for choosing a friendly hour.

What lives here: one zone per person, best guess first. What does not: legal hours, which hold in every zone a person
may be in (``policy.hours``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from leadpipe.outreach.facts import PersonRow


def zone_of(row: PersonRow, team_timezone: str) -> str:
    """The zone of their ZIP code, else of their number's area code, else the team's."""
    own = str(row.place.get("zip") or "")[:5]
    return (own and zone_of_zip(own)) or (row.phone and _zone_of_prefix(row.phone[:5])) or team_timezone


@lru_cache(maxsize=65536)
def zone_of_zip(zip_code: str) -> str | None:
    """The zone of a ZIP code; None when unknown."""
    import zipcodes

    if not (zip_code.isdigit() and len(zip_code) == 5):
        return None
    zones = {str(place["timezone"]) for place in zipcodes.matching(zip_code) if place.get("timezone")}
    return next((zone for zone in sorted(zones) if _is_zone(zone)), None)


@lru_cache(maxsize=1024)
def _zone_of_prefix(prefix: str) -> str | None:
    """The zone that most ZIP codes of a US area code (``+1`` and three digits) lie in."""
    from collections import Counter

    import zipcodes

    if not prefix.startswith("+1"):
        return None
    area = prefix[2:]
    zones = Counter(
        str(place["timezone"])
        for place in zipcodes.list_all()
        if area in place.get("area_codes", ()) and place.get("timezone")
    )
    return next((zone for zone, _ in zones.most_common() if _is_zone(zone)), None)


def _is_zone(name: str) -> bool:
    """One record of the table holds a town where the zone should be (compliance 9.1)."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True
