"""The doctor on who lives: Dagster's daemons and the services' own signs of life."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from leadpipe.cli import checks_life
from leadpipe.clock import WallClock
from leadpipe.monitoring import heartbeat
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings


@pytest.fixture
def runtime(settings: Settings, ledger_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Generator[Runtime]:
    monkeypatch.setattr(checks_life, "_runs_here", lambda _: True)
    made = Runtime(settings)
    yield made
    made.close()


def beat_daemons(engine: Engine, ages: dict[str, float]) -> None:
    with engine.begin() as connection:
        connection.execute(text('create table dagster.daemon_heartbeats (daemon_type text, "timestamp" timestamp)'))
        for kind, seconds in ages.items():
            at = (WallClock().now() - timedelta(seconds=seconds)).replace(tzinfo=None)
            connection.execute(
                text("insert into dagster.daemon_heartbeats values (:kind, :at)"), {"kind": kind, "at": at}
            )


FRESH = dict.fromkeys(checks_life.DAEMONS, 20.0)


def test_daemons_that_beat_are_right(runtime: Runtime, ledger_engine: Engine) -> None:
    beat_daemons(ledger_engine, FRESH | {"BACKFILL": 90_000.0})
    found = checks_life.dagster_daemon(runtime)
    assert found.state == "ok"
    assert "all of 4 gave a sign of life within 2" in found.words


def test_a_daemon_that_is_there_and_hangs_is_wrong_and_its_log_is_named(
    runtime: Runtime, ledger_engine: Engine
) -> None:
    beat_daemons(ledger_engine, dict.fromkeys(FRESH, 400.0))
    found = checks_life.dagster_daemon(runtime)
    assert (found.state, found.words) == ("wrong", "no sign of life for 7 min")
    assert "dagster-daemon.log" in found.cure


def test_one_thread_of_the_daemon_that_hangs_is_named(runtime: Runtime, ledger_engine: Engine) -> None:
    beat_daemons(ledger_engine, FRESH | {"SENSOR": 400.0})
    found = checks_life.dagster_daemon(runtime)
    assert (found.state, found.words) == ("wrong", "no sign of life of sensor")


def test_where_nothing_runs_silence_is_no_fault(
    runtime: Runtime, ledger_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_life, "_runs_here", lambda _: False)
    assert checks_life.dagster_daemon(runtime).state == "note"
    beat_daemons(ledger_engine, dict.fromkeys(FRESH, 90_000.0))
    found = checks_life.dagster_daemon(runtime)
    assert (found.state, found.words) == ("note", "no sign of life for 25 h; nothing runs in this home")
    heartbeat.beat(ledger_engine, "gateway", now=WallClock().now() - timedelta(hours=5))
    assert checks_life.signs_of_life(runtime).state == "note"


def test_services_that_beat_are_right_and_one_that_fell_silent_is_wrong(
    runtime: Runtime, ledger_engine: Engine
) -> None:
    assert checks_life.signs_of_life(runtime).words == "no service runs"
    now = WallClock().now()
    heartbeat.beat(ledger_engine, "gateway", now=now)
    heartbeat.beat(ledger_engine, "send-worker", now=now - timedelta(hours=1), state=heartbeat.STOPPED)
    assert checks_life.signs_of_life(runtime).words == "gateway"
    heartbeat.beat(ledger_engine, "dagster", now=now - timedelta(minutes=10))
    found = checks_life.signs_of_life(runtime)
    assert (found.state, found.words) == ("wrong", "none of dagster for 10 min")
