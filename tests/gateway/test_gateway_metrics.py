"""/metrics: there only for who knows the token, and nothing in it that names a person or a secret path."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import create_engine

from leadpipe.gateway.app import create_app
from leadpipe.runtime import Runtime
from tests.gateway.conftest import EMAIL, FUB_TOKEN, PHONE, Callers, Ledger

TOKEN = "scraper-token-of-the-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
FUB_BODY = b'{"eventId":"%d","eventCreated":"2026-03-03T16:00:00+00:00","event":"peopleCreated","resourceIds":[1]}'


@contextmanager
def serving(runtime: Runtime, token: str = TOKEN) -> Generator[TestClient]:
    changed = Runtime(runtime.settings.model_copy(update={"metrics_token": SecretStr(token)}))
    changed.__dict__.update({name: runtime.__dict__[name] for name in ("clock", "engine") if name in runtime.__dict__})
    with TestClient(create_app(changed), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        ("", {}, 404),
        ("", {"Authorization": "Bearer "}, 404),
        (TOKEN, {}, 401),
        (TOKEN, {"Authorization": "Bearer wrong"}, 401),
        (TOKEN, {"Authorization": TOKEN}, 401),
        (TOKEN, HEADERS, 200),
    ],
)
def test_the_figures_are_there_for_who_knows_the_token(
    runtime: Runtime, token: str, headers: dict[str, str], status: int
) -> None:
    with serving(runtime, token) as client:
        answer = client.get("/metrics", headers=headers)
    assert answer.status_code == status
    assert ("leadpipe_ledger_up" in answer.text) == (status == 200)


def test_requests_are_counted_by_route_and_never_by_path(runtime: Runtime, ledger: Ledger) -> None:
    numbers = itertools.count(1)
    message = ledger.message(channel="email", provider_id="ses-1")
    with serving(runtime) as client:
        callers = Callers(client, None)  # type: ignore[arg-type]
        for _ in range(2):
            assert callers.fub(FUB_BODY % next(numbers)).status_code == 200
        assert callers.fub(FUB_BODY % next(numbers), token="guess").status_code == 404
        assert callers.text("Please call me", sender=PHONE).status_code == 200
        client.get("/wp-login.php?email=" + EMAIL)
        words = client.get("/metrics", headers=HEADERS).text
    assert 'leadpipe_gateway_request_seconds_count{route="/fub/{token}",status="200"} 2.0' in words
    assert 'leadpipe_gateway_request_seconds_count{route="/fub/{token}",status="404"} 1.0' in words
    assert 'leadpipe_gateway_request_seconds_count{route="other",status="404"} 1.0' in words
    assert 'leadpipe_inbox_waiting{source="fub"} 2.0' in words
    assert "process_resident_memory_bytes" in words
    for secret in (FUB_TOKEN, TOKEN, EMAIL, PHONE, message, "wp-login", "guess"):
        assert secret not in words


def test_while_the_ledger_is_away_the_gateways_own_figures_are_still_served(runtime: Runtime) -> None:
    runtime.__dict__["engine"] = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=1")
    with serving(runtime) as client:
        assert client.get("/healthz").status_code == 503
        answer = client.get("/metrics", headers=HEADERS)
    assert answer.status_code == 200
    assert "leadpipe_ledger_up 0.0" in answer.text
    assert 'leadpipe_gateway_request_seconds_count{route="/healthz",status="503"} 1.0' in answer.text
    assert "leadpipe_inbox_age_seconds" not in answer.text


def test_a_scraper_that_asks_for_openmetrics_gets_it(runtime: Runtime) -> None:
    with serving(runtime) as client:
        answer = client.get("/metrics", headers=HEADERS | {"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_a_gateway_that_serves_gives_signs_of_life_and_says_when_it_stops(runtime: Runtime, ledger: Ledger) -> None:
    with TestClient(create_app(runtime, has_pulse=True)) as client:
        client.get("/healthz")
    states = ledger.rows("select service, state from ledger.heartbeats order by id")
    assert [tuple(row) for row in states] == [("gateway", "up"), ("gateway", "stopped")]
