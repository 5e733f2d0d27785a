"""Legal hours: whether a moment is inside every window that may apply, and the first one that is.

What lives here: windows on local clocks, their intersection, holidays. What does not: where a person may be
(``leads.place``), which messages hours bind (``verdict``).

Rules: compliance C11-C13, C31 and section 9. Windows are closed-open and close two minutes early, for the carrier's
delay.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from leadpipe.leads.place import zone_named
from leadpipe.leads.place_tables import Candidate
from leadpipe.policy.pack import Pack, Window

# Longer than any run of closed days in the table (a holiday weekend in a no-Sunday state); beyond it nothing opens.
HORIZON_DAYS = 14
_TERRITORIES = frozenset({"AA", "AE", "AP", "FM", "MH", "PW"})


def first_open(candidates: tuple[Candidate, ...], country: str, at: datetime, pack: Pack) -> datetime | None:
    """The first moment at or after ``at`` that is open in every candidate place; None if none comes within 14 days.

    Args:
        candidates: where the person may be; empty means unknown, and the universal window holds in every zone.
        country: ``CA`` uses Canada's hours.
        at: aware UTC time.
        pack: the rules of the day.
    """
    # Windows open and close on the minute, and zones differ by whole minutes: within a minute nothing changes, and
    # messages that are spread over a morning to the microsecond share their answers.
    minute = at.replace(second=0, microsecond=0)
    opens = _first_open(candidates, country, minute, pack)
    return at if opens == minute else opens


@lru_cache(maxsize=65536)
def _first_open(candidates: tuple[Candidate, ...], country: str, at: datetime, pack: Pack) -> datetime | None:
    windows = _windows(candidates, country, pack)
    moment, limit = at, at + timedelta(days=HORIZON_DAYS)
    while moment <= limit:
        latest = moment
        for window, zone, state in windows:
            opens = _opens(window, zone, state, moment, pack)
            if opens is None:
                return None
            latest = max(latest, opens)
        if latest == moment:
            return moment
        moment = latest
    return None


def rule_of(candidates: tuple[Candidate, ...], country: str, at: datetime, pack: Pack) -> str:
    """The rule that keeps a message until ``first_open``: the plainest that alone would keep it as long.

    ``C11`` federal hours where they most likely are, ``C12`` their state's, ``C13`` hours of several places at once or
    of an unknown one, ``C31`` Canada's.
    """
    if not candidates:
        return "C13"
    return _rule_of(candidates, country, at.replace(second=0, microsecond=0), pack)


@lru_cache(maxsize=65536)
def _rule_of(candidates: tuple[Candidate, ...], country: str, at: datetime, pack: Pack) -> str:
    if country == "CA":
        return "C31"
    opens, likeliest = _first_open(candidates, country, at, pack), candidates[0]
    if _first_open((Candidate(likeliest.zone, ""),), country, at, pack) == opens:
        return "C11"
    return "C12" if _first_open((likeliest,), country, at, pack) == opens else "C13"


def is_holiday(day: date, state: str) -> bool:
    """Whether ``day`` is a federal holiday or one of the state, observed days included."""
    return day in _holidays(state, day.year)


def _windows(candidates: tuple[Candidate, ...], country: str, pack: Pack) -> tuple[tuple[Window, str, str], ...]:
    if not candidates:
        return tuple((pack.universal, zone, "") for zone in pack.universal_zones)
    found: list[tuple[Window, str, str]] = []
    for candidate in candidates:
        if country == "CA":
            found.append((pack.canada, candidate.zone, ""))
        # The federal window holds besides a state's own: the strictest of both.
        found.append((pack.federal, candidate.zone, ""))
        if candidate.state in pack.states:
            found.append((pack.states[candidate.state], candidate.zone, candidate.state))
    return tuple(found)


@lru_cache(maxsize=262144)
def _opens(window: Window, zone_name: str, state: str, at: datetime, pack: Pack) -> datetime | None:
    """``at`` when it is inside one window in one zone, else the next opening there."""
    zone = zone_named(zone_name)
    day = at.astimezone(zone).date()
    for ahead in range(HORIZON_DAYS):
        on = day + timedelta(days=ahead)
        hours = window.on(on.weekday(), is_holiday=is_holiday(on, state))
        if hours is None:
            continue
        start = _local(on, hours[0], zone)
        end = _local(on, hours[1], zone) - timedelta(minutes=pack.close_early_minutes)
        if at < end:
            return max(at, start)
    return None


def _local(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


@lru_cache(maxsize=512)
def _holidays(state: str, year: int) -> frozenset[date]:
    import holidays

    federal = holidays.country_holidays("US", years=year)
    days = set(federal)
    if state and state not in _TERRITORIES:
        # A territory the library has no list for keeps the federal days.
        with suppress(NotImplementedError):
            days |= set(holidays.country_holidays("US", subdiv=state, years=year))
    return frozenset(days)
