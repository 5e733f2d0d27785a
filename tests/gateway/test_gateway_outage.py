"""PostgreSQL gone, errors of our own, and what an answer may tell."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from leadpipe.conversation import inbound as conversation_inbound
from leadpipe.gateway import reports
from leadpipe.gateway.app import create_app
from leadpipe.gateway.catch_up import EFFECTS, failed_reports
from leadpipe.gateway.replay import replay, rows
from leadpipe.gateway.reports import Context
from leadpipe.messaging import callbacks
from leadpipe.runtime import Runtime
from tests.conftest import database_named
from tests.gateway.conftest import PHONE, Amazon, Callers, Ledger
from tests.gateway.test_gateway_fub import notice

if TYPE_CHECKING:
    from leadpipe.clock import FixedClock
    from leadpipe.settings import Settings


class Door:
    """Lets connections into one database, or shuts it: what a server that went away looks like to a client."""

    def __init__(self, server_url: str, database_url: str) -> None:
        self._admin = database_named(server_url, "postgres")
        self._name = database_url.partition("?")[0].rpartition("/")[2]

    def shut(self) -> None:
        self._run(f"alter database {self._name} with allow_connections false")
        self._run(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{self._name}'")

    def open(self) -> None:
        self._run(f"alter database {self._name} with allow_connections true")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def door(server_url: str, database_url: str) -> Door:
    return Door(server_url, database_url)


def test_postgresql_gone_is_503_everywhere_and_all_recovers_without_a_restart(
    callers: Callers, ledger: Ledger, door: Door
) -> None:
    message_id = ledger.message(provider_id="SM" + "a" * 32)
    body = notice()
    assert callers.fub(notice()).status_code == 200
    door.shut()
    try:
        answers = [
            callers.fub(body),
            callers.status(message_id, "delivered", sid="SM" + "a" * 32),
            callers.text("STOP"),
            callers.ses({"eventType": "Send", "mail": {"messageId": "x"}}),
            callers.http.get("/healthz"),
        ]
        assert [answer.status_code for answer in answers] == [503] * 5
        assert all(answer.headers["retry-after"] == "5" for answer in answers)
        assert all(answer.json() == {"error": "not available"} for answer in answers)
    finally:
        door.open()
    assert callers.fub(body).status_code == 200
    assert callers.status(message_id, "delivered", sid="SM" + "a" * 32).status_code == 204
    assert callers.text("STOP").status_code == 200
    assert ledger.state(message_id) == "delivered"
    assert {channel for channel, _ in ledger.suppressed()} == {"sms", "whatsapp"}
    assert ledger.one("select count(*) from ledger.inbox where source = 'fub'") == 2


def test_a_server_that_does_not_listen_is_503(gateway_settings: Settings, amazon: Amazon, clock: FixedClock) -> None:
    nobody = gateway_settings.model_copy(update={"database_url": "postgresql://leadpipe@127.0.0.1:9/nothing"})
    runtime = Runtime(nobody)
    runtime.__dict__["clock"] = clock
    with TestClient(create_app(runtime, fetch=amazon.fetch), raise_server_exceptions=False) as http:
        assert Callers(http, amazon).fub(notice()).status_code == 503
        assert http.get("/healthz").status_code == 503
    runtime.close()


def test_an_error_of_ours_tells_nothing_in_the_answer_or_the_log(
    callers: Callers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"secret words of {PHONE}")

    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(reports, "take", broken)
    answer = callers.text("hello")
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal error"}
    assert "RuntimeError" in caplog.text
    assert PHONE not in caplog.text


def test_a_failed_report_is_tried_again_by_the_poller_until_it_succeeds(
    runtime: Runtime, callers: Callers, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(conversation_inbound, "store_inbound", broken)
        callers.text("STOP")
        assert failed_reports(runtime) == 0
    assert ledger.inbox()[0][2:] == ("new", "failed: ZeroDivisionError")
    assert failed_reports(runtime) == 1
    assert ledger.inbox()[0][2:] == ("handled", "opt_out")
    assert len(ledger.suppressed()) == 2


def test_a_stop_whose_effect_came_late_is_as_old_as_its_telling(
    runtime: Runtime, callers: Callers, ledger: Ledger, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(conversation_inbound, "store_inbound", lambda *_, **__: 1 / 0)
        callers.text("STOP")
    told_at = clock.now()
    clock.advance(timedelta(hours=5))
    assert failed_reports(runtime) == 1
    rows = ledger.rows("select at, recorded_at from ledger.suppressions")
    assert {(row.at, row.recorded_at) for row in rows} == {(told_at, clock.now())}


def test_after_too_many_failures_a_report_is_kept_aside_and_replay_still_takes_it(
    runtime: Runtime, callers: Callers, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    message_id = ledger.message(provider_id="SM" + "a" * 32)
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "apply_twilio_status", broken)
        callers.status(message_id, "delivered", sid="SM" + "a" * 32)
        for _ in range(6):
            failed_reports(runtime)
        kept = rows(runtime, state="kept_aside")
        assert [(row.source, row.attempts) for row in kept] == [("twilio_status", 5)]
        failed = replay(runtime, [kept[0].id])[0]
        assert (failed.result, failed.is_failed) == ("failed again: ZeroDivisionError", True)
    assert replay(runtime, [kept[0].id])[0].result == "moved"
    assert ledger.state(message_id) == "delivered"
    # A replay of what already happened happens no second time.
    assert replay(runtime, [kept[0].id])[0].result == "repeated"
    assert ledger.one("select count(*) from ledger.message_events where to_state = 'delivered'") == 1


def test_a_replayed_notification_of_the_crm_waits_again_for_a_run(
    runtime: Runtime, callers: Callers, ledger: Ledger
) -> None:
    callers.fub(notice())
    with ledger.engine.begin() as connection:
        connection.execute(text("update ledger.inbox set state = 'kept_aside', attempts = 5, reason = 'HTTP 500'"))
    assert not replay(runtime, [1])[0].is_failed
    assert tuple(ledger.rows("select state, attempts, reason from ledger.inbox")[0]) == ("new", 0, None)
    assert replay(runtime, [77])[0].is_failed


def test_a_report_that_lost_a_deadlock_has_its_effect_all_the_same(ledger: Ledger, runtime: Runtime) -> None:
    tries: list[int] = []

    def effect(*_: object) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("update", {}, psycopg.errors.DeadlockDetected("deadlock detected"))
        return "done"

    report = reports.Report(source="twilio_status", kind="sent", dedupe_key="k", body=b"x")
    context = Context(settings=runtime.settings, now=ledger.now)
    assert reports.take(runtime.engine, report, effect, context) == "done"
    assert ledger.inbox() == [("twilio_status", "sent", "handled", "done")]


def test_every_source_with_an_effect_can_be_replayed() -> None:
    assert set(EFFECTS) == {"twilio_status", "twilio_inbound", "ses_event", "ses_inbound"}
