"""Twilio calls: signatures over the public URL, statuses in any order, replies stored and obeyed at once."""

from __future__ import annotations

import pytest

from leadpipe.conversation import inbound as conversation_inbound
from leadpipe.gateway.signatures import is_from_twilio
from tests.gateway.conftest import AUTH_TOKEN, PHONE, PUBLIC_URL, Callers, Ledger, twilio_signature

SID = "SM" + "a" * 32


# the worked examples of the messaging sheet, section 2.4


@pytest.mark.parametrize(
    ("path", "fields", "signature"),
    [
        (
            "/twilio/status?mid=m-42",
            {
                "To": "+15005550100",
                "MessageSid": "SM00000000000000000000000000000002",
                "From": "+15005550006",
                "MessageStatus": "delivered",
            },
            "j3SwyTx7BWKfuYrUHFGOdkTO3NI=",
        ),
        (
            "/twilio/inbound",
            {
                "AccountSid": "AC00000000000000000000000000000001",
                "ApiVersion": "2010-04-01",
                "Body": "Is 12 Oak St still open?",
                "From": "+15005550100",
                "FromCity": "",
                "MessageSid": "SM00000000000000000000000000000002",
                "NumMedia": "0",
                "NumSegments": "1",
                "SmsMessageSid": "SM00000000000000000000000000000002",
                "SmsSid": "SM00000000000000000000000000000002",
                "SmsStatus": "received",
                "To": "+15005550006",
            },
            "KXIf1gvE+LfIkAMAzf4tK5+Osl0=",
        ),
    ],
    ids=["status", "inbound with an empty field"],
)
def test_the_worked_examples_of_the_sheet(path: str, fields: dict[str, str], signature: str) -> None:
    url = PUBLIC_URL + path
    assert is_from_twilio(url, fields, signature, AUTH_TOKEN)
    assert not is_from_twilio(url, fields | {"Body": "other"}, signature, AUTH_TOKEN)
    assert not is_from_twilio(url + "&x=1", fields, signature, AUTH_TOKEN)
    assert not is_from_twilio(url, fields, signature, "another token")
    assert not is_from_twilio(url, fields, None, AUTH_TOKEN)


def test_without_an_auth_token_nothing_is_believed() -> None:
    fields = {"MessageSid": SID}
    assert not is_from_twilio(PUBLIC_URL, fields, twilio_signature(PUBLIC_URL, fields, ""), "")


def test_a_bad_signature_is_401_and_changes_nothing(callers: Callers, ledger: Ledger) -> None:
    fields = {"MessageSid": SID, "MessageStatus": "delivered", "From": PHONE, "Body": "STOP"}
    for path in ("/twilio/status?mid=x", "/twilio/inbound"):
        assert callers.twilio(path, fields, token="another").status_code == 401
        assert callers.twilio(path, fields, signed_path="/twilio/other").status_code == 401
        assert callers.http.post(path, data=fields).status_code == 401
    assert ledger.inbox() == []
    assert ledger.suppressed() == []


def test_a_signed_form_without_a_message_is_400(callers: Callers, ledger: Ledger) -> None:
    assert callers.twilio("/twilio/status", {"To": PHONE}).status_code == 400
    assert callers.twilio("/twilio/inbound", {"Body": "hi"}).status_code == 400
    assert ledger.inbox() == []


# statuses


def test_a_status_moves_the_message_and_keeps_the_report(callers: Callers, ledger: Ledger) -> None:
    message_id = ledger.message(provider_id=SID)
    answer = callers.status(message_id, "delivered", sid=SID)
    assert (answer.status_code, answer.content) == (204, b"")
    assert ledger.state(message_id) == "delivered"
    assert ledger.inbox() == [("twilio_status", "delivered", "handled", "moved")]


def test_statuses_out_of_order_and_repeated_end_where_the_message_is(callers: Callers, ledger: Ledger) -> None:
    message_id = ledger.message(provider_id=SID)
    for status in ("delivered", "sent", "queued", "delivered", "sent"):
        assert callers.status(message_id, status, sid=SID).status_code == 204
    assert ledger.state(message_id) == "delivered"
    assert [row[3] for row in ledger.inbox()] == ["moved", "repeated", "repeated"]


def test_our_id_in_the_query_binds_a_message_whose_call_gave_no_answer(callers: Callers, ledger: Ledger) -> None:
    message_id = ledger.message(state="unknown", provider_id="")
    assert callers.status(message_id, "sent", sid=SID).status_code == 204
    assert ledger.state(message_id) == "sent"
    assert ledger.one("select provider_id from ledger.messages") == SID


def test_a_status_of_a_message_that_is_not_ours_is_kept_as_unmatched(callers: Callers, ledger: Ledger) -> None:
    assert callers.status("not-ours", "delivered", sid="SM" + "b" * 32).status_code == 204
    assert ledger.inbox() == [("twilio_status", "delivered", "handled", "unmatched")]


def test_an_opt_out_reported_by_code_suppresses_the_number(callers: Callers, ledger: Ledger) -> None:
    message_id = ledger.message(provider_id=SID)
    assert callers.status(message_id, "failed", sid=SID, ErrorCode="21610").status_code == 204
    assert {channel for channel, _ in ledger.suppressed()} == {"sms", "whatsapp"}


# replies


def test_a_reply_is_stored_unread_and_answered_with_silence(callers: Callers, ledger: Ledger) -> None:
    answer = callers.text("Can I stop by at 5?")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.text == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    row = ledger.rows("select channel, body, person_id, read_at from ledger.inbound_messages")[0]
    assert tuple(row) == ("sms", "Can I stop by at 5?", 1, None)
    assert ledger.inbox() == [("twilio_inbound", "sms", "handled", "unread")]
    assert ledger.suppressed() == []


def test_stop_suppresses_every_phone_channel_and_cancels_what_waits_before_it_is_answered(
    callers: Callers, ledger: Ledger
) -> None:
    waiting = ledger.message(state="queued", provider_id="")
    assert callers.text("STOP").status_code == 200
    assert set(ledger.suppressed()) == {("sms", "stop_keyword"), ("whatsapp", "stop_keyword")}
    assert ledger.state(waiting) == "cancelled"


def test_a_repeated_reply_is_one_reply(callers: Callers, ledger: Ledger) -> None:
    for _ in range(3):
        assert callers.text("Yes please", sid=SID).status_code == 200
    assert ledger.one("select count(*) from ledger.inbound_messages") == 1
    assert len(ledger.inbox()) == 1


def test_whatsapp_comes_in_on_its_own_channel(callers: Callers, ledger: Ledger) -> None:
    assert callers.text("Hola", sender=f"whatsapp:{PHONE}", WaId=PHONE[1:]).status_code == 200
    assert tuple(ledger.rows("select channel, person_id from ledger.inbound_messages")[0]) == ("whatsapp", 1)


def test_pictures_are_named_in_the_whole_text_and_not_in_the_words(callers: Callers, ledger: Ledger) -> None:
    picture = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"
    assert callers.text("This one", NumMedia="1", MediaUrl0=picture).status_code == 200
    row = ledger.rows("select body, full_body from ledger.inbound_messages")[0]
    assert row.body == "This one"
    assert picture in row.full_body


def test_a_stranger_s_stop_holds_too_and_a_short_code_is_kept_with_its_reason(callers: Callers, ledger: Ledger) -> None:
    assert callers.text("STOP", sender="+15125550177").status_code == 200
    assert callers.text("Your code is 1234", sender="72345").status_code == 200
    assert len(ledger.suppressed()) == 2
    assert ledger.inbox()[1][3] == "sender is no phone number (phone_not_possible)"


def test_nul_in_a_text_does_not_lose_it(callers: Callers, ledger: Ledger) -> None:
    assert callers.text("ST\x00OP").status_code == 200
    assert callers.text("plain\x00words").status_code == 200
    assert [row[3] for row in ledger.inbox()] == ["opt_out", "unread"]


def test_a_reply_whose_effect_fails_is_kept_told_and_tried_again(
    callers: Callers, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("quotes: +15125550101 said STOP")

    with monkeypatch.context() as patch:
        patch.setattr(conversation_inbound, "store_inbound", broken)
        assert callers.text("STOP").status_code == 200
    assert ledger.inbox() == [("twilio_inbound", "sms", "new", "failed: ZeroDivisionError")]
    title, body = ledger.rows("select title, body from ledger.alerts")[0]
    assert "twilio_inbound" in title
    assert PHONE not in body
    assert ledger.suppressed() == []
