"""Amazon calls: SNS signatures by a generated certificate, SES events, replies by mail."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from leadpipe.clock import FixedClock
from leadpipe.errors import BadRecord, Rejected, TransientError
from leadpipe.gateway.mail import read_mail
from leadpipe.gateway.sns import SnsVerifier, fetch_without_redirects
from leadpipe.settings import Settings
from tests.gateway.conftest import CERT_URL, EMAIL, TOPIC, Amazon, Callers, Ledger

SES_ID = "0100018f-aaaa-000000"
Row = dict[str, Any]


def event(kind: str, message_id: str = "", **detail: Any) -> Row:
    key = kind[0].lower() + kind[1:]
    tags = {"ses:configuration-set": ["leadpipe"]} | ({"leadpipe_mid": [message_id]} if message_id else {})
    return {"eventType": kind, "mail": {"messageId": SES_ID, "destination": [EMAIL], "tags": tags}, key: detail}


def mail_notice(mail: EmailMessage | bytes, *, to: str, message_id: str = "in-1", **changes: Any) -> Row:
    return {
        "notificationType": "Received",
        "mail": {"messageId": message_id, "destination": [to], "source": EMAIL},
        "receipt": {
            "recipients": [to],
            "virusVerdict": {"status": changes.get("virus", "PASS")},
            "action": {"type": "SNS", "encoding": "BASE64"},
        },
        "content": base64.b64encode(bytes(mail)).decode(),
    }


def reply(text: str, *, subject: str = "Re: Hello", sender: str = f"Ana <{EMAIL}>", **headers: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, "reply@in.demo-realty.example", subject
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


# the envelope


@pytest.fixture
def verify(amazon: Amazon, clock: FixedClock) -> Callable[..., Any]:
    """A function that believes an envelope or says why not; it needs no ledger."""
    verifier = SnsVerifier(Settings(sns_topic_arns=(TOPIC,)), fetch=amazon.fetch)
    return lambda envelope, **more: verifier.verify(json.dumps(envelope).encode(), now=more.get("now", clock.now()))


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon SES Email Event"}], ids=["no subject", "subject"])
def test_a_genuine_notification_is_believed(verify: Any, amazon: Amazon, version: str, subject: Row) -> None:
    assert verify(amazon.envelope({"a": 1}, version=version, **subject)).message == '{"a": 1}'


def test_the_certificate_is_fetched_once(verify: Any, amazon: Amazon) -> None:
    for _ in range(3):
        verify(amazon.envelope({"a": 1}))
    assert amazon.fetched == [CERT_URL]


@pytest.mark.parametrize("field", ["Message", "MessageId", "Timestamp", "Subject", "Signature"])
def test_a_changed_field_breaks_the_signature(verify: Any, amazon: Amazon, field: str) -> None:
    envelope = amazon.envelope({"a": 1}, Subject="s")
    changed = {"Timestamp": "2026-03-03T16:00:01.000Z"}.get(field, "b3RoZXI=")
    with pytest.raises(Rejected) as caught:
        verify(envelope | {field: changed})
    assert caught.value.code == "bad_signature"


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example/sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com@evil.example/x.pem",
        "https://sns.us-east-1.amazonaws.com:8443/x.pem",
        "https://s3.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com/x.txt",
        "https://sns.us-east-1.amazonaws.com/x.pem/../y",
        "http://127.0.0.1:8800/sns/cert.pem",
        "file:///etc/x.pem",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_fetched(verify: Any, amazon: Amazon, url: str) -> None:
    with pytest.raises(Rejected) as caught:
        verify(amazon.envelope({"a": 1}) | {"SigningCertURL": url})
    assert caught.value.code == "foreign_certificate"
    assert amazon.fetched == []


@pytest.mark.parametrize(
    "host", ["sns.eu-west-3.amazonaws.com", "sns.us-gov-west-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn"]
)
def test_every_region_s_certificate_host_is_known(verify: Any, amazon: Amazon, host: str) -> None:
    verify(amazon.envelope({"a": 1}) | {"SigningCertURL": f"https://{host}/x.pem"})


def test_a_topic_that_is_not_ours_is_refused_before_anything_is_fetched(verify: Any, amazon: Amazon) -> None:
    with pytest.raises(Rejected) as caught:
        verify(amazon.envelope({"a": 1}, TopicArn="arn:aws:sns:us-east-1:999999999999:other"))
    assert caught.value.code == "unknown_topic"
    assert amazon.fetched == []


def test_without_a_topic_list_no_topic_is_believed(amazon: Amazon, clock: FixedClock) -> None:
    body = json.dumps(amazon.envelope({"a": 1})).encode()
    with pytest.raises(Rejected):
        SnsVerifier(Settings(), fetch=amazon.fetch).verify(body, now=clock.now())


def test_an_old_notification_is_refused(verify: Any, amazon: Amazon, clock: FixedClock) -> None:
    envelope = amazon.envelope({"a": 1})
    verify(envelope, now=clock.now() + timedelta(minutes=59))
    with pytest.raises(Rejected) as caught:
        verify(envelope, now=clock.now() + timedelta(minutes=61))
    assert caught.value.code == "stale"


@given(
    st.dictionaries(st.sampled_from(["Type", "MessageId", "TopicArn", "Message", "x"]), st.none() | st.text(max_size=5))
)
def test_anything_else_is_no_envelope(value: Row) -> None:
    verifier = SnsVerifier(Settings(sns_topic_arns=(TOPIC,)), fetch=lambda _: b"")
    with pytest.raises(BadRecord):
        verifier.verify(json.dumps(value).encode(), now=datetime(2026, 3, 3, tzinfo=UTC))


# the route


def test_forged_and_malformed_calls_change_nothing(callers: Callers, amazon: Amazon, ledger: Ledger) -> None:
    message_id = ledger.message(channel="email", provider_id=SES_ID)
    forged = amazon.envelope(event("Bounce", message_id, bounceType="Permanent")) | {"Signature": "AAAA"}
    assert callers.sns(forged).status_code == 401
    assert callers.http.post("/ses/events", content=b"{").status_code == 400
    assert callers.http.post("/ses/inbound", content=b"[]").status_code == 400
    assert ledger.state(message_id) == "accepted"
    assert ledger.inbox() == []


def test_an_unreachable_certificate_is_503_so_that_sns_tries_again(
    callers: Callers, amazon: Amazon, ledger: Ledger
) -> None:
    amazon.is_down = True
    assert callers.ses(event("Delivery")).status_code == 503
    amazon.is_down = False
    assert callers.ses(event("Delivery")).status_code == 200
    assert len(ledger.inbox()) == 1


def test_a_subscription_of_our_topic_is_confirmed_at_sns_s_own_address_only(callers: Callers, amazon: Amazon) -> None:
    def confirmation(url: str) -> Row:
        return amazon.envelope("Confirm?", kind="SubscriptionConfirmation", Token="t", SubscribeURL=url)

    ours = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    assert callers.sns(confirmation(ours)).json() == {"status": "confirmed"}
    assert amazon.fetched == [CERT_URL, ours]
    assert callers.sns(confirmation("https://evil.example/?Action=ConfirmSubscription")).status_code == 401
    assert amazon.fetched == [CERT_URL, ours]


def test_the_end_of_a_subscription_alarms_a_person(callers: Callers, amazon: Amazon, ledger: Ledger) -> None:
    url = "https://sns.us-east-1.amazonaws.com/?x"
    answer = callers.sns(amazon.envelope("Bye", kind="UnsubscribeConfirmation", Token="t", SubscribeURL=url))
    assert answer.status_code == 200
    assert ledger.one("select kind from ledger.alerts") == "sns_unsubscribed"


def test_a_genuine_notification_that_is_no_notice_is_400_and_kept(callers: Callers, ledger: Ledger) -> None:
    assert callers.ses("not json").status_code == 400
    assert callers.ses({"mail": {}}).status_code == 400
    kept = ledger.rows("select source, reason from ledger.quarantine")
    assert [tuple(row) for row in kept] == [("ses_notice", "no SES notice")] * 2


# events


def test_events_move_the_message_in_any_order(callers: Callers, ledger: Ledger) -> None:
    message_id = ledger.message(channel="email", provider_id=SES_ID)
    for kind in ("Delivery", "Send", "Open"):
        assert callers.ses(event(kind, message_id)).status_code == 200
    assert ledger.state(message_id) == "delivered"
    assert ledger.inbox()[0] == ("ses_event", "Delivery", "handled", "moved")


def test_our_tag_binds_a_message_whose_call_gave_no_answer(callers: Callers, ledger: Ledger) -> None:
    message_id = ledger.message(channel="email", state="unknown", provider_id="")
    assert callers.ses(event("Send", message_id)).status_code == 200
    assert ledger.state(message_id) == "sent"


@pytest.mark.parametrize(
    ("kind", "detail", "state", "source", "tag"),
    [
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "General"}, "bounced", "bounce", "leadpipe bounced"),
        ("Complaint", {"complaintFeedbackType": "abuse"}, "complained", "complaint", "leadpipe complaint"),
    ],
)
def test_a_hard_bounce_and_a_complaint_override_a_delivery_and_suppress_once(
    callers: Callers, ledger: Ledger, kind: str, detail: Row, state: str, source: str, tag: str
) -> None:
    message_id = ledger.message(channel="email", provider_id=SES_ID)
    callers.ses(event("Delivery", message_id))
    for _ in range(2):
        assert callers.ses(event(kind, message_id, **detail)).status_code == 200
    assert ledger.state(message_id) == state
    assert ledger.suppressed() == [("email", source)]
    assert ledger.one("select array_agg(payload) from ledger.writebacks") == [{"tags": [tag]}]


def test_a_redelivered_notification_is_known(callers: Callers, amazon: Amazon, ledger: Ledger) -> None:
    envelope = amazon.envelope(event("Delivery", ledger.message(channel="email", provider_id=SES_ID)))
    assert [callers.sns(envelope).json()["status"] for _ in range(2)] == ["moved", "known"]


# mail


def test_a_reply_by_mail_is_matched_by_its_plus_address_and_its_quote_cut(callers: Callers, ledger: Ledger) -> None:
    message_id = ledger.message(channel="email", provider_id=SES_ID)
    quoted = "On Tue, Mar 3, 2026 at 10:00 AM Demo Realty <hello@demo-realty.example> wrote:\n\n> Unsubscribe: x\n"
    words = f"Yes, tell me more.\n\n{quoted}"
    to = f"reply+{message_id}@in.demo-realty.example"
    assert callers.ses(mail_notice(reply(words), to=to), path="/ses/inbound").json() == {"status": "unread"}
    row = ledger.rows(
        "select channel, body, full_body, subject, in_reply_to::text, person_id from ledger.inbound_messages"
    )[0]
    assert (row.channel, row.body, row.subject, row.in_reply_to, row.person_id) == (
        "email", "Yes, tell me more.", "Re: Hello", message_id, 1,
    )  # fmt: skip
    assert "Unsubscribe: x" in row.full_body


def test_a_reply_without_the_plus_address_is_matched_by_the_id_it_refers_to(callers: Callers, ledger: Ledger) -> None:
    message_id = ledger.message(channel="email", provider_id=SES_ID)
    mail = reply(
        "Yes", In_Reply_To="<other@mail.example>", References=f"<{SES_ID}@email.amazonses.com> <other@mail.example>"
    )
    callers.ses(mail_notice(mail, to="hello@in.demo-realty.example"), path="/ses/inbound")
    assert ledger.one("select in_reply_to::text from ledger.inbound_messages") == message_id


def test_one_mail_told_by_two_topics_is_one_reply(callers: Callers, ledger: Ledger) -> None:
    notice = mail_notice(reply("Yes"), to="hello@in.demo-realty.example", message_id="in-7")
    assert [callers.ses(notice, path="/ses/inbound").json()["status"] for _ in range(2)] == ["unread", "known"]


def test_a_stop_by_mail_and_an_empty_mail_with_the_subject_unsubscribe_suppress_email(
    callers: Callers, ledger: Ledger
) -> None:
    waiting = ledger.message(channel="email", state="queued", provider_id="")
    mail = reply("", subject="unsubscribe")
    assert callers.ses(mail_notice(mail, to="reply@in.demo-realty.example"), path="/ses/inbound").json() == {
        "status": "opt_out"
    }
    assert ("email", "stop_keyword") in ledger.suppressed()
    assert ledger.state(waiting) == "cancelled"


def test_our_own_opt_out_line_in_the_quote_is_no_opt_out(callers: Callers, ledger: Ledger) -> None:
    words = "Sounds good!\n\n> Hi Ana\n> Reply STOP to opt out.\n> Unsubscribe: https://x.example/u/abc\n"
    callers.ses(mail_notice(reply(words), to="hello@in.demo-realty.example"), path="/ses/inbound")
    assert ledger.suppressed() == []


def test_an_out_of_office_answer_is_kept_and_holds_nothing(callers: Callers, ledger: Ledger) -> None:
    mail = reply("I am away", subject="Automatic reply: Hello", Auto_Submitted="auto-replied")
    assert callers.ses(mail_notice(mail, to="hello@in.demo-realty.example"), path="/ses/inbound").json() == {
        "status": "auto_reply"
    }
    assert ledger.one("select read_at is not null from ledger.inbound_messages")


def test_a_mail_with_a_virus_or_without_a_sender_is_kept_unread_with_its_reason(
    callers: Callers, ledger: Ledger
) -> None:
    virus = mail_notice(reply("Yes"), to="a@in.demo-realty.example", message_id="in-1", virus="FAIL")
    nobody = mail_notice(b"Subject: x\n\nhello", to="a@in.demo-realty.example", message_id="in-2")
    for notice in (virus, nobody):
        assert callers.ses(notice, path="/ses/inbound").status_code == 200
    assert [row[3] for row in ledger.inbox()] == [
        "kept, not read: SES found a virus",
        "kept, not read: email without a sender",
    ]
    assert ledger.rows("select 1 from ledger.inbound_messages") == []


def test_mail_that_lies_in_s3_is_fetched(callers: Callers, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    notice = mail_notice(b"", to="hello@in.demo-realty.example")
    del notice["content"]
    notice["receipt"]["action"] = {"type": "S3", "bucketName": "mail", "objectKey": "in/in-1"}
    with mock_aws():
        assert callers.ses(notice, path="/ses/inbound").status_code == 503
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="mail")
        client.put_object(Bucket="mail", Key="in/in-1", Body=bytes(reply("From the bucket")))
        assert callers.ses(notice, path="/ses/inbound").json() == {"status": "unread"}
    assert ledger.one("select body from ledger.inbound_messages") == "From the bucket"


# MIME


def test_html_only_mail_is_read_as_words_with_its_quote_marked() -> None:
    mail = EmailMessage()
    mail["From"] = EMAIL
    mail.set_content(
        "<html><head><title>t</title><style>p{}</style></head><body><p>Yes &amp; no,<br>thanks</p>"
        "<blockquote><div>Hi Ana</div><div>Reply STOP</div></blockquote></body></html>",
        subtype="html",
    )
    text = read_mail(bytes(mail), recipients=[]).text
    assert "Yes & no,\nthanks" in text
    assert "> Hi Ana" in text
    assert "> Reply STOP" in text
    assert "p{}" not in text


def test_attachments_and_other_alternatives_do_not_hide_the_words() -> None:
    mail = reply("The words")
    mail.add_alternative("<p>The words in HTML</p>", subtype="html")
    mail.add_attachment(b"\x00\x01", maintype="application", subtype="pdf", filename="offer.pdf")
    assert read_mail(bytes(mail), recipients=[]).text.strip() == "The words"


@pytest.mark.parametrize(
    "raw",
    [
        b"From: ana1@example.com\nContent-Type: text/plain; charset=klingon\n\nqap\xe9la",
        b"From: ana1@example.com\nContent-Type: text/plain; charset=utf-8\n\nqap\xe9la",
        b"From: ana1@example.com\nContent-Transfer-Encoding: base64\n\n!!!",
        b"From: =?utf-8?B?////?= <ana1@example.com>\nSubject: =?utf-8?Q?=FF=FE?=\n\nhi",
        b"From: \"Ana, of \xe9\" <ana1@example.com>\nSubject: \xe9\n\nhi\x00there",
        b"From: ana1@example.com\nContent-Type: multipart/mixed\n\nno boundary",
        b"From: ana1@example.com\nDate: not a date\nMessage-ID: <<>>\n\nhi",
    ],
)  # fmt: skip
def test_broken_mail_is_read_as_far_as_it_goes(raw: bytes) -> None:
    mail = read_mail(raw, recipients=["reply@in.demo-realty.example"])
    assert mail.sender == "ana1@example.com"
    (mail.subject + mail.text + mail.message_id).encode()
    assert "\x00" not in mail.subject + mail.text


@given(st.binary(max_size=400))
def test_no_bytes_at_all_break_the_reading_of_mail(raw: bytes) -> None:
    try:
        mail = read_mail(b"From: ana1@example.com\n" + raw, recipients=[])
    except BadRecord:
        return
    assert mail.text.encode().decode() == mail.text


def test_a_lost_certificate_host_is_transient() -> None:
    with pytest.raises(TransientError):
        fetch_without_redirects("http://127.0.0.1:9/cert.pem")
