"""What calls and reports do to messages, numbers and addresses, on the real ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.clock import FixedClock
from leadpipe.messaging import suppression
from leadpipe.messaging.callbacks import SesEvent, TwilioStatus, apply_ses_event, apply_twilio_status
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.outcomes import wait_before_retry

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, FakeChannel, Go, Lead, MakeIntent, Put, Rows

Calls = Callable[[], list[SendRequest]]
Report = Callable[..., str]
SendMany = Callable[[Iterable[Any], str], dict[Any, str]]
SID = "SM" + "1" * 32


@pytest.fixture
def sent_text(put: Put, go: Go, add_lead: AddLead, intent: MakeIntent, channels: dict[str, FakeChannel]) -> str:
    """A text that Twilio accepted; its id."""
    wanted = intent(add_lead(1, pewc=True), "sms")
    channels["sms"].results = {wanted.id: SendResult.accepted(SID)}
    put(wanted)
    assert go().counts == {"accepted": 1}
    return wanted.id


@pytest.fixture
def sent_email(put: Put, go: Go, add_lead: AddLead, intent: MakeIntent) -> str:
    """An email that SES accepted; its id."""
    wanted = intent(add_lead(1))
    put(wanted)
    assert go().counts == {"accepted": 1}
    return wanted.id


@pytest.fixture
def twilio(ledger_engine: Engine, clock: FixedClock) -> Report:
    """A function that reports a status and says what it did."""

    def report(message_id: str, status: str, code: int | None = None, *, sid: str = SID) -> str:
        with ledger_engine.begin() as connection:
            found = TwilioStatus(message_id=message_id, sid=sid, status=status, error_code=code)
            return apply_twilio_status(connection, found, now=clock.now()).result

    return report


@pytest.fixture
def ses(ledger_engine: Engine, clock: FixedClock) -> Report:
    """A function that reports an event and says what it did."""

    def report(message_id: str, kind: str, *, provider_id: str = "", tagged: bool = True, **detail: Any) -> str:
        key = {"Rendering Failure": "failure"}.get(kind, kind[0].lower() + kind[1:])
        mail = {
            "messageId": provider_id or f"ses-{message_id}",
            "tags": {"leadpipe_mid": [message_id]} if tagged else {},
        }
        with ledger_engine.begin() as connection:
            event = SesEvent.read({"eventType": kind, "mail": mail, key: detail})
            return apply_ses_event(connection, event, now=clock.now()).result

    return report


def active(engine: Engine, lead: Lead) -> dict[int, dict[str, str]]:
    with engine.connect() as connection:
        found = suppression.active(connection, [lead.email_id, lead.phone_id])
    return {point: {c: s.source for c, s in channels.items()} for point, channels in found.items()}


TWILIO_STATES = [
    ("queued", "accepted"),
    ("sending", "accepted"),
    ("sent", "sent"),
    ("delivered", "delivered"),
    ("read", "delivered"),
    ("partially_delivered", "delivered"),
    ("undelivered", "undelivered"),
    ("failed", "refused"),
    ("canceled", "refused"),
]


@pytest.fixture
def send_many(put: Put, go: Go, add_lead: AddLead, intent: MakeIntent, channels: dict[str, FakeChannel]) -> SendMany:
    """A function that sends one accepted message each to as many people as there are names; ids by name."""

    def send(names: Iterable[Any], channel: str) -> dict[Any, str]:
        wanted = {name: intent(add_lead(n, pewc=True), channel) for n, name in enumerate(names, start=1)}
        for number, one in enumerate(wanted.values()):
            channels[channel].results[one.id] = SendResult.accepted(f"SM{number:032d}")
        put(*wanted.values())
        assert go().counts == {"accepted": len(wanted)}
        return {name: one.id for name, one in wanted.items()}

    return send


def test_a_status_stands_for_a_state_and_repeating_it_changes_nothing(
    send_many: SendMany, twilio: Report, rows: Rows
) -> None:
    ids = send_many(dict(TWILIO_STATES), "sms")
    sids = {str(row.id): row.provider_id for row in rows("messages")}
    first = {status: twilio(ids[status], status, sid=sids[ids[status]]) for status in ids}
    assert first == {status: "repeated" if state == "accepted" else "moved" for status, state in TWILIO_STATES}
    assert {twilio(ids[status], status, sid=sids[ids[status]]) for status in ids} == {"repeated"}
    states = {str(row.id): row.state for row in rows("messages")}
    assert {status: states[ids[status]] for status in ids} == dict(TWILIO_STATES)


def test_a_status_without_a_meaning_or_of_a_strangers_message_changes_nothing(
    sent_text: str, twilio: Report, rows: Rows
) -> None:
    assert twilio(sent_text, "celebrating") == "unmatched"
    assert twilio("not one of our ids", "delivered", sid="SM" + "9" * 32) == "unmatched"
    assert twilio("00000000-0000-0000-0000-000000000009", "delivered", sid="SM" + "9" * 32) == "unmatched"
    assert [row.state for row in rows("messages")] == ["accepted"]


def test_a_status_that_lost_our_id_is_found_by_twilios(sent_text: str, twilio: Report, rows: Rows) -> None:
    assert twilio("", "delivered") == "moved"
    assert [row.state for row in rows("messages")] == ["delivered"]


def test_reports_in_any_order_and_twice_end_at_the_last_stage(send_many: SendMany, twilio: Report, rows: Rows) -> None:
    ids = send_many(permutations(("queued", "sent", "delivered")), "sms")
    sids = {str(row.id): row.provider_id for row in rows("messages")}
    for order, message_id in ids.items():
        for status in (*order, *order):
            twilio(message_id, status, sid=sids[message_id])
    assert {row.state for row in rows("messages")} == {"delivered"}
    reported = [(str(e.message_id), e.to_state) for e in rows("message_events") if e.event == "callback"]
    for message_id in ids.values():
        stages = [state for of, state in reported if of == message_id]
        assert stages in (["sent", "delivered"], ["delivered"])


def test_a_bounce_and_a_complaint_override_a_delivery_in_any_order(
    send_many: SendMany, ses: Report, rows: Rows
) -> None:
    ids = send_many(permutations(("Send", "Delivery", "Bounce", "Complaint")), "email")
    sids = {str(row.id): row.provider_id for row in rows("messages")}
    for order, message_id in ids.items():
        for kind in (*order, *order):
            detail = {"bounceType": "Permanent"} if kind == "Bounce" else {}
            ses(message_id, kind, provider_id=sids[message_id], **detail)
    assert {row.state for row in rows("messages")} == {"complained"}
    # One refusal an address, whatever came first.
    assert len(rows("suppressions")) == len(ids) == len({row.contact_point_id for row in rows("suppressions")})


CODES: list[tuple[int, dict[str, str], bool]] = [
    # code, what is suppressed at the number afterwards, whether it is taken from its people
    (21610, {"sms": "21610", "whatsapp": "21610"}, False),
    (30005, {"sms": "carrier_30005", "whatsapp": "carrier_30005"}, True),
    (30006, {"sms": "carrier_30006", "whatsapp": "carrier_30006"}, True),
    (30004, {"sms": "carrier_30004"}, False),
    (30003, {}, False),
    (30008, {}, False),
    (99999, {}, False),
]


@pytest.mark.parametrize("when", ["at the call", "later"])
def test_a_carriers_code_speaks_of_the_number(
    put: Put,
    go: Go,
    rows: Rows,
    add_lead: AddLead,
    intent: MakeIntent,
    channels: dict[str, FakeChannel],
    twilio: Report,
    ledger_engine: Engine,
    when: str,
) -> None:
    leads = {code: add_lead(n, pewc=True) for n, (code, _, _) in enumerate(CODES, start=1)}
    others = {code: add_lead(50 + n, pewc=True, phone=lead.phone) for n, (code, lead) in enumerate(leads.items())}
    wanted = {code: intent(lead, "sms") for code, lead in leads.items()}
    # Whoever else has the number: their message is cancelled with it.
    waiting = {code: intent(other, "sms", step="next") for code, other in others.items()}
    put(*wanted.values(), *waiting.values())
    for code, one in wanted.items():
        at_call = SendResult.refused(str(code))
        channels["sms"].results[one.id] = at_call if when == "at the call" else SendResult.accepted(f"SM{code:032d}")
    go(only=[one.id for one in wanted.values()])
    if when == "later":
        for code, one in wanted.items():
            twilio(one.id, "undelivered", code, sid=f"SM{code:032d}")
    states = {str(row.id): row.state for row in rows("messages")}
    with ledger_engine.connect() as connection:
        detached = set(
            connection.exec_driver_sql(
                "select contact_point_id from ledger.person_contact_points where detached_at is not null"
            ).scalars()
        )
    for code, expected, is_detached in CODES:
        point = leads[code].phone_id
        assert (code, active(ledger_engine, leads[code]).get(point, {})) == (code, expected)
        assert (code, states[waiting[code].id] == "cancelled") == (code, bool(expected))
        assert (code, point in detached) == (code, is_detached)


def test_codes_that_a_person_must_look_at_raise_one_alert_a_day(sent_text: str, twilio: Report, rows: Rows) -> None:
    twilio(sent_text, "undelivered", 30007)
    twilio(sent_text, "undelivered", 30007)
    [alert] = rows("alerts")
    assert alert.kind == "provider_reports" and "30007" in alert.title


def test_one_message_under_two_provider_ids_alarms_and_changes_nothing(
    sent_text: str, twilio: Report, rows: Rows
) -> None:
    assert twilio(sent_text, "delivered", sid="SM" + "2" * 32) == "unmatched"
    assert [row.provider_id for row in rows("messages")] == [SID]
    assert [alert.kind for alert in rows("alerts")] == ["accepted_twice"]


def test_a_report_binds_a_message_whose_call_gave_no_answer(
    put: Put, go: Go, rows: Rows, add_lead: AddLead, intent: MakeIntent, channels: dict[str, FakeChannel], ses: Report
) -> None:
    wanted = intent(add_lead(1))
    put(wanted)
    channels["email"].results = {wanted.id: SendResult.unknown("ReadTimeout")}
    assert go().counts == {"unknown": 1}
    assert ses(wanted.id, "Send", provider_id="0100-real") == "moved"
    assert [(row.state, row.provider_id) for row in rows("messages")] == [("sent", "0100-real")]


EVENTS: list[tuple[str, dict[str, str], str, str | None]] = [
    ("Open", {}, "accepted", None),
    ("Click", {}, "accepted", None),
    ("DeliveryDelay", {}, "accepted", None),
    ("Subscription", {}, "accepted", None),
    ("Reject", {"reason": "Bad content"}, "refused", "rejected"),
    ("Rendering Failure", {"errorMessage": "x"}, "refused", "rendering_failure"),
    ("Bounce", {"bounceType": "Permanent", "bounceSubType": "NoEmail"}, "bounced", "Permanent/NoEmail"),
    ("Bounce", {"bounceType": "Transient", "bounceSubType": "MailboxFull"}, "undelivered", "Transient/MailboxFull"),
    ("Complaint", {"complaintFeedbackType": "abuse"}, "complained", "abuse"),
    ("Complaint", {"complaintFeedbackType": "not-spam"}, "accepted", None),
]


def test_an_event_of_ses_stands_for_a_state_or_says_nothing_about_the_way(
    send_many: SendMany, ses: Report, rows: Rows
) -> None:
    ids = send_many(range(len(EVENTS)), "email")
    sids = {str(row.id): row.provider_id for row in rows("messages")}
    for number, (kind, detail, _, _) in enumerate(EVENTS):
        ses(ids[number], kind, provider_id=sids[ids[number]], **detail)
    found = {str(row.id): (row.state, row.code) for row in rows("messages")}
    assert [found[ids[number]] for number in range(len(EVENTS))] == [(state, code) for _, _, state, code in EVENTS]
    dead = {row.person_id for row in rows("suppressions")}
    assert dead == {n for n, (*_, state, _) in enumerate(EVENTS, start=1) if state in {"bounced", "complained"}}


def test_three_soft_bounces_in_fourteen_days_end_an_address(
    put: Put,
    go: Go,
    rows: Rows,
    add_lead: AddLead,
    intent: MakeIntent,
    ses: Report,
    clock: FixedClock,
    ledger_engine: Engine,
) -> None:
    lead = add_lead(1)
    for number, day in enumerate((0, 8, 16, 17)):
        clock.advance(timedelta(days=day) - (clock.now() - clock.now().replace(day=3, hour=16, minute=0)))
        wanted = intent(lead, purpose="transactional", occurrence=number + 1)
        put(wanted)
        go()
        assert active(ledger_engine, lead) == {}
        ses(wanted.id, "Bounce", bounceType="Transient", bounceSubType="General")
    # The first is over a fortnight old by the third; the fourth makes three.
    assert active(ledger_engine, lead) == {lead.email_id: {"email": "soft_bounces"}}


def test_what_certainly_did_not_go_is_tried_again_later_and_later(
    put: Put, go: Go, rows: Rows, calls: Calls, add_lead: AddLead, intent: MakeIntent, clock: FixedClock,
    channels: dict[str, FakeChannel],
) -> None:  # fmt: skip
    wanted = intent(add_lead(1))
    put(wanted)
    channels["email"].results = {wanted.id: SendResult.not_sent("ConnectionRefused")}
    waits: list[float] = []
    for _ in range(4):
        assert go().counts == {"held": 1}
        [message] = rows("messages")
        assert (message.state, message.code) == ("held", "not_sent_ConnectionRefused")
        assert message.not_before_at is not None
        waits.append((message.not_before_at - clock.now()).total_seconds())
        clock.advance(message.not_before_at - clock.now())
    assert waits == sorted(waits) and waits[0] >= 1 and waits[-1] <= 32
    channels["email"].results = {}
    assert go().counts == {"accepted": 1}
    # Only the call that may have done something counts as a try.
    assert (len(calls()), rows("messages")[0].attempts, len(rows("attempts"))) == (5, 1, 5)


def test_a_wait_is_never_shorter_than_the_provider_asked_for_and_is_the_same_in_a_replay() -> None:
    result = SendResult.not_sent("20429", retry_after_seconds=30.0)
    waits = {wait_before_retry("m", 0, result) for _ in range(3)}
    assert len(waits) == 1
    assert 30 <= waits.pop() <= 36
    assert wait_before_retry("m", 30, SendResult.not_sent("x")) <= 900


def test_a_wrong_setting_holds_messages_opens_the_breaker_and_tells_a_person_once(
    put: Put, go: Go, rows: Rows, calls: Calls, add_lead: AddLead, intent: MakeIntent,
    channels: dict[str, FakeChannel],
) -> None:  # fmt: skip
    wanted = [intent(add_lead(n)) for n in range(1, 4)]
    put(*wanted)
    channels["email"].results = {one.id: SendResult.misconfigured("20003") for one in wanted}
    go()
    assert {row.state for row in rows("messages")} <= {"held", "queued"}
    [alert] = rows("alerts")
    assert (alert.kind, "20003" in alert.title) == ("provider_refuses", True)
    assert not any("@" in alert.title + alert.body for alert in rows("alerts"))
