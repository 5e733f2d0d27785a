"""What signs of life add up to, by day of the team."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from leadpipe.monitoring import uptime
from leadpipe.monitoring.heartbeat import EVERY_SECONDS

ZONE = "America/Chicago"
NOON = datetime(2026, 3, 3, 18, 0, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 3, 3), date(2026, 3, 2)
Sign = tuple[float, str, str]
EVERY = int(EVERY_SECONDS)


def steady(start: int, end: int, *, instance: str = "a:1") -> list[Sign]:
    """A sign every ten seconds, in seconds before noon."""
    return [(second, instance, "up") for second in range(start, end, -EVERY)]


def counted(engine: Engine, signs: Iterable[Sign], *, service: str = "gateway") -> dict[date, tuple[float, ...]]:
    """(seconds to run, seconds up, outages, longest) by day."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.heartbeats (service, instance, state, beat_at) "
                "values (:service, :instance, :state, :at)"
            ),
            [
                {"service": service, "instance": instance, "state": state, "at": NOON - timedelta(seconds=ago)}
                for ago, instance, state in signs
            ],
        )
        uptime.count_days(connection, now=NOON, counted_at=NOON, zone=ZONE)
        rows = connection.execute(
            text(
                "select day, seconds_expected, seconds_up, outages, longest_outage_seconds from ledger.service_days "
                "where service = :service order by day"
            ),
            {"service": service},
        )
        return {row[0]: tuple(row[1:]) for row in rows}


CASES = {
    "steady signs are all up": (steady(600, 0), (600, 600, 0, 0)),
    "two signs lost in a row are jitter": (steady(600, 300) + steady(280, 0), (600, 600, 0, 0)),
    "a crash of two minutes is down from one interval after its last sign": (
        [*steady(600, 420), *steady(290, 0)],
        (600, 600 - 130, 1, 130),
    ),
    "a stop that was announced is no outage": (
        [*steady(600, 400), (400, "a:1", "stopped"), *steady(100, 0)],
        (300, 300, 0, 0),
    ),
    "one of two processes is enough": (
        [*steady(600, 400, instance="a:1"), *steady(600, 0, instance="a:2")],
        (600, 600, 0, 0),
    ),
    "one of two stops and the other dies": (
        [*steady(600, 400, instance="a:1"), (395, "a:1", "stopped"), *steady(390, 200, instance="a:2")],
        (595, 600 - 5 - 200, 1, 200),
    ),
    "it is silent still": (steady(600, 300), (600, 310 - 10, 1, 300)),
}


@pytest.mark.parametrize(("signs", "expected"), CASES.values(), ids=CASES.keys())
def test_a_day_is_counted(ledger_engine: Engine, signs: list[Sign], expected: tuple[float, ...]) -> None:
    found = counted(ledger_engine, signs)[TODAY]
    assert found == pytest.approx(expected)


def test_a_silence_over_midnight_is_shared_by_its_days(ledger_engine: Engine) -> None:
    midnight = 12 * 3600
    found = counted(
        ledger_engine, [*steady(midnight + 600, midnight + 300), (midnight - 60, "a:1", "up"), (0, "a:1", "stopped")]
    )
    assert found[YESTERDAY] == pytest.approx((600, 310 - 10, 1, 300))
    # Silent until a minute after midnight, then again for the half day to the announced stop.
    assert found[TODAY] == pytest.approx((midnight, 10, 2, midnight - 60 - 10))


def test_counting_again_changes_nothing_until_something_new_is_there(ledger_engine: Engine) -> None:
    first = counted(ledger_engine, steady(600, 0))
    with ledger_engine.begin() as connection:
        assert uptime.count_days(connection, now=NOON, counted_at=NOON, zone=ZONE) == 0
    assert counted(ledger_engine, [(0, "a:1", "up")]) == first


def test_days_before_yesterday_stay_as_they_were_counted(ledger_engine: Engine) -> None:
    with ledger_engine.begin() as connection:
        connection.execute(
            text("insert into ledger.service_days values ('gateway', '2026-03-01', 86400, 86000, 1, 400, :now)"),
            {"now": NOON},
        )
    found = counted(ledger_engine, steady(3 * 86_400, 3 * 86_400 - 50) + steady(60, 0))
    assert found[date(2026, 3, 1)] == (86_400, 86_000, 1, 400)


def test_services_are_counted_apart(ledger_engine: Engine) -> None:
    assert counted(ledger_engine, steady(100, 0), service="dagster")[TODAY][:2] == pytest.approx((100, 100))
    assert counted(ledger_engine, steady(50, 0), service="send-worker")[TODAY][:2] == pytest.approx((50, 50))
