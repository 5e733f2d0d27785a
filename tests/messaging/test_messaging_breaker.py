"""An outage: the provider rests for every sender, one message tries, then the backlog drains in its order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging import breaker, switch
from leadpipe.messaging.breaker import Breakers
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.drain import Budget, DrainReport, drain
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, FakeChannel, Go, MakeIntent, Put, Rows

Calls = Callable[[], list[SendRequest]]


def test_a_breaker_opens_after_failures_in_a_row_and_closes_with_a_success() -> None:
    seconds = 1000.0
    breakers = Breakers(lambda: seconds)
    for _ in range(4):
        breakers.note("ses", SendResult.unknown("ReadTimeout"))
        breakers.note("ses", SendResult.not_called("overtaken"))
    assert not breakers.is_open("ses")
    breakers.note("ses", SendResult.unknown("ReadTimeout"))
    assert breakers.is_open("ses") and not breakers.is_open("twilio")
    assert not breakers.is_trying("ses")
    seconds = 1006.0
    assert not breakers.is_open("ses") and breakers.is_trying("ses")
    # Half open: one more failure opens it again, for longer.
    breakers.note("ses", SendResult.unknown("ReadTimeout"))
    seconds = 1014.0
    assert breakers.is_open("ses")
    seconds = 1017.0
    breakers.note("ses", SendResult.accepted("1"))
    for _ in range(4):
        breakers.note("ses", SendResult.unknown("ReadTimeout"))
    assert not breakers.is_open("ses") and not breakers.is_trying("ses")


def test_what_one_sender_met_every_sender_knows_and_a_person_is_told_when_it_lasts(
    ledger_engine: Engine, clock: FixedClock, rows: Rows
) -> None:
    seconds = 1000.0
    mine, theirs = Breakers(lambda: seconds), Breakers(lambda: seconds)

    def exchange() -> None:
        nonlocal seconds
        for breakers in (mine, theirs, mine):
            breakers.exchange(ledger_engine, now=clock.now())
            seconds += 1

    for _ in range(5):
        mine.note("ses", SendResult.unknown("ReadTimeout"))
    exchange()
    assert theirs.is_open("ses") and not theirs.is_open("twilio")
    with ledger_engine.connect() as connection:
        assert breaker.resting(connection, seconds=1001.0) == {"ses": 4.0}
    for pause in (5, 10, 20, 40, 80):
        seconds += pause
        assert mine.is_trying("ses") and theirs.is_trying("ses")
        theirs.note("ses", SendResult.unknown("ReadTimeout"))
        exchange()
        assert mine.is_open("ses"), "what tried failed, so it rests for both, and longer"
    [alert] = rows("alerts")
    assert alert.kind == "provider_down"
    seconds += 121
    theirs.note("ses", SendResult.accepted("1"))
    exchange()
    assert not any(each.is_open("ses") or each.is_trying("ses") for each in (mine, theirs))


def test_a_person_who_resumes_lets_every_provider_be_tried_at_once(ledger_engine: Engine, clock: FixedClock) -> None:
    first = Breakers()
    first.note("twilio", SendResult.misconfigured("20003"))
    first.exchange(ledger_engine, now=clock.now())
    assert first.is_open("twilio")
    switch.resume(ledger_engine, now=clock.now(), stale_after=timedelta(hours=24))
    later = Breakers()
    later.exchange(ledger_engine, now=clock.now())
    assert not later.is_open("twilio") and not later.is_trying("twilio")


def test_after_an_outage_one_message_tries_then_the_backlog_drains_by_priority_within_its_cap_and_only_stale_expires(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, channels: dict[str, FakeChannel], calls: Calls,
    clock: FixedClock, ledger_engine: Engine, live_settings: Settings,
) -> None:  # fmt: skip
    seconds = 1000.0
    breakers = Breakers(lambda: seconds)

    def send(**changes: object) -> DrainReport:
        return drain(
            engine=ledger_engine, channels=channels, settings=live_settings.model_copy(update=changes), clock=clock,
            budget=Budget(max_messages=1000, max_seconds=30), concurrency=4, breakers=breakers,
        )  # fmt: skip

    # One due long ago goes stale during the outage, welcomes are urgent, the rest is of two priorities.
    stale = intent(add_lead(1), due_at=clock.now() - timedelta(hours=23, minutes=50), purpose="transactional")
    late = [intent(add_lead(n), priority=50) for n in range(10, 30)]
    urgent = [intent(add_lead(n), priority=5, plan="new_lead", purpose="inquiry_response") for n in range(40, 46)]
    channels["email"].default = SendResult.unknown("ReadTimeout")
    put(*late)
    first = send()
    assert (first.stopped_by, first.counts["unknown"] <= 8) == ("provider_down", True)
    put(stale, *urgent)
    tries = 0
    for _ in range(4):
        seconds += 200
        clock.advance(timedelta(minutes=5))
        report = send()
        tries += report.counts.get("unknown", 0)
    assert tries == 4, "one message tries after each pause"
    count_before = len(calls())
    channels["email"].default = None
    seconds += 200
    report = send(cap_per_hour=count_before + 12)
    assert report.counts["accepted"] == 12
    assert report.counts.get("expired", 0) == 1
    order = [request.message_id for request in calls()[count_before:]]
    assert set(order[:2]) <= {each.id for each in urgent}
    assert {row.state for row in rows("messages") if str(row.id) in {each.id for each in urgent}} <= {
        "accepted",
        "unknown",
    }
    [gone] = [row for row in rows("messages") if row.state == "expired"]
    assert (str(gone.id), gone.code) == (stale.id, "stale")
    left = sum(row.state in {"queued", "held"} for row in rows("messages"))
    assert send(cap_per_hour=10**6).counts["accepted"] == left


def test_while_a_provider_rests_its_messages_wait_and_others_go(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, channels: dict[str, FakeChannel], go: Go, calls: Calls
) -> None:
    texts = [intent(add_lead(n, pewc=True), "sms", priority=1) for n in range(1, 31)]
    put(*texts, intent(add_lead(99)))
    channels["sms"].results = {one.id: SendResult.unknown("ReadTimeout") for one in texts}
    report = go()
    counts = report.counts
    assert counts["accepted"] == 1
    # The pool's first calls were under way when the breaker opened; the rest of the backlog stays.
    assert 5 <= counts["unknown"] < 30
    assert report.stopped_by == "provider_down"
    assert sum(row.state == "queued" for row in rows("messages")) == 30 - counts["unknown"]


def test_a_provider_that_takes_nothing_for_a_day_makes_a_message_stale_and_a_hold_by_law_does_not(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, channels: dict[str, FakeChannel], go: Go,
    clock: FixedClock, ledger_engine: Engine,
) -> None:  # fmt: skip
    refused, held = intent(add_lead(1)), intent(add_lead(2, pewc=True), "sms")
    channels["email"].default = SendResult.not_sent("20429", retry_after_seconds=600.0)
    put(refused, held)
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "update ledger.messages set state = 'held', code = 'quiet_hours', not_before_at = :until "
                "where person_id = 2"
            ),
            {"until": clock.now() + timedelta(hours=47)},
        )
    for _ in range(4):
        go()
        with ledger_engine.begin() as connection:
            breaker.forget(connection, now=clock.now())
        clock.advance(timedelta(hours=7))
    assert {row.person_id: (row.state, row.code) for row in rows("messages")} == {
        1: ("held", "not_sent_20429"),
        2: ("held", "quiet_hours"),
    }
    channels["email"].default = None
    go()
    assert [row.state for row in rows("messages")] == ["expired", "held"]
    assert [row.code for row in rows("messages")] == ["stale", "quiet_hours"]
