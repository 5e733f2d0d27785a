"""Tables behind ``place``: ZIP, city, state and area code to zones, provinces, and the names of countries and states.

What lives here: data and its reading from the ``zipcodes`` and ``phonenumbers`` packages. What does not: weighing one
piece of evidence against another (``place``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache

from leadpipe.leads.place_abroad import is_zone, zones_of_number
from leadpipe.leads.place_borders import ALSO_BY_AREA, ALSO_BY_ZIP

# An area code lies in one state and keeps the zones that more than a few of its ZIPs there hold: the package's border
# ZIPs bleed (402 of Nebraska lists 25 of South Dakota, 865 of Tennessee four Central ones).
FEW_ZIPS = 5
# ... nor less than this part of what its commonest zone holds.
FEW_PARTS = 50
CANADIAN_AREA_CODES = frozenset(
    "204 226 236 249 250 257 263 273 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474 506 514 "
    "519 548 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902 905 "
    "942".split()
)
# Area codes wider than the one zone that numbering data gives them.
_WIDE_AREA_CODES = {
    **dict.fromkeys(("236", "250", "257", "672", "778"), ("America/Vancouver", "America/Edmonton")),
    "807": ("America/Toronto", "America/Winnipeg"),
    "867": ("America/Whitehorse", "America/Edmonton", "America/Winnipeg", "America/Iqaluit"),
}
_CARIBBEAN_ZONES = {
    "242": "America/Nassau", "246": "America/Barbados", "264": "America/Anguilla", "268": "America/Antigua",
    "284": "America/Tortola", "345": "America/Cayman", "441": "Atlantic/Bermuda", "473": "America/Grenada",
    "649": "America/Grand_Turk", "658": "America/Jamaica", "664": "America/Montserrat", "721": "America/Lower_Princes",
    "758": "America/St_Lucia", "767": "America/Dominica", "784": "America/St_Vincent", "809": "America/Santo_Domingo",
    "829": "America/Santo_Domingo", "849": "America/Santo_Domingo", "868": "America/Port_of_Spain",
    "869": "America/St_Kitts", "876": "America/Jamaica",
}  # fmt: skip
CARIBBEAN_AREA_CODES = frozenset(_CARIBBEAN_ZONES)
NON_GEOGRAPHIC = frozenset("500 521 522 533 544 566 577 588 700 800 833 844 855 866 877 888 900".split())
CANADIAN_NON_GEOGRAPHIC = frozenset("600 622 633 644 655 677 688".split())
EU_PREFIXES = (
    "+30", "+31", "+32", "+33", "+34", "+351", "+352", "+353", "+354", "+356", "+357", "+358", "+359", "+36", "+370",
    "+371", "+372", "+385", "+386", "+39", "+40", "+41", "+420", "+421", "+423", "+43", "+44", "+45", "+46", "+47",
    "+48", "+49",
)  # fmt: skip
# European Union, European Economic Area, United Kingdom, Switzerland (C32).
EU_COUNTRIES = frozenset(
    "AT BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split()
)
_COUNTRY_NAMES = {
    "AUSTRIA": "AT", "BELGIUM": "BE", "BULGARIA": "BG", "SWITZERLAND": "CH", "CYPRUS": "CY", "CZECHIA": "CZ",
    "CZECH REPUBLIC": "CZ", "GERMANY": "DE", "DEUTSCHLAND": "DE", "DENMARK": "DK", "ESTONIA": "EE", "SPAIN": "ES",
    "ESPAÑA": "ES", "FINLAND": "FI", "FRANCE": "FR", "UNITED KINGDOM": "GB", "UK": "GB", "GREAT BRITAIN": "GB",
    "ENGLAND": "GB", "SCOTLAND": "GB", "WALES": "GB", "NORTHERN IRELAND": "GB", "GREECE": "GR", "CROATIA": "HR",
    "HUNGARY": "HU", "IRELAND": "IE", "ICELAND": "IS", "ITALY": "IT", "LIECHTENSTEIN": "LI", "LITHUANIA": "LT",
    "LUXEMBOURG": "LU", "LATVIA": "LV", "MALTA": "MT", "NETHERLANDS": "NL", "NORWAY": "NO", "POLAND": "PL",
    "PORTUGAL": "PT", "ROMANIA": "RO", "SWEDEN": "SE", "SLOVENIA": "SI", "SLOVAKIA": "SK", "CANADA": "CA", "CAN": "CA",
    "UNITED STATES": "US", "UNITED STATES OF AMERICA": "US", "USA": "US", "U.S.": "US", "U.S.A.": "US", "MEXICO": "MX",
}  # fmt: skip
PROVINCES: dict[str, tuple[str, ...]] = {
    "AB": ("America/Edmonton",),
    "BC": ("America/Vancouver", "America/Edmonton"),
    "MB": ("America/Winnipeg",),
    "NB": ("America/Moncton",),
    "NL": ("America/St_Johns", "America/Goose_Bay"),
    "NS": ("America/Halifax",),
    "NT": ("America/Edmonton",),
    "NU": ("America/Iqaluit", "America/Winnipeg", "America/Edmonton"),
    "ON": ("America/Toronto", "America/Winnipeg"),
    "PE": ("America/Halifax",),
    "QC": ("America/Toronto", "America/Halifax"),
    "SK": ("America/Regina", "America/Edmonton"),
    "YT": ("America/Whitehorse",),
}
# Province by the first letter of a Canadian postal code.
POSTAL_LETTERS = {
    "A": "NL", "B": "NS", "C": "PE", "E": "NB", "G": "QC", "H": "QC", "J": "QC", "K": "ON", "L": "ON", "M": "ON",
    "N": "ON", "P": "ON", "R": "MB", "S": "SK", "T": "AB", "V": "BC", "X": "NU", "Y": "YT",
}  # fmt: skip
_STATE_NAMES = {
    "ALABAMA": "AL", "ALASKA": "AK", "ARIZONA": "AZ", "ARKANSAS": "AR", "CALIFORNIA": "CA", "COLORADO": "CO",
    "CONNECTICUT": "CT", "DELAWARE": "DE", "DISTRICT OF COLUMBIA": "DC", "WASHINGTON DC": "DC", "FLORIDA": "FL",
    "GEORGIA": "GA", "HAWAII": "HI", "IDAHO": "ID", "ILLINOIS": "IL", "INDIANA": "IN", "IOWA": "IA", "KANSAS": "KS",
    "KENTUCKY": "KY", "LOUISIANA": "LA", "MAINE": "ME", "MARYLAND": "MD", "MASSACHUSETTS": "MA", "MICHIGAN": "MI",
    "MINNESOTA": "MN", "MISSISSIPPI": "MS", "MISSOURI": "MO", "MONTANA": "MT", "NEBRASKA": "NE", "NEVADA": "NV",
    "NEW HAMPSHIRE": "NH", "NEW JERSEY": "NJ", "NEW MEXICO": "NM", "NEW YORK": "NY", "NORTH CAROLINA": "NC",
    "NORTH DAKOTA": "ND", "OHIO": "OH", "OKLAHOMA": "OK", "OREGON": "OR", "PENNSYLVANIA": "PA", "RHODE ISLAND": "RI",
    "SOUTH CAROLINA": "SC", "SOUTH DAKOTA": "SD", "TENNESSEE": "TN", "TEXAS": "TX", "UTAH": "UT", "VERMONT": "VT",
    "VIRGINIA": "VA", "WASHINGTON": "WA", "WASHINGTON STATE": "WA", "WEST VIRGINIA": "WV", "WISCONSIN": "WI",
    "WYOMING": "WY",
    "PUERTO RICO": "PR", "GUAM": "GU", "ALBERTA": "AB", "BRITISH COLUMBIA": "BC", "MANITOBA": "MB",
    "NEW BRUNSWICK": "NB", "NEWFOUNDLAND AND LABRADOR": "NL", "NOVA SCOTIA": "NS", "NORTHWEST TERRITORIES": "NT",
    "NUNAVUT": "NU", "ONTARIO": "ON", "PRINCE EDWARD ISLAND": "PE", "QUEBEC": "QC", "QUÉBEC": "QC",
    "SASKATCHEWAN": "SK", "YUKON": "YT",
}  # fmt: skip
# States, the District and the territories.
US_STATES = frozenset(_STATE_NAMES.values()) - PROVINCES.keys() | {"AS", "MP", "VI"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place the person may be in; ``state`` is empty where only the zone is known."""

    zone: str
    state: str


@dataclass(frozen=True, slots=True)
class Tables:
    """Candidates by each kind of US evidence."""

    by_zip: dict[str, tuple[Candidate, ...]]
    by_prefix: dict[str, tuple[Candidate, ...]]
    by_city: dict[tuple[str, str], tuple[Candidate, ...]]
    by_state: dict[str, tuple[Candidate, ...]]
    by_area: dict[str, tuple[Candidate, ...]]


def country_code(stated: str) -> str:
    """Two letters of a country as people write it; empty when nothing or nothing known is written."""
    name = stated.strip().upper()
    if len(name) == 2 and name != "UK":
        return name
    return _COUNTRY_NAMES.get(name, "")


def state_code(stated: str) -> str:
    """Two letters of a state or province as people write it, upper case; what is not known stays as it is."""
    name = " ".join(stated.upper().replace(".", "").split())
    return _STATE_NAMES.get(name, name)


@lru_cache(maxsize=1)
def tables() -> Tables:
    """The tables of the ``zipcodes`` package, read or built once a process."""
    from leadpipe.leads.place_file import read_tables

    return read_tables() or build_tables()


def build_tables() -> Tables:
    """The tables, from the 42,789 rows of the ``zipcodes`` package."""
    import zipcodes

    by_zip: dict[str, list[Candidate]] = defaultdict(list)
    by_prefix: dict[str, list[Candidate]] = defaultdict(list)
    by_city: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    by_state: dict[str, Counter[Candidate]] = defaultdict(Counter)
    by_area: dict[str, Counter[Candidate]] = defaultdict(Counter)
    known: dict[tuple[str, str], Candidate | None] = {}
    for row in zipcodes.list_all():
        key = (str(row.get("timezone") or ""), str(row.get("state") or ""))
        if key not in known:
            known[key] = Candidate(*key) if is_zone(key[0]) else None
        candidate = known[key]
        if candidate is None:
            continue
        zip_code = str(row["zip_code"])
        also = ALSO_BY_ZIP.get(zip_code)
        for place in (candidate, *([Candidate(also, candidate.state)] if also else [])):
            _note(by_zip[zip_code], place)
            _note(by_prefix[zip_code[:3]], place)
            for city in (row["city"], *row["acceptable_cities"]):
                _note(by_city[str(city).casefold(), place.state], place)
            by_state[place.state][place] += 1
        for area in row.get("area_codes") or ():
            by_area[str(area)][candidate] += 1
    return Tables(
        by_zip={name: tuple(places) for name, places in by_zip.items()},
        by_prefix={name: tuple(places) for name, places in by_prefix.items()},
        by_city={name: tuple(places) for name, places in by_city.items()},
        # All of a state's zones, however few ZIPs hold one: West Wendover is enough for Nevada.
        by_state={name: tuple(counts) for name, counts in by_state.items()},
        by_area={name: _with_second(name, _kept(counts)) for name, counts in by_area.items()},
    )


def _note(places: list[Candidate], place: Candidate) -> None:
    if place not in places:
        places.append(place)


def _with_second(area: str, places: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    also = ALSO_BY_AREA.get(area)
    return tuple(dict.fromkeys((*places, Candidate(also, places[0].state)))) if also else places


def _kept(counts: Counter[Candidate]) -> tuple[Candidate, ...]:
    by_state: Counter[str] = Counter()
    for place, count in counts.items():
        by_state[place.state] += count
    own = by_state.most_common(1)[0][0]
    home = {place: count for place, count in counts.items() if place.state == own}
    most = max(home, key=lambda place: home[place])
    kept = tuple(place for place, count in home.items() if count > FEW_ZIPS and count * FEW_PARTS >= home[most])
    return kept or (most,)


def american_area(area: str) -> tuple[Candidate, ...]:
    """Places of a US area code; one too new for the ZIP data gets all zones of its state."""
    found = tables().by_area.get(area)
    return found if found is not None else tables().by_state.get(_state_of_area(area), ())


def _state_of_area(area: str) -> str:
    import phonenumbers
    from phonenumbers import geocoder

    words = geocoder.description_for_number(phonenumbers.parse(f"+1{area}2000000"), "en")
    return state_code(words.rpartition(", ")[2])


def other_area(area: str) -> tuple[str, ...]:
    """Zones of an area code of Canada or the Caribbean."""
    if area in _CARIBBEAN_ZONES:
        return (_CARIBBEAN_ZONES[area],)
    return _WIDE_AREA_CODES.get(area) or zones_of_number(f"+1{area}2000000")
