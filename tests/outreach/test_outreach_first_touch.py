"""The first answer: who gets it, who does not and why, and never twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging.intent import Intent
from leadpipe.outreach.first_touch import plan_new_leads
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture
def welcome(ledger_engine: Engine, settings: Settings, clock: FixedClock) -> Callable[..., list[Intent]]:
    def run(*person_ids: int, **changes: Any) -> list[Intent]:
        return plan_new_leads(
            ledger_engine,
            person_ids,
            listings_by_person=changes.pop("listings", {}),
            market_facts={},
            settings=settings.model_copy(update=changes),
            clock=clock,
        )

    return run


def store(engine: Engine, intents: list[Intent], now: datetime, state: str = "accepted") -> None:
    """What enqueueing and sending leave behind, as far as planning looks at it."""
    with engine.begin() as connection:
        # Messages in the middle of their lives; the ledger lets none be born there.
        connection.execute(text("set local session_replication_role = replica"))
        for i in intents:
            connection.execute(
                text(
                    "insert into ledger.messages (id, person_id, contact_point_id, enrolment_id, plan, step, "
                    "occurrence, channel, purpose, body, state, due_at, created_at, changed_at) values "
                    "(:id, :person, :point, :enrolment, :plan, :step, :occ, :channel, :purpose, :body, :state, "
                    ":now, :now, :now)"
                ),
                {
                    "id": i.id,
                    "person": i.person_id,
                    "point": i.contact_point_id,
                    "enrolment": i.enrolment_id,
                    "plan": i.plan,
                    "step": i.step,
                    "occ": i.occurrence,
                    "channel": i.channel,
                    "purpose": i.purpose,
                    "body": i.body,
                    "state": state,
                    "now": now,
                },
            )


def outcome(engine: Engine, person_id: int) -> str | None:
    with engine.connect() as connection:
        return connection.execute(
            text("select outcome from ledger.people where person_id = :id"), {"id": person_id}
        ).scalar()


def test_a_new_lead_gets_one_email_at_once(
    add_person: Any, ask: Any, welcome: Any, ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person(1)
    ask(1, 100)
    (intent,) = welcome(1)
    assert (intent.channel, intent.purpose, intent.step, intent.occurrence) == (
        "email",
        "inquiry_response",
        "welcome_email",
        1,
    )
    assert intent.due_at == clock.now()
    assert intent.priority == 0
    assert "12 Oak St" in intent.subject
    assert "automated assistant for Bo Lee, Demo Realty" in intent.body
    assert outcome(ledger_engine, 1) == "enrolled"


def test_listings_are_in_the_words(add_person: Any, welcome: Any) -> None:
    add_person(1)
    home = {"address": "9 Elm St", "price_usd": 300_000, "url": "https://example.com/9", "attribution": "By Example"}
    (intent,) = welcome(1, listings={1: [home]})
    assert "9 Elm St, $300,000" in intent.body
    assert intent.variables["listings"][0]["address"] == "9 Elm St"


def test_a_second_inquiry_within_a_second_sends_nothing_more(
    add_person: Any, ask: Any, welcome: Any, ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person(1)
    ask(1, 100)
    store(ledger_engine, welcome(1), clock.now())
    clock.advance(timedelta(seconds=0.8))
    ask(1, 101)
    assert welcome(1) == []
    assert outcome(ledger_engine, 1) == "enrolled"
    with ledger_engine.connect() as connection:
        answered = connection.execute(text("select outcome from ledger.inquiries order by event_id")).scalars().all()
    assert answered == ["enrolled", "answered_within_24h"]


def test_a_run_that_died_before_storing_makes_the_same_intent_again(add_person: Any, welcome: Any) -> None:
    add_person(1)
    (first,) = welcome(1)
    (again,) = welcome(1)
    assert (first.plan, first.step, first.occurrence, first.enrolment_id) == (
        again.plan,
        again.step,
        again.occurrence,
        again.enrolment_id,
    )


def test_an_inquiry_seen_before_the_first_message_is_stored_has_its_outcome(
    add_person: Any, ask: Any, welcome: Any, ledger_engine: Engine
) -> None:
    add_person(1)
    (first,) = welcome(1)
    ask(1, 101)
    (again,) = welcome(1)
    assert (again.step, again.occurrence) == (first.step, first.occurrence)
    with ledger_engine.connect() as connection:
        row = connection.execute(text("select answered_at, outcome from ledger.inquiries where event_id = 101")).one()
    assert row.answered_at is not None
    assert row.outcome == "answered_within_24h"


def test_a_second_inquiry_does_not_bring_the_next_step_forward(
    add_person: Any, ask: Any, welcome: Any, world: Any, clock: FixedClock
) -> None:
    add_person(1)
    ask(1, 100)
    world.enqueue(welcome(1))
    world.send()
    clock.advance(timedelta(minutes=10))
    world.work()
    assert world.passages(1)[0][3] == "welcome_sms"
    ask(1, 101)
    assert welcome(1) == []
    assert world.sent() == [(1, "new_lead", "welcome_email")]


def test_a_new_inquiry_after_a_day_is_a_new_passage(
    add_person: Any, ask: Any, welcome: Any, ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person(1)
    store(ledger_engine, welcome(1), clock.now())
    clock.advance(timedelta(days=2))
    assert welcome(1) == []
    ask(1, 101)
    (intent,) = welcome(1)
    assert intent.occurrence == 2
    with ledger_engine.connect() as connection:
        rows = connection.execute(
            text("select occurrence, state, end_reason from ledger.enrolments order by occurrence")
        ).all()
    assert [tuple(row) for row in rows] == [(1, "ended", "new_inquiry"), (2, "open", None)]


def test_an_old_person_is_welcomed_for_a_new_inquiry(add_person: Any, ask: Any, welcome: Any) -> None:
    add_person(1, age=timedelta(days=400))
    ask(1, 100)
    assert len(welcome(1)) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"age": timedelta(days=400)}, "not_new"),
        ({"emails": [], "phones": []}, "no_contact_point"),
        ({"emails": [{"value": "no address"}], "phones": [{"value": "5" * 40}]}, "no_contact_point"),
        ({"stage": "Closed"}, "stop_stage"),
        ({"lastOutgoingCall": "2026-03-03T15:45:00Z"}, "human_acted"),
    ],
)
def test_who_is_not_answered_has_a_stated_reason(
    add_person: Any, welcome: Any, ledger_engine: Engine, changes: dict[str, Any], expected: str
) -> None:
    add_person(1, **changes)
    assert welcome(1) == []
    assert outcome(ledger_engine, 1) == expected
    with ledger_engine.connect() as connection:
        assert connection.execute(text("select outcome from ledger.decisions")).scalars().all() == [expected]


def test_a_human_act_of_an_hour_ago_does_not_keep_the_answer_back(add_person: Any, welcome: Any) -> None:
    add_person(1, lastOutgoingCall="2026-03-03T14:59:00Z")
    assert len(welcome(1)) == 1


def test_a_person_without_email_gets_the_text_at_once(add_person: Any, welcome: Any, clock: FixedClock) -> None:
    add_person(1, emails=[])
    (intent,) = welcome(1)
    assert (intent.channel, intent.step, intent.due_at) == ("sms", "sms_at_once", clock.now())


def test_a_person_abroad_with_whatsapp_consent_and_no_email_is_answered_there(add_person: Any, welcome: Any) -> None:
    add_person(1, emails=[], phones=[{"value": "+447700900123"}], customWhatsAppOptIn="2026-03-03T15:59:00Z")
    (intent,) = welcome(1)
    assert (intent.channel, intent.step) == ("whatsapp", "whatsapp_at_once")


def test_a_suppressed_address_is_passed_over_for_the_phone(
    add_person: Any, welcome: Any, ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person(1)
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.suppressions (contact_point_id, channel, source, at, recorded_at) "
                "select id, 'all', 'one_click', :now, :now from ledger.contact_points where kind = 'email'"
            ),
            {"now": clock.now()},
        )
    (intent,) = welcome(1)
    assert intent.channel == "sms"


def test_two_records_with_one_address_get_one_email(add_person: Any, welcome: Any, ledger_engine: Engine) -> None:
    shared = [{"value": "shared@example.com"}]
    add_person(1, emails=shared)
    add_person(2, emails=shared)
    assert [intent.person_id for intent in welcome(1, 2)] == [1]
    assert outcome(ledger_engine, 2) == "same_contact_point"


def test_a_merged_person_is_answered_as_the_one_they_became(
    add_person: Any, welcome: Any, ledger_engine: Engine
) -> None:
    add_person(1)
    add_person(2)
    with ledger_engine.begin() as connection:
        connection.execute(text("update ledger.people set merged_into = 1 where person_id = 2"))
    assert [intent.person_id for intent in welcome(2)] == [1]


def test_nobody_is_welcomed_before_going_live(
    add_person: Any, welcome: Any, ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person(1)
    assert welcome(1, go_live_at=clock.now() + timedelta(hours=1)) == []
    assert outcome(ledger_engine, 1) == "before_go_live"


@pytest.mark.parametrize(("reason", "count"), [("human_acted", 0), ("not_interested", 1)])
def test_a_pause_by_a_human_outlives_a_new_inquiry_and_one_by_the_lead_does_not(
    add_person: Any, ask: Any, welcome: Any, ledger_engine: Engine, clock: FixedClock, reason: str, count: int
) -> None:
    add_person(1, age=timedelta(days=400))
    with ledger_engine.begin() as connection:
        connection.execute(
            text("update ledger.people set automation_paused_at = :at, automation_paused_reason = :reason"),
            {"at": clock.now() - timedelta(days=9), "reason": reason},
        )
    ask(1, 100)
    assert len(welcome(1)) == count


def test_a_lead_answers_within_the_same_words_whatever_their_name(add_person: Any, welcome: Any) -> None:
    """Compliance C37: the paired test of names."""
    names = ["Emily", "Lakisha", "José", "Wei", "Mohammed"]
    for index, name in enumerate(names):
        add_person(10 + index, firstName=name)
    bodies = {i.body.replace(i.variables["first_name"], "NAME") for i in welcome(*range(10, 15))}
    assert len(bodies) == 1
