"""The law's last day to obey a refusal, in business days."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from leadpipe.policy.deadlines import last_business_day


@pytest.mark.parametrize(
    ("at", "last"),
    [
        (datetime(2026, 11, 20, 18, 0, tzinfo=UTC), date(2026, 12, 7)),  # C7: Thanksgiving skipped
        (datetime(2026, 11, 2, 18, 0, tzinfo=UTC), date(2026, 11, 17)),  # C22: Veterans Day skipped
        (datetime(2026, 11, 21, 3, 0, tzinfo=UTC), date(2026, 12, 7)),  # still the 20th in Chicago
        (datetime(2026, 12, 18, 18, 0, tzinfo=UTC), date(2027, 1, 5)),  # Christmas and New Year
        (datetime(2026, 11, 21, 18, 0, tzinfo=UTC), date(2026, 12, 7)),  # a Saturday
    ],
)
def test_weekends_and_federal_holidays_are_not_counted(at: datetime, last: date) -> None:
    assert last_business_day(at, 10, "America/Chicago") == last
