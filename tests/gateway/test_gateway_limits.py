"""How much, how slowly and how often anybody may call the gateway, and what they learn from being refused."""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
import time
from collections.abc import Generator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from leadpipe.gateway import callers as who
from leadpipe.gateway import rates
from leadpipe.gateway.app import create_app
from leadpipe.gateway.callers import address_of, caller_of
from leadpipe.gateway.limits import Intake, Limits
from leadpipe.gateway.rates import Window
from leadpipe.runtime import Runtime
from tests.gateway.conftest import FUB_TOKEN, SYSTEM_KEY, Amazon, Callers, Ledger, fub_signature
from tests.gateway.serving import free_socket, served

STRANGER, OTHER = "8.8.8.8", "1.1.1.1"


def walled(**limits: Any) -> Starlette:
    """An application that answers what the path's last part says, once it has read the whole body."""

    async def answer(request: Request) -> JSONResponse:
        count = len(await request.body())
        return JSONResponse({"read": count}, int(request.path_params["status"]))

    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    app = Starlette(
        routes=[Route("/{caller}/{status}", answer, methods=["GET", "POST"])],
        exception_handlers={HTTPException: refused},
    )
    app.add_middleware(Intake, limits=Limits(**limits))
    return app


def calling(app: Any, address: str = "testclient") -> TestClient:
    return TestClient(app, client=(address, 50_000))


# how much


@pytest.mark.parametrize("first_part", ["fub", "twilio", "ses", "u", "elsewhere"])
def test_a_body_of_the_callers_limit_is_read_and_one_byte_more_is_413(first_part: str) -> None:
    http, most = calling(walled()), caller_of(f"/{first_part}/200").max_bytes
    assert http.post(f"/{first_part}/200", content=b"x" * most).json() == {"read": most}
    announced = http.post(f"/{first_part}/200", content=b"x" * (most + 1))
    unannounced = http.post(f"/{first_part}/200", content=iter([b"x" * most, b"x"]))
    assert [answer.status_code for answer in (announced, unannounced)] == [413, 413]
    assert announced.headers["Connection"] == unannounced.headers["Connection"] == "close"


def test_the_teams_own_limit_counts_where_it_is_smaller() -> None:
    http = calling(walled(max_body_bytes=5_000))
    assert http.post("/fub/200", content=b"x" * 5_001).status_code == 413


def test_of_a_body_without_an_end_no_more_is_asked_for_than_the_limit() -> None:
    asked, answers = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 1_000, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": "/u/200", "headers": [], "query_string": b"", "client": None}
    asyncio.run(walled()(scope, receive, send))  # pyright: ignore[reportArgumentType]
    assert answers[0]["status"] == 413
    assert asked == who.LEADS.max_bytes // 1_000 + 1


# how slowly


@pytest.fixture(scope="module")
def slow_host() -> Generator[str]:
    """A real server that waits half a second for a body."""
    with served(walled(body_seconds=0.5), free_socket()) as url:
        yield url


@pytest.mark.parametrize(("first_part", "status"), [("fub", 408), ("twilio", 408), ("ses", 503)])
def test_a_body_that_does_not_come_whole_is_given_up_in_time_and_the_line_is_closed(
    slow_host: str, first_part: str, status: int
) -> None:
    port = int(slow_host.rpartition(":")[2])
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(f"POST /{first_part}/200 HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n".encode())
        for _ in range(3):  # a byte now and then does not buy more time
            line.sendall(b"x")
            time.sleep(0.1)
        answer = b""
        while received := line.recv(4096):
            answer += received
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert 0.3 < time.monotonic() - begun < 5


def test_while_one_body_dawdles_others_are_served(slow_host: str) -> None:
    port = int(slow_host.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"POST /fub/200 HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nx")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as quick:
            quick.sendall(b"POST /fub/200 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            assert quick.recv(4096).startswith(b"HTTP/1.1 200 ")


# how often


def test_genuine_calls_over_the_rate_come_again_and_other_callers_are_not_touched() -> None:
    app = walled(calls_per_second=3)
    http = calling(app)
    http.get("/healthz/200")
    _stand_still(app)
    assert [http.post("/fub/200").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert http.post("/fub/401").status_code == 429  # before anything is looked at
    assert http.post("/twilio/200").status_code == 200


@pytest.mark.parametrize(("first_part", "status"), [("fub", 429), ("twilio", 429), ("u", 429), ("ses", 503)])
def test_what_is_over_the_rate_is_told_when_to_come_again_unread(first_part: str, status: int) -> None:
    app = walled(calls_per_second=1)
    http = calling(app)
    assert http.post(f"/{first_part}/200").status_code == 200
    _stand_still(app)
    answer = http.post(f"/{first_part}/200", content=b"x")
    assert (answer.status_code, answer.json()) == (status, {"error": "too many requests"})
    assert int(answer.headers["Retry-After"]) >= 1


def test_health_checks_are_never_too_many() -> None:
    app = walled(calls_per_second=1)
    http = calling(app)
    http.get("/healthz/200")
    _stand_still(app)
    assert [http.get("/healthz/200").status_code for _ in range(3)] == [200] * 3


def test_an_address_that_is_refused_too_often_is_not_listened_to_any_more() -> None:
    app = walled(refusals_per_minute=3)
    stranger, other = calling(app, STRANGER), calling(app, OTHER)
    assert [stranger.post("/fub/401").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert stranger.post("/twilio/200", content=b"x").status_code == 429
    assert int(stranger.post("/fub/401").headers["Retry-After"]) <= 60
    assert other.post("/fub/200").status_code == 200


def test_where_nobody_says_who_calls_genuine_calls_pass_and_refused_ones_learn_nothing() -> None:
    http = calling(walled(refusals_per_minute=3), "127.0.0.1")
    assert [http.post("/fub/404").status_code for _ in range(5)] == [404, 404, 404, 429, 429]
    assert http.post("/fub/200").status_code == 200


def test_a_trusted_proxy_says_who_calls_and_nobody_else_does() -> None:
    app = ProxyHeadersMiddleware(walled(refusals_per_minute=1), ["127.0.0.1"])  # pyright: ignore[reportArgumentType]
    proxy, liar = calling(app, "127.0.0.1"), calling(app, OTHER)
    named = {"X-Forwarded-For": f"{OTHER}, {STRANGER}"}  # the last one is the proxy's own word
    assert [proxy.post("/fub/401", headers=named).status_code for _ in range(2)] == [401, 429]
    assert proxy.post("/fub/200", headers={"X-Forwarded-For": OTHER}).status_code == 200
    assert [liar.post("/fub/401", headers={"X-Forwarded-For": f"9.9.9.{n}"}).status_code for n in range(2)] == [
        401,
        429,
    ]


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("2606:4700::1:2", "2606:4700::/64"),
        ("2606:4700::9:9", "2606:4700::/64"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("10.1.2.3", ""),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_public_addresses_tell_callers_apart(host: str, known: str) -> None:
    assert address_of({"client": (host, 1)}) == known
    assert address_of({"client": None}) == ""


def test_a_window_begins_anew_and_forgets_whom_it_counted() -> None:
    now = 100.0
    window = Window(1, 60.0, monotonic=lambda: now)
    window.add("a")
    assert window.is_full("a")
    assert window.seconds_left() == 60
    now = 159.9
    assert window.is_full("a")
    now = 160.0
    assert not window.is_full("a")
    assert not Window(0, 60.0).is_full("a")


def test_more_addresses_than_can_be_told_apart_share_one_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_KEYS", 2)
    window = Window(1, 60.0)
    for key in "abcde":
        window.add(key)
    assert [window.is_full(key) for key in ("a", "b", "c", "")] == [True, True, False, True]


@pytest.mark.parametrize("status", [406, 410])
def test_no_answer_makes_follow_up_boss_delete_its_webhook(status: int) -> None:
    assert calling(walled()).post(f"/fub/{status}").status_code == 400


# the gateway as it is


@pytest.fixture
def strict(runtime: Runtime, amazon: Amazon) -> Generator[Callers]:
    """Callers of a gateway that refuses twice a minute."""
    runtime.settings = runtime.settings.model_copy(update={"gateway_refusals_per_minute": 2})
    with TestClient(create_app(runtime, fetch=amazon.fetch), raise_server_exceptions=False) as http:
        yield Callers(http, amazon)


def test_guessing_ends_at_429_while_a_genuine_notification_is_stored_and_a_repeat_is_dropped(
    strict: Callers, ledger: Ledger
) -> None:
    body = json.dumps({"event": "peopleUpdated", "eventId": "e1", "resourceIds": [1]}).encode()
    guessed = [strict.fub(body, key="wrong").status_code for _ in range(3)]
    assert guessed == [401, 401, 429]
    assert [strict.fub(body).status_code for _ in range(2)] == [200, 200]
    assert [row[:2] for row in ledger.inbox()] == [("fub", "peopleUpdated")]


def test_refusals_tell_neither_which_check_failed_nor_which_topic_is_ours(callers: Callers) -> None:
    envelope = callers.amazon.envelope({"mail": {"messageId": "1"}, "eventType": "Send"})
    wrong_topic = callers.sns({**envelope, "TopicArn": "arn:aws:sns:us-east-1:1:other"})
    changed = callers.sns({**envelope, "Message": "{}"})
    assert {(answer.status_code, answer.text) for answer in (wrong_topic, changed)} == {
        (401, '{"error":"bad signature"}')
    }
    assert callers.http.post(f"/fub/{FUB_TOKEN[:-1]}x").json() == {"error": "not found"}


def test_signatures_and_tokens_are_compared_in_constant_time(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def watched(one: Any, other: Any) -> bool:
        compared.append(other if isinstance(other, bytes) else str(other).encode())
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    body = b'{"event": "peopleUpdated", "eventId": "e9"}'
    signature = fub_signature(body, SYSTEM_KEY)
    callers.fub(body)
    assert signature.encode() in compared
    assert FUB_TOKEN.encode() in compared
    compared.clear()
    callers.text("hello")
    assert len(compared) == 2  # with the port and without it, whatever the first said


def _stand_still(app: Starlette) -> None:
    """No window of the running application ends any more."""
    for window in _intake(app).__dict__.values():
        if isinstance(window, Window):
            window._ends_at = float("inf")
            window.seconds_left = lambda: 1  # pyright: ignore[reportAttributeAccessIssue]


def _intake(app: Starlette) -> Intake:
    found: Any = app.middleware_stack
    while not isinstance(found, Intake):
        found = found.app
    return found
