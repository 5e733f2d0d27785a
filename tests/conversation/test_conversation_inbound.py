"""What arrives is stored once and obeyed at once where its words leave no doubt."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.conversation.inbound import Inbound, store_inbound
from leadpipe.messaging import suppression
from leadpipe.messaging.batch import Claim
from leadpipe.messaging.claim import claim
from leadpipe.outreach import enrol
from leadpipe.settings import Sending, Settings
from tests.conversation.conftest import EMAIL, PHONE, AddPerson, ReadReplies, Rows, Say, Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

SUPPRESSED = """
    select c.kind, s.channel, s.action, s.source from ledger.suppressions s
    join ledger.contact_points c on c.id = s.contact_point_id order by c.kind, s.channel, s.id
"""
PHONES = tuple(f"+151255501{number:02d}" for number in range(1, 13))
STATE = "select state, code from ledger.messages where id = cast(:id as uuid)"


@pytest.fixture
def claim_now(ledger_engine: Engine, settings: Settings, clock: FixedClock) -> Callable[[], Claim]:
    """A function that claims what is due, as a sender would; only the test's own addresses may be reached."""
    may_send = settings.model_copy(
        update={"sending": Sending.ALLOWLIST, "allowlist": (*PHONES, EMAIL), "a2p_campaign_id": "C1"}
    )

    def run() -> Claim:
        return claim(
            ledger_engine,
            settings=may_send,
            now=clock.now(),
            worker="w:1:1",
            providers={"sms": "twilio", "email": "ses"},
            count=10,
        )

    return run


@pytest.mark.parametrize("words", ["STOP", "Stop.", "please stop texting me", "ALTO", "no me escriban más", "🛑"])
def test_a_stop_ends_every_telephone_channel_and_cancels_what_waits(
    words: str, add_person: AddPerson, write: Write, say: Say, rows: Rows
) -> None:
    add_person()
    waiting = write()
    assert say(words).result == "opt_out"
    assert [(r["kind"], r["channel"], r["action"]) for r in rows(SUPPRESSED)] == [
        ("phone", "sms", "suppress"),
        ("phone", "whatsapp", "suppress"),
    ]
    assert rows(STATE, id=waiting)[0]["state"] == "cancelled"
    assert rows("select intent, read_at is not null as is_read from ledger.inbound_messages") == [
        {"intent": "opt_out", "is_read": True}
    ]
    assert rows("select state, awaits from ledger.conversations") == [{"state": "closed", "awaits": "nobody"}]


def test_a_stop_by_text_leaves_email_alone_and_one_that_means_all_contact_does_not(
    add_person: AddPerson, write: Write, say: Say, rows: Rows
) -> None:
    add_person()
    mail = write(channel="email")
    say("STOP")
    assert rows(STATE, id=mail)[0]["state"] == "queued"
    say("leave me alone, no more contact of any kind")
    assert rows(STATE, id=mail)[0]["state"] == "cancelled"
    assert {(r["kind"], r["channel"]) for r in rows(SUPPRESSED)} >= {("email", "all")}


def test_unsubscribing_from_emails_by_text_ends_both(add_person: AddPerson, say: Say, rows: Rows) -> None:
    add_person()
    say("UNSUBSCRIBE me from emails")
    assert {r["kind"] for r in rows(SUPPRESSED)} == {"email", "phone"}


def test_stop_calling_said_by_a_stranger_without_a_number_ends_the_address_it_came_by(say: Say, rows: Rows) -> None:
    stored = say("stop calling me", channel="email", address="stranger@example.com")
    assert stored.person_id is None
    assert [(r["kind"], r["channel"]) for r in rows(SUPPRESSED)] == [("email", "all")]


def test_the_same_message_told_twice_is_stored_once_and_obeyed_once(
    add_person: AddPerson, say: Say, rows: Rows
) -> None:
    add_person()
    first = say("STOP", provider_id="SM1")
    again = say("STOP", provider_id="SM1")
    assert (first.result, again.result, again.inbound_id) == ("opt_out", "repeated", first.inbound_id)
    assert len(rows("select 1 from ledger.inbound_messages")) == 1
    assert len(rows("select 1 from ledger.writebacks where kind = 'note'")) == 1


def test_the_same_id_on_two_channels_is_two_messages(add_person: AddPerson, say: Say, rows: Rows) -> None:
    add_person()
    say("hello", provider_id="X1")
    say("hello", provider_id="X1", channel="whatsapp")
    assert len(rows("select 1 from ledger.inbound_messages")) == 2


def test_start_lifts_the_channel_it_came_by_and_no_other(
    add_person: AddPerson, say: Say, rows: Rows, clock: FixedClock, ledger_engine: Engine
) -> None:
    add_person()
    point = say("STOP").contact_point_id
    clock.advance(timedelta(minutes=1))
    assert say("START").result == "start"
    with ledger_engine.connect() as connection:
        assert set(suppression.active(connection, [point])[point]) == {"whatsapp"}
    assert rows("select intent from ledger.inbound_messages where read_at is null") == []


def test_yes_lifts_a_stop_as_it_does_at_the_carrier_and_is_read_as_an_answer_too(
    add_person: AddPerson, say: Say, rows: Rows, clock: FixedClock
) -> None:
    add_person()
    say("STOP")
    clock.advance(timedelta(minutes=1))
    assert say("Yes").result == "start"
    assert len(rows("select 1 from ledger.inbound_messages where read_at is null")) == 1


def test_yes_without_a_stop_is_just_an_answer(add_person: AddPerson, say: Say, rows: Rows) -> None:
    add_person()
    assert say("Yes").result == "unread"
    assert rows(SUPPRESSED) == []


def test_help_by_text_is_answered_by_the_carrier_and_by_whatsapp_is_read(
    add_person: AddPerson, say: Say, rows: Rows
) -> None:
    add_person()
    assert say("HELP").result == "help"
    assert say("HELP", channel="whatsapp").result == "unread"
    assert rows("select channel from ledger.inbound_messages where read_at is null") == [{"channel": "whatsapp"}]


@pytest.mark.parametrize(
    "words", ["unsubscribed from the other agency, show me yours", "we go away on Monday, the tenant will let you in"]
)
def test_a_phrase_among_other_words_waits_for_the_reader(
    add_person: AddPerson, say: Say, rows: Rows, words: str
) -> None:
    add_person()
    assert say(words).result == "unread"
    assert rows(SUPPRESSED) == []


def test_a_wrong_number_leaves_every_person_who_had_it_and_keeps_their_email(
    add_person: AddPerson, write: Write, say: Say, rows: Rows
) -> None:
    add_person(11, phones=[{"value": PHONE}])
    add_person(42, phones=[{"value": PHONE}])
    text_to_42, mail_to_42 = write(42), write(42, channel="email")
    assert say("wrong number").result == "wrong_number"
    detached = rows(
        "select o.person_id from ledger.person_contact_points o where detached_reason = 'wrong_number' order by 1"
    )
    assert [row["person_id"] for row in detached] == [11, 42]
    assert rows(STATE, id=text_to_42)[0]["state"] == "cancelled"
    assert rows(STATE, id=mail_to_42)[0]["state"] == "queued"
    tasks = rows("select person_id, payload ->> 'name' as name from ledger.writebacks where kind = 'task' order by 1")
    assert [row["person_id"] for row in tasks] == [11, 42]
    # The CRM still names the number; it is not attached again (C20).
    add_person(42, phones=[{"value": PHONE}])
    assert rows("select 1 from ledger.person_contact_points where person_id = 42 and detached_at is null") == [
        {"?column?": 1}
    ]


def test_a_complaint_ends_all_contact_pauses_automation_and_calls_a_person(
    add_person: AddPerson, write: Write, say: Say, rows: Rows
) -> None:
    add_person()
    mail = write(channel="email")
    assert say("This is harassment, my attorney will hear of it").result == "complaint"
    assert rows(STATE, id=mail)[0]["state"] == "cancelled"
    assert rows("select automation_paused_reason as why from ledger.people") == [{"why": "complaint"}]
    assert rows("select reason from ledger.handoffs where closed_at is null") == [{"reason": "complaint"}]
    assert rows("select kind from ledger.alerts where kind = 'handoff'") == [{"kind": "handoff"}]


def test_any_other_reply_holds_everything_to_that_person_until_it_is_read(
    add_person: AddPerson,
    write: Write,
    say: Say,
    rows: Rows,
    claim_now: Callable[[], Claim],
    read_replies: ReadReplies,
    clock: FixedClock,
) -> None:
    add_person()
    by_text = write(purpose="conversation")
    write(channel="email", purpose="conversation")
    assert say("Is the house on Oak still available?", channel="email").result == "unread"
    assert claim_now().claimed == []
    held = {row["code"] for row in rows("select code from ledger.messages where state = 'held'")}
    assert held == {"unread_inbound"}
    read_replies()
    # The answer to their question goes first, then one of the others: one message at a time.
    assert [each.request.plan for each in claim_now().claimed] == ["conversation"]
    freed = rows("select not_before_at from ledger.messages where id = cast(:id as uuid)", id=by_text)
    assert freed[0]["not_before_at"] <= clock.now()


def test_a_stop_waits_for_the_claim_that_has_the_contact_point_and_then_nothing_more_goes(
    add_person: AddPerson, write: Write, say: Say, rows: Rows, ledger_engine: Engine, claim_now: Callable[[], Claim]
) -> None:
    add_person()
    point = rows("select id from ledger.contact_points where address = :a", a=PHONE)[0]["id"]
    stopped = threading.Event()

    def stop() -> None:
        say("STOP")
        stopped.set()

    with ledger_engine.begin() as connection:
        suppression.lock_point(connection, [point])
        thread = threading.Thread(target=stop)
        thread.start()
        assert not stopped.wait(0.4), "the STOP did not wait for the lock that the claim takes"
    thread.join(10)
    assert stopped.is_set()
    write(purpose="conversation")
    assert claim_now().claimed == []


def test_a_claim_passes_over_a_contact_point_whose_stop_is_being_stored(
    add_person: AddPerson,
    write: Write,
    rows: Rows,
    ledger_engine: Engine,
    settings: Settings,
    clock: FixedClock,
    claim_now: Callable[[], Claim],
) -> None:
    add_person()
    waiting = write(purpose="conversation")
    say_stop = Inbound(channel="sms", provider_id="SM9", address=PHONE, body="STOP", received_at=clock.now())
    with ledger_engine.begin() as connection:
        store_inbound(connection, say_stop, settings=settings, now=clock.now())
        assert claim_now().claimed == []
        assert rows(STATE, id=waiting)[0]["state"] == "queued"
    assert claim_now().claimed == []
    assert rows(STATE, id=waiting)[0]["state"] == "cancelled"


def test_stops_and_claims_at_once_never_let_a_message_go_after_its_stop(
    add_person: AddPerson,
    write: Write,
    rows: Rows,
    ledger_engine: Engine,
    settings: Settings,
    clock: FixedClock,
    claim_now: Callable[[], Claim],
) -> None:
    for person_id in range(1, 13):
        add_person(person_id)
        write(person_id, purpose="conversation")
    failures: list[str] = []
    stopped: set[int] = set()
    start = threading.Barrier(4)

    def stops(first: int) -> None:
        start.wait()
        for person_id in range(first, 13, 2):
            inbound = Inbound(
                channel="sms",
                provider_id=f"SM{person_id}",
                address=f"+151255501{person_id:02d}",
                body="STOP",
                received_at=clock.now(),
            )
            with ledger_engine.begin() as connection:
                store_inbound(connection, inbound, settings=settings, now=clock.now())
            stopped.add(person_id)

    def claims() -> None:
        start.wait()
        for _ in range(6):
            before = set(stopped)
            gone = {each.person_id for each in claim_now().claimed}
            if gone & before:
                failures.append(f"claimed after their STOP was stored: {gone & before}")

    threads = [threading.Thread(target=stops, args=(n,)) for n in (1, 2)]
    threads += [threading.Thread(target=claims) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert stopped == set(range(1, 13))
    assert rows("select 1 from ledger.messages where state in ('queued', 'held')") == []


def test_a_social_security_number_is_never_stored(add_person: AddPerson, say: Say, rows: Rows) -> None:
    add_person()
    say("my ssn is 078-05-1120, am I approved?", full_body="my ssn is 078-05-1120, am I approved?\n> quoted")
    stored = rows("select body, full_body from ledger.inbound_messages")[0]
    assert "1120" not in f"{stored['body']}{stored['full_body']}"
    assert stored["body"] == "my ssn is [redacted], am I approved?"


def test_an_automatic_answer_is_kept_read_and_holds_nothing(add_person: AddPerson, say: Say, rows: Rows) -> None:
    add_person()
    assert say("I am out of the office until Monday.", channel="email", is_auto_reply=True).result == "auto_reply"
    assert rows("select is_auto_reply, read_at is not null as is_read from ledger.inbound_messages") == [
        {"is_auto_reply": True, "is_read": True}
    ]
    assert rows("select last_two_way_at from ledger.people") == [{"last_two_way_at": None}]


def test_a_reply_makes_the_contact_a_two_way_one(
    add_person: AddPerson, say: Say, rows: Rows, clock: FixedClock
) -> None:
    add_person()
    say("hello")
    assert rows("select last_two_way_at as at from ledger.people") == [{"at": clock.now()}]


def test_an_answer_from_another_address_belongs_to_the_person_we_wrote_to_and_its_stop_to_both(
    add_person: AddPerson, write: Write, say: Say, rows: Rows
) -> None:
    add_person()
    ours = write(channel="email", state="delivered")
    stored = say("unsubscribe", channel="email", address="ana.private@example.net", in_reply_to=ours)
    assert stored.person_id == 1
    addresses = rows(
        "select c.address from ledger.suppressions s join ledger.contact_points c on c.id = s.contact_point_id "
        "order by 1"
    )
    assert [row["address"] for row in addresses] == ["ana.private@example.net", EMAIL]


def test_a_number_of_two_people_names_the_one_we_wrote_to_last(add_person: AddPerson, write: Write, say: Say) -> None:
    add_person(11, phones=[{"value": PHONE}])
    add_person(42, phones=[{"value": PHONE}])
    assert say("hello").person_id == 11
    write(42, state="delivered")
    assert say("hello again").person_id == 42


def test_a_merged_person_speaks_as_the_one_they_were_merged_into(
    add_person: AddPerson, say: Say, ledger_engine: Engine
) -> None:
    add_person(1)
    add_person(2)
    with ledger_engine.begin() as connection:
        connection.execute(text("update ledger.people set merged_into = 2 where person_id = 1"))
    assert say("hello").person_id == 2


def test_a_stop_ends_the_plans_of_the_person(
    add_person: AddPerson, say: Say, rows: Rows, ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person()
    entry: dict[str, Any] = {"person_id": 1, "plan": "reactivation", "plan_version": "v", "occurrence": 1}
    with ledger_engine.begin() as connection:
        enrol.open_passages(
            connection,
            [enrol.Entry(**entry, step="silence", due_at=clock.now(), reason="aged", context={})],
            now=clock.now(),
        )
    say("STOP")
    assert rows("select state, end_reason from ledger.enrolments") == [{"state": "ended", "end_reason": "opt_out"}]


def test_cancel_while_an_appointment_is_being_arranged_opts_out_and_asks_a_person(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows
) -> None:
    add_person()
    write(state="delivered")
    say("Can we see it tomorrow at 3?")
    read_replies()
    assert say("Cancel").result == "opt_out"
    assert rows("select reason from ledger.handoffs where closed_at is null") == [{"reason": "cancel"}]
