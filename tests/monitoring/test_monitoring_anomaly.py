"""When a rate changed beyond chance; and how often that is said of one that did not."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from leadpipe.monitoring.anomaly import BEFORE_DAYS, RECENT_DAYS, Day, compare

LAST = date(2026, 3, 1)


def days(before: tuple[int, int], recent: tuple[int, int]) -> list[Day]:
    """Four weeks of one daily count and a week of another, the newest last."""
    spans = [(before, BEFORE_DAYS), (recent, RECENT_DAYS)]
    counts = [count for count, length in spans for _ in range(length)]
    start = LAST - timedelta(days=len(counts) - 1)
    return [Day(day=start + timedelta(days=n), part=part, whole=whole) for n, (part, whole) in enumerate(counts)]


@pytest.mark.parametrize(
    ("before", "recent", "is_anomaly"),
    [
        ((10, 100), (10, 100), False),
        ((10, 100), (5, 100), True),
        ((10, 100), (17, 100), True),  # a rise may be a wave of refusals
        ((10, 100), (9, 100), False),  # well inside chance
        ((1_000, 10_000), (900, 10_000), False),  # beyond chance, and too small to matter
        ((1, 10), (0, 10), False),  # 28 of 280 and 0 of 70: once in 300 cases by chance
        ((1, 4), (0, 4), False),  # 28 cases of a week are too few
        ((0, 100), (0, 100), False),
        ((0, 100), (3, 100), True),
    ],
)
def test_a_change_is_told_when_chance_does_not_explain_it_and_it_matters(
    before: tuple[int, int], recent: tuple[int, int], is_anomaly: bool
) -> None:
    found = compare("response", days(before, recent))
    assert found.is_anomaly is is_anomaly, found.words
    assert found.recent == (7 * recent[0], 7 * recent[1])
    assert found.before == (28 * before[0], 28 * before[1])


def test_without_days_or_with_few_cases_it_says_so() -> None:
    assert compare("response", []).words == "too few cases to compare (0 and 0, wanted 30 of each)"
    assert "too few" in compare("response", days((1, 2), (1, 4))).words
    assert compare("response", days((10, 100), (5, 100))).words.startswith(
        "5.0% (35 of 700) in the 7 days to 2026-03-01, 10.0% (280 of 2800) in the 28 before"
    )


def test_days_without_a_case_may_be_missing() -> None:
    some = [each for each in days((10, 100), (10, 100)) if each.day.weekday() < 5]
    assert compare("response", some).recent == (50, 500)


def told_on(rate_of: Callable[[int], float], *, count: int, seed: int, whole: int = 60) -> list[int]:
    """The days, counted from the end of the first five weeks, on which something is told; asked every day."""
    dice = random.Random(seed)
    drawn = [
        Day(day=LAST + timedelta(days=n), part=sum(dice.random() < rate_of(n - 34) for _ in range(whole)), whole=whole)
        for n in range(35 + count)
    ]
    return [n for n in range(count) if compare("response", drawn[n : n + 35]).is_anomaly]


def test_a_rate_that_does_not_change_is_told_of_on_no_more_than_three_days_of_two_years() -> None:
    assert len(told_on(lambda _: 0.12, count=730, seed=7)) <= 3


def test_a_rate_that_halves_is_told_of_within_ten_days() -> None:
    told = told_on(lambda n: 0.12 if n <= 0 else 0.06, count=20, seed=11)
    assert told and 1 <= told[0] <= 10
