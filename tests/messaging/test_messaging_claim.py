"""The claim on the real ledger: what leaves now, what waits, what is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging import claim as claims
from leadpipe.messaging import drain as drains
from leadpipe.messaging import last_look, review, switch
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.suppression import lift, suppress
from leadpipe.settings import Sending, Settings
from tests.messaging.conftest import EMAIL_BODY, LICENCE

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, FakeChannel, Go, MakeIntent, Put, Rows

Calls = Callable[[], list[SendRequest]]


def states(rows: Rows) -> dict[int, tuple[str, str | None]]:
    return {row.person_id: (row.state, row.code) for row in rows("messages")}


def test_what_is_due_leaves_once_with_its_words_and_its_attempt(
    put: Put, go: Go, rows: Rows, calls: Calls, add_lead: AddLead, intent: MakeIntent
) -> None:
    lead = add_lead(1)
    wanted = intent(lead, variables={"first_name": "Ana"}, template="still_looking_email")
    put(wanted)
    assert go().counts == {"accepted": 1}
    assert go().counts == {}
    [request] = calls()
    assert (request.message_id, request.to, request.body) == (wanted.id, lead.email, EMAIL_BODY)
    assert (request.template, request.variables) == ("still_looking_email", {"first_name": "Ana"})
    [message] = rows("messages")
    assert (message.state, message.provider, message.provider_id) == ("accepted", "ses", f"ses-{wanted.id}")
    [attempt] = rows("attempts")
    assert (attempt.outcome, attempt.ended_at is not None, message.attempts) == ("accepted", True, 1)
    assert [(e.from_state, e.to_state, e.event) for e in rows("message_events")] == [
        (None, "queued", "enqueue"),
        ("queued", "sending", "claim"),
        ("sending", "accepted", "outcome"),
    ]
    assert [verdict.moment for verdict in rows("verdicts")] == ["enqueue", "claim"]


def test_nothing_leaves_before_it_is_due_and_the_best_priority_goes_first(
    put: Put, go: Go, calls: Calls, add_lead: AddLead, intent: MakeIntent, clock: FixedClock
) -> None:
    put(
        intent(add_lead(1), priority=70),
        intent(add_lead(2), priority=10),
        intent(add_lead(3), priority=0, due_at=clock.now() + timedelta(minutes=5)),
    )
    go(count=1)
    assert [request.to for request in calls()] == ["lead2@example.com"]
    go()
    assert {request.to for request in calls()} == {"lead1@example.com", "lead2@example.com"}
    clock.advance(timedelta(minutes=5))
    go()
    assert len(calls()) == 3


def test_a_person_gets_one_message_at_a_time_whatever_the_plans_and_answers_do_not_wait(
    put: Put, go: Go, rows: Rows, calls: Calls, add_lead: AddLead, intent: MakeIntent, clock: FixedClock
) -> None:
    lead = add_lead(1, asked_at=clock.now())
    put(intent(lead, purpose="transactional"), intent(lead, plan="nurture", purpose="transactional"))
    go()
    assert len(calls()) == 1
    held = [row for row in rows("messages") if row.state == "held"]
    assert [(row.code, row.not_before_at) for row in held] == [("one_at_a_time", clock.now() + timedelta(hours=1))]
    put(intent(lead, plan="new_lead", purpose="inquiry_response"))
    go()
    assert [request.plan for request in calls()][1:] == ["new_lead"]
    clock.advance(timedelta(hours=1, seconds=1))
    go()
    assert len(calls()) == 3


@pytest.mark.parametrize("is_strangers", [False, True], ids=["from this person", "from a stranger at this number"])
def test_an_unread_answer_holds_everything_to_that_person_until_it_is_read(
    put: Put,
    go: Go,
    rows: Rows,
    calls: Calls,
    add_lead: AddLead,
    intent: MakeIntent,
    hear: Callable[..., int],
    clock: FixedClock,
    ledger_engine: Engine,
    is_strangers: bool,
) -> None:
    lead = add_lead(1, pewc=True)
    put(intent(lead, "sms"))
    hear(lead, person_id=None if is_strangers else 0)
    go()
    assert states(rows) == {1: ("held", "unread_inbound")}
    assert calls() == []
    with ledger_engine.begin() as connection:
        connection.execute(text("update ledger.inbound_messages set read_at = :now"), {"now": clock.now()})
    clock.advance(timedelta(minutes=2))
    go()
    assert len(calls()) == 1


def test_an_email_waits_for_an_unread_text_of_the_same_person(
    put: Put, go: Go, rows: Rows, add_lead: AddLead, intent: MakeIntent, hear: Callable[..., int]
) -> None:
    lead = add_lead(1)
    put(intent(lead))
    hear(lead, "sms")
    go()
    assert states(rows) == {1: ("held", "unread_inbound")}


OVERTAKEN = {
    "merged": "update ledger.people set merged_into = 9",
    "person_deleted": "update ledger.people set deleted_at = now()",
    "automation_paused": "update ledger.people set automation_paused_at = now()",
    "stop_stage": "update ledger.people set stage = 'Closed'",
    "contact_point_detached": "update ledger.person_contact_points set detached_at = now()",
    "enrolment_ended": "update ledger.enrolments set state = 'ended'",
}


@pytest.mark.parametrize("why", OVERTAKEN)
def test_what_happened_since_cancels_the_message(
    put: Put,
    go: Go,
    rows: Rows,
    calls: Calls,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    clock: FixedClock,
    why: str,
) -> None:
    lead = add_lead(1)
    with ledger_engine.begin() as connection:
        enrolment_id = connection.execute(
            text(
                "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, opened_at) "
                "values (1, 'reactivation', '1', 1, :now) returning id"
            ),
            {"now": clock.now()},
        ).scalar_one()
    put(intent(lead, enrolment_id=enrolment_id))
    with ledger_engine.begin() as connection:
        connection.execute(text(OVERTAKEN[why]))
    go()
    assert states(rows) == {1: ("cancelled", why)}
    assert calls() == []


def test_what_is_stale_expires_instead_of_going(
    put: Put, go: Go, rows: Rows, calls: Calls, add_lead: AddLead, intent: MakeIntent, clock: FixedClock
) -> None:
    put(intent(add_lead(1)), intent(add_lead(2), expires_at=clock.now() + timedelta(hours=1)))
    clock.advance(timedelta(hours=2))
    go()
    assert states(rows) == {1: ("accepted", None), 2: ("expired", "stale")}
    put(intent(add_lead(3), due_at=clock.now()))
    clock.advance(timedelta(hours=24))
    go()
    assert states(rows)[3] == ("expired", "stale")
    assert len(calls()) == 1


def test_a_refusal_between_enqueue_and_claim_blocks_and_taking_it_back_restores_that_channel(
    put: Put,
    go: Go,
    rows: Rows,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    lead = add_lead(1, pewc=True)
    refusal: dict[str, Any] = {"contact_point_id": lead.phone_id, "at": clock.now(), "now": clock.now()}
    with ledger_engine.begin() as connection:
        suppress(connection, channels=("sms", "whatsapp"), source="stop_keyword", **refusal)
    put(intent(lead, "sms", step="while stopped"))
    clock.advance(timedelta(minutes=1))
    with ledger_engine.begin() as connection:
        assert lift(connection, contact_point_id=lead.phone_id, channel="sms", at=clock.now(), now=clock.now())
    put(intent(lead, "sms", step="after start"))
    go()
    assert [(row.step, row.state, row.code) for row in rows("messages")] == [
        ("while stopped", "blocked", "revoked"),
        ("after start", "accepted", None),
    ]


def test_stop_all_then_start_by_text_leaves_email_refused(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, ledger_engine: Engine, clock: FixedClock
) -> None:
    lead = add_lead(1, pewc=True)
    with ledger_engine.begin() as connection:
        for point in (lead.phone_id, lead.email_id):
            suppress(
                connection, contact_point_id=point, channels=("all",), source="phrase", at=clock.now(), now=clock.now()
            )
        clock.advance(timedelta(minutes=1))
        assert lift(connection, contact_point_id=lead.phone_id, channel="sms", at=clock.now(), now=clock.now())
    put(intent(lead, "sms"), intent(lead, step="mail"))
    assert {row.channel: row.state for row in rows("messages")} == {"sms": "queued", "email": "blocked"}


def test_the_gate_judges_again_with_what_was_sent_meanwhile(
    put: Put, go: Go, rows: Rows, add_lead: AddLead, intent: MakeIntent, clock: FixedClock
) -> None:
    lead = add_lead(1)
    put(intent(lead, step="one"), intent(lead, step="two"))
    go(min_gap_minutes=0)
    clock.advance(timedelta(minutes=1))
    go(min_gap_minutes=0)
    [first, second] = sorted(rows("messages"), key=lambda row: row.state)
    assert (first.state, second.state, second.code) == ("accepted", "held", "frequency")
    assert second.not_before_at == first.accepted_at + timedelta(hours=24)


def test_what_the_gate_puts_to_a_person_at_the_claim_goes_once_it_is_released(
    put: Put,
    go: Go,
    rows: Rows,
    calls: Calls,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = intent(add_lead(1), body=EMAIL_BODY.replace("buy?", "buy? Come to our wine tasting."))
    put(wanted)
    assert states(rows) == {1: ("review", "shaft_alcohol")}
    released = review.release(ledger_engine, wanted.id, by="Bo", now=clock.now(), settings=live_settings)
    assert str(released.state) == "queued"
    assert go().counts == {"accepted": 1}
    assert len(calls()) == 1


def test_sending_off_records_what_would_have_gone_even_without_any_channel(
    put: Put,
    go: Go,
    rows: Rows,
    calls: Calls,
    channels: dict[str, FakeChannel],
    add_lead: AddLead,
    intent: MakeIntent,
) -> None:
    put(intent(add_lead(1)), intent(add_lead(2), "sms"))
    channels.clear()
    go(sending=Sending.OFF)
    assert states(rows) == {1: ("blocked", "sending_off"), 2: ("blocked", "consent_marketing_sms")}
    assert [v.decision for v in rows("verdicts") if v.moment == "claim"] == ["ALLOW"]
    assert calls() == []


def test_a_channel_that_is_not_set_up_blocks_its_messages(
    put: Put, go: Go, rows: Rows, channels: dict[str, FakeChannel], add_lead: AddLead, intent: MakeIntent
) -> None:
    put(intent(add_lead(1)))
    del channels["email"]
    go()
    assert states(rows) == {1: ("blocked", "channel_off")}


def test_an_allow_list_lets_only_its_own_through(
    put: Put, go: Go, rows: Rows, calls: Calls, add_lead: AddLead, intent: MakeIntent
) -> None:
    put(intent(add_lead(1)), intent(add_lead(2)))
    go(sending=Sending.ALLOWLIST, allowlist=("lead2@example.com",))
    assert states(rows) == {1: ("blocked", "not_on_allowlist"), 2: ("accepted", None)}
    assert [request.to for request in calls()] == ["lead2@example.com"]


@pytest.mark.parametrize(
    ("caps", "reason"),
    [
        ({"cap_per_hour": 3}, "cap_hour"),
        ({"cap_per_day": 3}, "cap_day"),
        ({"cap_per_plan_per_day": 3}, ""),
        ({"cap_per_number_per_day": 3}, ""),
    ],
    ids=["hour", "day", "plan", "sending number"],
)
def test_a_cap_lets_its_number_through_and_loses_nothing(
    put: Put,
    go: Go,
    rows: Rows,
    calls: Calls,
    add_lead: AddLead,
    intent: MakeIntent,
    clock: FixedClock,
    caps: dict[str, int],
    reason: str,
) -> None:
    put(*(intent(add_lead(n, pewc=True), "sms") for n in range(1, 6)))
    assert go(**caps).stopped_by == reason
    assert len(calls()) == 3
    assert sorted(row.state for row in rows("messages")) == ["accepted"] * 3 + ["queued"] * 2
    assert go(**caps).counts == {}
    clock.advance(timedelta(hours=23))
    go(**caps)
    # The day's caps still hold, the hour's is over; answers to people never wait for a plan's share.
    assert len(calls()) == (5 if reason == "cap_hour" else 3)


def test_a_plans_full_day_does_not_hold_back_answers_nor_other_plans(
    put: Put, go: Go, calls: Calls, add_lead: AddLead, intent: MakeIntent, clock: FixedClock
) -> None:
    put(intent(add_lead(1)), intent(add_lead(2)), intent(add_lead(3), plan="nurture"))
    put(intent(add_lead(4, asked_at=clock.now()), purpose="inquiry_response"))
    go(cap_per_plan_per_day=1)
    assert sorted(request.to for request in calls() if request.plan == "nurture") == ["lead3@example.com"]
    assert len(calls()) == 3


def test_a_stop_of_one_address_holds_whatever_would_go_there_and_nothing_else(
    put: Put, go: Go, calls: Calls, add_lead: AddLead, intent: MakeIntent, ledger_engine: Engine, clock: FixedClock
) -> None:
    one, other = add_lead(1, pewc=True, asked_at=clock.now()), add_lead(2)
    mail, answer, text_to = (
        intent(one),
        intent(one, plan="new_lead", purpose="inquiry_response"),
        intent(one, "sms", plan="other"),
    )
    put(mail, answer, text_to, intent(other))
    switch.stop(ledger_engine, now=clock.now(), reason="the agent asks", contact_points=[one.email_id])
    go(only=[mail.id, answer.id])
    assert calls() == [], "those that are named wait too"
    go()
    assert {request.to for request in calls()} == {other.email, one.phone}
    assert switch.resume_some(ledger_engine, now=clock.now(), contact_points=[one.email_id])
    go()
    assert answer.id in {request.message_id for request in calls()}


def test_a_stop_of_an_address_reaches_the_call_that_was_claimed_and_begins_late(
    put: Put, add_lead: AddLead, intent: MakeIntent, go: Go, calls: Calls, ledger_engine: Engine, clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    one, other = add_lead(1), add_lead(2)
    put(intent(one), intent(other))
    booked = claims.claim

    def claim_then_stop(engine: Engine, *, settings: Settings, **more: Any) -> Any:
        found = booked(engine, settings=settings, **more)
        if found.claimed:
            switch.stop(ledger_engine, now=clock.now(), reason="halt", contact_points=[one.email_id])
            time.sleep(0.1)
        return found

    monkeypatch.setattr(last_look, "START_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(drains, "claim", claim_then_stop)
    go()
    assert [request.to for request in calls()] == [other.email]


def test_one_of_several_stops_is_lifted_and_of_many_at_once_none_is_lost(
    ledger_engine: Engine, clock: FixedClock
) -> None:
    def stop(number: int) -> None:
        switch.stop(ledger_engine, now=clock.now(), reason="x", contact_points=[number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(stop, range(1, 17)))
    switch.stop(ledger_engine, now=clock.now(), reason="x", plans=["nurture"], channels=["sms", "email"])
    assert switch.resume_some(ledger_engine, now=clock.now(), channels=["sms"])
    assert not switch.resume_some(ledger_engine, now=clock.now(), channels=["sms"])
    with ledger_engine.connect() as connection:
        left = switch.read(connection)
    assert (left.plans, left.channels, left.contact_points) == (("nurture",), ("email",), tuple(range(1, 17)))
    switch.resume(ledger_engine, now=clock.now(), stale_after=timedelta(hours=24))
    with ledger_engine.connect() as connection:
        assert switch.read(connection).is_on


def test_a_stop_holds_everything_or_one_plan_or_one_channel_and_resume_expires_what_is_stale(
    put: Put,
    go: Go,
    rows: Rows,
    calls: Calls,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    put(intent(add_lead(1)), intent(add_lead(2), plan="nurture"), intent(add_lead(3, pewc=True), "sms", plan="other"))
    switch.stop(ledger_engine, now=clock.now(), reason="wrong words", plans=["nurture"])
    switch.stop(ledger_engine, now=clock.now(), reason="wrong words", channels=["sms"])
    go()
    assert [request.to for request in calls()] == ["lead1@example.com"]
    switch.stop(ledger_engine, now=clock.now(), reason="all of it")
    put(intent(add_lead(4)))
    assert go().stopped_by == "stopped"
    clock.advance(timedelta(hours=23))
    put(intent(add_lead(5)))
    clock.advance(timedelta(hours=1))
    done = switch.resume(ledger_engine, now=clock.now(), stale_after=timedelta(hours=24))
    assert (done.count_expired, done.count_waiting) == (3, 1)
    go()
    assert [request.to for request in calls()][1:] == ["lead5@example.com"]
    assert {row.person_id: row.state for row in rows("messages")} == {
        1: "accepted",
        2: "expired",
        3: "expired",
        4: "expired",
        5: "accepted",
    }


def test_only_the_messages_named_leave(put: Put, go: Go, calls: Calls, add_lead: AddLead, intent: MakeIntent) -> None:
    wanted = [intent(add_lead(n)) for n in (1, 2)]
    put(*wanted)
    go(only=[wanted[1].id])
    assert [request.message_id for request in calls()] == [wanted[1].id]
    assert go(only=[]).count_called == 0


def test_free_words_on_whatsapp_go_only_within_the_day_after_the_person_wrote(
    put: Put,
    go: Go,
    calls: Calls,
    rows: Rows,
    add_lead: AddLead,
    intent: MakeIntent,
    hear: Callable[..., int],
    clock: FixedClock,
) -> None:
    words = f"Demo Realty's automated assistant: happy to help. Which area do you look at? {LICENCE}"
    wrote, silent = add_lead(1), add_lead(2)
    hear(wrote, "whatsapp", is_read=True)
    conversation = {"purpose": "conversation", "body": words, "plan": "nurture"}
    put(intent(wrote, "whatsapp", **conversation), intent(silent, "whatsapp", **conversation))
    go()
    [request] = calls()
    assert request.is_in_session
    assert states(rows)[2] == ("blocked", "consent_missing")
    clock.advance(timedelta(days=1))
    put(intent(wrote, "whatsapp", step="too late", **conversation))
    assert [row.code for row in rows("messages") if row.step == "too late"] == ["wa_template_required"]


def test_a_poison_message_is_refused_alone(
    put: Put,
    go: Go,
    rows: Rows,
    add_lead: AddLead,
    intent: MakeIntent,
    channels: dict[str, FakeChannel],
) -> None:
    wanted = [intent(add_lead(n)) for n in range(1, 6)]
    put(*wanted)

    def breaking(request: SendRequest) -> None:
        if request.message_id == wanted[2].id:
            raise UnicodeError("cannot be built")

    channels["email"].before = breaking
    assert go().counts == {"accepted": 4, "refused": 1}
    assert states(rows)[3] == ("refused", "unsendable_UnicodeError")
    assert [attempt.outcome for attempt in rows("attempts")].count("refused") == 1


def test_two_messages_that_got_the_same_provider_id_do_not_take_their_batch_along(
    put: Put,
    go: Go,
    rows: Rows,
    add_lead: AddLead,
    intent: MakeIntent,
    channels: dict[str, FakeChannel],
) -> None:
    wanted = [intent(add_lead(n)) for n in range(1, 4)]
    put(*wanted)
    channels["email"].results = {one.id: SendResult.accepted("same") for one in wanted[:2]}
    counts = go().counts
    assert counts == {"accepted": 2, "unknown": 1}
    assert sorted(str(row.code) for row in rows("messages")) == ["None", "None", "provider_id_taken"]
