"""Twilio by its own SDK: creating, listing, templates, errors (messaging sheet 1, 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from requests import exceptions as http
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from leadpipe.messaging.channels.twilio_api import BaseUrlHttpClient

TO = "+12815550101"


@pytest.fixture
def twilio(sandbox: Any) -> Client:
    return client_of(sandbox)


def client_of(sandbox: Any, *names: str, **options: Any) -> Client:
    config = sandbox.config
    user, secret = names or (config.twilio_account_sid, config.twilio_auth_token)
    return Client(user, secret, http_client=BaseUrlHttpClient(f"{sandbox.url}/twilio"), **options)


def send(client: Client, sandbox: Any, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "to": TO, "body": "Hi Ana", "messaging_service_sid": sandbox.config.twilio_messaging_service_sid
    }  # fmt: skip
    arguments |= changes
    return client.messages.create(**{name: value for name, value in arguments.items() if value is not None})


def test_a_create_by_service_is_accepted_without_sender_or_segments(sandbox: Any, twilio: Client) -> None:
    message = send(twilio, sandbox)
    assert re.fullmatch(r"SM[0-9a-f]{32}", message.sid)
    assert (message.status, message.from_, message.num_segments, message.price) == ("accepted", None, "0", None)
    assert (message.direction, message.error_code, message.price_unit) == ("outbound-api", None, None)
    assert message.date_created.tzinfo is not None


def test_a_create_by_number_is_queued_with_its_segments(sandbox: Any, twilio: Client) -> None:
    message = send(twilio, sandbox, messaging_service_sid=None, from_=sandbox.config.sms_number, body="é" * 161)
    assert (message.status, message.from_, message.num_segments) == ("queued", sandbox.config.sms_number, "2")


@pytest.mark.parametrize(
    ("text", "count"),
    [("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2), ("ñ" * 160, 1),
     ("ç" * 70, 1), ("ç" * 71, 2), ("😀" * 35, 1), ("😀" * 36, 2), ("`" * 71, 2), ("", 1)],
)  # fmt: skip
def test_segments_are_counted_as_carriers_count(text: str, count: int) -> None:
    from leadpipe.messaging.segments import count_segments as ours
    from leadpipe.sandbox.twilio.segments import count_segments

    assert count_segments(text) == count
    assert ours(text).count == count if text else True


def test_every_key_is_always_there(sandbox: Any, twilio: Client) -> None:
    sid = send(twilio, sandbox).sid
    config = sandbox.config
    base = f"{sandbox.url}/twilio/2010-04-01/Accounts/{config.twilio_account_sid}/Messages/{sid}.json"
    row = sandbox.http.get(base, auth=(config.twilio_account_sid, config.twilio_auth_token)).json()
    assert set(row) == {
        "account_sid", "api_version", "body", "date_created", "date_sent", "date_updated", "direction", "error_code",
        "error_message", "from", "messaging_service_sid", "num_media", "num_segments", "price", "price_unit", "sid",
        "status", "subresource_uris", "to", "uri",
    }  # fmt: skip
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", row["date_created"])


def test_it_goes_on_to_delivered_with_sender_segments_and_price(sandbox: Any, twilio: Client) -> None:
    sid = send(twilio, sandbox).sid
    message = sandbox.wait(lambda: (found := twilio.messages(sid).fetch()).status == "delivered" and found)
    assert (message.from_, message.num_segments, message.price_unit) == (sandbox.config.sms_number, "1", "USD")
    assert float(message.price) < 0
    assert message.date_sent is not None


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"to": "+15005550001"}, 400, 21211), ({"to": "12"}, 400, 21211), ({"to": "+15005550002"}, 400, 21612),
        ({"to": "+15005550003"}, 400, 21408), ({"to": "+15005550004"}, 400, 21610),
        ({"to": "+15005550009"}, 400, 21614),
        ({"messaging_service_sid": None, "from_": "+15005550001"}, 400, 21212),
        ({"messaging_service_sid": None, "from_": "+15005550007"}, 400, 21606),
        ({"messaging_service_sid": None, "from_": "+15005550008"}, 400, 21611),
        ({"messaging_service_sid": None, "from_": "+12025550123"}, 400, 21606),
        ({"messaging_service_sid": None}, 400, 21603), ({"messaging_service_sid": "MG" + "f" * 32}, 400, 21703),
        ({"body": None}, 400, 21602), ({"body": "a" * 1601}, 400, 21617), ({"validity_period": 36001}, 400, 90007),
        ({"status_callback": "http://my_host.example/x"}, 400, 21609),
        ({"to": "whatsapp:+12815550101", "messaging_service_sid": None, "from_": "+15005550006"}, 400, 21612),
        ({"content_sid": "HX1", "body": None, "content_variables": "{"}, 400, 21656),
    ],
)  # fmt: skip
def test_a_create_is_refused_with_twilios_code(
    sandbox: Any, twilio: Client, changes: dict[str, Any], status: int, code: int
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        send(twilio, sandbox, **changes)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert sandbox.control.messages() == []


def test_an_error_body_has_twilios_four_keys(sandbox: Any) -> None:
    config = sandbox.config
    answer = sandbox.http.post(
        f"{sandbox.url}/twilio/2010-04-01/Accounts/{config.twilio_account_sid}/Messages.json",
        data={"To": "+15005550001"}, auth=(config.twilio_account_sid, config.twilio_auth_token),
    )  # fmt: skip
    assert set(answer.json()) == {"code", "message", "more_info", "status"}
    assert answer.json()["more_info"] == "https://www.twilio.com/docs/errors/21211"


def test_a_wrong_token_is_20003_and_an_api_key_works(sandbox: Any) -> None:
    config = sandbox.config
    with pytest.raises(TwilioRestException) as caught:
        send(client_of(sandbox, config.twilio_account_sid, "wrong"), sandbox)
    assert (caught.value.status, caught.value.code) == (401, 20003)
    keyed = client_of(
        sandbox, config.twilio_api_key, config.twilio_api_secret, account_sid=config.twilio_account_sid
    )  # fmt: skip
    assert send(keyed, sandbox).sid


def test_an_unknown_sid_is_20404_and_a_deleted_one_too(sandbox: Any, twilio: Client) -> None:
    sid = send(twilio, sandbox).sid
    assert twilio.messages(sid).update(body="").body == ""
    assert twilio.messages(sid).delete() is True
    for missing in (sid, "SM" + "0" * 32):
        with pytest.raises(TwilioRestException) as caught:
            twilio.messages(missing).fetch()
        assert (caught.value.status, caught.value.code) == (404, 20404)


def test_a_refused_create_also_shows_as_a_failed_row(sandbox: Any, twilio: Client) -> None:
    with pytest.raises(TwilioRestException):
        send(twilio, sandbox, to="+15005550009")
    row = twilio.messages.list(to="+15005550009")[0]
    assert (row.status, row.error_code) == ("failed", 21614)


def test_a_scheduled_message_waits_and_can_be_cancelled(sandbox: Any, twilio: Client) -> None:
    now = sandbox.world.sandbox.now()
    message = send(twilio, sandbox, send_at=now + timedelta(hours=1), schedule_type="fixed")
    assert message.status == "scheduled"
    assert twilio.messages(message.sid).update(status="canceled").status == "canceled"
    for changes in ({"send_at": now + timedelta(seconds=200)}, {"send_at": now + timedelta(days=36)}):
        with pytest.raises(TwilioRestException) as caught:
            send(twilio, sandbox, schedule_type="fixed", **changes)
        assert caught.value.code == 35114
    with pytest.raises(TwilioRestException) as caught:
        send(twilio, sandbox, send_at=now + timedelta(hours=1))
    assert caught.value.code == 35117


def test_a_scheduled_message_goes_out_when_its_time_comes(sandbox: Any, twilio: Client) -> None:
    at = sandbox.world.sandbox.now() + timedelta(hours=1)
    sent = send(twilio, sandbox, send_at=at, schedule_type="fixed").sid
    cancelled = send(twilio, sandbox, send_at=at, schedule_type="fixed").sid
    twilio.messages(cancelled).update(status="canceled")
    sandbox.control.jump(timedelta(hours=2))
    sandbox.wait(lambda: twilio.messages(sent).fetch().status == "delivered")
    assert twilio.messages(cancelled).fetch().status == "canceled"


def test_media_makes_an_mms_and_smart_encoding_changes_the_stored_body(sandbox: Any, twilio: Client) -> None:
    message = send(twilio, sandbox, media_url=["https://a.example/1.png", "https://a.example/2.png"])
    assert (message.sid[:2], message.num_media) == ("MM", "2")
    words = "\u201cHi\u201d \u2013 it\u2019s us\u2026"
    assert send(twilio, sandbox, body=words, smart_encoded=True).body == '"Hi" - it\'s us...'
    assert send(twilio, sandbox, body=words, smart_encoded=False).body == words


def test_the_list_is_newest_first_and_the_sdk_follows_its_pages(sandbox: Any, twilio: Client) -> None:
    sids = [send(twilio, sandbox, to=f"+1281555{number:04d}").sid for number in range(7)]
    assert [row.sid for row in twilio.messages.list(page_size=3)] == sids[::-1]
    assert [row.sid for row in twilio.messages.list(limit=2)] == sids[:4:-1]
    assert [row.sid for row in twilio.messages.list(to="+12815550003")] == [sids[3]]
    page = twilio.messages.page(page_size=3)
    assert "PageToken=PASM" in page.next_page_url


def test_the_list_filters_by_sender_and_by_the_day_it_was_sent(sandbox: Any, twilio: Client) -> None:
    sid = send(twilio, sandbox).sid
    day = sandbox.world.sandbox.now().date()
    assert twilio.messages.list(date_sent=day) == []
    sandbox.wait(lambda: twilio.messages(sid).fetch().date_sent)
    assert [row.sid for row in twilio.messages.list(date_sent=day)] == [sid]
    assert [row.sid for row in twilio.messages.list(date_sent_after=day)] == [sid]
    assert twilio.messages.list(date_sent_before=day - timedelta(days=1)) == []
    assert [row.sid for row in twilio.messages.list(from_=sandbox.config.sms_number)] == [sid]
    assert twilio.messages.list(from_="+12025550123") == []


def test_the_list_may_lag(sandbox: Any, twilio: Client) -> None:
    sandbox.control.set_faults({"twilio_list_lag": {"value": 600}})
    sid = send(twilio, sandbox).sid
    assert twilio.messages.list(to=TO) == []
    assert twilio.messages(sid).fetch().sid == sid
    sandbox.control.jump(timedelta(minutes=11))
    assert [row.sid for row in twilio.messages.list(to=TO)] == [sid]


def test_the_truth_reads_our_id_plan_step_and_occurrence_from_the_callback(sandbox: Any, twilio: Client) -> None:
    callback = f"{sandbox.config.gateway_url}/twilio/status?mid=m-42&plan=new_lead&step=welcome_sms&occ=2#rc=3&rp=all"
    send(twilio, sandbox, status_callback=callback)
    (row,) = sandbox.control.messages()
    assert row == {
        "provider": "twilio", "channel": "sms", "to": TO, "body": "Hi Ana", "plan": "new_lead", "step": "welcome_sms",
        "our_id": "m-42", "occurrence": 2, "accepted_at": row["accepted_at"],
        "accepted_wall_at": row["accepted_wall_at"],
    }  # fmt: skip
    assert datetime.fromisoformat(row["accepted_at"]) < datetime.fromisoformat("2026-05-13T00:00:00Z")
    assert abs(datetime.fromisoformat(row["accepted_wall_at"]) - datetime.now(UTC)) < timedelta(minutes=5)


LOST: list[tuple[str, Callable[[BaseException], bool]]] = [
    ("twilio_drop_after", lambda e: isinstance(e, http.ConnectionError)),
    ("twilio_500_after", lambda e: isinstance(e, TwilioException) and getattr(e, "status", 0) == 500),
]


@pytest.mark.parametrize(("fault", "looks_so"), LOST)
def test_an_answer_lost_after_acceptance_is_in_the_truth_and_in_the_list(
    sandbox: Any, twilio: Client, fault: str, looks_so: Callable[[BaseException], bool]
) -> None:
    sandbox.control.set_faults({fault: {"times": 1}})
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which class it is, is the test
        send(twilio, sandbox)
    assert looks_so(caught.value), repr(caught.value)
    assert len(sandbox.control.messages()) == 1
    assert [row.body for row in twilio.messages.list(to=TO)] == ["Hi Ana"]


def test_an_empty_201_raises_nothing_and_has_no_sid(sandbox: Any, twilio: Client) -> None:
    sandbox.control.set_faults({"twilio_empty_after": {"times": 1}})
    assert send(twilio, sandbox).sid is None
    assert len(sandbox.control.messages()) == 1


def test_a_hanging_create_was_accepted(sandbox: Any) -> None:
    client = client_of(sandbox)
    client.http_client.timeout = 0.3
    sandbox.control.set_faults({"twilio_hang_after": {"times": 1, "value": 1}})
    with pytest.raises(http.ReadTimeout):
        send(client, sandbox)
    assert len(sandbox.control.messages()) == 1


@pytest.mark.parametrize(("fault", "status", "code"), [("twilio_429", 429, 20429), ("twilio_500", 500, 20500)])
def test_what_is_refused_before_acceptance_is_not_in_the_truth(
    sandbox: Any, fault: str, status: int, code: int
) -> None:
    from twilio.http.http_client import TwilioHttpClient

    class Plain(TwilioHttpClient):
        """The SDK's own reading, without our 429."""

        def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
            return super().request(
                method, url.replace("https://api.twilio.com", f"{sandbox.url}/twilio"), *args, **options
            )

    config = sandbox.config
    client = Client(config.twilio_account_sid, config.twilio_auth_token, http_client=Plain(timeout=10))
    sandbox.control.set_faults({fault: {"times": 1}})
    with pytest.raises(TwilioRestException) as caught:
        send(client, sandbox)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert sandbox.control.messages() == []


def test_fates_are_scripted_by_number(sandbox: Any, twilio: Client) -> None:
    sandbox.call("outcomes", **{TO: {"create": 21635, "times": 1}, "+12815550102": {"later": 30003}})
    with pytest.raises(TwilioRestException) as caught:
        send(twilio, sandbox)
    assert caught.value.code == 21635
    assert send(twilio, sandbox).status == "accepted"
    sid = send(twilio, sandbox, to="+12815550102").sid
    found = sandbox.wait(lambda: (row := twilio.messages(sid).fetch()).status == "undelivered" and row)
    assert found.error_code == 30003
    answer = sandbox.http.post(f"{sandbox.url}/_control/outcomes", json={TO: {"crash": 1}})
    assert answer.status_code == 400
    assert "no such outcome: crash" in answer.json()["error"]


# templates and WhatsApp


VALUES = '{"1":"Ana","2":"automated assistant","3":"Bo Lee","4":"Demo Realty","5":"Still looking?"}'


def whatsapp(client: Client, sandbox: Any, to: str, **content: Any) -> str:
    message = client.messages.create(to=f"whatsapp:{to}", from_=sandbox.config.whatsapp_number, **content)
    return message.sid


@pytest.mark.parametrize(
    ("to", "has_template", "wrote_hours_ago", "status", "code"),
    [
        ("+447700900101", True, None, "read", None),
        ("+447700900101", False, None, "failed", 63016),
        ("+447700900101", False, 1, "read", None),
        ("+447700900101", False, 25, "failed", 63016),
        ("+12815550101", True, None, "failed", 63049),
        ("+12815550101", False, 1, "read", None),
        ("+14165550101", True, None, "read", None),
    ],
)
def test_whatsapp_needs_a_template_outside_24_hours_and_marketing_does_not_reach_the_us(
    sandbox: Any,
    twilio: Client,
    to: str,
    has_template: bool,
    wrote_hours_ago: int | None,
    status: str,
    code: int | None,
) -> None:
    if wrote_hours_ago is not None:
        sandbox.call("inbound", **{"channel": "whatsapp", "from": to, "body": "hi"})
        sandbox.control.jump(timedelta(hours=wrote_hours_ago))
    template = {"content_sid": sandbox.config.whatsapp_template_sid, "content_variables": VALUES}
    content = template if has_template else {"body": "hello"}
    sid = whatsapp(twilio, sandbox, to, **content)
    found = sandbox.wait(lambda: (row := twilio.messages(sid).fetch()).status == status and row)
    assert found.error_code == code


def test_a_template_is_rendered_with_its_variables(sandbox: Any, twilio: Client) -> None:
    sid = whatsapp(
        twilio, sandbox, "+447700900101", content_sid=sandbox.config.whatsapp_template_sid,
        content_variables=VALUES,
    )  # fmt: skip
    body = (
        "Hi Ana, this is the automated assistant for Bo Lee, Demo Realty, about your home inquiry. Still looking? "
        "Reply STOP to opt out."
    )
    assert twilio.messages(sid).fetch().body == body
    assert sandbox.control.messages()[0]["channel"] == "whatsapp"
    assert sandbox.control.messages()[0]["to"] == "+447700900101"


@pytest.mark.parametrize(
    "values",
    [
        None,
        '{"1":"Ana"}',
        "[]",
        VALUES.replace('"Demo Realty"', '""'),
        VALUES.replace('"Demo Realty"', "null"),
        VALUES.replace("Demo Realty", "Demo\\nRealty"),
        VALUES.replace("Demo Realty", "Demo     Realty"),
    ],
    ids=["none", "too few", "no object", "empty", "null", "line break", "run of spaces"],
)
def test_a_template_without_a_fit_value_for_each_variable_is_refused(
    sandbox: Any, twilio: Client, values: str | None
) -> None:
    given = {"content_variables": values} if values else {}
    with pytest.raises(TwilioRestException) as caught:
        whatsapp(twilio, sandbox, "+447700900101", content_sid=sandbox.config.whatsapp_template_sid, **given)
    assert (caught.value.status, caught.value.code) == (400, 21656)
    assert sandbox.control.messages() == []


def test_a_template_is_created_submitted_and_approved_a_while_later(sandbox: Any, twilio: Client) -> None:
    base, config = f"{sandbox.url}/twilio/v1/Content", sandbox.config
    auth = (config.twilio_account_sid, config.twilio_auth_token)
    body = {"friendly_name": "again_v1", "language": "en", "variables": {"1": "Ana"},
            "types": {"twilio/text": {"body": "Hi {{1}}, still looking?"}}}  # fmt: skip
    created = sandbox.http.post(base, json=body, auth=auth)
    assert created.status_code == 201
    sid = created.json()["sid"]
    assert re.fullmatch(r"HX[0-9a-f]{32}", sid)
    assert {"approval_create", "approval_fetch"} == set(created.json()["links"])
    assert approval(sandbox, sid, auth) == "unsubmitted"
    asked = sandbox.http.post(
        f"{base}/{sid}/ApprovalRequests/whatsapp", json={"name": "again_v1", "category": "UTILITY"}, auth=auth
    )
    assert (asked.status_code, asked.json()["status"]) == (201, "received")
    sid_sent = whatsapp(twilio, sandbox, "+12815550101", content_sid=sid)
    sandbox.wait(lambda: twilio.messages(sid_sent).fetch().error_code == 63016)
    sandbox.control.jump(timedelta(minutes=10))
    sandbox.wait(lambda: approval(sandbox, sid, auth) == "approved")
    # A utility template does reach the United States.
    sid_sent = whatsapp(twilio, sandbox, "+12815550101", content_sid=sid)
    sandbox.wait(lambda: twilio.messages(sid_sent).fetch().status == "read")


def approval(sandbox: Any, sid: str, auth: tuple[str, str]) -> str:
    answer = sandbox.http.get(f"{sandbox.url}/twilio/v1/Content/{sid}/ApprovalRequests", auth=auth)
    return answer.json()["whatsapp"]["status"]


def test_the_sdk_reads_templates_with_their_approvals(sandbox: Any, twilio: Client) -> None:
    (template,) = twilio.content.v1.contents.list()
    assert template.sid == sandbox.config.whatsapp_template_sid
    (both,) = twilio.content.v1.content_and_approvals.list()
    assert both.approval_requests["status"] == "approved"
    fetched = twilio.content.v1.contents(template.sid).approval_fetch().fetch()
    assert fetched.whatsapp["category"] == "MARKETING"
    with pytest.raises(TwilioRestException) as caught:
        twilio.content.v1.contents("HX" + "f" * 32).fetch()
    assert caught.value.code == 20404


def test_the_account_tells_its_numbers_service_and_campaign(sandbox: Any, twilio: Client) -> None:
    config = sandbox.config
    assert twilio.api.v2010.accounts(config.twilio_account_sid).fetch().status == "active"
    (number,) = twilio.incoming_phone_numbers.list(phone_number=config.sms_number)
    assert number.sms_url == f"{config.gateway_url}/twilio/inbound"
    service = twilio.messaging.v1.services(config.twilio_messaging_service_sid)
    assert service.fetch().inbound_request_url == f"{config.gateway_url}/twilio/inbound"
    assert [each.phone_number for each in service.phone_numbers.list()] == [config.sms_number]
    assert service.us_app_to_person.list()[0].campaign_status == "VERIFIED"
