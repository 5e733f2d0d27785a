"""Alerts reach people, are kept when they cannot, and come as one message when there are many."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.errors import ConfigurationError
from leadpipe.messaging.alerts import raise_alert
from leadpipe.runtime import Runtime
from leadpipe.work import alerts
from leadpipe.work.alerts import Alerted, by_apprise, deliver_alerts
from tests.conversation.conftest import Rows

if TYPE_CHECKING:
    from sqlalchemy import Engine

URL, OTHER = "json://127.0.0.1:9/one", "json://127.0.0.1:9/two"
STATES = "select kind, code, sent_at is not null as is_sent from ledger.alerts order by id"


@pytest.fixture
def alert(ledger_engine: Engine, clock: FixedClock) -> Callable[..., None]:
    """A function that raises alerts."""

    def run(key: str, kind: str = "handoff") -> None:
        with ledger_engine.begin() as connection:
            raise_alert(
                connection, kind=kind, dedupe_key=key, title=f"title {key}", body=f"body {key}", now=clock.now()
            )

    return run


class Phone:
    """Remembers what it was told, and takes it or not."""

    def __init__(self, *down: str) -> None:
        self.down = set(down)
        self.got: list[tuple[str, str, str]] = []

    def __call__(self, url: str, title: str, body: str) -> bool:
        if url in self.down:
            return False
        self.got.append((url, title, body))
        return True


def test_each_alert_is_delivered_once(alert: Callable[..., None], runtime: Callable[..., Runtime], rows: Rows) -> None:
    alert("1")
    alert("1")
    alert("2", kind="run_failed")
    phone = Phone()
    team = runtime(alert_urls=(URL,))
    assert deliver_alerts(team, notify=phone) == Alerted(count_delivered=2)
    assert deliver_alerts(team, notify=phone) == Alerted()
    assert sorted(title for _, title, _ in phone.got) == ["title 1", "title 2"]
    assert all(row["is_sent"] and row["code"] is None for row in rows(STATES))


def test_what_could_not_be_delivered_is_kept_and_tried_again_after_a_while(
    alert: Callable[..., None],
    runtime: Callable[..., Runtime],
    rows: Rows,
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    alert("1")
    team = runtime(alert_urls=(URL,))
    assert deliver_alerts(team, notify=Phone(URL)) == Alerted(count_failed=1)
    assert rows(STATES) == [{"kind": "handoff", "code": "not_delivered", "is_sent": False}]
    with ledger_engine.connect() as connection:
        assert alerts.count_waiting(connection, now=clock.now()) == 0, "a run every few seconds would help nobody"
        clock.advance(alerts.RETRY_AFTER + timedelta(seconds=1))
        assert alerts.count_waiting(connection, now=clock.now()) == 1
    phone = Phone()
    assert deliver_alerts(team, notify=phone) == Alerted(count_delivered=1)
    assert len(phone.got) == 1


def test_one_url_that_fails_leaves_the_other_its_alert(
    alert: Callable[..., None], runtime: Callable[..., Runtime], rows: Rows
) -> None:
    alert("1")
    phone = Phone(OTHER)
    assert deliver_alerts(runtime(alert_urls=(URL, OTHER)), notify=phone) == Alerted(count_delivered=1)
    assert rows(STATES) == [{"kind": "handoff", "code": "some_urls_failed", "is_sent": True}]


def test_without_urls_an_alert_stands_in_the_log_and_says_so(
    alert: Callable[..., None], runtime: Callable[..., Runtime], rows: Rows
) -> None:
    alert("1")
    phone = Phone()
    assert deliver_alerts(runtime(), notify=phone) == Alerted(count_logged=1)
    assert phone.got == []
    assert rows(STATES) == [{"kind": "handoff", "code": "log_only", "is_sent": True}]


def test_many_of_a_kind_come_as_one_message(alert: Callable[..., None], runtime: Callable[..., Runtime]) -> None:
    for number in range(14):
        alert(f"{number:02d}")
    alert("x", kind="run_failed")
    phone = Phone()
    assert deliver_alerts(runtime(alert_urls=(URL,)), notify=phone) == Alerted(count_delivered=15)
    titles = sorted(title for _, title, _ in phone.got)
    assert titles == ["14 alerts: handoff", "title x"]
    bundle = next(body for _, title, body in phone.got if title.startswith("14"))
    assert bundle.count("- title") == 10
    assert bundle.endswith("and 4 more")


def test_two_passes_at_once_do_not_both_deliver(
    alert: Callable[..., None], runtime: Callable[..., Runtime], ledger_engine: Engine
) -> None:
    alert("1")
    with ledger_engine.connect() as other:
        other.execute(text("select pg_advisory_lock(:key)"), {"key": alerts._LOCK})
        assert deliver_alerts(runtime(alert_urls=(URL,)), notify=Phone()) == Alerted()
        other.execute(text("select pg_advisory_unlock(:key)"), {"key": alerts._LOCK})
    assert deliver_alerts(runtime(alert_urls=(URL,)), notify=Phone()) == Alerted(count_delivered=1)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
def test_apprise_delivers_over_http_and_says_when_it_could_not() -> None:
    got: list[dict[str, str]] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if len(got) == 1 else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        url = f"json://127.0.0.1:{server.server_port}/"
        assert by_apprise(url, "Lead 7 asks a question", "Hand-off 3")
        assert not by_apprise(url, "again", "again")
        server.shutdown()
    assert (got[0]["title"], got[0]["message"]) == ("Lead 7 asks a question", "Hand-off 3")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
def test_a_url_that_apprise_does_not_know_is_told_without_repeating_it() -> None:
    with pytest.raises(ConfigurationError, match="LEADPIPE_ALERT_URLS") as caught:
        by_apprise("nonsense-with-secret", "title", "body")
    assert "secret" not in str(caught.value)
