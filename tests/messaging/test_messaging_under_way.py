"""The reply race: whoever refuses, answers, takes over or merges waits for the call under way, and none follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from benchmarks import race
from leadpipe.clock import FixedClock
from leadpipe.conversation.inbound import Inbound, store_inbound
from leadpipe.conversation.takeover import pause_for_people
from leadpipe.crm.sweep import follow_merges
from leadpipe.messaging import claim as claims
from leadpipe.messaging import drain as drains
from leadpipe.messaging import last_look, under_way, workers
from leadpipe.messaging.channels import aws, twilio_api, twilio_pooled
from leadpipe.messaging.channels.base import SendRequest
from leadpipe.messaging.suppression import suppress
from leadpipe.messaging.under_way import Hold, wait_until_ended
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, FakeChannel, Go, Lead, MakeIntent, Put, Rows

Calls = Callable[[], list[SendRequest]]
Act = Callable[[str], None]
ACTS = ("STOP", "a reply", "a takeover", "a merge")
# What the message is worth to a test that waits for something that must not happen.
MOMENT = 0.15


@pytest.fixture
def lead(add_lead: AddLead) -> Lead:
    """Somebody whose texts may go; the CRM knows them twice."""
    found = add_lead(1, pewc=True)
    add_lead(2, phone=found.phone, email=found.email)
    return found


@pytest.fixture
def act(ledger_engine: Engine, live_settings: Settings, clock: FixedClock, lead: Lead) -> Act:
    """A function that does one of ``ACTS`` and returns after its commit."""

    def do(what: str) -> None:
        now = clock.now()
        if what == "a takeover":
            with ledger_engine.begin() as connection:
                connection.execute(
                    text(
                        "insert into ledger.human_actions (person_id, kind, crm_id, at, recorded_at) "
                        "values (1, 'text', '1', :now, :now)"
                    ),
                    {"now": now},
                )
            pause_for_people(ledger_engine, [1], settings=live_settings, now=now)
            return
        if what == "a merge":
            with ledger_engine.begin() as connection:
                connection.execute(text("update ledger.people set stage = 'Trash' where person_id = 1"))
            assert follow_merges(ledger_engine, now=now) == ((1, 2),)
            return
        with ledger_engine.begin() as connection:
            words = "STOP" if what == "STOP" else "Is it still there?"
            inbound = Inbound(channel="sms", provider_id="SM1", address=lead.phone, body=words, received_at=now)
            store_inbound(connection, inbound, settings=live_settings, now=now)

    return do


@pytest.fixture
def threads() -> Generator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.mark.parametrize("what", ACTS)
def test_it_commits_after_the_call_under_way_and_nothing_more_goes(
    put: Put,
    intent: MakeIntent,
    go: Go,
    act: Act,
    lead: Lead,
    rows: Rows,
    calls: Calls,
    channels: dict[str, FakeChannel],
    clock: FixedClock,
    threads: ThreadPoolExecutor,
    what: str,
) -> None:
    put(intent(lead, "sms"), intent(lead, "sms", purpose="conversation", plan="conversation", priority=90))
    acted: list[Future[None]] = []

    def while_calling(_: SendRequest) -> None:
        acted.append(threads.submit(act, what))
        assert not wait_for(acted, timeout=MOMENT).done, "it committed while the call was under way"

    channels["sms"].before = while_calling
    assert go(count=1, min_gap_minutes=0).counts == {"accepted": 1}
    acted[0].result(timeout=5)
    channels["sms"].before = None
    clock.advance(timedelta(minutes=1))
    go(min_gap_minutes=0)
    assert len(calls()) == 1
    assert "queued" not in {row.state for row in rows("messages")}


@pytest.mark.parametrize("what", ACTS)
def test_a_call_that_begins_late_lets_it_go_first_and_is_not_made(
    put: Put,
    intent: MakeIntent,
    go: Go,
    act: Act,
    lead: Lead,
    rows: Rows,
    calls: Calls,
    clock: FixedClock,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    put(intent(lead, "sms"))
    monkeypatch.setattr(last_look, "START_WITHIN_SECONDS", 0.05)
    booked = claims.claim
    acted: list[Future[None]] = []

    def claim_then_act(*args: object, **kwargs: object) -> object:
        found = booked(*args, **kwargs)  # type: ignore[arg-type]
        if found.claimed:
            acted.append(threads.submit(act, what))
            assert not wait_for(acted, timeout=MOMENT).done
        return found

    monkeypatch.setattr(drains, "claim", claim_then_act)
    assert go().counts == {"held": 1}
    acted[0].result(timeout=5)
    clock.advance(timedelta(minutes=1))
    go()
    assert calls() == []
    [message] = rows("messages")
    # By whoever came first: what was written down as not sent was cancelled, or met it at its next claim.
    assert (message.state, message.code) in {
        "STOP": {("blocked", "revoked"), ("cancelled", "suppressed_stop_keyword")},
        "a reply": {("held", "unread_inbound")},
        "a takeover": {("cancelled", "human_acted"), ("cancelled", "automation_paused")},
        "a merge": {("cancelled", "merged")},
    }[what]


def test_a_late_call_with_nothing_against_it_is_made(
    put: Put, intent: MakeIntent, go: Go, lead: Lead, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(intent(lead, "sms"))
    monkeypatch.setattr(last_look, "START_WITHIN_SECONDS", 0.05)
    booked = claims.claim

    def claim_slowly(*args: object, **kwargs: object) -> object:
        found = booked(*args, **kwargs)  # type: ignore[arg-type]
        time.sleep(0.1)
        return found

    monkeypatch.setattr(drains, "claim", claim_slowly)
    assert go().counts == {"accepted": 1}


def test_while_somebody_waits_for_an_address_nothing_else_is_sent_to_it(
    put: Put,
    intent: MakeIntent,
    go: Go,
    act: Act,
    lead: Lead,
    calls: Calls,
    channels: dict[str, FakeChannel],
    threads: ThreadPoolExecutor,
) -> None:
    put(intent(lead, "sms"))
    acted: list[Future[None]] = []

    def while_calling(request: SendRequest) -> None:
        if acted:
            return
        acted.append(threads.submit(act, "STOP"))
        wait_for(acted, timeout=MOMENT)
        # An answer waits for no gap and no cap; only the STOP that has not committed yet keeps it.
        put(intent(lead, "sms", purpose="conversation", plan="conversation"))
        assert go().count_called == 0
        assert request.purpose == "marketing"

    channels["sms"].before = while_calling
    go(count=1)
    acted[0].result(timeout=5)
    go()
    assert len(calls()) == 1


def test_a_call_that_hangs_is_waited_for_no_longer_than_it_could_take_to_leave(
    ledger_engine: Engine, lead: Lead, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_way, "PATIENCE_SECONDS", 0.2)
    with workers.sign_of_life(ledger_engine) as life:
        assert Hold(life).take([lead.phone_id]) == [True]
        began = time.monotonic()
        with ledger_engine.begin() as connection:
            suppress(
                connection,
                contact_point_id=lead.phone_id,
                channels=("sms",),
                source="stop_keyword",
                at=clock.now(),
                now=clock.now(),
            )
            assert connection.execute(text("show lock_timeout")).scalar_one() == "0"
        assert 0.2 <= time.monotonic() - began < 3


def test_what_can_still_leave_is_waited_for() -> None:
    # A call begins within the first of these of its lock and connects within the second, or not at all.
    connects = {aws.CONNECT_WITHIN_SECONDS, twilio_api.BaseUrlHttpClient().timeout[0]}  # type: ignore[index]
    connects.add(twilio_pooled.CONNECT_WITHIN_SECONDS)
    assert max(connects) + last_look.START_WITHIN_SECONDS <= under_way.PATIENCE_SECONDS


def test_a_sender_that_dies_lets_go_of_what_it_held(ledger_engine: Engine, lead: Lead) -> None:
    with workers.sign_of_life(ledger_engine) as life:
        assert Hold(life).take([lead.phone_id, lead.phone_id]) == [True, True]
    with ledger_engine.begin() as connection:
        began = time.monotonic()
        wait_until_ended(connection, [lead.phone_id])
        assert time.monotonic() - began < 1


def test_what_an_ended_session_held_is_let_go_without_an_error(ledger_engine: Engine, lead: Lead) -> None:
    # The outcomes of the calls that were made are written after this, whatever became of the session.
    with workers.sign_of_life(ledger_engine) as life:
        hold = Hold(life)
        hold.take([lead.phone_id])
        end_sessions_of_workers(ledger_engine)
        assert not hold.stands()
        for _ in range(2):
            hold.let_go([lead.phone_id])
        assert not life.is_seen()
        assert hold.take([lead.phone_id]) == [False]
        assert not hold.stands()


def test_an_address_held_for_two_messages_is_free_after_both(ledger_engine: Engine, lead: Lead) -> None:
    with workers.sign_of_life(ledger_engine) as life:
        hold = Hold(life)
        hold.take([lead.phone_id, lead.phone_id])
        hold.let_go([lead.phone_id])
        with ledger_engine.begin() as connection:
            assert connection.execute(under_way._BUSY, keys(lead)).all() != []  # noqa: SLF001
        hold.let_go([lead.phone_id])
        with ledger_engine.begin() as connection:
            assert connection.execute(under_way._BUSY, keys(lead)).all() == []  # noqa: SLF001
            # Whoever has it alone has it until the end of the transaction.
            assert hold.take([lead.phone_id]) == [False]
        assert hold.take([lead.phone_id]) == [True]


def keys(lead: Lead) -> dict[str, object]:
    return {"class": under_way._LOCK_CLASS, "points": [lead.phone_id]}  # noqa: SLF001


def test_a_worker_whose_session_was_ended_makes_no_call_it_had_claimed(
    put: Put,
    intent: MakeIntent,
    go: Go,
    lead: Lead,
    calls: Calls,
    rows: Rows,
    clock: FixedClock,
    ledger_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(intent(lead, "sms"))
    booked = claims.claim

    def claim_then_end(*args: object, **kwargs: object) -> object:
        found = booked(*args, **kwargs)  # type: ignore[arg-type]
        if found.claimed:
            end_sessions_of_workers(ledger_engine)
        return found

    monkeypatch.setattr(drains, "claim", claim_then_end)
    assert go().counts == {"held": 1}
    assert (calls(), [(row.state, row.code) for row in rows("messages")]) == ([], [("held", "not_sent_session_lost")])
    monkeypatch.undo()
    clock.advance(timedelta(minutes=1))
    assert go().counts == {"accepted": 1}


def end_sessions_of_workers(engine: Engine) -> None:
    """As a restart of PostgreSQL does."""
    ended = threading.Event()
    with engine.begin() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(l.pid, 2000) from pg_locks l join pg_database d on d.oid = l.database "
                "where l.locktype = 'advisory' and l.classid = 7305 and d.datname = current_database()"
            )
        )
    ended.wait(0.05)


def test_no_interleaving_of_refusal_and_send_lets_a_call_begin_after_the_commit(
    ledger_engine: Engine, live_settings: Settings, database_url: str, server_home: Path
) -> None:
    del live_settings
    found = race.interleave(ledger_engine, race.settings_for(database_url, server_home), count=250, seed=3)
    assert (found.after, found.committed_meanwhile) == (0, 0)
    # Those who acted before the claim got nothing; those who acted later mostly did.
    assert sum(found.kept_at[step] for step in race.STEPS[:2]) > 20
    assert found.sent_at.total() > 100


def test_without_the_lock_the_race_is_seen(ledger_engine: Engine, database_url: str, server_home: Path) -> None:
    settings = race.settings_for(database_url, server_home)
    assert race.interleave(ledger_engine, settings, count=120, seed=3, has_lock=False).after > 0
