"""Last days that a law gives: business days without weekends and federal holidays.

What lives here: counting. What does not: how many days a rule gives (the policy pack), opening hours (``hours``).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from leadpipe.policy.hours import is_holiday


def last_business_day(at: datetime, count: int, zone: str) -> date:
    """The last of ``count`` business days after the day of ``at`` in ``zone`` (C7, C22)."""
    day = at.astimezone(ZoneInfo(zone)).date()
    while count > 0:
        day += timedelta(days=1)
        count -= day.weekday() < 5 and not is_holiday(day, "")
    return day
