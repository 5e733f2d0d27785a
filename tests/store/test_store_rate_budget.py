"""The rate budget in the ledger: one for all processes, whatever becomes of PostgreSQL."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text

from leadpipe.errors import TransientError
from leadpipe.store import ledger
from leadpipe.store.ledger_budget import LedgerBudget
from leadpipe.store.rate_budget import OwnBudget, Said, Turn

if TYPE_CHECKING:
    from sqlalchemy import Engine

LIMITS: dict[str, int | None] = {"global": 30, "events": 5, "free": None}


def budget_of(engine: Engine, *, window_seconds: float = 10.0) -> LedgerBudget:
    return LedgerBudget(engine, "fub", LIMITS, window_seconds=window_seconds)


def said(context: str, limit: int, remaining: int | None, window: float = 10.0) -> Said:
    return Said(context=context, limit=limit, window_seconds=window, remaining=remaining)


def begin_together(barrier: Any) -> None:
    """Keep the barrier where this process's function finds it."""
    globals()["all_are_there"] = barrier.wait


def call_for_a_while(database_url: str, seconds: float, is_bulk: bool) -> list[float]:
    """What one process does: as many calls as it may, and when each left."""
    engine = ledger.connect(database_url)
    try:
        budget, left = budget_of(engine, window_seconds=1.0), []
        engine.connect().close()
        globals()["all_are_there"](120)
        until = time.time() + seconds
        while (now := time.time()) < until:
            turn = budget.take("global", is_bulk=is_bulk)
            if turn.wait_seconds:
                time.sleep(turn.wait_seconds)
            else:
                left.append(now)
        return left
    finally:
        engine.dispose()


def test_three_processes_together_use_the_limit_and_do_not_break_it(database_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, spawn, initializer=begin_together, initargs=(spawn.Barrier(3),)) as processes:
        calls = list(processes.map(call_for_a_while, [database_url] * 3, [3.0] * 3, [False, True, True]))
    moments = sorted(moment for each in calls for moment in each)
    seconds = moments[-1] - moments[0]
    assert len(moments) <= LIMITS["global"] * (seconds + 1), "each alone would have had as many"  # type: ignore[operator]
    assert len(moments) >= LIMITS["global"] * seconds * 0.7  # type: ignore[operator]


def test_threads_that_begin_together_make_the_rows_once(ledger_engine: Engine) -> None:
    with ThreadPoolExecutor(6) as threads:
        turns = list(threads.map(lambda _: budget_of(ledger_engine).take("events", is_bulk=False), range(6)))
    assert sorted(turn.wait_seconds > 0 for turn in turns) == [False] * 5 + [True]
    with ledger_engine.connect() as connection:
        rows = connection.execute(text("select context, limit_calls from ledger.rate_budgets")).all()
    assert {row.context: row.limit_calls for row in rows} == LIMITS


def test_a_refusal_that_one_process_met_stops_every_context_of_the_others(ledger_engine: Engine) -> None:
    budget_of(ledger_engine).block(20.0)
    other = budget_of(ledger_engine)
    for context in ("global", "events", "free", "never heard of"):
        assert 15 < other.take(context, is_bulk=False).wait_seconds <= 20
    budget_of(ledger_engine).block(1.0)
    assert other.take("free", is_bulk=True).wait_seconds > 15, "a shorter one does not end it"


def test_what_the_headers_say_holds_for_every_process(ledger_engine: Engine) -> None:
    budget = budget_of(ledger_engine)
    turn = budget.take("global", is_bulk=False)
    assert (turn.wait_seconds, turn.limit, turn.left) == (0, 30, 29)
    budget.learn(turn, said("global", 200, 150))
    again = budget_of(ledger_engine).take("global", is_bulk=False)
    assert (again.limit, again.left) == (200, 149), "fifty calls were another system's"
    budget.learn(again, said("reports", 3, 2))
    assert budget.take("reports", is_bulk=False).limit == 3


def test_an_answer_without_news_is_not_written(ledger_engine: Engine) -> None:
    budget = budget_of(ledger_engine)
    turn = budget.take("global", is_bulk=False)
    with ledger_engine.begin() as connection:
        connection.execute(text("update ledger.rate_budgets set changed_at = '2020-01-01'"))
    budget.learn(turn, said("global", 30, 29))
    with ledger_engine.connect() as connection:
        changed = connection.execute(text("select max(changed_at) from ledger.rate_budgets")).scalar_one()
    assert changed == datetime(2020, 1, 1, tzinfo=UTC)


def test_while_postgresql_is_away_nothing_leaves_and_a_refusal_is_not_forgotten(
    database_url: str, ledger_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = budget_of(ledger_engine)
    turn = budget.take("global", is_bulk=False)
    with monkeypatch.context() as patch:
        away = ledger.connect("postgresql://nobody:secret@127.0.0.1:1/none")
        patch.setattr(budget, "_engine", away)
        with pytest.raises(TransientError, match="nothing was asked") as caught:
            budget.take("global", is_bulk=False)
        assert "secret" not in str(caught.value)
        budget.learn(turn, said("global", 30, 3))
        budget.block(30.0)
    assert 20 < budget.take("events", is_bulk=False).wait_seconds <= 30
    assert 20 < budget_of(ledger_engine).take("events", is_bulk=False).wait_seconds <= 30


def test_a_ledger_that_was_never_set_up_has_nobody_to_share_with(database_url: str, ledger_engine: Engine) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("drop table ledger.rate_budgets")
    budget = budget_of(ledger_engine)
    assert [budget.take("events", is_bulk=False).wait_seconds > 0 for _ in range(6)] == [False] * 5 + [True]
    budget.block(5.0)
    assert budget.take("global", is_bulk=False).wait_seconds > 4


def test_a_process_without_a_ledger_counts_for_itself() -> None:
    now = [100.0]
    budget = OwnBudget(LIMITS, window_seconds=10.0, now=lambda: now[0])
    turns: list[Turn] = [budget.take("events", is_bulk=False) for _ in range(6)]
    assert [turn.left for turn in turns[:5]] == [4, 3, 2, 1, 0]
    assert 10 < turns[5].wait_seconds < 11
    budget.block(30.0)
    assert budget.take("new", is_bulk=False).wait_seconds == 30
