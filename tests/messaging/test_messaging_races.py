"""True concurrency on the real ledger: STOP against send, many workers, workers that die."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging import claim as claims
from leadpipe.messaging import drain as drains
from leadpipe.messaging import last_look, outcomes, switch, workers
from leadpipe.messaging.batch import Claimed
from leadpipe.messaging.callbacks import TwilioStatus, apply_twilio_status
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.claim import claim
from leadpipe.messaging.protocol import Event, Move, State, move_where_legal
from leadpipe.messaging.suppression import lift, suppress
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from tests.messaging.conftest import AddLead, FakeChannel, Go, MakeIntent, Put, Rows

Calls = Callable[[], list[SendRequest]]
PROVIDERS = {"email": "ses", "sms": "twilio"}


def test_nothing_is_claimed_after_a_stop_was_committed(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    rows: Rows,
) -> None:
    leads = [add_lead(n, pewc=True) for n in range(1, 41)]
    put(*(intent(lead, "sms") for lead in leads))
    stopped_at: dict[int, float] = {}
    claimed_at: dict[int, float] = {}
    start = threading.Barrier(3)

    def stop(part: list[int]) -> None:
        start.wait()
        for point in part:
            with ledger_engine.begin() as connection:
                suppress(
                    connection,
                    contact_point_id=point,
                    channels=("sms", "whatsapp"),
                    source="stop_keyword",
                    at=clock.now(),
                    now=clock.now(),
                )
            stopped_at[point] = time.monotonic()

    def send() -> None:
        start.wait()
        while True:
            began = time.monotonic()
            found = claim(
                ledger_engine,
                settings=live_settings,
                now=clock.now(),
                worker="w",
                providers=PROVIDERS,
                count=2,
            )
            if not found.counts:
                return
            for one in found.claimed:
                claimed_at[one.request.contact_point_id] = began

    points = [lead.phone_id for lead in leads]
    threads = [threading.Thread(target=stop, args=(points[::-2],)), threading.Thread(target=stop, args=(points[::2],))]
    threads.append(threading.Thread(target=send))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A claim that began after the stop's commit took no message of that number.
    assert [point for point, began in claimed_at.items() if began > stopped_at[point]] == []
    found = Counter(row.state for row in rows("messages"))
    assert found["sending"] == len(claimed_at)
    assert found["sending"] + found["cancelled"] + found["blocked"] == 40
    assert found["cancelled"] + found["blocked"] > 0


def test_a_message_waits_while_someone_holds_its_address_and_is_cancelled_if_that_was_a_stop(
    put: Put, add_lead: AddLead, intent: MakeIntent, ledger_engine: Engine, clock: FixedClock, go: Go, rows: Rows
) -> None:
    lead = add_lead(1, pewc=True)
    put(intent(lead, "sms"), intent(add_lead(2, pewc=True), "sms"))
    with ledger_engine.begin() as connection:
        suppress(
            connection,
            contact_point_id=lead.phone_id,
            channels=("sms",),
            source="stop_keyword",
            at=clock.now(),
            now=clock.now(),
        )
        # The stop is not committed yet: its number is passed over, others go.
        assert go().counts == {"accepted": 1}
    assert go().counts == {}
    assert {row.person_id: row.state for row in rows("messages")} == {1: "cancelled", 2: "accepted"}


def test_many_workers_call_each_message_once_and_share_a_cap(
    put: Put, add_lead: AddLead, intent: MakeIntent, go: Go, calls: Calls, rows: Rows
) -> None:
    put(*(intent(add_lead(n)) for n in range(1, 101)))
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: go(cap_per_hour=70), range(4)))
    assert sum(report.count_called for report in reports) == 70
    assert Counter(request.message_id for request in calls()).most_common(1)[0][1] == 1
    assert Counter(row.state for row in rows("messages")) == {"accepted": 70, "queued": 30}


def claim_as(worker: str, engine: Engine, settings: Settings, clock: FixedClock, *, count: int = 10) -> list[Claimed]:
    return claim(engine, settings=settings, now=clock.now(), worker=worker, providers=PROVIDERS, count=count).claimed


def test_messages_of_a_dead_worker_become_unknown_and_are_never_called_again(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    go: Go,
    calls: Calls,
    rows: Rows,
) -> None:
    put(intent(add_lead(1)), intent(add_lead(2)))
    with workers.sign_of_life(ledger_engine) as dead:
        assert len(claim_as(dead.name, ledger_engine, live_settings, clock, count=1)) == 1
        # It lives: nobody takes its message for lost, however long its call takes.
        clock.advance(timedelta(hours=2))
        assert workers.recover(ledger_engine, now=clock.now()) == 0
    report = go()
    assert (report.count_recovered, report.counts) == (1, {"accepted": 1})
    for _ in range(3):
        clock.advance(timedelta(hours=3))
        go()
    assert len(calls()) == 1
    assert sorted((row.state, row.code) for row in rows("messages")) == [("accepted", None), ("unknown", "worker_died")]
    assert sorted(str(attempt.outcome) for attempt in rows("attempts")) == ["accepted", "unknown"]


def test_a_worker_whose_sign_of_life_ended_with_its_session_claims_nothing_more(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    channels: dict[str, FakeChannel],
    clock: FixedClock,
    go: Go,
    calls: Calls,
) -> None:
    put(*(intent(add_lead(n)) for n in range(1, 21)))

    def restart_once(_: SendRequest) -> None:
        # As a restart of PostgreSQL does: the process lives on, the lock that said so is gone.
        with ledger_engine.begin() as connection:
            connection.execute(
                text(
                    "select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database "
                    "where l.locktype = 'advisory' and l.classid = 7305 and d.datname = current_database()"
                )
            )

    channels["email"].before = restart_once
    report = go()
    # Calls that had begun went on; those that had not are not made by a worker that holds nothing any more.
    assert (report.stopped_by, sum(report.counts.values())) == ("ledger_restarted", 16)
    assert report.counts.keys() <= {"accepted", "held"}
    channels["email"].before = None
    clock.advance(timedelta(minutes=1))
    go()
    assert len({request.message_id for request in calls()}) == len(calls()) == 20


def test_a_call_that_outlived_its_worker_still_says_what_it_did(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    rows: Rows,
) -> None:
    put(intent(add_lead(1)))
    [claimed] = claim_as("host:1:0", ledger_engine, live_settings, clock)
    assert workers.recover(ledger_engine, now=clock.now()) == 1
    assert outcomes.record(ledger_engine, [(claimed, SendResult.accepted("p1"))], now=clock.now()) == {"accepted": 1}
    assert [(row.state, row.provider_id) for row in rows("messages")] == [("accepted", "p1")]


@pytest.mark.parametrize("is_parked", [False, True], ids=["unknown", "parked"])
@pytest.mark.parametrize(
    ("result", "unknown", "parked"),
    [
        (SendResult.unknown("ReadTimeout"), ("unknown", "worker_died"), ("parked", "no_trace")),
        # What certainly did not go is no question to anybody: it goes later, or ends where a person was told.
        (SendResult.not_sent("20429"), ("held", "not_sent_20429"), ("refused", "not_sent_20429")),
        (SendResult.refused("30005"), ("refused", "30005"), ("refused", "30005")),
    ],
    ids=["nobody knows", "certainly not sent", "refused"],
)
def test_such_a_call_brings_its_message_back_only_when_it_certainly_did_nothing(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    go: Go,
    rows: Rows,
    calls: Calls,
    result: SendResult,
    unknown: tuple[str, str],
    parked: tuple[str, str],
    is_parked: bool,
) -> None:
    put(intent(add_lead(1, pewc=True), "sms"))
    [claimed] = claim_as("host:1:0", ledger_engine, live_settings, clock)
    workers.recover(ledger_engine, now=clock.now())
    if is_parked:
        with ledger_engine.begin() as connection:
            move = Move(message_id=claimed.request.message_id, event=Event.RECONCILE, to=State.PARKED, code="no_trace")
            assert move_where_legal(connection, [move], at=clock.now()) == []
    wanted = parked if is_parked else unknown
    counts = outcomes.record(ledger_engine, [(claimed, result)], now=clock.now())
    assert counts == {"overtaken" if wanted[1] in {"worker_died", "no_trace"} else wanted[0]: 1}
    assert [(row.state, row.code) for row in rows("messages")] == [wanted]
    clock.advance(timedelta(minutes=1))
    go()
    assert len(calls()) == (wanted[0] == "held")


def test_a_report_that_overtakes_the_answer_wins(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    clock: FixedClock,
    go: Go,
    rows: Rows,
    channels: dict[str, FakeChannel],
) -> None:
    wanted = intent(add_lead(1, pewc=True), "sms")
    put(wanted)

    def report_first(request: SendRequest) -> None:
        with ledger_engine.begin() as connection:
            status = TwilioStatus(message_id=request.message_id, sid="SM1", status="delivered")
            assert apply_twilio_status(connection, status, now=clock.now()).result == "moved"

    channels["sms"].before = report_first
    channels["sms"].results = {wanted.id: SendResult.accepted("SM1")}
    assert go().counts == {"overtaken": 1}
    assert [(row.state, row.provider_id) for row in rows("messages")] == [("delivered", "SM1")]


def test_a_call_that_had_to_wait_looks_at_the_switch_once_more_before_it_is_made(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    clock: FixedClock,
    go: Go,
    calls: Calls,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(intent(add_lead(1, pewc=True), "sms"))
    monkeypatch.setattr(last_look, "START_WITHIN_SECONDS", 0.05)
    booked = claims.claim

    def claim_then_stop(*args: object, **kwargs: object) -> object:
        found = booked(*args, **kwargs)  # type: ignore[arg-type]
        switch.stop(ledger_engine, now=clock.now(), reason="halt")
        time.sleep(0.1)
        return found

    monkeypatch.setattr(drains, "claim", claim_then_stop)
    assert go().counts == {"held": 1}
    assert (calls(), [row.code for row in rows("messages")]) == ([], ["not_sent_overtaken"])


def test_a_worker_waits_while_the_ledger_is_away_and_goes_on_when_it_is_back(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    rows: Rows,
    channels: dict[str, FakeChannel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sqlalchemy.exc import OperationalError

    put(intent(add_lead(1)))
    real, outages = drains.drain, [1, 2]

    def drain(**arguments: object) -> object:
        if outages:
            outages.pop()
            raise OperationalError("select 1", {}, Exception("server closed the connection"))
        return real(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(drains, "drain", drain)
    monkeypatch.setattr(drains, "OUTAGE_WAIT_SECONDS", 0.0)
    heard: list[str] = []
    drains.run_worker(
        engine=ledger_engine,
        channels=channels,
        settings=live_settings,
        clock=clock,
        should_stop=lambda: "sent" in heard,
        on_report=lambda _: heard.append("sent"),
        on_outage=lambda: heard.append("away"),
    )
    assert heard == ["away", "away", "sent"]
    assert [row.state for row in rows("messages")] == ["accepted"]


def test_no_order_of_refusals_returns_and_sends_reaches_anyone_who_refused(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    clock: FixedClock,
    go: Go,
    calls: Calls,
) -> None:
    dice = Random(20260303)
    count_sent = 0
    for walk in range(12):
        leads = [add_lead(walk * 10 + n, pewc=True, asked_at=clock.now()) for n in range(1, 4)]
        refused: set[tuple[int, str]] = set()
        dead: set[tuple[int, str]] = set()
        for step in range(20):
            clock.advance(timedelta(minutes=1))
            lead = dice.choice(leads)
            act = dice.choice(("plan", "plan", "plan", "send", "send", "stop", "start", "start", "leave", "bounce"))
            with ledger_engine.begin() as connection:
                if act == "stop":
                    refuse(connection, lead.phone_id, "sms", "stop_keyword", clock)
                    refused.add((lead.phone_id, "sms"))
                elif act == "leave":
                    refuse(connection, lead.email_id, "email", "one_click", clock)
                    refused.add((lead.email_id, "email"))
                elif act == "bounce" and step > 10:
                    refuse(connection, lead.email_id, "email", "bounce", clock)
                    dead.add((lead.email_id, "email"))
                elif act == "start":
                    lift(connection, contact_point_id=lead.phone_id, channel="sms", at=clock.now(), now=clock.now())
                    refused.discard((lead.phone_id, "sms"))
            if act == "plan":
                channel = dice.choice(("email", "sms"))
                put(intent(lead, channel, purpose="transactional", occurrence=step + 1))
            if act == "send":
                before = {request.message_id for request in calls()}
                go(min_gap_minutes=0, count=dice.randint(1, 3))
                sent = [(r.contact_point_id, r.channel) for r in calls() if r.message_id not in before]
                count_sent += len(sent)
                assert not {*sent} & (refused | dead), (walk, step)
    assert count_sent > 25


def refuse(connection: Connection, point: int, channel: str, source: str, clock: FixedClock) -> None:
    channels = ("sms", "whatsapp") if channel == "sms" else (channel,)
    suppress(connection, contact_point_id=point, channels=channels, source=source, at=clock.now(), now=clock.now())


def test_an_outcome_written_twice_does_not_touch_the_call_that_follows_it(
    put: Put,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    go: Go,
    calls: Calls,
    rows: Rows,
) -> None:
    # The connection broke at the commit, which had been made: the first worker writes its outcome once more, after a
    # second one has claimed the message. Taken for the second one's, it sent the message twice.
    put(intent(add_lead(1)))
    [first] = claim_as("host:1:1", ledger_engine, live_settings, clock)
    slow = [(first, SendResult.not_sent("20429"))]
    assert outcomes.record(ledger_engine, slow, now=clock.now()) == {"held": 1}
    clock.advance(timedelta(minutes=1))
    [second] = claim_as("host:1:2", ledger_engine, live_settings, clock)
    assert outcomes.record(ledger_engine, slow, now=clock.now()) == {"overtaken": 1}
    assert outcomes.record(ledger_engine, [(second, SendResult.accepted("p1"))], now=clock.now()) == {"accepted": 1}
    clock.advance(timedelta(minutes=1))
    assert go().counts == {}
    assert [(row.state, row.provider_id) for row in rows("messages")] == [("accepted", "p1")]
