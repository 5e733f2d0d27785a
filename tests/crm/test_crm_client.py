"""The HTTP client at its transport: paging, limits, errors, secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from leadpipe.crm.client import RATE_LIMIT_ATTEMPTS, READ_ATTEMPTS, FubClient, rows_of
from leadpipe.crm.ratelimit import LIMITS, WINDOW_SECONDS, RateLimiter, context_of, retry_after_seconds
from leadpipe.errors import AmbiguousError, ConfigurationError, RateLimited, Rejected, TransientError
from leadpipe.store.rate_budget import OwnBudget

KEY, SYSTEM_KEY = "fka_do_not_print_me", "system-key-do-not-print"
Answer = httpx.Response | Exception
Row = dict[str, Any]


class Wire:
    """A transport that gives the answers in turn and remembers the requests."""

    def __init__(self, *answers: Answer | Callable[[httpx.Request], httpx.Response]) -> None:
        self._answers: Iterator[Any] = iter(answers)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def client(self) -> FubClient:
        return FubClient(
            base_url="https://crm.example/v1",
            api_key=KEY,
            system="leadpipe",
            system_key=SYSTEM_KEY,
            transport=httpx.MockTransport(self),
            limiter=RateLimiter(
                OwnBudget(LIMITS, window_seconds=WINDOW_SECONDS, now=lambda: sum(self.slept)), sleep=self.slept.append
            ),
            sleep=self.slept.append,
        )


def page(rows: list[Row], token: str | None, *, collection: str = "people", **extra: Any) -> httpx.Response:
    body = {"_metadata": {"collection": collection, "next": token, **extra}, collection: rows}
    return httpx.Response(200, json=body)


def ids_of(pages: Iterator[list[Row]]) -> list[int]:
    return [row["id"] for each in pages for row in each]


# paging


def test_paging_ends_where_next_is_null_and_not_before() -> None:
    wire = Wire(page([{"id": 3}], "a", total="1"), page([], "b"), page([{"id": 1}], None, total=99))
    assert ids_of(wire.client().pages("people")) == [3, 1]
    assert [request.url.params.get("next") for request in wire.requests] == [None, "a", "b"]


def test_paging_ends_where_next_is_missing() -> None:
    wire = Wire(httpx.Response(200, json={"_metadata": {"collection": "people"}, "people": [{"id": 1}]}))
    assert ids_of(wire.client().pages("people")) == [1]


def test_a_foreign_next_link_never_sees_our_credentials() -> None:
    wire = Wire(page([{"id": 2}], "a", nextLink="https://elsewhere.example/v1/people?next=a"), page([{"id": 1}], None))
    assert ids_of(wire.client().pages("people", {"fields": "allFields"})) == [2, 1]
    assert {request.url.host for request in wire.requests} == {"crm.example"}
    assert all(request.url.params["fields"] == "allFields" for request in wire.requests)
    assert all(request.url.params["limit"] == "100" for request in wire.requests)


@pytest.mark.parametrize(
    "answer",
    [
        {"_metadata": {"collection": "textmessages"}, "textmessages": [{"id": 1}]},
        {"_metadata": {}, "actionPlans": [{"id": 1}]},
        {"people": [{"id": 1}]},
    ],
    ids=["lower-cased key", "collection not named", "no metadata"],
)
def test_the_array_is_found_whatever_its_key_is_called(answer: Row) -> None:
    assert rows_of(answer, "people") == [{"id": 1}]


def test_an_answer_without_a_list_is_an_error_and_not_empty() -> None:
    with pytest.raises(TransientError, match="no list"):
        rows_of({"_metadata": {"collection": "people"}, "errorMessage": "try later"}, "people")


def test_people_by_id_are_asked_for_in_hundreds_with_all_fields_and_trash() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return page([{"id": int(value)} for value in request.url.params["id"].split(",")], None)

    wire = Wire(*[answer] * 3)
    assert [row["id"] for row in wire.client().people([*range(1, 251), 7])] == list(range(1, 251))
    query = wire.requests[0].url.params
    assert (query["fields"], query["includeTrash"], query["includeUnclaimed"]) == ("allFields", "true", "true")


def test_rows_nobody_asked_for_are_dropped_since_unknown_filters_are_ignored_silently() -> None:
    wire = Wire(page([{"id": 1}, {"id": 2}, {"id": 3}], None))
    assert [row["id"] for row in wire.client().people([2])] == [2]


def test_a_record_that_is_gone_is_none_and_a_wrong_record_is_an_error() -> None:
    gone = Wire(httpx.Response(404, json={"errorMessage": "Requested resource was not found."}))
    assert gone.client().find("people", 5) is None
    other = Wire(httpx.Response(200, json={"id": 6}))
    with pytest.raises(Rejected, match="another record"):
        other.client().find("people", 5)


def test_many_new_records_cost_one_request_and_what_the_newest_pages_lack_is_asked_for_alone() -> None:
    def rows(start: int) -> list[Row]:
        return [{"id": number} for number in range(start, start - 100, -1)]

    wire = Wire(page(rows(900), "a", collection="events"))
    assert [row["id"] for row in wire.client().events([899, 850, 850])] == [899, 850]
    assert len(wire.requests) == 1
    wire = Wire(
        page(rows(900), "a", collection="notes"),
        page(rows(800), "b", collection="notes"),
        httpx.Response(404, json={}),
        httpx.Response(200, json={"id": 20}),
    )
    assert [row["id"] for row in wire.client().recent("notes", [880, 730, 10, 20])] == [880, 730, 20]
    assert [request.url.path for request in wire.requests] == ["/v1/notes", "/v1/notes", "/v1/notes/10", "/v1/notes/20"]


def test_a_burst_is_read_page_by_page_to_its_oldest_record() -> None:
    pages = [
        page([{"id": number} for number in range(start, start - 100, -1)], "more", collection="events")
        for start in range(1000, 0, -100)
    ]
    wire = Wire(*pages[:9], httpx.Response(200, json={"id": 1}))
    wanted = [*range(101, 161), 1]
    assert [row["id"] for row in wire.client().events(wanted)] == [*range(160, 100, -1), 1]
    assert [request.url.path for request in wire.requests] == ["/v1/events"] * 9 + ["/v1/events/1"]


def test_a_record_that_is_gone_ends_the_search_at_the_first_older_page() -> None:
    wire = Wire(page([{"id": 9}, {"id": 7}], "a", collection="events"), httpx.Response(404, json={}))
    assert wire.client().events([8]) == []
    assert wire.client().recent("events", []) == []
    assert len(wire.requests) == 2


# limits


def refused(retry_after: str | None) -> httpx.Response:
    return httpx.Response(
        429, headers={"Retry-After": retry_after} if retry_after else {}, text="<html>slow down</html>"
    )


@pytest.mark.parametrize(
    ("retry_after", "low", "high"),
    [("3", 3, 3), (None, 10, 10), ("soon", 10, 10)],
    ids=["seconds", "absent", "unreadable"],
)
def test_a_429_waits_as_long_as_it_says_and_goes_again(retry_after: str | None, low: float, high: float) -> None:
    wire = Wire(refused(retry_after), httpx.Response(200, json={"id": 1}))
    assert wire.client().get("people/1") == {"id": 1}
    assert low <= sum(wire.slept) <= high


def test_a_429_with_a_date_waits_until_then() -> None:
    until = datetime.now(UTC) + timedelta(seconds=20)
    assert retry_after_seconds(format_datetime(until, usegmt=True)) == pytest.approx(20, abs=2)
    assert retry_after_seconds(format_datetime(until - timedelta(minutes=5), usegmt=True)) == 0


def test_a_429_is_safe_to_repeat_even_for_a_create() -> None:
    wire = Wire(refused("1"), httpx.Response(201, json={"id": 9}))
    assert wire.client().post("notes", {"personId": 1})["id"] == 9


def test_a_429_stops_every_context_until_it_is_over() -> None:
    wire = Wire(refused("4"), httpx.Response(200, json={"id": 1}), page([], None, collection="events"))
    client = wire.client()
    client.get("people/1")
    waited = sum(wire.slept)
    client.get("events")
    assert waited >= 4
    assert sum(wire.slept) == waited


def test_endless_429_ends_as_rate_limited() -> None:
    wire = Wire(*[refused("2")] * RATE_LIMIT_ATTEMPTS)
    with pytest.raises(RateLimited) as caught:
        wire.client().get("people")
    assert caught.value.retry_after_seconds == 2
    assert len(wire.requests) == RATE_LIMIT_ATTEMPTS


def limited(limit: int, context: str, window: int = 10) -> httpx.Response:
    headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Window": str(window), "X-RateLimit-Context": context}
    return httpx.Response(200, json={"id": 1}, headers=headers)


def test_the_headers_decide_the_pace_not_the_table() -> None:
    wire = Wire(*[limited(5, "global")] * 11)
    client = wire.client()
    for _ in range(11):
        client.get("people/1")
    # Five a window, and the window a twentieth longer: the eleventh request belongs to the third.
    assert sum(wire.slept) == pytest.approx(21)


def test_a_context_that_only_the_headers_name_has_its_own_limit() -> None:
    wire = Wire(*[limited(2, "GET.people")] * 4, httpx.Response(200, json={"id": 1}))
    client = wire.client()
    client.get("people/1")  # counted where the table puts it, and told otherwise
    for _ in range(3):
        client.get("people/1")
    assert sum(wire.slept) == pytest.approx(10.5)
    client.get("users/1")
    assert sum(wire.slept) == pytest.approx(10.5), "what the table knows is not slowed by it"


def test_calls_that_the_headers_count_and_we_did_not_are_waited_for() -> None:
    headers = {"X-RateLimit-Limit": "250", "X-RateLimit-Window": "10", "X-RateLimit-Context": "global"}
    full = httpx.Response(200, json={"id": 1}, headers=headers | {"X-RateLimit-Remaining": "0"})
    wire = Wire(full, httpx.Response(200, json={"id": 1}))
    client = wire.client()
    client.get("people/1")
    client.get("people/1")
    assert sum(wire.slept) == pytest.approx(10.5)


def test_reads_in_bulk_keep_an_even_pace_on_the_same_connections() -> None:
    wire = Wire(*[httpx.Response(200, json={"id": 1})] * 9)
    client = wire.client()
    for _ in range(8):
        client.in_bulk().get("events/1")
    assert sum(wire.slept) == pytest.approx(7 * 10.5 / 20)
    client.get("users/1")
    assert sum(wire.slept) == pytest.approx(7 * 10.5 / 20)


def test_a_context_at_its_limit_does_not_slow_the_others() -> None:
    wire = Wire(*[limited(3, "events")] * 2, *[limited(250, "global")] * 20)
    client = wire.client()
    for _ in range(2):
        client.get("events")
    for _ in range(20):
        client.get("people/1")
    assert wire.slept == []


@pytest.mark.parametrize(
    ("method", "path", "context"),
    [
        ("GET", "people?limit=1", "global"),
        ("PUT", "people/7", "PUT.people"),
        ("POST", "people", "global"),
        ("GET", "events/3", "events"),
        ("POST", "events", "POST.events"),
        ("DELETE", "notes/4", "notes"),
    ],
)
def test_every_endpoint_belongs_to_its_context(method: str, path: str, context: str) -> None:
    assert context_of(method, path) == context


# failures


@pytest.mark.parametrize(
    "failure", [httpx.Response(502, text="<html>"), httpx.ReadTimeout("late"), httpx.ConnectError("no")]
)
def test_a_read_is_tried_again_a_bounded_number_of_times(failure: Answer) -> None:
    wire = Wire(failure, httpx.Response(200, json={"id": 1}))
    assert wire.client().get("people/1")["id"] == 1
    assert wire.slept == [1.0]
    wire = Wire(*[failure] * READ_ATTEMPTS)
    with pytest.raises(TransientError):
        wire.client().get("people/1")
    assert len(wire.requests) == READ_ATTEMPTS
    assert wire.slept == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("failure", [httpx.Response(504), httpx.ReadTimeout("late"), httpx.RemoteProtocolError("cut")])
def test_a_create_whose_answer_was_lost_is_ambiguous_and_not_repeated(failure: Answer) -> None:
    wire = Wire(failure)
    with pytest.raises(AmbiguousError, match="look"):
        wire.client().post("notes", {"personId": 1})
    assert len(wire.requests) == 1


def test_a_create_that_never_reached_anyone_goes_again() -> None:
    wire = Wire(httpx.ConnectError("refused"), httpx.Response(201, json={"id": 3}))
    assert wire.client().post("notes", {})["id"] == 3


@pytest.mark.parametrize("body", [b"<html>proxy</html>", b'{"id": 1', b"\xff\xfe"])
def test_a_body_that_is_no_json_is_a_failure_and_not_empty(body: bytes) -> None:
    wire = Wire(*[httpx.Response(200, content=body)] * READ_ATTEMPTS)
    with pytest.raises(TransientError, match="no JSON"):
        wire.client().get("people")


def test_no_content_is_an_empty_object() -> None:
    assert Wire(httpx.Response(204)).client().post("events", {}) == {}


@pytest.mark.parametrize(("status", "names"), [(401, "LEADPIPE_FUB_API_KEY"), (403, "may not do that")])
def test_a_refused_key_names_the_setting_and_stops_at_once(status: int, names: str) -> None:
    wire = Wire(httpx.Response(status, json={"errorMessage": "You do not have access to this endpoint."}))
    with pytest.raises(ConfigurationError, match=names):
        wire.client().get("people")
    assert len(wire.requests) == 1


def test_a_refusal_keeps_the_vendors_words_and_the_status() -> None:
    wire = Wire(httpx.Response(400, json={"errorMessage": "Deep pagination disabled, use 'nextLink' url"}))
    with pytest.raises(Rejected, match="Deep pagination") as caught:
        wire.client().get("people")
    assert caught.value.code == "400"


def test_a_redirect_is_not_followed_with_our_credentials() -> None:
    wire = Wire(httpx.Response(302, headers={"Location": "https://elsewhere.example/"}))
    with pytest.raises(Rejected, match="302"):
        wire.client().get("people")
    assert len(wire.requests) == 1


# text that no store can hold


def test_nul_and_half_surrogates_become_replacement_characters_and_emoji_stay() -> None:
    body = b'{"people":[{"id":1,"firstName":"A\\u0000na","lastName":"\\ud83d\\ude00 \\ud800x"}],"_metadata":{}}'
    rows = next(Wire(httpx.Response(200, content=body)).client().pages("people"))
    assert rows == [{"id": 1, "firstName": "A\ufffdna", "lastName": "\U0001f600 \ufffdx"}]
    json.dumps(rows, ensure_ascii=False).encode()


# secrets


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"errorMessage": "Invalid API key."}),
        httpx.Response(400, json={"errorMessage": "bad"}),
        httpx.Response(200, content=b"<html>"),
        httpx.ConnectError("no route"),
        httpx.ReadTimeout("late"),
        httpx.Response(503),
    ],
)
def test_no_log_line_and_no_exception_carries_a_secret_or_what_was_asked_for(
    answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wire = Wire(*[answer] * 8)
    with pytest.raises(Exception, match="FUB") as caught:
        wire.client().get("people", {"email": "ana@example.com"})
    told = caplog.text
    error: BaseException | None = caught.value
    while error is not None:
        told += f"{error!s} {error!r}"
        error = error.__cause__
    for secret in (KEY, SYSTEM_KEY, "ZmthX2RvX25vdF9wcmludF9tZTo"):
        assert secret not in told
    assert "ana@example.com" not in str(caught.value)


def test_every_request_carries_key_system_and_system_key() -> None:
    wire = Wire(httpx.Response(200, json={"id": 1}))
    wire.client().get("people/1")
    headers = wire.requests[0].headers
    assert headers["Authorization"].startswith("Basic ")
    assert (headers["X-System"], headers["X-System-Key"]) == ("leadpipe", SYSTEM_KEY)
