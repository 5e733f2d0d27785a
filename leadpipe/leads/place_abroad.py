"""Zones outside North America: of a number by its country code, and of a country by its two letters.

What lives here: what ``phonenumbers`` says, held against IANA's own list of the zones of each country. What does not:
area codes of the United States, Canada and the Caribbean (``place_tables``), weighing evidence (``place``).
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def is_zone(name: str) -> bool:
    """Whether IANA knows the zone; the package holds a town's name where one should be."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name)


@lru_cache(maxsize=4096)
def calling_code(number: str) -> str:
    """The country code that a number begins with, one to three digits; empty where it begins with none."""
    import phonenumbers

    try:
        return str(phonenumbers.parse(number).country_code or "")
    except phonenumbers.NumberParseException:
        return ""


@lru_cache(maxsize=4096)
def zones_of_number(number: str) -> tuple[str, ...]:
    """Zones of an international number, whole or filled up with zeros; of its whole country when it is a mobile's."""
    import phonenumbers
    from phonenumbers import timezone

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ()
    found = _known(timezone.time_zones_for_number(parsed))
    found = found or _known(timezone.time_zones_for_geographical_number(parsed))
    return _at_home(found, parsed.country_code) or _zones_of_code(parsed.country_code)


@lru_cache(maxsize=512)
def zones_of_country(code: str) -> tuple[str, ...]:
    """Zones of a country by its two letters."""
    import phonenumbers

    prefix = phonenumbers.country_code_for_region(code)
    return _zones_of_code(prefix) if prefix else ()


def _zones_of_code(prefix: int | None) -> tuple[str, ...]:
    import phonenumbers
    from phonenumbers import timezone

    number = phonenumbers.PhoneNumber(country_code=prefix)
    return _at_home(_known(timezone.time_zones_for_geographical_number(number)), prefix)


def _at_home(zones: tuple[str, ...], prefix: int | None) -> tuple[str, ...]:
    """The zones without those of other countries, for which every zone of the code's own countries steps in.

    The package names zones by their clock, and often a neighbour's: London for Ireland, Bucharest for Kaliningrad.
    """
    import phonenumbers

    own = tuple(
        zone for region in phonenumbers.region_codes_for_country_code(prefix or 0) for zone in _by_country(region)
    )
    strangers = {zone for zone in zones if zone in _listed() and zone not in own}
    if not own or not strangers:
        return zones
    return tuple(dict.fromkeys((*(zone for zone in zones if zone not in strangers), *own)))


def _by_country(region: str) -> tuple[str, ...]:
    return _table().get(region, ())


@lru_cache(maxsize=1)
def _listed() -> frozenset[str]:
    return frozenset(zone for zones in _table().values() for zone in zones)


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[str, ...]]:
    """IANA's ``zone.tab``: the zones of each country."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (resources.files("tzdata.zoneinfo") / "zone.tab").read_text().splitlines():
        if line and not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            found[country].append(zone)
    return {country: _known(tuple(zones)) for country, zones in found.items()}


def _known(zones: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(zone for zone in zones if zone != "Etc/Unknown" and is_zone(zone))
