"""The official SDKs against a server that misbehaves: what each call certainly did (messaging sheet 7)."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from leadpipe.clock import FixedClock
from leadpipe.messaging import content_template
from leadpipe.messaging.channels import aws, twilio_api, twilio_pooled
from leadpipe.messaging.channels.base import Channel, PooledChannel, SendRequest, SendResult
from leadpipe.messaging.channels.build import build_channels
from leadpipe.messaging.links import read_token
from leadpipe.settings import Settings

SID = "SM" + "a" * 32
SHORT = 0.4
WIRE = st.characters(exclude_categories=["Cs"])


@dataclass
class Provider:
    """A local server: the next answer, and every request it was sent."""

    url: str = ""
    status: int = 201
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    behaviour: str = "answer"
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list[Any])

    def answer(self, status: int, body: Any = b"", **headers: str) -> None:
        """Answer so from now on."""
        self.status, self.behaviour = status, "answer"
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture(scope="module")
def provider() -> Generator[Provider]:
    told = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.requests.append((self.command, self.path, dict(self.headers), body))
            if told.behaviour == "hang up":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if told.behaviour == "be slow":
                time.sleep(SHORT * 3)
                return
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body[: len(told.body) // 2] if told.behaviour == "cut" else told.body)
            if told.behaviour == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def team(provider: Provider) -> Settings:
    """Settings whose providers are all that one server."""
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        brokerage_name="Demo Realty",
        email_from="Demo Realty <hello@demo-realty.example>",
        reply_domain="in.demo-realty.example",
        unsubscribe_secret=SecretStr("test-unsubscribe-secret"),
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token=SecretStr("t"),
        twilio_base_url=provider.url,
        sms_number="+15125550100",
        whatsapp_number="whatsapp:+15125550101",
        whatsapp_template_sid="HX" + "0" * 32,
        ses_endpoint_url=provider.url,
        sns_endpoint_url=provider.url,
        aws_access_key_id="k",
        aws_secret_access_key=SecretStr("s"),
    )


@dataclass
class Pooled:
    """A channel on kept connections, asked as the others are: each call in a pool of its own."""

    channel: PooledChannel

    @property
    def provider(self) -> str:
        return self.channel.provider

    def send(self, request: SendRequest) -> SendResult:
        async def once() -> SendResult:
            async with self.channel.pooled(2) as send:
                return await send(request)

        return asyncio.run(once())


def pooled(channel: Channel) -> Pooled:
    assert isinstance(channel, PooledChannel)
    return Pooled(channel)


@pytest.fixture(scope="module")
def built(team: Settings) -> Generator[dict[str, Channel]]:
    """The channels under test: email by SES, sms and whatsapp by Twilio (also pooled), sns by Amazon SNS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twilio_api, "TIMEOUT_SECONDS", SHORT)
        patch.setattr(aws, "READ_TIMEOUT_SECONDS", SHORT)
        channels = build_channels(team)
        channels["sns"] = build_channels(team.model_copy(update={"sms_provider": "sns"}))["sms"]
        channels["pooled sms"] = pooled(channels["sms"])
        channels["pooled whatsapp"] = pooled(channels["whatsapp"])
        yield channels


TEMPLATE_VALUES = content_template.numbered(["Ana", "assistant", "Bo Lee", "Demo Realty", "Still looking?"])
TEMPLATED = content_template.filled(content_template.THE_ONE, TEMPLATE_VALUES)


def request_for(channel: str, **more: Any) -> SendRequest:
    channel = channel.removeprefix("pooled ")
    values: dict[str, Any] = {
        "message_id": "11111111-2222-3333-4444-555555555555",
        "channel": "sms" if channel == "sns" else channel,
        "contact_point_id": 7,
        "to": "ana@example.com" if channel == "email" else "+15125550123",
        "subject": "Still looking?" if channel == "email" else "",
        "body": "Hi Ana.\n\nUnsubscribe: %%unsubscribe_url%%",
        "plan": "new_lead",
        "step": "welcome",
        "occurrence": 2,
        "purpose": "marketing",
    }
    if channel == "whatsapp":
        values |= {"body": TEMPLATED, "variables": {"content_variables": TEMPLATE_VALUES}}
    return SendRequest(**(values | more))


TWILIO_OK = {
    "sid": SID, "status": "queued", "body": "Hi", "to": "+15125550123", "from": None, "direction": "outbound-api",
    "error_code": None, "error_message": None, "num_media": "0", "num_segments": "1", "price": None, "price_unit": None,
    "date_created": "Thu, 24 Aug 2023 05:01:45 +0000", "date_sent": None, "date_updated": None, "uri": "/x",
    "account_sid": "AC", "api_version": "2010-04-01", "messaging_service_sid": None, "subresource_uris": {},
}  # fmt: skip
SNS_OK = (
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m-1</MessageId>'
    b"</PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>"
)
ACCEPTED = {
    "sms": ((201, TWILIO_OK), SID),
    "whatsapp": ((201, TWILIO_OK), SID),
    "email": ((200, {"MessageId": "0100-abc"}), "0100-abc"),
    "sns": ((200, SNS_OK), "m-1"),
    "pooled sms": ((201, TWILIO_OK), SID),
    "pooled whatsapp": ((201, TWILIO_OK), SID),
}


def accept(provider: Provider, channel: str) -> None:
    (status, body), _ = ACCEPTED[channel]
    provider.answer(status, body)


@pytest.mark.parametrize("channel", ACCEPTED)
def test_an_accepted_call_is_one_request_and_gives_the_providers_id(
    provider: Provider, built: dict[str, Channel], channel: str
) -> None:
    accept(provider, channel)
    before = len(provider.requests)
    assert built[channel].send(request_for(channel)) == SendResult.accepted(ACCEPTED[channel][1])
    assert len(provider.requests) == before + 1


def twilio_error(status: int, code: int) -> tuple[int, Any]:
    return status, {"code": code, "message": "no", "more_info": "", "status": status}


def ses_error(status: int, name: str) -> tuple[int, Any, dict[str, str]]:
    return status, {"message": "no"}, {"x_amzn_errortype": name}


def sns_error(status: int, code: str) -> tuple[int, bytes]:
    return status, (
        b'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>'
        + code.encode()
        + b"</Code><Message>no</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )


ANSWERS: list[tuple[str, str, Any, str]] = [
    # channel, what happened, the answer, outcome and code
    ("sms", "refused number", twilio_error(400, 21211), "refused 21211"),
    ("sms", "opted out", twilio_error(400, 21610), "refused 21610"),
    ("sms", "a code nobody knows", twilio_error(400, 29999), "refused 29999"),
    ("sms", "wrong sender", twilio_error(400, 21606), "person 21606"),
    ("sms", "wrong key", twilio_error(401, 20003), "person 20003"),
    ("sms", "not allowed", twilio_error(403, 20403), "person 20403"),
    ("sms", "queue full", twilio_error(400, 21611), "not_sent 21611"),
    ("sms", "too many requests", twilio_error(429, 20429), "not_sent 20429"),
    ("sms", "internal error", twilio_error(500, 20500), "unknown 20500"),
    ("sms", "bad gateway, no JSON", (502, b"<html>"), "unknown 502"),
    ("sms", "sent elsewhere", (302, b"", {"Location": "https://example.com/"}), "person 302"),
    ("sms", "taken, unreadable", (201, b"{nonsense"), "unknown JSONDecodeError"),
    ("sms", "taken, empty", (201, {}), "unknown no_sid"),
    ("sms", "taken, a sid that is none", (201, TWILIO_OK | {"sid": "MG1"}), "unknown no_sid"),
    ("whatsapp", "internal error", twilio_error(503, 20500), "unknown 20500"),
    ("whatsapp", "opted out", twilio_error(400, 63014), "refused 63014"),
    ("email", "rejected", ses_error(400, "MessageRejected"), "refused MessageRejected"),
    ("email", "our bug", ses_error(400, "BadRequestException"), "refused BadRequestException"),
    ("email", "send rate", ses_error(429, "TooManyRequestsException"), "not_sent TooManyRequestsException"),
    ("email", "daily quota", ses_error(400, "LimitExceededException"), "not_sent LimitExceededException"),
    ("email", "paused", ses_error(400, "SendingPausedException"), "person SendingPausedException"),
    ("email", "no such set", ses_error(404, "NotFoundException"), "person NotFoundException"),
    ("email", "wrong key", ses_error(403, "InvalidClientTokenId"), "person InvalidClientTokenId"),
    ("email", "internal error", ses_error(500, "InternalServiceError"), "unknown InternalServiceError"),
    ("email", "bad gateway, no JSON", (502, b"<html>"), "unknown 502"),
    ("email", "taken, empty", (200, b""), "unknown no_message_id"),
    ("email", "taken, unreadable", (200, b"{nonsense"), "unknown no_message_id"),
    ("sns", "refused number", sns_error(400, "InvalidParameter"), "refused InvalidParameter"),
    ("sns", "throttled", sns_error(400, "Throttling"), "not_sent Throttling"),
    ("sns", "not allowed", sns_error(403, "AuthorizationError"), "person AuthorizationError"),
    ("sns", "internal error", sns_error(500, "InternalError"), "unknown InternalError"),
    ("sns", "taken, unreadable", (200, b"<PublishResponse"), "unknown ResponseParserError"),
]  # fmt: skip
ANSWERS += [(f"pooled {channel}", *rest) for channel, *rest in ANSWERS if channel in {"sms", "whatsapp"}]


@pytest.mark.parametrize(
    ("channel", "answer", "expected"), [pytest.param(c, a, e, id=f"{c}: {what}") for c, what, a, e in ANSWERS]
)
def test_an_answer_says_what_certainly_happened(
    provider: Provider, built: dict[str, Channel], channel: str, answer: tuple[Any, ...], expected: str
) -> None:
    provider.answer(*answer[:2], **(answer[2] if len(answer) > 2 else {}))
    before = len(provider.requests)
    result = built[channel].send(request_for(channel))
    outcome = "person" if result.needs_person else str(result.outcome)
    assert f"{outcome} {result.code}" == expected
    # A person's matter is certainly not sent, or it could never be tried again.
    assert not result.needs_person or result.outcome == "not_sent"
    assert len(provider.requests) == before + 1


LOST: list[tuple[str, str, str]] = [
    ("hang up", "sms", "ConnectionError"),
    ("hang up", "email", "ConnectionClosedError"),
    ("hang up", "sns", "ConnectionClosedError"),
    ("be slow", "sms", "ReadTimeout"),
    ("be slow", "email", "ReadTimeoutError"),
    ("be slow", "sns", "ReadTimeoutError"),
    ("cut", "sms", "ChunkedEncodingError"),
    ("cut", "email", "no_message_id"),
    ("cut", "sns", "ResponseParserError"),
    ("hang up", "pooled sms", "ServerDisconnectedError"),
    ("cut", "pooled sms", "ClientPayloadError"),
]


@pytest.mark.parametrize(("behaviour", "channel", "code"), LOST, ids=lambda value: value)
def test_an_answer_that_is_lost_leaves_the_message_unknown_after_one_request(
    provider: Provider, built: dict[str, Channel], behaviour: str, channel: str, code: str
) -> None:
    accept(provider, channel)
    provider.behaviour = behaviour
    before = len(provider.requests)
    assert built[channel].send(request_for(channel)) == SendResult.unknown(code)
    assert len(provider.requests) == before + 1


@pytest.mark.parametrize("channel", ACCEPTED)
def test_where_nobody_listens_nothing_was_sent(team: Settings, channel: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        settings = team.model_copy(
            update={
                "twilio_base_url": url,
                "ses_endpoint_url": url,
                "sns_endpoint_url": url,
                "sms_provider": "sns" if channel == "sns" else "twilio",
            }
        )
        name = "sms" if channel == "sns" else channel.removeprefix("pooled ")
        found = build_channels(settings)[name]
        result = (pooled(found) if channel.startswith("pooled") else found).send(request_for(channel))
    assert (str(result.outcome), result.needs_person) == ("not_sent", False)


@pytest.mark.parametrize(
    ("waits", "seconds"), [("7", 7.0), (None, 0.0), ("not a number", 0.0)], ids=["seconds", "absent", "unreadable"]
)
@pytest.mark.parametrize("channel", ["sms", "pooled sms"])
def test_twilio_is_given_the_time_it_asks_for(
    provider: Provider, built: dict[str, Channel], channel: str, waits: str | None, seconds: float
) -> None:
    status, body = twilio_error(429, 20429)
    provider.answer(status, body, **({"Retry_After": waits} if waits else {}))
    result = built[channel].send(request_for(channel))
    assert (str(result.outcome), result.retry_after_seconds) == ("not_sent", seconds)


@pytest.mark.parametrize("channel", ["sms", "pooled sms"])
def test_a_text_carries_our_id_in_its_callback_and_the_words_as_they_stand(
    provider: Provider, built: dict[str, Channel], channel: str
) -> None:
    accept(provider, channel)
    built[channel].send(request_for(channel, body="Hi – “Ana”"))
    _, path, headers, body = provider.requests[-1]
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    assert path == f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json"
    assert headers["Authorization"].startswith("Basic ")
    assert (form["To"], form["From"], form["Body"]) == ("+15125550123", "+15125550100", "Hi – “Ana”")
    assert form["SmartEncoded"].lower() == "false"
    callback = urlsplit(form["StatusCallback"])
    assert parse_qs(callback.query) == {
        "mid": ["11111111-2222-3333-4444-555555555555"],
        "plan": ["new_lead"],
        "step": ["welcome"],
        "occ": ["2"],
    }
    assert "rp=all" in callback.fragment


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(WIRE), max_size=5))
@example(
    {"Body": "50% off & more; a=b + c? #1\r\n“Ünïcode” 👋", "StatusCallback": "https://h.example/s?mid=1&a=%20#rc=3"}
)
def test_a_form_says_what_was_put_into_it(values: dict[str, str]) -> None:
    form = twilio_api.form_of(values)
    assert form.isascii() and ";" not in form and "#" not in form
    assert dict(parse_qsl(form, keep_blank_values=True, strict_parsing=bool(values))) == values


@dataclass
class Keeper:
    """A provider that keeps connections open, or closes them after an answer: what came on which connection."""

    url: str = ""
    closes_after_answer: bool = False
    hangs_up_at: int = -1
    came: list[int] = field(default_factory=list[int])
    count_connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection, self.count_connections = self.count_connections, self.count_connections + 1
        answer = json.dumps(TWILIO_OK).encode()
        head = f"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                length = request.lower().split(b"content-length:")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                self.came.append(connection)
                if len(self.came) - 1 == self.hangs_up_at:
                    break
                writer.write(head.encode() + answer)
                await writer.drain()
                if self.closes_after_answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()


def send_in_one_pool(team: Settings, keeper: Keeper, count: int) -> list[SendResult]:
    """Results of so many texts, one after the other, with a breath between them."""

    async def go() -> list[SendResult]:
        async with await asyncio.start_server(keeper.serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            channel = build_channels(team.model_copy(update={"twilio_base_url": url}))["sms"]
            assert isinstance(channel, PooledChannel)
            found: list[SendResult] = []
            async with channel.pooled(2) as send:
                for _ in range(count):
                    found.append(await send(request_for("sms")))
                    await asyncio.sleep(0.05)
            return found

    return asyncio.run(go())


def test_a_pool_uses_a_connection_again_while_it_is_fresh(team: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper()
    assert send_in_one_pool(team, keeper, 3) == [SendResult.accepted(SID)] * 3
    assert keeper.came == [0, 0, 0]
    monkeypatch.setattr(twilio_pooled, "KEPT_SECONDS", 0.01)
    idle = Keeper()
    assert send_in_one_pool(team, idle, 3) == [SendResult.accepted(SID)] * 3
    assert idle.came == [0, 1, 2]


def test_a_connection_that_was_closed_meanwhile_is_not_used(team: Settings) -> None:
    keeper = Keeper(closes_after_answer=True)
    assert send_in_one_pool(team, keeper, 3) == [SendResult.accepted(SID)] * 3
    assert keeper.came == [0, 1, 2]


def test_a_kept_connection_that_breaks_under_a_call_leaves_it_unknown_after_one_request(team: Settings) -> None:
    keeper = Keeper(hangs_up_at=1)
    results = send_in_one_pool(team, keeper, 3)
    assert results == [
        SendResult.accepted(SID), SendResult.unknown("ServerDisconnectedError"), SendResult.accepted(SID)
    ]  # fmt: skip
    assert keeper.came == [0, 0, 1]


def test_whatsapp_sends_free_words_in_session_and_the_template_outside(
    provider: Provider, built: dict[str, Channel], team: Settings
) -> None:
    accept(provider, "whatsapp")
    built["whatsapp"].send(request_for("whatsapp", is_in_session=True, body="Hi"))
    inside = parse_qs(provider.requests[-1][3].decode())
    built["whatsapp"].send(request_for("whatsapp"))
    outside = parse_qs(provider.requests[-1][3].decode())
    assert (inside["To"], inside["From"]) == (["whatsapp:+15125550123"], ["whatsapp:+15125550101"])
    assert inside["Body"] == ["Hi"] and "ContentSid" not in inside
    assert outside["ContentSid"] == ["HX" + "0" * 32] and "Body" not in outside
    assert json.loads(outside["ContentVariables"][0]) == TEMPLATE_VALUES
    without = build_channels(team.model_copy(update={"whatsapp_template_sid": ""}))
    before = len(provider.requests)
    assert without["whatsapp"].send(request_for("whatsapp")) == SendResult.refused("wa_template_required")
    for other in (
        request_for("whatsapp", variables={"first_name": "Ana"}),
        request_for("whatsapp", body=TEMPLATED + "!"),
        request_for("whatsapp", variables={"content_variables": TEMPLATE_VALUES | {"4": ""}}),
    ):
        assert built["whatsapp"].send(other) == SendResult.refused("wa_template_required")
    assert len(provider.requests) == before


def test_an_email_carries_one_click_headers_its_tags_and_both_parts(
    provider: Provider, built: dict[str, Channel], team: Settings
) -> None:
    accept(provider, "email")
    built["email"].send(request_for("email", in_reply_to="<abc@example.com>"))
    _, path, _, raw = provider.requests[-1]
    sent = json.loads(raw)
    assert path == "/v2/email/outbound-emails"
    assert sent["Destination"] == {"ToAddresses": ["ana@example.com"]}
    headers = {header["Name"]: header["Value"] for header in sent["Content"]["Simple"]["Headers"]}
    link = headers["List-Unsubscribe"].split(">")[0].lstrip("<")
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    named = read_token(team, link.rsplit("/", 1)[1])
    assert (named.contact_point_id, named.message_id) == (7, "11111111-2222-3333-4444-555555555555")
    assert headers["In-Reply-To"] == "<abc@example.com>"
    words = sent["Content"]["Simple"]["Body"]
    assert words["Text"]["Data"] == f"Hi Ana.\n\nUnsubscribe: {link}"
    assert link in words["Html"]["Data"] and "%%" not in raw.decode()
    assert {tag["Name"]: tag["Value"] for tag in sent["EmailTags"]} == {
        "leadpipe_mid": "11111111-2222-3333-4444-555555555555",
        "leadpipe_plan": "new_lead",
        "leadpipe_step": "welcome",
        "leadpipe_occ": "2",
    }
    assert sent["ReplyToAddresses"] == ["reply+11111111-2222-3333-4444-555555555555@in.demo-realty.example"]
    assert sent["ConfigurationSetName"] == "leadpipe"


def test_sns_marks_what_is_promotional(provider: Provider, built: dict[str, Channel]) -> None:
    accept(provider, "sns")
    kinds: list[str] = []
    for purpose in ("marketing", "conversation"):
        built["sns"].send(request_for("sns", purpose=purpose))
        form = parse_qs(provider.requests[-1][3].decode())
        kinds.append(form["MessageAttributes.entry.1.Value.StringValue"][0])
        assert form["PhoneNumber"] == ["+15125550123"]
    assert kinds == ["Promotional", "Transactional"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"email", "sms", "whatsapp"}),
        ({"email_from": ""}, {"sms", "whatsapp"}),
        ({"sms_number": ""}, {"email", "whatsapp"}),
        ({"sms_number": "", "twilio_messaging_service_sid": "MG1"}, {"email", "sms", "whatsapp"}),
        ({"whatsapp_number": ""}, {"email", "sms"}),
        ({"twilio_account_sid": ""}, {"email"}),
        ({"twilio_account_sid": "", "sms_provider": "sns"}, {"email", "sms"}),
    ],
    ids=["all", "no sender", "no number", "a service instead", "no WhatsApp", "no Twilio", "SNS instead"],
)
def test_a_channel_exists_when_its_settings_do(team: Settings, changes: dict[str, str], expected: set[str]) -> None:
    assert set(build_channels(team.model_copy(update=changes))) == expected


def test_retry_after_may_be_a_date(provider: Provider, built: dict[str, Channel], clock: FixedClock) -> None:
    status, body = twilio_error(429, 20429)
    provider.answer(status, body, Retry_After=format_datetime(clock.now(), usegmt=True))
    # A date that is past asks for no wait.
    assert built["sms"].send(request_for("sms")).retry_after_seconds == 0.0


def test_a_link_that_was_changed_on_its_way_is_none_of_ours(team: Settings) -> None:
    from leadpipe.errors import BadRecord, ConfigurationError
    from leadpipe.messaging.links import make_token

    token = make_token(team, 7, "m")
    assert make_token(team, 7, "m") == token
    other = team.model_copy(update={"unsubscribe_secret": SecretStr("other")})
    reads: list[Callable[[], object]] = [
        lambda: read_token(team, token[:-2] + ("aa" if not token.endswith("aa") else "bb")),
        lambda: read_token(other, token),
        lambda: read_token(team, ""),
    ]
    for read in reads:
        with pytest.raises(BadRecord):
            read()
    with pytest.raises(ConfigurationError, match="LEADPIPE_UNSUBSCRIBE_SECRET"):
        make_token(team.model_copy(update={"unsubscribe_secret": SecretStr("")}), 7)
