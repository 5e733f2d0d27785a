"""Enqueueing on the real ledger: once per key, the first state, what is kept."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import OperationalError

from leadpipe.clock import FixedClock
from leadpipe.messaging import enqueue as module
from leadpipe.messaging import entry
from leadpipe.messaging.cases import read_cases, subject_of
from leadpipe.messaging.enqueue import Enqueued, enqueue
from leadpipe.messaging.suppression import suppress
from leadpipe.settings import Settings
from tests.messaging.conftest import EMAIL_BODY, SMS_BODY

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.messaging.intent import Intent
    from tests.messaging.conftest import AddLead, MakeIntent, Put, Rows

OPENS_IN_AUSTIN = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


def opening(at: datetime | None) -> datetime | None:
    """The full hour of a hold that is spread over the ten minutes after it."""
    if at is None:
        return None
    assert at.minute < 10
    return at.replace(minute=0, second=0, microsecond=0)


def test_what_waits_for_the_opening_is_spread_over_its_first_ten_minutes(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, clock: FixedClock
) -> None:
    clock.advance(timedelta(hours=14))
    put(*(intent(add_lead(n, pewc=True), "sms") for n in range(1, 31)))
    held = [row.not_before_at for row in rows("messages")]
    assert all(OPENS_IN_AUSTIN <= at < OPENS_IN_AUSTIN + timedelta(minutes=10) for at in held)
    assert len(set(held)) == 30
    assert {row.until_at for row in rows("verdicts")} == {OPENS_IN_AUSTIN}


def test_enqueueing_again_changes_nothing(put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent) -> None:
    wanted = [intent(add_lead(1)), intent(add_lead(2, pewc=True), "sms")]
    first = put(*wanted)
    assert (dict(first.count_by_state), first.count_repeats) == ({"queued": 2}, 0)
    before = [rows(table) for table in ("messages", "verdicts", "message_events", "decisions")]
    again = put(*wanted, run_key="another run")
    assert (again.count_new, again.count_repeats, dict(again.state_of)) == (0, 2, {})
    assert [rows(table) for table in ("messages", "verdicts", "message_events", "decisions")] == before


@pytest.mark.parametrize("is_one_batch", [True, False], ids=["in one batch", "one after the other"])
def test_one_receiver_meets_a_step_once_whichever_person_or_address_it_is_planned_for(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, is_one_batch: bool
) -> None:
    ana = add_lead(1)
    same_address = add_lead(2, email=ana.email)
    wanted = [
        intent(ana),
        intent(ana, contact_point_id=ana.phone_id, plan_version="2"),
        intent(same_address),
    ]
    done = [put(*wanted)] if is_one_batch else [put(one) for one in wanted]
    assert sum(one.count_new for one in done) == 1
    assert sum(one.count_repeats for one in done) == 2
    assert len(rows("messages")) == len(rows("decisions")) == len(rows("verdicts")) == 1
    assert put(intent(ana, occurrence=2), intent(ana, step="second")).count_new == 2


def test_each_message_starts_in_the_state_its_verdict_asks_for_and_says_why(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, ledger_engine: Engine, clock: FixedClock
) -> None:
    clock.advance(timedelta(hours=14))  # midnight in Austin
    gone = add_lead(3)
    with ledger_engine.begin() as connection:
        suppress(
            connection,
            contact_point_id=gone.email_id,
            channels=("email",),
            source="one_click",
            at=clock.now(),
            now=clock.now(),
        )
    done = put(
        intent(add_lead(1)),
        intent(add_lead(2, pewc=True), "sms"),
        intent(gone),
        intent(add_lead(4), "sms"),
        intent(add_lead(5), is_model_written=True, needs_review=True),
        intent(add_lead(6), body=EMAIL_BODY.replace("buy?", "buy? Come to our wine tasting.")),
    )  # fmt: skip
    assert dict(done.count_by_state) == {"queued": 1, "held": 1, "blocked": 2, "review": 2}
    found = {row.person_id: (row.state, row.code, opening(row.not_before_at)) for row in rows("messages")}
    assert found == {
        1: ("queued", None, None),
        2: ("held", "quiet_hours", OPENS_IN_AUSTIN),
        3: ("blocked", "unsubscribed", None),
        4: ("blocked", "consent_marketing_sms", None),
        5: ("review", "model_text", None),
        6: ("review", "shaft_alcohol", None),
    }
    decisions = {
        row.person_id: (row.outcome, row.code, row.run_key, row.message_id is not None) for row in rows("decisions")
    }
    assert decisions == {person: (state, code, "r", True) for person, (state, code, _) in found.items()}
    assert {row.message_id: row.to_state for row in rows("message_events")} == {
        row.id: row.state for row in rows("messages")
    }
    assert {row.decision for row in rows("verdicts") if row.moment == "enqueue"} == {"ALLOW", "HOLD", "BLOCK", "REVIEW"}


def test_what_is_planned_at_night_for_the_morning_is_judged_for_the_morning(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, clock: FixedClock
) -> None:
    clock.advance(timedelta(hours=14))
    put(
        intent(add_lead(1, pewc=True), "sms", due_at=OPENS_IN_AUSTIN + timedelta(hours=2)),
        intent(add_lead(2, pewc=True), "sms", due_at=OPENS_IN_AUSTIN - timedelta(hours=2)),
        intent(add_lead(3, pewc=True), "sms", due_at=OPENS_IN_AUSTIN + timedelta(hours=13)),
    )
    found = {row.person_id: (row.state, opening(row.not_before_at)) for row in rows("messages")}
    assert found == {
        1: ("queued", None),
        2: ("held", OPENS_IN_AUSTIN),
        3: ("held", OPENS_IN_AUSTIN + timedelta(days=1)),
    }


def test_a_plans_first_messages_wait_for_a_person_and_blocked_ones_do_not_count(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent
) -> None:
    put(intent(add_lead(1), "sms"), shadow_first=2)
    put(*(intent(add_lead(n)) for n in (2, 3, 4)), intent(add_lead(5), plan="nurture"), shadow_first=2)
    found = {row.person_id: (row.state, row.code) for row in rows("messages")}
    assert found == {
        1: ("blocked", "consent_marketing_sms"),
        2: ("review", "shadow"),
        3: ("review", "shadow"),
        4: ("queued", None),
        5: ("review", "shadow"),
    }


def test_the_evidence_is_frozen_without_addresses_and_hashes_to_the_same_value_anywhere(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent
) -> None:
    from leadpipe.messaging.entry import evidence_of

    lead = add_lead(1, pewc=True)
    wanted = intent(lead, "sms", variables={"first_name": "Ana"}, evidence={"score": 12.5, "facts": ["has_phone"]})
    put(wanted)
    [message] = rows("messages")
    evidence = message.evidence
    assert evidence["variables"] == {"first_name": "Ana"}
    assert (evidence["score"], evidence["facts"]) == (12.5, ["has_phone"])
    assert evidence["policy"]["phone_prefix"] == "+1512"
    assert [consent[1] for consent in evidence["policy"]["consents"]] == ["pewc"]
    assert lead.phone not in str(evidence) and lead.email not in str(evidence)
    inputs = evidence["policy"]
    again, digest = evidence_of(wanted, inputs)
    assert digest == message.evidence_hash
    assert evidence_of(wanted, dict(reversed(inputs.items()))) == (again, digest)
    assert evidence_of(wanted, inputs | {"inquiry_at": "2026-01-01T00:00:00Z"})[1] != digest
    [verdict] = rows("verdicts")
    assert verdict.detail["evidence"]["place"] == ["zip 78701", "area code 512"]
    assert lead.phone not in str(verdict.detail)
    assert message.segments == 1


def test_a_canadian_number_brings_canadas_rules_to_the_email_too(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent
) -> None:
    put(intent(add_lead(1, phone="+14165550199", place={})))
    assert [row.code for row in rows("messages")] == ["casl_no_consent"]


def test_words_that_postgresql_cannot_hold_do_not_stop_the_batch(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent
) -> None:
    odd = SMS_BODY + "\x00 \ud83d \U0001f600"
    put(intent(add_lead(1, pewc=True), "sms", body=odd, variables={"x": "\x00"}), intent(add_lead(2)))
    [first, _] = rows("messages")
    assert (first.body, first.evidence["variables"]) == (SMS_BODY + " ? \U0001f600", {"x": ""})
    assert {row.person_id: row.state for row in rows("messages")} == {1: "queued", 2: "queued"}


def test_a_case_that_no_rule_can_read_is_blocked_alone(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leadpipe.policy import content

    lint = content.lint

    def breaking(case: Any, *more: Any) -> Any:
        if "poison" in case.body:
            raise RecursionError
        return lint(case, *more)

    monkeypatch.setattr(content, "lint", breaking)
    put(intent(add_lead(1)), intent(add_lead(2), body="poison"), intent(add_lead(3)))
    assert [(row.state, row.code) for row in rows("messages")] == [
        ("queued", None),
        ("blocked", "unjudgeable_RecursionError"),
        ("queued", None),
    ]
    [alert] = rows("alerts")
    assert alert.kind == "unjudgeable" and str(rows("messages")[1].id) in alert.body


def test_c36_words_that_steer_are_blocked_and_a_person_is_told_once_a_step(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent
) -> None:
    words = SMS_BODY + " Perfect for young families."
    put(*(intent(add_lead(number, pewc=True), "sms", body=words) for number in (1, 2, 3)), intent(add_lead(4)))
    assert [row.code for row in rows("messages")] == ["fair_housing"] * 3 + [None]
    [alert] = rows("alerts")
    assert (alert.kind, alert.person_id) == ("fair_housing", 1)
    assert f"leadpipe explain {rows('messages')[0].id}" in alert.body


def test_a_case_holds_the_consents_of_its_channel_whatever_is_judged_beside_it(
    ledger_engine: Engine, add_lead: AddLead, intent: MakeIntent, live_settings: Settings, clock: FixedClock
) -> None:
    lead = add_lead(1, pewc=True)
    subjects = [subject_of(intent(lead, channel)) for channel in ("email", "sms", "whatsapp")]
    with ledger_engine.connect() as connection:
        read = partial(read_cases, connection, now=clock.now(), settings=live_settings)
        together, alone = read(subjects), [case for subject in subjects for case in read([subject])]
    assert together == alone
    assert [len(case.consents) for case in together][:2] == [0, 1]


def test_few_and_many_are_written_alike(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored(occurrence: int) -> list[tuple[Any, ...]]:
        wanted = [
            intent(lead, channel, occurrence=occurrence, evidence={"score": 1.5}, score_pct=3.25)
            for lead, channel in zip(leads, ("email", "sms", "sms"), strict=True)
        ]
        put(*wanted, wanted[0])
        mine = [row for row in rows("messages") if row.occurrence == occurrence]
        skipped = {"id", "occurrence", "xid"}
        return [tuple(v for k, v in row._mapping.items() if k not in skipped) for row in mine]

    leads = [add_lead(n, pewc=n == 2) for n in (1, 2, 3)]
    few = stored(1)
    monkeypatch.setattr(entry, "FEW", 0)
    assert stored(2) == few
    assert len(few) == 3


@pytest.mark.parametrize("few", [0, 50], ids=["copied", "row by row"])
def test_runs_that_meet_at_the_same_addresses_store_each_intent_once(
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    rows: Rows,
    add_lead: AddLead,
    intent: MakeIntent,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
) -> None:
    monkeypatch.setattr(entry, "FEW", few)
    # Person n and person 100 - n share an address, so that batches wait for each other in both directions.
    monkeypatch.setattr(module, "BATCH", 7)
    leads = [add_lead(n, email=f"lead{min(n, 101 - n)}@example.com") for n in range(1, 101)]
    wanted = [intent(lead) for lead in leads]
    start = threading.Barrier(3)
    done: list[Enqueued] = []

    def run(intents: list[Intent]) -> None:
        start.wait()
        done.append(enqueue(ledger_engine, intents, clock=clock, settings=live_settings, run_key="r"))

    threads = [threading.Thread(target=run, args=(wanted[n:] + wanted[:n],)) for n in (0, 30, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.count_new for one in done) == 50
    assert sum(one.count_repeats for one in done) == 250
    assert len(rows("messages")) == len(rows("verdicts")) == len(rows("decisions")) == 50
    assert len({row.contact_point_id for row in rows("messages")}) == 50


def test_a_batch_that_met_a_deadlock_is_written_once_the_other_one_is_through(
    put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter, tries = module._enter, []

    def deadlocked_once(*arguments: Any, **named: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("insert", {}, DeadlockDetected("deadlock detected"))
        return enter(*arguments, **named)

    monkeypatch.setattr(module, "_enter", deadlocked_once)
    found = put(intent(add_lead(1), "email"))
    assert (len(tries), found.count_by_state) == (2, {"queued": 1})
    assert len(rows("messages")) == 1
