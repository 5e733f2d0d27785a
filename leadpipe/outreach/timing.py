"""When a step is due: delays as plans write them, business days, the lead's own clock.

What lives here: parsing and applying a delay. What does not: legal hours (``policy`` judges every message again when it
leaves), finding the lead's zone (``leads.place``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_SPAN = re.compile(r"(\d{1,4}) (minute|hour|day)s?")
_AT = re.compile(r"(?:at )?([01]?\d|2[0-3]):([0-5]\d) local")
# A message that was due at ten in the morning may still leave at five in the afternoon.
OPEN_FOR = timedelta(hours=8)
GRAMMAR = (
    "'at once', 'N minutes|hours|days', 'N days at HH:MM local', 'next_business_day at HH:MM local' "
    "or 'next HH:MM local'"
)


@dataclass(frozen=True, slots=True)
class Delay:
    """A delay of a plan file.

    Attributes:
        span: time to let pass first.
        at: then wait for this time of the lead's own day; None goes at once.
        is_business_day: the day must follow the present one and be a working day (Monday to Friday, no federal
            holiday).
    """

    span: timedelta
    at: time | None = None
    is_business_day: bool = False

    @classmethod
    def parse(cls, text: str) -> Delay:
        """A delay from its words.

        Raises:
            ValueError: the words fit none of the forms; the message lists them.
        """
        words = " ".join(text.split())
        if words == "at once":
            return cls(timedelta(0))
        if words.startswith("next_business_day "):
            return cls(timedelta(0), _clock_time(words.removeprefix("next_business_day "), text), is_business_day=True)
        if words.startswith("next "):
            return cls(timedelta(0), _clock_time(words.removeprefix("next "), text))
        if match := _SPAN.match(words):
            span = int(match[1]) * _UNITS[match[2]]
            rest = words[match.end() :].strip()
            return cls(span, _clock_time(rest, text) if rest else None)
        raise ValueError(f"'{text}' is no delay; write {GRAMMAR}")

    def due(self, start: datetime, zone: str) -> datetime:
        """The moment, in UTC, that lies this delay after ``start`` on the clock of ``zone``."""
        return _due(self, start, zone)

    def aligned(self, now: datetime, zone: str) -> datetime:
        """``now`` while the time of day this delay names is on (``OPEN_FOR`` from it), else its next beginning.

        What waited for another message or for a paused plan would else leave at whatever hour the wait ends.
        """
        if self.at is None:
            return now
        day = now.astimezone(ZoneInfo(zone)).date()
        while True:
            if not self.is_business_day or is_business_day(day):
                begins = _on(day, self.at, zone)
                if now < begins + OPEN_FOR:
                    return max(now, begins)
            day += timedelta(days=1)


def _clock_time(words: str, text: str) -> time:
    match = _AT.fullmatch(words)
    if not match:
        raise ValueError(f"'{text}' is no delay; write {GRAMMAR}")
    return time(int(match[1]), int(match[2]))


# A planning run asks for the same few (delay, start, zone) a hundred thousand times.
@lru_cache(maxsize=4096)
def _due(delay: Delay, start: datetime, zone: str) -> datetime:
    if delay.at is None:
        return start + delay.span
    local = (start + delay.span).astimezone(ZoneInfo(zone))
    day = next_business_day(local.date()) if delay.is_business_day else local.date()
    due = _on(day, delay.at, zone)
    if due < start + delay.span:
        due = _on(day + timedelta(days=1), delay.at, zone)
    return due


def _on(day: date, at: time, zone: str) -> datetime:
    return datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC)


def next_business_day(day: date) -> date:
    """The first working day after ``day``: Monday to Friday and no US federal holiday."""
    following = day + timedelta(days=1)
    while not is_business_day(following):
        following += timedelta(days=1)
    return following


def is_business_day(day: date) -> bool:
    """Whether offices work on ``day`` in the United States, federally; states' own days are the gate's matter."""
    return day.weekday() < 5 and day not in _federal_holidays(day.year)


@lru_cache(maxsize=8)
def _federal_holidays(year: int) -> frozenset[date]:
    import holidays

    return frozenset(holidays.country_holidays("US", years=year))


def spread(person_id: int, minutes: int) -> timedelta:
    """A fixed share of ``minutes`` for this person, so that a cohort does not leave in one second."""
    if minutes <= 0:
        return timedelta(0)
    return timedelta(seconds=(person_id * 2_654_435_761) % 2**32 / 2**32 * minutes * 60)
