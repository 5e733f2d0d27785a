"""The revocation clock: how long refusals took, what may still be one, and what a person is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.monitoring.revocations import Revocations, measure
from leadpipe.work.watch import too_slow

if TYPE_CHECKING:
    from sqlalchemy import Engine

ZONE = "America/Chicago"
Refuse = Callable[..., None]


@pytest.fixture
def refuse(ledger_engine: Engine, clock: FixedClock) -> Refuse:
    """A function that writes a refusal that took so many seconds, known an hour ago."""

    def write(seconds: float, *, source: str = "stop_keyword", known_days: int = 30, hours: float = 1) -> None:
        recorded = clock.now() - timedelta(hours=hours)
        with ledger_engine.begin() as connection:
            connection.execute(
                text(
                    "with point as (insert into ledger.contact_points (kind, address, created_at) "
                    "values ('phone', '+1512' || (5550000 + (select count(*) from ledger.contact_points)), :known) "
                    "returning id) insert into ledger.suppressions (contact_point_id, channel, source, person_id, at, "
                    "recorded_at) select id, 'sms', :source, 4, :at, :recorded from point"
                ),
                {
                    "known": clock.now() - timedelta(days=known_days), "source": source, "recorded": recorded,
                    "at": recorded - timedelta(seconds=seconds),
                },
            )  # fmt: skip

    return write


def _measured(engine: Engine, clock: FixedClock) -> Revocations:
    with engine.connect() as connection:
        return measure(connection, now=clock.now(), zone=ZONE)


def _told(found: Revocations, today: date) -> list[Any]:
    return list(too_slow(found, today=today))


def test_without_a_refusal_there_is_nothing_to_say(ledger_engine: Engine, clock: FixedClock) -> None:
    found = _measured(ledger_engine, clock)
    assert (found.count, found.slowest_seconds, found.words) == (0, None, "no refusal within a day")
    assert _told(found, clock.now().date()) == []


def test_refusals_of_the_last_day_are_measured_from_the_persons_own_moment(
    refuse: Refuse, ledger_engine: Engine, clock: FixedClock
) -> None:
    for seconds in (0.4, 12, 61):
        refuse(seconds)
    refuse(9_999, hours=25)
    refuse(9_999, source="bounce")
    refuse(9_999, source="reassigned")
    found = _measured(ledger_engine, clock)
    assert found.words == "2 of 3 refusals of the last day obeyed within 60 s, the slowest after 61 s"
    assert _told(found, clock.now().date()) == []


@pytest.mark.parametrize("source", ["stop_keyword", "model", "agent_note", "agent_tag", "fub_unsubscribe", "one_click"])
def test_whatever_way_it_came_one_that_took_minutes_is_told_with_the_laws_last_day(
    refuse: Refuse, ledger_engine: Engine, clock: FixedClock, source: str
) -> None:
    refuse(2)
    refuse(301, source=source)
    found = _measured(ledger_engine, clock)
    [told] = _told(found, clock.now().date())
    assert told.title == "1 refusals took over 5 minutes"
    assert (
        f"({source}), said 2026-03-03 14:54 UTC; the law's last day to obey a refusal of then is 2026-03-17"
        in told.body
    )
    assert told.cause == f"refusal_slow:{found.late[0].id}"


def test_one_past_the_laws_last_day_says_so(refuse: Refuse, ledger_engine: Engine, clock: FixedClock) -> None:
    refuse(20 * 86_400, source="agent_note")
    [told] = _told(_measured(ledger_engine, clock), clock.now().date())
    assert told.title.endswith(", one past the law's last day")


def test_what_was_said_before_leadpipe_knew_the_address_or_went_live_is_not_its_delay(
    refuse: Refuse, ledger_engine: Engine, clock: FixedClock
) -> None:
    refuse(86_400 * 300, source="agent_note")
    refuse(86_400 * 3, source="agent_note")
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.controls (key, value, changed_at) "
                "values ('go_live', jsonb_build_object('at', cast(:at as timestamptz)), :at)"
            ),
            {"at": clock.now() - timedelta(days=2)},
        )
    assert _measured(ledger_engine, clock).count == 0


def test_an_unread_message_and_a_notice_without_effect_may_be_refusals(
    refuse: Refuse, ledger_engine: Engine, clock: FixedClock
) -> None:
    refuse(1)
    with ledger_engine.begin() as connection:
        for minutes, is_auto, read in ((4, False, False), (9, False, False), (99, True, False), (99, False, True)):
            at = clock.now() - timedelta(minutes=minutes)
            connection.execute(
                text(
                    "insert into ledger.inbound_messages (channel, provider_id, contact_point_id, body, received_at, "
                    "is_auto_reply, read_at) values ('sms', gen_random_uuid()::text, 1, 'Hm', :at, :auto, :read)"
                ),
                {"at": at, "auto": is_auto, "read": at if read else None},
            )
        connection.execute(
            text(
                "insert into ledger.inbox (source, kind, dedupe_key, body, received_at) "
                "values ('twilio_inbound', '', 'k', '', :at), ('fub', '', 'k', '', :at)"
            ),
            {"at": clock.now() - timedelta(minutes=30)},
        )
    found = _measured(ledger_engine, clock)
    assert [(each.what, each.seconds) for each in found.waiting] == [("notice", 1_800), ("message", 540)]
    [told] = _told(found, clock.now().date())
    assert told.title == "2 messages of leads are unread"
    assert "notice in the inbox 1, 30 minutes old" in told.body
    assert told.cause == "refusal_unread:notice:1"


def test_ten_business_days_are_counted_as_the_law_does(refuse: Refuse, ledger_engine: Engine) -> None:
    clock = FixedClock(datetime(2026, 11, 20, 20, 0, tzinfo=UTC))
    with ledger_engine.begin() as connection:
        connection.execute(
            text("insert into ledger.contact_points (kind, address, created_at) values ('phone', '+15125550000', :at)"),
            {"at": clock.now() - timedelta(days=9)},
        )
        connection.execute(
            text(
                "insert into ledger.suppressions (contact_point_id, channel, source, at, recorded_at) "
                "values (1, 'sms', 'phrase', :at, :now)"
            ),
            {"at": clock.now() - timedelta(hours=1), "now": clock.now()},
        )
    assert _measured(ledger_engine, clock).late[0].last_day == date(2026, 12, 7)
