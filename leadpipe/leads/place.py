"""Where a contact may be: candidate (zone, state) pairs with the evidence for each.

What lives here: address, ZIP and area code -> candidates. What does not: the hours there (``policy.hours``).

Rules: compliance C13 and section 9.1. Address and area code both count and are intersected later; a split ZIP or area
code yields every zone it may mean; zones come from ZIP-level data and are validated against IANA.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# An area code keeps a zone that more than a few of its ZIPs hold; border ZIPs bleed (303 lists one Oklahoma ZIP).
FEW_ZIPS = 5
CANADIAN_AREA_CODES = frozenset(
    "204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474 506 514 519 "
    "548 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902 905 "
    "942".split()
)
CARIBBEAN_AREA_CODES = frozenset(
    "242 246 264 268 284 345 441 473 649 658 664 721 758 767 784 809 829 849 868 869 876".split()
)
NON_GEOGRAPHIC = frozenset("500 521 522 533 544 566 577 588 600 700 800 833 844 855 866 877 888 900".split())
EU_PREFIXES = (
    "+30", "+31", "+32", "+33", "+34", "+351", "+352", "+353", "+354", "+356", "+357", "+358", "+359", "+36", "+370",
    "+371", "+372", "+385", "+386", "+39", "+40", "+41", "+420", "+421", "+423", "+43", "+44", "+45", "+46", "+47",
    "+48", "+49",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place the person may be in; ``state`` is empty where only the zone is known."""

    zone: str
    state: str


@dataclass(frozen=True, slots=True)
class Place:
    """All candidates, the jurisdiction, and where each piece of evidence came from."""

    candidates: tuple[Candidate, ...]
    country: str
    evidence: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether anything says where the person is."""
        return bool(self.candidates)

    @property
    def states(self) -> tuple[str, ...]:
        """States whose rules apply."""
        return tuple(dict.fromkeys(c.state for c in self.candidates if c.state))


@lru_cache(maxsize=200_000)
def place_of(zip_code: str, state: str, country: str, phone_prefix: str) -> Place:
    """Candidates for an address and a phone's prefix (``+1`` and area code, or the number's first digits abroad)."""
    candidates: list[Candidate] = []
    evidence: list[str] = []
    by_zip = _zip_candidates(zip_code[:5])
    if by_zip:
        candidates += by_zip
        evidence.append(f"zip {zip_code[:5]}")
    elif state:
        candidates += [c for c in _state_candidates(state.upper())]
        evidence.append(f"state {state.upper()}")
    area = phone_prefix[2:5] if phone_prefix.startswith("+1") else ""
    if area:
        by_area = _area_candidates(area)
        candidates += by_area
        evidence.append(f"area code {area}" + ("" if by_area else " (place unknown)"))
    elif phone_prefix:
        candidates += _abroad(phone_prefix)
        evidence.append(f"country code of {phone_prefix[:3]}")
    return Place(tuple(dict.fromkeys(candidates)), _country(zip_code, country, phone_prefix, area), tuple(evidence))


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The zone, read once: ``ZoneInfo`` itself keeps only the last eight."""
    return ZoneInfo(name)


def prefix_of(phone: str | None) -> str:
    """The part of an E.164 number that says where it belongs."""
    if not phone:
        return ""
    return phone[:5] if phone.startswith("+1") else phone[:6]


def _country(zip_code: str, country: str, prefix: str, area: str) -> str:
    stated = country.strip().upper()
    if (
        stated in {"CA", "CAN", "CANADA"}
        or area in CANADIAN_AREA_CODES
        or (zip_code[:1].isalpha() and len(zip_code) >= 3)
    ):
        return "CA"
    if area in CARIBBEAN_AREA_CODES:
        return "CARIBBEAN"
    if prefix.startswith(EU_PREFIXES) and not prefix.startswith("+1"):
        return "EU"
    if prefix and not prefix.startswith("+1"):
        return "OTHER"
    return "US"


def _is_zone(name: object) -> bool:
    try:
        ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name)


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, list[Candidate]], dict[str, list[Candidate]], dict[str, list[Candidate]]]:
    """ZIP, state and area code tables of the ``zipcodes`` package, built once (42,789 rows)."""
    import zipcodes

    by_zip: dict[str, list[Candidate]] = {}
    by_state: dict[str, Counter[Candidate]] = defaultdict(Counter)
    by_area: dict[str, Counter[Candidate]] = defaultdict(Counter)
    zones: dict[str, bool] = {}
    for row in zipcodes.list_all():
        zone, state = str(row.get("timezone") or ""), str(row.get("state") or "")
        if zone not in zones:
            zones[zone] = _is_zone(zone)
        if not zones[zone]:
            continue
        candidate = Candidate(zone, state)
        by_zip.setdefault(str(row["zip_code"]), []).append(candidate)
        by_state[state][candidate] += 1
        for area in row.get("area_codes") or ():
            by_area[str(area)][candidate] += 1
    states = {
        state: [c for c, n in counts.items() if n > FEW_ZIPS] or list(counts) for state, counts in by_state.items()
    }
    areas: dict[str, list[Candidate]] = {}
    for area, counts in by_area.items():
        most = max(counts.values())
        kept = [c for c, n in counts.items() if n > FEW_ZIPS and n * 50 >= most]
        areas[area] = kept or [counts.most_common(1)[0][0]]
    return by_zip, states, areas


def _zip_candidates(zip_code: str) -> list[Candidate]:
    return _tables()[0].get(zip_code, []) if len(zip_code) == 5 and zip_code.isdigit() else []


def _state_candidates(state: str) -> list[Candidate]:
    return _tables()[1].get(state, [])


def _area_candidates(area: str) -> list[Candidate]:
    if area in NON_GEOGRAPHIC:
        return []
    if area in CANADIAN_AREA_CODES or area in CARIBBEAN_AREA_CODES:
        return [Candidate(zone, "") for zone in _zones_by_number(f"+1{area}5550100")]
    return _tables()[2].get(area, [])


def _abroad(prefix: str) -> list[Candidate]:
    return [Candidate(zone, "") for zone in _zones_by_number(prefix + "000000")]


@lru_cache(maxsize=4096)
def _zones_by_number(number: str) -> tuple[str, ...]:
    import phonenumbers
    from phonenumbers import timezone

    try:
        found = timezone.time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return ()
    return tuple(zone for zone in found if _is_zone(zone) and zone != "Etc/Unknown")
