"""Histories: read downwards in slices, to their end, by one reader each."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from leadpipe.crm import history, tables, watermark
from leadpipe.crm.history import History
from leadpipe.crm.keeping import Keeper
from leadpipe.crm.passes import Pass
from leadpipe.crm.sync import ACTIVITY, Sync
from leadpipe.errors import Rejected
from leadpipe.runtime import Runtime
from leadpipe.store.locks import lock_key
from leadpipe.work import history as work_history
from leadpipe.work.waiting import count_histories
from tests.crm.conftest import Account, Asking

pytestmark = pytest.mark.usefixtures("without_small_tables", "without_lake")


@pytest.mark.usefixtures("lands")
def test_history_is_read_downwards_in_slices_and_a_stop_costs_nothing(
    runtime: Runtime, account: Account, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.control("population", aged=260)
    account.control("limits", events=10_000, notes=10_000)
    total = ask_total(runtime, "events")
    ticks = iter(range(0, 10_000_000, 60))
    reader = History(runtime.keeper, clock=runtime.clock, monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr(history, "BATCH", 100)
    Sync(runtime.keeper).activity(tables.EVENTS, now=ask.now)
    over = [reader.read(tables.EVENTS, Pass(), seconds=25) for _ in range(total // 100 + 2)]
    assert over[:2] == [False, False], "a page takes longer than a slice may"
    assert over[-1]
    assert ask.lake("select count(*), count(distinct event_id) from raw.fub__events") == [(total, total)]


def test_history_goes_on_by_the_documented_filter_by_the_token_or_from_the_top(
    runtime: Runtime, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = [{"id": number, "personId": 1, "created": "2025-01-01T00:00:00Z"} for number in range(400, 0, -1)]
    asked: list[dict[str, Any]] = []
    works: set[str] = set()

    def walk(path: str, query: dict[str, Any]) -> Any:
        asked.append(query)
        if "next" in query and "token" not in works:
            raise Rejected("FUB GET /notes: HTTP 400 Invalid value for 'next' parameter.", code="400")
        below = query.get("idLessThan", 10**9) if "filter" in works else 10**9
        rows = [row for row in everything if row["id"] < min(below, int(query.get("next") or 10**9))]
        pages = [rows[start : start + 100] for start in range(0, len(rows), 100)]
        return iter([(page, str(page[-1]["id"])) for page in pages])

    monkeypatch.setattr(runtime.crm, "walk", walk)
    kept: list[int] = []
    monkeypatch.setattr(Keeper, "keep", lambda _, __, rows, *___, **____: kept.extend(row["id"] for row in rows))
    reader = History(runtime.keeper, clock=runtime.clock)
    for way, ways in (("filter", 1), ("token", 2), ("neither", 3)):
        works.clear()
        works.add(way)
        kept.clear()
        asked.clear()
        watermark.put_place(runtime.engine, "fub_notes_history", 250, "250", now=ask.now)
        assert reader.read(tables.NOTES, Pass(), seconds=60)
        assert sorted(set(kept)) == list(range(1, 250))
        assert len(asked) == ways
    assert reader.read(tables.NOTES, Pass(), seconds=60)
    assert len(asked) == 3, "what is complete is asked for no more"


@pytest.mark.usefixtures("lands")
def test_all_histories_are_read_side_by_side_to_their_end_and_each_by_one_reader(
    runtime: Runtime, account: Account, ask: Asking
) -> None:
    account.control("population", aged=120)
    sync = Sync(runtime.keeper)
    for table in ACTIVITY:
        sync.activity(table, now=ask.now)
    assert waiting(ask) == len(ACTIVITY)
    busy = text("select pg_advisory_lock(:key)")
    with runtime.engine.connect() as other:
        other.execute(busy, {"key": lock_key("fub_events_history")})
        done = work_history.read_history(runtime, seconds=2)
        assert (done.is_complete, done.failures, waiting(ask)) == (False, [], 1), "another process reads the events"
    done = work_history.read_history(runtime, seconds=60)
    assert (done.is_complete, waiting(ask)) == (True, 0)
    for name in ("events", "notes", "calls", "appointments"):
        held = ask_total(runtime, name)
        assert ask.lake(f"select count(*), count(distinct payload) from raw.fub__{name}") == [(held, held)]


def waiting(ask: Asking) -> int:
    with ask.runtime.engine.connect() as connection:
        return count_histories(connection, ask.runtime.settings, ask.now)


def ask_total(runtime: Runtime, collection: str) -> int:
    return sum(len(page) for page in runtime.crm.pages(collection))
