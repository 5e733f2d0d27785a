"""The clock that a person lives by, for choosing a friendly hour.

What lives here: one zone per person, best guess first. What does not: legal hours, which hold in every zone a person
may be in (``policy.hours``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from leadpipe.leads.place import place_of

if TYPE_CHECKING:
    from leadpipe.outreach.facts import PersonRow


def zone_of(row: PersonRow, team_timezone: str) -> str:
    """The zone of their ZIP code, else of their number's area code, else the team's."""
    own = str(row.place.get("zip") or "")[:5]
    return (own and zone_of_zip(own)) or (row.phone and _zone_of_prefix(row.phone[:5])) or team_timezone


def zone_of_zip(zip_code: str) -> str | None:
    """The zone of a ZIP code; None when unknown."""
    return _zone_of(zip_code, "")


def _zone_of_prefix(prefix: str) -> str | None:
    """A zone of a US area code (``+1`` and three digits); a few codes lie in two."""
    return _zone_of("", prefix) if prefix.startswith("+1") else None


@lru_cache(maxsize=65536)
def _zone_of(zip_code: str, prefix: str) -> str | None:
    candidates = place_of(zip_code, "", "", prefix).candidates
    return candidates[0].zone if candidates else None
