"""Where a person may be: every piece of evidence adds its places and its law."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from zoneinfo import available_timezones

import orjson
import phonenumbers
import pytest

from leadpipe.leads.place import place_of, prefix_of
from leadpipe.leads.place_file import read_tables
from leadpipe.leads.place_tables import (
    CANADIAN_AREA_CODES,
    CARIBBEAN_AREA_CODES,
    NON_GEOGRAPHIC,
    PROVINCES,
    build_tables,
    country_code,
    state_code,
    tables,
)

CASES: list[tuple[str, tuple[str, str, str, str, str], set[tuple[str, str]], tuple[str, ...]]] = [
    # what is known, (zip, state, country, phone prefix, city), (zone, state) pairs, jurisdictions
    ("a ZIP", ("60614", "", "", "", ""), {("America/Chicago", "IL")}, ("US",)),
    ("a ZIP with its extension", ("60614-1234", "IL", "US", "", ""), {("America/Chicago", "IL")}, ("US",)),
    ("a ZIP that lost its zero", ("6510", "", "", "", ""), {("America/New_York", "CT")}, ("US",)),
    ("a ZIP nobody lists, by its first three digits", ("60699", "", "", "", ""), {("America/Chicago", "IL")}, ("US",)),
    ("a state in one zone", ("", "GA", "", "", ""), {("America/New_York", "GA")}, ("US",)),
    (
        "a state in two",
        ("", "Florida", "United States", "", ""),
        {("America/New_York", "FL"), ("America/Chicago", "FL")},
        ("US",),
    ),
    ("a city of such a state", ("", "FL", "", "", "Pensacola"), {("America/Chicago", "FL")}, ("US",)),
    (
        "a city nobody knows counts as its state",
        ("", "TX", "", "", "Nowhere Springs"),
        {("America/Chicago", "TX"), ("America/Denver", "TX")},
        ("US",),
    ),
    (
        "an address that contradicts itself: both",
        ("33101", "GA", "", "", ""),
        {("America/New_York", "FL"), ("America/New_York", "GA")},
        ("US",),
    ),
    ("an area code", ("", "", "", "+1212", ""), {("America/New_York", "NY")}, ("US",)),
    (
        "an area code in two zones",
        ("", "", "", "+1850", ""),
        {("America/Chicago", "FL"), ("America/New_York", "FL")},
        ("US",),
    ),
    (
        "address and area code: both",
        ("90001", "CA", "US", "+1212", ""),
        {("America/Los_Angeles", "CA"), ("America/New_York", "NY")},
        ("US",),
    ),
    (
        "an area code newer than the ZIP data counts as its whole state",
        ("", "", "", "+1324", ""),
        {("America/New_York", "FL"), ("America/Chicago", "FL")},
        ("US",),
    ),
    ("toll-free says nothing", ("", "", "", "+1800", ""), set(), ("US",)),
    ("nothing at all", ("", "", "", "", ""), set(), ("US",)),
    ("a Canadian number", ("", "", "", "+1416", ""), {("America/Toronto", "")}, ("CA",)),
    (
        "a Canadian number wider than one zone",
        ("", "", "", "+1807", ""),
        {("America/Toronto", ""), ("America/Winnipeg", "")},
        ("CA",),
    ),
    (
        "a Canadian number of no place",
        ("", "", "", "+1600", ""),
        {(z, "") for p in PROVINCES.values() for z in p},
        ("CA",),
    ),
    (
        "a postal code",
        ("M5V 2T6", "", "", "", ""),
        {("America/Toronto", ""), ("America/Winnipeg", "")},
        ("CA",),
    ),
    ("a province by name", ("", "Nova Scotia", "", "", "Halifax"), {("America/Halifax", "")}, ("CA",)),
    (
        "a Canadian address and a US number: both",
        ("", "AB", "Canada", "+1212", ""),
        {("America/Edmonton", ""), ("America/New_York", "NY")},
        ("CA", "US"),
    ),
    ("California is no Canada", ("", "CA", "", "", ""), {("America/Los_Angeles", "CA")}, ("US",)),
    ("a Caribbean number", ("", "", "", "+1876", ""), {("America/Jamaica", "")}, ("CARIBBEAN",)),
    ("a German mobile", ("", "", "", "+49170", ""), {("Europe/Berlin", "")}, ("EU",)),
    ("a German address", ("10115", "", "Germany", "", "Berlin"), {("Europe/Berlin", "")}, ("EU",)),
    (
        "a British address and a US number: both",
        ("SW1A 1AA", "", "UK", "+1212", ""),
        {("Europe/London", ""), ("America/New_York", "NY")},
        ("EU", "US"),
    ),
    ("a number from elsewhere", ("", "", "", "+81312", ""), {("Asia/Tokyo", "")}, ("OTHER",)),
]


@pytest.mark.parametrize(("known", "places", "countries"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_where_someone_may_be(
    known: tuple[str, str, str, str, str], places: set[tuple[str, str]], countries: tuple[str, ...]
) -> None:
    zip_code, state, country, prefix, city = known
    found = place_of(zip_code, state, country, prefix, city)
    pairs = {(c.zone, c.state) for c in found.candidates}
    # The British Isles share one clock under several names.
    isles = {("Europe/Guernsey", ""), ("Europe/Isle_of_Man", ""), ("Europe/Jersey", "")}
    assert pairs - isles == places - isles
    assert found.countries == countries
    assert found.is_known == bool(places)
    assert bool(found.evidence) == any(known)


def test_every_us_area_code_has_a_place_in_one_state() -> None:
    for area, places in tables().by_area.items():
        if area in CANADIAN_AREA_CODES | CARIBBEAN_AREA_CODES:
            continue
        assert len({place.state for place in places}) == 1, area


def test_every_zone_is_one_that_python_knows() -> None:
    known = available_timezones()
    zones = {place.zone for table in (tables().by_zip, tables().by_area) for each in table.values() for place in each}
    zones |= {zone for each in PROVINCES.values() for zone in each}
    assert zones <= known


def test_canadian_and_caribbean_codes_are_no_us_codes_and_have_zones() -> None:
    for area in sorted(CANADIAN_AREA_CODES | CARIBBEAN_AREA_CODES):
        found = place_of("", "", "", f"+1{area}")
        assert "US" not in found.countries, area
        assert 1 <= len(found.candidates) <= 4, area
    assert not (CANADIAN_AREA_CODES & CARIBBEAN_AREA_CODES)
    assert not any(place_of("", "", "", f"+1{area}").is_known for area in NON_GEOGRAPHIC)


@pytest.mark.parametrize(
    ("phone", "prefix"), [("+13125550100", "+1312"), ("+447911123456", "+44791"), (None, ""), ("", "")], ids=str
)
def test_the_prefix_of_a_number_says_where_it_belongs(phone: str | None, prefix: str) -> None:
    assert prefix_of(phone) == prefix


@pytest.mark.parametrize(
    ("phone", "code", "zones"),
    [
        ("+353861234567", "353", {"Europe/Dublin"}),
        ("+35314960123", "353", {"Europe/Dublin"}),
        ("+351912345678", "351", {"Europe/Lisbon", "Atlantic/Azores"}),
        ("+358401234567", "358", {"Europe/Helsinki", "Europe/Mariehamn"}),
        ("+37061234567", "370", {"Europe/Vilnius"}),
        ("+212612345678", "212", {"Africa/Casablanca", "Africa/El_Aaiun"}),
        ("+81312345678", "81", {"Asia/Tokyo"}),
        ("+49170123456", "49", {"Europe/Berlin"}),
    ],
)
def test_a_number_abroad_names_its_whole_country_code_and_its_own_countrys_zones(
    phone: str, code: str, zones: set[str]
) -> None:
    found = place_of("", "", "", prefix_of(phone))
    assert found.evidence == (f"country code +{code}",)
    assert {candidate.zone for candidate in found.candidates} == zones


def test_every_country_code_is_read_whole_and_has_no_zone_of_another_country() -> None:
    table = (resources.files("tzdata.zoneinfo") / "zone.tab").read_text().splitlines()
    country_of = {line.split("\t")[2]: line.split("\t")[0] for line in table if not line.startswith("#")}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        if code == 1 or not set(regions) & set(country_of.values()):
            continue
        found = place_of("", "", "", prefix_of(f"+{code}23456789"))
        assert found.evidence == (f"country code +{code}",)
        for candidate in found.candidates:
            assert country_of.get(candidate.zone, regions[0]) in regions, (code, candidate.zone)


def test_an_irish_address_keeps_irish_time() -> None:
    found = place_of("", "", "Ireland", "", "Cork")
    assert [candidate.zone for candidate in found.candidates] == ["Europe/Dublin"]


def test_names_of_states_and_countries_are_read_as_people_write_them() -> None:
    assert [state_code(name) for name in ("tx", "Texas", " new  york ", "D.C.", "Québec", "Atlantis")] == [
        "TX", "TX", "NY", "DC", "QC", "ATLANTIS",
    ]  # fmt: skip
    assert [country_code(name) for name in ("us", "USA", "uk", "Deutschland", "", "Atlantis")] == [
        "US", "US", "GB", "DE", "", "",
    ]  # fmt: skip


def test_the_file_of_the_tables_is_what_the_package_says() -> None:
    assert read_tables() == build_tables(), "run `python -m leadpipe.leads.place_file`"


def test_a_file_of_another_version_of_the_package_is_not_read(tmp_path: Path) -> None:
    assert read_tables(tmp_path / "none.json") is None
    old = tmp_path / "old.json"
    old.write_bytes(orjson.dumps({"version": "0"}))
    assert read_tables(old) is None
