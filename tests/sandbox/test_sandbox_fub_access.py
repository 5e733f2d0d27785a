"""Follow Up Boss: keys, roles, systems, limits and error bodies (FUB sheet 1, 2, 8)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from leadpipe.errors import AmbiguousError, ConfigurationError, RateLimited, Rejected, TransientError


def test_a_wrong_key_is_a_401_without_rate_headers(sandbox: Any) -> None:
    answer = sandbox.raw("GET", "people", auth=("fka_wrong", ""))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Follow Up Boss API"'
    assert "errorMessage" in answer.json()
    assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]
    with pytest.raises(ConfigurationError, match="LEADPIPE_FUB_API_KEY"):
        sandbox.fub("fka_wrong").get("people")


def test_any_password_goes_with_a_key(sandbox: Any) -> None:
    assert sandbox.raw("GET", "people", auth=(sandbox.config.fub_api_key, "anything")).status_code == 200


@pytest.mark.parametrize(
    ("key", "is_owner", "is_admin", "role"),
    [
        ("fub_api_key", True, True, "Broker"),
        ("fub_admin_key", False, True, "Broker"),
        ("fub_agent_key", False, False, "Agent"),
    ],
)
def test_identity_tells_what_a_key_may_do(sandbox: Any, key: str, is_owner: bool, is_admin: bool, role: str) -> None:
    found = sandbox.fub(getattr(sandbox.config, key)).get("identity")
    assert found["account"]["domain"]
    assert (found["user"]["isOwner"], found["user"]["isAdmin"], found["user"]["role"]) == (is_owner, is_admin, role)


def test_me_echoes_the_key_which_is_why_nobody_should_ask(sandbox: Any) -> None:
    assert sandbox.fub().get("me")["apiKey"] == sandbox.config.fub_api_key


@pytest.mark.parametrize(
    ("key", "has_system", "method", "path", "status", "words"),
    [
        ("fub_api_key", False, "GET", "webhooks", 400, "Missing required field in the request: system."),
        ("fub_admin_key", True, "GET", "webhooks", 403, "You do not have access to this endpoint."),
        ("fub_agent_key", True, "GET", "webhooks", 403, "You do not have access to this endpoint."),
        ("fub_api_key", False, "POST", "textMessages", 403, "You do not have access to this endpoint."),
        ("fub_api_key", True, "GET", "threads", 403, "You do not have access to this endpoint."),
        ("fub_api_key", True, "GET", "Em", 404, "Collection name 'Em' in the URL is not valid. Please use a correct "
         "collection name, for example 'people'."),
        ("fub_api_key", True, "GET", "people/99", 404, "Requested resource was not found."),
    ],
)  # fmt: skip
def test_what_a_caller_may_not_do_is_said_in_the_vendors_words(
    sandbox: Any, key: str, has_system: bool, method: str, path: str, status: int, words: str
) -> None:
    headers = None if has_system else {}
    options = {} if headers is None else {"headers": headers}
    answer = sandbox.raw(
        method, path, auth=(getattr(sandbox.config, key), ""), json={} if method == "POST" else None, **options
    )
    assert (answer.status_code, answer.json()["errorMessage"]) == (status, words)


def test_the_system_may_be_named_in_the_query_too(sandbox: Any) -> None:
    answer = sandbox.raw("GET", "webhooks?system=leadpipe", headers={"X-System-Key": sandbox.config.fub_system_key})
    assert answer.status_code == 200


def test_an_agents_key_sees_only_their_own_people(sandbox: Any) -> None:
    owner, agent = sandbox.fub(), sandbox.fub(sandbox.config.fub_agent_key)
    theirs = owner.post("people", {"firstName": "Ana", "assignedUserId": 2})["id"]
    other = owner.post("people", {"firstName": "Bea", "assignedUserId": 3})["id"]
    shared = owner.post("people", {"firstName": "Cora", "assignedUserId": 3, "collaborators": [2]})["id"]
    assert {row["id"] for page in agent.pages("people") for row in page} == {theirs, shared}
    assert agent.find("people", other) is None
    assert owner.find("people", other) is not None


def test_an_expired_account_still_takes_events(start: Any) -> None:
    sandbox = start(fub_is_expired=True)
    with pytest.raises(ConfigurationError, match="403"):
        sandbox.fub().get("people")
    assert sandbox.raw("POST", "events", json={"source": "x", "person": {"firstName": "A"}}).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "context", "limit", "without"),
    [("GET", "people", "global", 250, 125), ("GET", "events", "events", 20, 10), ("GET", "notes", "notes", 10, 10),
     ("PUT", "people/{id}", "PUT.people", 25, 25)],
)  # fmt: skip
def test_each_context_has_its_own_window_and_a_system_key_widens_it(
    sandbox: Any, method: str, path: str, context: str, limit: int, without: int
) -> None:
    person = sandbox.fub().post("people", {"firstName": "Ana"})["id"]
    where, body = path.format(id=person), {"price": 1} if method == "PUT" else None
    registered = sandbox.raw(method, where, json=body)
    bare = sandbox.raw(method, where, json=body, headers={})
    assert registered.headers["X-RateLimit-Context"] == bare.headers["X-RateLimit-Context"] == context
    assert registered.headers["X-RateLimit-Window"] == "10"
    assert (int(registered.headers["X-RateLimit-Limit"]), int(bare.headers["X-RateLimit-Limit"])) == (limit, without)


def test_posting_events_is_not_limited(sandbox: Any) -> None:
    sandbox.call("limits", **{"events": 1, "global": 1, "notes": 1})
    for number in range(5):
        body = {"source": "x", "person": {"emails": [{"value": f"a{number}@example.com"}]}}
        answer = sandbox.raw("POST", "events", json=body)
        assert answer.status_code == 201
        assert "X-RateLimit-Limit" not in answer.headers


def test_beyond_the_window_comes_a_429_with_whole_seconds_and_another_context_goes_on(sandbox: Any) -> None:
    answers = [sandbox.raw("GET", "notes") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers[:10]] == list(range(9, -1, -1))
    wait = answers[-1].headers["Retry-After"]
    assert wait.isdigit() and 1 <= int(wait) <= 10
    assert sandbox.raw("GET", "people").status_code == 200


def test_the_window_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    from leadpipe.sandbox.fub.limits import Windows

    windows, now = Windows(), [100.0]
    windows.limits["notes"] = 2
    monkeypatch.setattr("leadpipe.sandbox.fub.limits.monotonic", lambda: now[0])
    answers = []
    for now[0] in (100.0, 106.0, 106.0, 110.1):
        answers.append(windows.take("notes", has_system=True))
    assert [has_room for has_room, _ in answers] == [True, True, False, True]
    # Room comes when the first of the two leaves the window, four seconds later.
    assert answers[2][1]["Retry-After"] == "4"


def test_our_client_waits_out_a_429_that_the_headers_did_not_announce(sandbox: Any) -> None:
    sandbox.control.set_faults({"fub_429": {"times": 2, "value": 0}})
    assert sandbox.fub().get("people")["people"] == []
    sandbox.control.set_faults({"fub_429": {"value": 0}})
    with pytest.raises(RateLimited):
        sandbox.fub().get("people")


def test_a_429_did_nothing_even_for_a_post(sandbox: Any) -> None:
    sandbox.control.set_faults({"fub_429": {"times": 1, "value": 0}})
    sandbox.fub().post("people", {"firstName": "Ana"})
    assert len([row for page in sandbox.fub().pages("people") for row in page]) == 1


def test_what_registered_systems_may_know_about_limits(sandbox: Any) -> None:
    found = sandbox.fub().get("rateLimit/limits")
    assert found["system"] == "leadpipe" and found["current_limits"]["per_account"]["notes"] == 10
    refused = sandbox.raw("GET", "rateLimit/limits", headers={})
    assert (refused.status_code, refused.json()) == (
        403, {"error": "Only registered systems can use this endpoint."}
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"'])
def test_a_malformed_body_is_a_400(sandbox: Any, body: bytes) -> None:
    assert sandbox.raw("POST", "people", content=body).status_code == 400


@pytest.mark.parametrize(("fault", "error"), [("fub_drop_after", AmbiguousError), ("fub_500_after", AmbiguousError)])
def test_a_write_whose_answer_is_lost_took_effect(sandbox: Any, fault: str, error: type[Exception]) -> None:
    sandbox.control.set_faults({fault: {"times": 1}})
    with pytest.raises(error):
        sandbox.fub().post("people", {"firstName": "Ana"})
    assert len([row for page in sandbox.fub().pages("people") for row in page]) == 1


def test_a_500_before_the_write_took_none(sandbox: Any) -> None:
    sandbox.control.set_faults({"fub_500": {"times": 1}})
    with pytest.raises(AmbiguousError):
        sandbox.fub().post("people", {"firstName": "Ana"})
    assert not [row for page in sandbox.fub().pages("people") for row in page]


def test_html_from_a_proxy_is_tried_again_and_then_told(sandbox: Any) -> None:
    sandbox.control.set_faults({"fub_html": {"times": 2}})
    assert sandbox.fub().get("people")["people"] == []
    sandbox.control.set_faults({"fub_html": 1.0})
    with pytest.raises(TransientError, match="502"):
        sandbox.fub().get("people")


def test_a_hanging_answer_comes_late(sandbox: Any) -> None:
    sandbox.control.set_faults({"fub_hang": {"times": 1, "value": 0.5}})
    with pytest.raises(httpx.ReadTimeout):
        sandbox.raw("GET", "people", timeout=0.1)


def test_an_unknown_fault_is_refused_so_that_a_misspelt_one_cannot_pass_for_a_harmless_run(sandbox: Any) -> None:
    with pytest.raises(TransientError, match="no such fault: fub_429s"):
        sandbox.control.set_faults({"fub_429s": 1.0})
    with pytest.raises(Rejected):
        sandbox.fub().get("nothing_here")
