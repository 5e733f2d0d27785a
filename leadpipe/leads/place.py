"""Where a contact may be: candidate (zone, state) pairs with the evidence for each.

What lives here: address, ZIP and area code -> candidates and jurisdictions. What does not: the tables
(``place_tables``), the hours there (``policy.hours``).

Rules: compliance C13 and section 9.1. Address and area code both count and are intersected later: whatever the person
may be in adds its window and its rules. Zones come from ZIP-level data and are validated against IANA.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from zoneinfo import ZoneInfo

from leadpipe.leads.place_abroad import calling_code, zones_of_country, zones_of_number
from leadpipe.leads.place_tables import (
    CANADIAN_AREA_CODES,
    CANADIAN_NON_GEOGRAPHIC,
    CARIBBEAN_AREA_CODES,
    EU_COUNTRIES,
    EU_PREFIXES,
    NON_GEOGRAPHIC,
    POSTAL_LETTERS,
    PROVINCES,
    Candidate,
    american_area,
    country_code,
    other_area,
    state_code,
    tables,
)

# Whose rules come first when evidence points to several; all of them apply.
_STRICTEST_FIRST = ("CA", "EU", "US", "CARIBBEAN", "OTHER")


@dataclass(frozen=True, slots=True)
class Place:
    """All candidates, the jurisdictions, and where each piece of evidence came from.

    Attributes:
        countries: jurisdictions that address and number point to: ``US``, ``CA``, ``EU`` (with EEA, United Kingdom and
            Switzerland), ``CARIBBEAN``, ``OTHER``; ``US`` when nothing says.
        phone_country: the number's own jurisdiction, empty without one.
        states: those whose rules apply.
    """

    candidates: tuple[Candidate, ...]
    countries: tuple[str, ...]
    phone_country: str
    evidence: tuple[str, ...]
    states: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        # Asked for by a dozen rules of every message.
        object.__setattr__(self, "states", tuple(dict.fromkeys(c.state for c in self.candidates if c.state)))

    @property
    def is_known(self) -> bool:
        """Whether anything says where the person is."""
        return bool(self.candidates)

    @property
    def country(self) -> str:
        """The strictest of the jurisdictions."""
        return self.countries[0]


@lru_cache(maxsize=200_000)
def place_of(zip_code: str, state: str, country: str, phone_prefix: str, city: str = "") -> Place:
    """Candidates for an address and a phone's prefix (``+1`` and area code, or the number's first digits abroad)."""
    candidates: list[Candidate] = []
    countries: list[str] = []
    evidence: list[str] = []
    for found, nation, why in (_by_address(zip_code, state, country, city), _by_number(phone_prefix)):
        candidates += found
        countries += [nation] if nation else []
        evidence += [why] if why else []
    return Place(
        candidates=tuple(dict.fromkeys(candidates)),
        countries=tuple(sorted(set(countries) or {"US"}, key=_STRICTEST_FIRST.index)),
        phone_country=_by_number(phone_prefix)[1],
        evidence=tuple(evidence),
    )


@lru_cache(maxsize=65536)
def state_of_code(code: str) -> str:
    """The state of a ZIP code, or the province of a Canadian postal code; empty when it is of none or of several."""
    if len(code) >= 3 and code[1].isdigit() and code[2].isalpha():
        return POSTAL_LETTERS.get(code[0].upper(), "")
    states = place_of(code[:5], "", "", "").states if code[:5].isdecimal() else ()
    return states[0] if len(states) == 1 else ""


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The zone, read once: ``ZoneInfo`` itself keeps only the last eight."""
    return ZoneInfo(name)


def prefix_of(phone: str | None) -> str:
    """The part of an E.164 number that says where it belongs."""
    if not phone:
        return ""
    return phone[:5] if phone.startswith("+1") else phone[:6]


_Found = tuple[tuple[Candidate, ...], str, str]


@lru_cache(maxsize=100_000)
def _by_address(zip_code: str, state: str, country: str, city: str) -> _Found:
    code, region, nation = zip_code.strip().upper(), state_code(state), country_code(country)
    province = POSTAL_LETTERS.get(code[:1], "") if len(code) >= 3 and code[1:2].isdigit() else ""
    is_canadian = nation in {"", "CA"} and (province or (region in PROVINCES and not tables().by_state.get(region)))
    if nation == "CA" or is_canadian:
        return _canadian(province or (region if region in PROVINCES else ""))
    if nation and nation not in {"US", "PR", "VI", "GU", "AS", "MP"}:
        zones = zones_of_country(nation)
        return tuple(Candidate(zone, "") for zone in zones), _jurisdiction(nation), f"country {nation}"
    return _american(code, region, city)


def _jurisdiction(nation: str) -> str:
    return "EU" if nation in EU_COUNTRIES else "OTHER"


def _canadian(province: str) -> _Found:
    if province:
        return tuple(Candidate(zone, "") for zone in PROVINCES[province]), "CA", f"province {province}"
    every = dict.fromkeys(zone for zones in PROVINCES.values() for zone in zones)
    return tuple(Candidate(zone, "") for zone in every), "CA", "country CA"


def _american(code: str, region: str, city: str) -> _Found:
    known = tables()
    digits = code[:5]
    if digits.isdigit() and len(digits) == 4:
        # Spreadsheets drop the zero that ZIP codes of the north-east begin with.
        digits = "0" + digits
    by_zip = known.by_zip.get(digits) or (known.by_prefix.get(digits[:3], ()) if digits.isdigit() else ())
    by_city = known.by_city.get((city.strip().casefold(), region), ())
    by_name = by_city or known.by_state.get(region, ())
    named = f"{'city and ' if by_city else ''}state {region}"
    if by_zip and (not region or any(place.state == region for place in by_zip) or not by_name):
        return by_zip, "US", f"zip {digits}"
    if by_zip:
        # The address contradicts itself: both may be true.
        return by_zip + by_name, "US", f"zip {digits}, {named}"
    if by_name:
        return by_name, "US", named
    return (), "", ""


@lru_cache(maxsize=4096)
def _by_number(prefix: str) -> _Found:
    if not prefix:
        return (), "", ""
    if not prefix.startswith("+1"):
        zones, code = zones_of_number(prefix + "000000"), calling_code(prefix + "000000")
        nation = "EU" if prefix.startswith(EU_PREFIXES) else "OTHER"
        why = f"country code +{code}" if code else "a number of no country"
        return tuple(Candidate(zone, "") for zone in zones), nation, why
    area = prefix[2:5]
    if area in NON_GEOGRAPHIC:
        return (), "US", f"area code {area} (place unknown)"
    if area in CANADIAN_NON_GEOGRAPHIC:
        return _canadian("")[0], "CA", f"area code {area}"
    if area in CANADIAN_AREA_CODES or area in CARIBBEAN_AREA_CODES:
        nation = "CA" if area in CANADIAN_AREA_CODES else "CARIBBEAN"
        return tuple(Candidate(zone, "") for zone in other_area(area)), nation, f"area code {area}"
    found = american_area(area)
    return found, "US", f"area code {area}" + ("" if found else " (place unknown)")
