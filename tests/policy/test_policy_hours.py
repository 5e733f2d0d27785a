"""Legal hours against an oracle written from the state table of compliance.md, section 9, with Python's own zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadpipe.leads.place import place_of
from leadpipe.leads.place_tables import Candidate
from leadpipe.policy.hours import first_open
from leadpipe.policy.pack_file import load_pack

PACK = load_pack(date(2026, 11, 24))
# Section 9: Monday to Friday, Saturday, Sunday, holidays; None is closed, "" as any day.
TABLE: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    "AL": ("8-20", "8-20", None, None),
    "CT": ("9-20", "9-20", "9-20", ""),
    "FL": ("8-20", "8-20", "8-20", ""),
    "KY": ("10-21", "10-21", "10-21", ""),
    "LA": ("8-20", "8-20", None, None),
    "MA": ("8-20", "8-20", "8-20", ""),
    "MD": ("8-20", "8-20", "8-20", ""),
    "MI": ("9-21", "9-21", "9-21", ""),
    "MN": ("9-21", "9-21", "9-21", ""),
    "MS": ("8-20", "8-20", None, None),
    "NE": ("8-21", "8-21", "13-21", "13-21"),
    "NJ": ("8-20", "8-20", "8-20", ""),
    "NM": ("9-21", "9-21", "9-21", ""),
    "NV": ("9-20", "9-20", "9-20", ""),
    "OK": ("8-20", "8-20", "8-20", ""),
    "OR": ("8-20", "8-20", "8-20", ""),
    "PA": ("8-21", "8-21", "8-21", None),
    "RI": ("9-18", "10-17", None, None),
    "SD": ("9-21", None, None, None),
    "TX": ("9-21", "9-21", "12-21", ""),
    "UT": ("8-21", "8-21", None, None),
    "WA": ("8-20", "8-20", "8-20", ""),
    "WY": ("8-20", "8-20", "8-20", ""),
}
FEDERAL = ("8-21", "8-21", "8-21", "")
# Where the package's own answer is checked against common knowledge: ZIP -> (zone, state).
PLACES = {
    "60614": ("America/Chicago", "IL"),
    "33101": ("America/New_York", "FL"),
    "32501": ("America/Chicago", "FL"),
    "77084": ("America/Chicago", "TX"),
    "79936": ("America/Denver", "TX"),
    "06510": ("America/New_York", "CT"),
    "40202": ("America/Kentucky/Louisville", "KY"),
    "42101": ("America/Chicago", "KY"),
    "70801": ("America/Chicago", "LA"),
    "02903": ("America/New_York", "RI"),
    "85001": ("America/Phoenix", "AZ"),
    "86515": ("America/Denver", "AZ"),
    "90001": ("America/Los_Angeles", "CA"),
    "10001": ("America/New_York", "NY"),
    "96813": ("Pacific/Honolulu", "HI"),
    "99501": ("America/Anchorage", "AK"),
    "37402": ("America/New_York", "TN"),
    "37201": ("America/Chicago", "TN"),
    "46320": ("America/Chicago", "IN"),
    "46201": ("America/Indiana/Indianapolis", "IN"),
    "83501": ("America/Los_Angeles", "ID"),
    "83702": ("America/Boise", "ID"),
    "57701": ("America/Denver", "SD"),
    "57104": ("America/Chicago", "SD"),
    "97914": ("America/Boise", "OR"),
    "49801": ("America/Menominee", "MI"),
    "69336": ("America/Denver", "NE"),
    "84101": ("America/Denver", "UT"),
    "36101": ("America/Chicago", "AL"),
    "00901": ("America/Puerto_Rico", "PR"),
}
AREAS = {
    "212": ("America/New_York", "NY"),
    "305": ("America/New_York", "FL"),
    "505": ("America/Denver", "NM"),
    "808": ("Pacific/Honolulu", "HI"),
    "401": ("America/New_York", "RI"),
    "225": ("America/Chicago", "LA"),
}


def is_open(zone: str, state: str, at: datetime) -> bool:
    """The oracle: the strictest of the federal and the state's row, closing two minutes early."""
    local = at.astimezone(ZoneInfo(zone))
    day = local.date()
    is_holiday = day in holidays.country_holidays("US", years=day.year) or (
        state in TABLE and day in holidays.country_holidays("US", subdiv=state, years=day.year)
    )
    for row in (FEDERAL, TABLE.get(state, FEDERAL)):
        hours = row[0 if day.weekday() < 5 else day.weekday() - 4]
        if is_holiday and row[3] is None:
            hours = None
        if hours is None:
            return False
        opens, closes = (int(part) for part in hours.split("-"))
        if is_holiday and row[3]:
            opens = max(opens, int(row[3].split("-")[0]))
        if not time(opens) <= local.time() < time(closes - 1, 58):
            return False
    return True


@pytest.mark.parametrize(("zip_code", "expected"), PLACES.items(), ids=str)
def test_a_zip_code_is_where_it_is(zip_code: str, expected: tuple[str, str]) -> None:
    assert place_of(zip_code, "", "", "").candidates == (Candidate(*expected),)


# A year of minutes, with the two days on which clocks jump met far more often than by chance.
START = datetime(2026, 9, 1, tzinfo=UTC)
MOMENTS = st.one_of(
    st.integers(0, 366 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)),
    st.integers(0, 48 * 60).map(lambda minutes: datetime(2026, 10, 31, 12, tzinfo=UTC) + timedelta(minutes=minutes)),
    st.integers(0, 48 * 60).map(lambda minutes: datetime(2027, 3, 13, 12, tzinfo=UTC) + timedelta(minutes=minutes)),
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(zip_code=st.sampled_from(["", *PLACES]), area=st.sampled_from(["", *AREAS]), at=MOMENTS)
@example(zip_code="90001", area="212", at=datetime(2026, 11, 24, 14, 30, tzinfo=UTC))
@example(zip_code="10001", area="", at=datetime(2027, 3, 14, 12, 0, tzinfo=UTC))
@example(zip_code="57104", area="225", at=datetime(2026, 11, 25, 23, 0, tzinfo=UTC))
def test_no_moment_outside_any_candidates_window_is_open_and_the_first_open_one_is_found(
    zip_code: str, area: str, at: datetime
) -> None:
    where = [table[name] for table, name in ((PLACES, zip_code), (AREAS, area)) if name]
    place = place_of(zip_code, "", "", f"+1{area}" if area else "")
    assert {(c.zone, c.state) for c in place.candidates} == set(where)
    found = first_open(place.candidates, place.country, at, PACK)
    if not where:
        return
    assert (found == at) == all(is_open(zone, state, at) for zone, state in where)
    if found is None:
        pytest.fail("every pair of these places shares an hour within a fortnight")
    assert found >= at
    assert all(is_open(zone, state, found) for zone, state in where)
    # Nothing earlier was open: hours open on the hour, so every quarter of an hour is enough to look at.
    steps = range(1, int((found - at) / timedelta(minutes=15)) + 1)
    for moment in (at + timedelta(minutes=15) * step for step in steps):
        assert moment >= found or not all(is_open(zone, state, moment) for zone, state in where)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(at=MOMENTS)
def test_where_nothing_is_known_every_zone_must_have_office_hours(at: datetime) -> None:
    found = first_open((), "US", at, PACK)
    assert found is not None
    for zone in ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"):
        local = found.astimezone(ZoneInfo(zone))
        assert local.weekday() < 5
        assert time(10) <= local.time() < time(17, 58)
        assert local.date() not in holidays.country_holidays("US", years=local.year)


def test_two_places_that_share_no_hour_have_none() -> None:
    # Guam opens at 22:00 UTC; in summer Rhode Island has closed by then.
    never = (Candidate("Pacific/Guam", "GU"), Candidate("America/New_York", "RI"))
    assert first_open(never, "US", datetime(2026, 7, 1, 16, 0, tzinfo=UTC), PACK) is None


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-24T13:59:00Z", "2026-11-24T14:00:00Z"),
        ("2026-11-25T02:20:00Z", "2026-11-25T14:00:00Z"),
        ("2026-11-21T14:00:00Z", "2026-11-21T15:00:00Z"),
        ("2026-11-21T23:00:00Z", "2026-11-22T15:00:00Z"),
    ],
    ids=["before nine", "after half past nine", "a Saturday before ten", "a Saturday after six"],
)
def test_canada_keeps_its_own_hours(at: str, expected: str) -> None:
    place = place_of("", "", "", "+1416")
    moment = datetime.fromisoformat(at)
    assert first_open(place.candidates, place.country, moment, PACK) == datetime.fromisoformat(expected)
