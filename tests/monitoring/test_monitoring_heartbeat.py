"""Signs of life: written while a process lives, once more when it stops on purpose, never at the cost of its work."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from leadpipe.clock import FixedClock
from leadpipe.monitoring import heartbeat
from leadpipe.monitoring.heartbeat import GATEWAY, KEEP, SEND_WORKER, Pulse

BRISK = 0.02


def signs(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(
            connection.execute(text("select service, instance, state, detail from ledger.heartbeats order by id"))
        )


def test_a_process_beats_from_its_first_moment_and_says_that_it_stops(ledger_engine: Engine) -> None:
    with Pulse(lambda: ledger_engine, SEND_WORKER).in_thread(BRISK):
        time.sleep(10 * BRISK)
    found = signs(ledger_engine)
    assert len(found) >= 3
    assert {(row.service, row.instance) for row in found} == {(SEND_WORKER, heartbeat.instance())}
    assert [row.state for row in found] == ["up"] * (len(found) - 1) + ["stopped"]
    assert found[0].detail["rss_bytes"] > 1_000_000


def test_a_loop_that_is_stuck_gives_no_sign(ledger_engine: Engine) -> None:
    counts: list[int] = []

    async def serve() -> None:
        async with Pulse(lambda: ledger_engine, GATEWAY).in_loop(BRISK):
            await asyncio.sleep(0.2)
            before = len(signs(ledger_engine))
            time.sleep(0.2)  # noqa: ASYNC251 - the very fault
            counts.extend((before, len(signs(ledger_engine))))
            await asyncio.sleep(0.1)

    asyncio.run(serve())
    assert counts[0] >= 2
    assert counts[1] - counts[0] <= 1, "one that was under way may still be written"
    assert [row.state for row in signs(ledger_engine)][-1] == "stopped"


def test_a_ledger_that_is_away_costs_a_sign_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    away = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=1")
    assert Pulse(lambda: away, GATEWAY).beat() is False
    assert "no sign of life could be written: OperationalError" in caplog.text


def test_old_signs_are_pruned_and_those_still_needed_stay(ledger_engine: Engine, clock: FixedClock) -> None:
    for age in (timedelta(0), KEEP - timedelta(minutes=1), KEEP + timedelta(minutes=1)):
        heartbeat.beat(ledger_engine, GATEWAY, now=clock.now() - age)
    with ledger_engine.begin() as connection:
        assert heartbeat.prune(connection, now=clock.now()) == 1
    assert len(signs(ledger_engine)) == 2
