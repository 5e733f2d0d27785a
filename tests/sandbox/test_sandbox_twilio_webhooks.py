"""Twilio's posts to us: status callbacks, inbound messages, opt-outs, signatures (messaging sheet 2)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from leadpipe.messaging.channels.twilio_api import BaseUrlHttpClient
from leadpipe.sandbox.twilio.posting import Overrides, signature

TO = "+12815550101"
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def twilio(sandbox: Any) -> Client:
    config = sandbox.config
    client = BaseUrlHttpClient(f"{sandbox.url}/twilio")
    return Client(config.twilio_account_sid, config.twilio_auth_token, http_client=client)


def send(client: Client, sandbox: Any, fragment: str = "", **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "to": TO, "body": "Hi", "messaging_service_sid": sandbox.config.twilio_messaging_service_sid,
        "status_callback": f"{sandbox.config.gateway_url}/twilio/status?mid=m-1{fragment}",
    }  # fmt: skip
    return client.messages.create(**arguments | changes).sid


def statuses(sandbox: Any) -> list[str]:
    return [each.form["MessageStatus"] for each in sandbox.gateway.at("/twilio/status")]


def inbound(sandbox: Any, body: str, *, sender: str = TO, channel: str = "sms", **more: Any) -> bool:
    return sandbox.call("inbound", **{"channel": channel, "from": sender, "body": body, **more})["taken"]


def test_the_signatures_are_the_sheets_worked_examples() -> None:
    fields = {"To": "+15005550100", "MessageSid": "SM00000000000000000000000000000002", "From": "+15005550006",
              "MessageStatus": "delivered"}  # fmt: skip
    url = "https://hooks.leadpipe.example/twilio/status?mid=m-42"
    assert signature(url, fields, TOKEN) == "j3SwyTx7BWKfuYrUHFGOdkTO3NI="
    words = {
        "AccountSid": "AC00000000000000000000000000000001", "ApiVersion": "2010-04-01",
        "Body": "Is 12 Oak St still open?", "From": "+15005550100", "FromCity": "",
        "MessageSid": "SM00000000000000000000000000000002", "NumMedia": "0", "NumSegments": "1",
        "SmsMessageSid": "SM00000000000000000000000000000002", "SmsSid": "SM00000000000000000000000000000002",
        "SmsStatus": "received", "To": "+15005550006",
    }  # fmt: skip
    assert signature("https://hooks.leadpipe.example/twilio/inbound", words, TOKEN) == "KXIf1gvE+LfIkAMAzf4tK5+Osl0="


def test_callbacks_come_after_the_first_status_with_our_query_and_a_true_signature(
    sandbox: Any, twilio: Client
) -> None:
    sid = send(twilio, sandbox, "#rc=3&rp=all")
    sandbox.wait(lambda: len(statuses(sandbox)) == 3)
    assert sorted(statuses(sandbox)) == ["delivered", "queued", "sent"]
    for each in sandbox.gateway.at("/twilio/status"):
        assert each.query == "mid=m-1"
        assert (each.form["MessageSid"], each.form["SmsSid"], each.form["To"]) == (sid, sid, TO)
        assert each.form["SmsStatus"] == each.form["MessageStatus"]
        assert each.form["MessagingServiceSid"] == sandbox.config.twilio_messaging_service_sid
        url = f"{sandbox.config.gateway_url}/twilio/status?mid=m-1"
        assert RequestValidator(TOKEN).validate(url, each.form, each.headers["x-twilio-signature"])
        assert "i-twilio-idempotency-token" in each.headers
    last = next(e.form for e in sandbox.gateway.at("/twilio/status") if e.form["MessageStatus"] == "delivered")
    assert len(last["RawDlrDoneDate"]) == 10
    assert "ErrorCode" not in last


def test_without_a_callback_address_nothing_is_posted(sandbox: Any, twilio: Client) -> None:
    sid = send(twilio, sandbox, status_callback="")
    sandbox.wait(lambda: twilio.messages(sid).fetch().status == "delivered")
    assert sandbox.gateway.posted == []


def test_a_dead_number_is_undelivered_with_30005(sandbox: Any, twilio: Client) -> None:
    sandbox.call("outcomes", **{TO: {"later": 30005}})
    send(twilio, sandbox)
    sandbox.wait(lambda: sorted(statuses(sandbox)) == ["queued", "sent", "undelivered"])
    last = next(e.form for e in sandbox.gateway.at("/twilio/status") if e.form["MessageStatus"] == "undelivered")
    assert last["ErrorCode"] == "30005"


def test_what_never_left_twilio_is_failed_at_once(sandbox: Any, twilio: Client) -> None:
    sandbox.call("outcomes", **{TO: {"later": 30001}})
    send(twilio, sandbox)
    sandbox.wait(lambda: statuses(sandbox) == ["failed"])
    (report,) = sandbox.gateway.at("/twilio/status")
    assert report.form["ErrorCode"] == "30001"


def test_a_whatsapp_callback_says_it_was_read(sandbox: Any, twilio: Client) -> None:
    send(
        twilio, sandbox, to="whatsapp:+447700900101", body=None, messaging_service_sid=None,
        from_=sandbox.config.whatsapp_number, content_sid=sandbox.config.whatsapp_template_sid,
        content_variables='{"1":"Ana","2":"assistant","3":"Bo Lee","4":"Demo Realty","5":"Still looking?"}',
    )  # fmt: skip
    sandbox.wait(lambda: sorted(statuses(sandbox)) == ["delivered", "queued", "read", "sent"])
    form = next(e.form for e in sandbox.gateway.at("/twilio/status") if e.form["MessageStatus"] == "read")
    assert (form["EventType"], form["ChannelPrefix"], form["To"]) == ("READ", "whatsapp", "whatsapp:+447700900101")


def test_order_is_disturbed_and_duplicates_occur_even_without_faults(start: Any) -> None:
    sandbox = start(twilio_disorder=0.5)
    client = Client(
        sandbox.config.twilio_account_sid, TOKEN, http_client=BaseUrlHttpClient(f"{sandbox.url}/twilio")
    )  # fmt: skip
    sids = [send(client, sandbox, to=f"+1281555{number:04d}") for number in range(10)]
    sandbox.settle()
    by_sid: dict[str, list[str]] = {sid: [] for sid in sids}
    for each in sandbox.gateway.at("/twilio/status"):
        by_sid[each.form["MessageSid"]].append(each.form["MessageStatus"])
    assert any(order[0] != "queued" for order in by_sid.values())
    assert any(max(Counter(order).values()) > 1 for order in by_sid.values())
    # Whatever the order of the posts, the row ends where the message did.
    assert {client.messages(sid).fetch().status for sid in sids} == {"delivered"}


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"twilio_callback_lost": 1.0}, []),
        ({"twilio_callback_reordered": 1.0}, ["delivered", "sent", "queued"]),
        ({"twilio_callback_repeated": 1.0}, ["delivered", "delivered", "queued", "queued", "sent", "sent"]),
    ],
)
def test_callbacks_are_lost_reordered_and_repeated_as_told(
    start: Any, faults: dict[str, float], expected: list[str]
) -> None:
    # Half a second between two posts: a busy machine does not swap them by itself.
    sandbox = start(carrier_pace=1.0)
    client = BaseUrlHttpClient(f"{sandbox.url}/twilio")
    twilio = Client(sandbox.config.twilio_account_sid, TOKEN, http_client=client)
    sandbox.control.set_faults(faults)
    sid = send(twilio, sandbox)
    sandbox.settle()
    found = statuses(sandbox)
    assert (sorted(found) if "twilio_callback_repeated" in faults else found) == expected
    assert twilio.messages(sid).fetch().status == "delivered"


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("", Overrides(retries=1, after=frozenset({"ct"}), seconds=15.0)),
        ("rc=3&rp=all&rt=5000", Overrides(retries=3, after=frozenset({"4xx", "5xx", "ct", "rt"}), seconds=5.0)),
        ("rc=9&rp=5xx,rt", Overrides(retries=5, after=frozenset({"5xx", "rt"}), seconds=15.0)),
    ],
)
def test_connection_overrides_are_read_from_the_fragment(fragment: str, expected: Overrides) -> None:
    assert Overrides.read(fragment) == expected


@pytest.mark.parametrize(("fragment", "count"), [("", 1), ("#rc=2&rp=5xx", 3), ("#rc=2&rp=4xx", 1)])
def test_a_failed_callback_is_retried_only_as_the_fragment_asks(
    sandbox: Any, twilio: Client, fragment: str, count: int
) -> None:
    sandbox.call("outcomes", **{TO: {"later": 30001}})
    sandbox.gateway.statuses = [503] * 10
    send(twilio, sandbox, fragment)
    sandbox.settle()
    tokens = [each.headers["i-twilio-idempotency-token"] for each in sandbox.gateway.posted]
    assert (len(tokens), len(set(tokens))) == (count, 1)


# inbound


def test_an_inbound_text_has_its_fields_blank_ones_in_the_signature(sandbox: Any) -> None:
    assert inbound(sandbox, "Is 12 Oak St still open?  ")
    (posted,) = sandbox.gateway.at("/twilio/inbound")
    form = posted.form
    assert form["MessageSid"] == form["SmsSid"] == form["SmsMessageSid"]
    assert (form["From"], form["To"], form["Body"]) == (TO, sandbox.config.sms_number, "Is 12 Oak St still open?  ")
    assert (form["SmsStatus"], form["NumMedia"], form["FromCity"], form["ApiVersion"]) == (
        "received",
        "0",
        "",
        "2010-04-01",
    )
    url = f"{sandbox.config.gateway_url}/twilio/inbound"
    assert RequestValidator(TOKEN).validate(url, form, posted.headers["x-twilio-signature"])
    without_blanks = {name: value for name, value in form.items() if value}
    assert not RequestValidator(TOKEN).validate(url, without_blanks, posted.headers["x-twilio-signature"])
    assert "OptOutType" not in form


def test_an_inbound_whatsapp_has_its_own_fields(sandbox: Any) -> None:
    inbound(sandbox, "hola", sender="+525555000001", channel="whatsapp")
    form = sandbox.gateway.at("/twilio/inbound")[0].form
    assert (form["From"], form["To"]) == ("whatsapp:+525555000001", sandbox.config.whatsapp_number)
    assert (form["WaId"], form["MessageType"]) == ("525555000001", "text")
    assert "FromCity" not in form


@pytest.mark.parametrize(
    "word", ["STOP", "stop", " Stop ", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]
)
def test_a_keyword_blocks_the_number_and_twilio_confirms_it_itself(sandbox: Any, twilio: Client, word: str) -> None:
    inbound(sandbox, word)
    assert sandbox.gateway.at("/twilio/inbound")
    with pytest.raises(TwilioRestException) as caught:
        send(twilio, sandbox)
    assert (caught.value.status, caught.value.code) == (400, 21610)
    rows = twilio.messages.list(to=TO)
    (answer,) = [row for row in rows if row.direction == "outbound-reply"]
    assert "unsubscribed" in answer.body
    # The confirmation is Twilio's message, not one of ours.
    assert sandbox.control.messages() == []
    # The block is the number pair's: others still get theirs.
    assert send(twilio, sandbox, to="+12815550102")


@pytest.mark.parametrize("words", ["please stop texting me", "STOP!", "stop now", "Can I stop by?", "unsubscribe me"])
def test_free_words_block_nothing(sandbox: Any, twilio: Client, words: str) -> None:
    inbound(sandbox, words)
    assert send(twilio, sandbox)
    assert not [row for row in twilio.messages.list(to=TO) if row.direction == "outbound-reply"]


@pytest.mark.parametrize("word", ["START", "yes", "UNSTOP"])
def test_start_lifts_the_block(sandbox: Any, twilio: Client, word: str) -> None:
    inbound(sandbox, "STOP")
    inbound(sandbox, word)
    assert send(twilio, sandbox)


def test_help_is_answered_and_a_yes_out_of_the_blue_is_not(sandbox: Any, twilio: Client) -> None:
    inbound(sandbox, "HELP")
    inbound(sandbox, "yes")
    replies = [row for row in twilio.messages.list(to=TO) if row.direction == "outbound-reply"]
    assert len(replies) == 1


def test_on_whatsapp_stop_is_an_ordinary_message(sandbox: Any, twilio: Client) -> None:
    inbound(sandbox, "STOP", channel="whatsapp")
    assert send(twilio, sandbox)
    assert len(sandbox.gateway.at("/twilio/inbound")) == 1


def test_advanced_opt_out_names_the_kind(start: Any) -> None:
    sandbox = start(twilio_advanced_opt_out=True)
    for words in ("STOP", "START", "HELP"):
        inbound(sandbox, words)
    assert [each.form["OptOutType"] for each in sandbox.gateway.at("/twilio/inbound")] == ["STOP", "START", "HELP"]


def test_a_blocked_number_may_be_told_by_callback_instead(sandbox: Any, twilio: Client) -> None:
    inbound(sandbox, "STOP")
    sandbox.control.set_faults({"twilio_21610_late": 1.0})
    send(twilio, sandbox)
    sandbox.wait(lambda: statuses(sandbox) == ["failed"])
    assert sandbox.gateway.at("/twilio/status")[0].form["ErrorCode"] == "21610"


def test_an_inbound_that_our_url_refuses_is_gone_but_listed(sandbox: Any, twilio: Client) -> None:
    person = sandbox.world.store.people
    assert person is not None
    sandbox.gateway.statuses = [500]
    assert not inbound(sandbox, "STOP", intent="opt_out")
    sandbox.control.jump(timedelta(hours=1))
    assert len(sandbox.gateway.posted) == 1
    (row,) = [each for each in twilio.messages.list(to=sandbox.config.sms_number) if each.direction == "inbound"]
    assert (row.body, row.from_, row.status) == ("STOP", TO, "received")


def test_the_truth_counts_a_reply_from_when_we_have_it_by_webhook_or_by_list(start: Any) -> None:
    sandbox = start(population={"aged": 40})
    lead = next(row for row in sandbox.control.leads() if row["phones"])
    sandbox.gateway.statuses = [500]
    inbound(sandbox, "STOP", sender=lead["phones"][0], intent="opt_out")
    before = sandbox.truth_of(lead["person_id"])
    assert (before["replies"][0]["is_taken"], before["opted_out_at"]) == (False, None)
    config = sandbox.config
    client = Client(config.twilio_account_sid, TOKEN, http_client=BaseUrlHttpClient(f"{sandbox.url}/twilio"))
    client.messages.list(to=config.sms_number)
    after = sandbox.truth_of(lead["person_id"])
    assert (after["replies"][0]["is_taken"], after["state"]) == (True, "opted_out")
    assert after["opted_out"][0]["channel"] == "sms"


@pytest.mark.parametrize(("fault", "count"), [("twilio_inbound_lost", 0), ("twilio_inbound_repeated", 2)])
def test_inbound_is_lost_and_repeated_as_told(sandbox: Any, fault: str, count: int) -> None:
    sandbox.control.set_faults({fault: 1.0})
    assert inbound(sandbox, "hello") is (count > 0)
    posted = sandbox.gateway.at("/twilio/inbound")
    assert len(posted) == count
    assert len({each.form["MessageSid"] for each in posted}) == min(1, count)


def test_a_delayed_inbound_comes_later(sandbox: Any) -> None:
    sandbox.control.set_faults({"twilio_inbound_delayed": {"value": 0.2}})
    assert inbound(sandbox, "hello") is False
    sandbox.wait(lambda: len(sandbox.gateway.at("/twilio/inbound")) == 1)


def test_a_connection_that_cannot_be_made_is_tried_once_more(start: Any) -> None:
    sandbox = start()
    sandbox.call("config", gateway_url="http://127.0.0.1:9")
    assert inbound(sandbox, "hello") is False
    assert sandbox.http.get(f"{sandbox.url}/_control/errors").json() == []
