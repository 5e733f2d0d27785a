"""How people who changed are found: walks, filters, marks and what happens under a walk."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from leadpipe.crm import intake, watermark
from leadpipe.crm.sync import OVERLAP, Sync
from leadpipe.errors import TransientError
from leadpipe.runtime import Runtime
from leadpipe.sandbox.world import World
from tests.crm.conftest import EMAIL, Account, Asking

pytestmark = pytest.mark.usefixtures("without_small_tables", "without_lake")


def test_every_change_is_found_whether_updated_after_works_or_not(
    runtime: Runtime, world: World, account: Account, ask: Asking, sync: Sync
) -> None:
    ids = [account.add(firstName=f"Lead{n}", emails=[{"value": f"l{n}@example.com"}]) for n in range(5)]
    sync.people(now=ask.now)
    for works in (True, False):
        world.sandbox.config.fub_updated_after_works = works
        account.change(ids[2], firstName=f"Works{works}")
        sync.people(now=ask.now)
        assert ask.person(ids[2]).first_name == f"Works{works}"


def test_a_filter_that_is_ignored_is_noticed_by_its_rows(
    sync: Sync, monkeypatch: pytest.MonkeyPatch, ask: Asking
) -> None:
    asked: list[dict[str, Any]] = []
    old = {"id": 1, "created": "2020-01-01T00:00:00Z", "updated": "2020-01-01T00:00:00Z"}
    new = {"id": 2, "created": "2026-01-01T00:00:00Z", "updated": ask.now.isoformat()}

    def pages(path: str, query: dict[str, Any]) -> Any:
        asked.append({"path": path, **query})
        return iter([[new], [old]]) if query.get("sort") else iter([[new, old]])

    monkeypatch.setattr(sync._crm, "pages", pages)
    watermark.write(sync._engine, "fub_people", ask.now - timedelta(hours=1), now=ask.now)
    sync.people(now=ask.now)
    assert [query.get("sort") for query in asked] == ["-updated", "-updated", None, "-updated"]
    assert ask.ledger("select person_id from ledger.people") == [(2,)]


@pytest.mark.usefixtures("lands")
def test_a_bulk_change_beyond_the_offset_wall_is_read_to_its_end(
    runtime: Runtime, world: World, account: Account, ask: Asking, sync: Sync
) -> None:
    account.control("population", aged=2_150)
    sync.people(now=ask.now)
    for works, stage in ((True, "Contacted"), (False, "Nurture")):
        world.sandbox.config.fub_updated_after_works = works
        world.sandbox.config.fub_deep_tokens_work = works
        for person in list(world.store.people.all.newest_first()):
            world.store.people.update(person, {"stage": stage})
        read = sync.people(now=ask.now)
        assert len(set(read.person_ids)) == 2_150
        assert ask.one("select count(*) from ledger.people where stage = :stage", stage=stage) == 2_150


def test_people_edited_and_created_under_the_walk_are_read_by_the_next_pass(
    account: Account, ask: Asking, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [account.add(firstName="Before", emails=[{"value": f"l{n}@example.com"}]) for n in range(250)]
    store, late = intake.store, []

    def store_and_edit(*what: Any, **how: Any) -> Any:
        if not late:
            late.append(account.add(firstName="Late", emails=[{"value": "late@example.com"}]))
            account.change(ids[240], firstName="Edited")
        return store(*what, **how)

    monkeypatch.setattr(intake, "store", store_and_edit)
    sync.people(now=ask.now)
    assert len(ask.ledger("select 1 from ledger.people where person_id = :id", id=late[0])) == 0
    sync.people(now=ask.now)
    assert ask.person(ids[240]).first_name == "Edited"
    assert ask.person(late[0]).first_name == "Late"


def test_a_pass_that_fails_leaves_the_mark_and_the_next_one_reads_the_same(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.people(now=ask.now)
    account.add(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now)
    mark = watermark.read(runtime.engine, "fub_people")
    missed = account.add(firstName="Bo", emails=[{"value": "bo@example.com"}])

    def broken(*_: Any, **__: Any) -> Any:
        raise TransientError("FUB GET /people: HTTP 502 4 times")

    with monkeypatch.context() as patch:
        patch.setattr(sync._crm, "pages", broken)
        with pytest.raises(TransientError):
            sync.people(now=ask.now)
    assert watermark.read(runtime.engine, "fub_people") == mark
    sync.people(now=ask.now)
    assert ask.person(missed).first_name == "Bo"


def test_the_watermark_is_the_crm_s_time_and_each_pass_overlaps(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now + timedelta(days=9))
    mark = watermark.read(runtime.engine, "fub_people")
    assert mark == ask.person(person_id).crm_updated_at
    assert timedelta(minutes=1) <= OVERLAP
    assert sync.people(now=ask.now).person_ids == [], "what was read is what was read before"
    watermark.put_digest(runtime.engine, "fub_people", "something else was read", now=ask.now)
    assert sync.people(now=ask.now).person_ids == [person_id]
