"""What no webhook and no list of changes tells: edits, moves, deletions, and versions that tie. Against the sandbox."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from benchmarks.crm_day import Team, unequal
from leadpipe.crm import children, edits, gone, landing, tables, totals, touched, watermark, webhooks
from leadpipe.crm.compare import compare
from leadpipe.crm.tables import RawTable
from leadpipe.gateway.app import create_app as create_gateway
from leadpipe.runtime import Runtime
from leadpipe.sandbox.control import SandboxControl
from leadpipe.sandbox.world import World
from leadpipe.work import first_touch, poll
from leadpipe.work.audit import audit, sides
from tests.crm.conftest import Account, Asking
from tests.gateway.serving import free_socket, served, url_of

EMAIL = [{"value": "ana1@example.com"}]
PHONE = [{"value": "+15125550142"}]


@pytest.fixture(autouse=True)
def _idle_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's agents leave tasks alone: what changes here is what a test changes."""
    monkeypatch.setattr("leadpipe.sandbox.population.agents.ACTS_ON_TASK", 0.0)


@pytest.fixture
def team(world: World) -> Generator[Team]:
    """The team at work in the CRM's own pages; its requests are no part of leadpipe's budget."""
    config = world.sandbox.config
    limits = dict.fromkeys(("global", "events", "notes", "PUT.people"), 100_000)
    with SandboxControl(config.base_url) as control, httpx.Client(auth=(config.fub_api_key, ""), timeout=10) as http:
        control.set_limits(limits)
        yield Team(
            http=http, base=f"{config.base_url}/fub/v1", control=control, dice=random.Random(3), now=world.sandbox.now
        )


@pytest.fixture
def parts(runtime: Runtime) -> dict[str, Any]:
    """What every read of the CRM is given."""
    return {"crm": runtime.crm, "lake": runtime.lake, "engine": runtime.engine}


@pytest.fixture
def read_all(runtime: Runtime) -> Callable[[], None]:
    """A function that brings people, notes and tasks level with the CRM, whatever was missed before."""

    def run() -> None:
        for table in (tables.PEOPLE, tables.NOTES, tables.TASKS):
            compare(table, sides(runtime))

    return run


def current(ask: Asking, table: RawTable, column: str, record_id: int) -> Any:
    """A column of a record's newest version, and whether that is a deletion."""
    found = ask.lake(
        f"select {column}, is_deleted from {table.name} where {table.key} = {record_id} order by landed_at desc limit 1"
    )
    return tuple(found[0]) if found else None


def test_of_two_versions_read_at_one_moment_the_later_read_is_the_current_one(ask: Asking, runtime: Runtime) -> None:
    now = ask.now
    person = {"id": 1, "created": "2026-03-03T15:00:00Z", "updated": "2026-03-03T15:00:00Z", "stage": "Lead"}
    for stage in ("Lead", "Contacted", "Nurture"):
        landing.land(runtime.lake, tables.PEOPLE, [{**person, "stage": stage}], landed_by="poll", now=now)
        assert current(ask, tables.PEOPLE, "stage", 1) == (stage, False)
    # A pass that read before a webhook did must not win over it, however late it lands.
    landing.land(
        runtime.lake, tables.PEOPLE, [{**person, "stage": "Lead"}], landed_by="poll", now=now - timedelta(seconds=9)
    )
    assert current(ask, tables.PEOPLE, "stage", 1) == ("Nurture", False)


def test_an_edited_record_is_read_again_and_only_once(
    world: World, account: Account, ask: Asking, runtime: Runtime, parts: dict[str, Any]
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    task = runtime.crm.post("tasks", {"personId": person_id, "name": "Call"})["id"]
    for each in range(120):
        world.store.add("tasks", {"personId": person_id, "name": f"Call {each}", "isCompleted": 0})
    assert edits.edited(tables.TASKS, **parts, now=ask.now).is_first
    runtime.crm.put(f"tasks/{task}", {"isCompleted": True})
    read = edits.edited(tables.TASKS, **parts, now=ask.now)
    assert not read.is_first
    assert current(ask, tables.TASKS, "is_completed", task) == (True, False)
    written = read.count_by_table["raw.fub__tasks"]
    assert written == 121, "all of them changed within the overlap"
    assert edits.edited(tables.TASKS, **parts, now=ask.now).count_by_table == {}


def test_a_list_that_is_not_in_the_order_asked_for_is_not_believed(
    ask: Asking, parts: dict[str, Any], runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": n, "personId": 1, "updated": f"2026-03-0{day}T15:00:00Z"} for n, day in ((3, 4), (2, 2), (1, 3))]
    monkeypatch.setattr(runtime.crm, "pages", lambda *_: iter([rows]))
    watermark.write(runtime.engine, "fub_notes_edited", ask.now - timedelta(days=999), now=ask.now)
    mark = watermark.read(runtime.engine, "fub_notes_edited")
    assert edits.edited(tables.NOTES, **parts, now=ask.now).count_by_table == {}
    assert watermark.read(runtime.engine, "fub_notes_edited") == mark


@pytest.mark.parametrize("works", [True, False], ids=["the filter works", "the filter finds nothing"])
def test_a_text_moves_no_updated_and_is_read_with_its_person_all_the_same(
    works: bool,
    account: Account,
    ask: Asking,
    runtime: Runtime,
    parts: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quiet = account.add(firstName="Bo", emails=[{"value": "bo@example.com"}])
    person_id = account.add(firstName="Ana", emails=EMAIL, phones=PHONE)
    settings = runtime.settings
    assert touched.touched(**parts, settings=settings, now=ask.now).person_ids == [], "no people pass before"
    watermark.write(runtime.engine, touched.SOURCE, ask.now, now=ask.now)
    account.control("act", what="text", person_id=person_id)
    if not works:
        pages = runtime.crm.pages
        monkeypatch.setattr(
            runtime.crm, "pages", lambda path, query: iter([[]]) if "lastActivityAfter" in query else pages(path, query)
        )
    read = touched.touched(**parts, settings=settings, now=ask.now)
    assert set(read.person_ids) >= {person_id}
    assert read.human_ids == [person_id]
    texts = ask.lake("select person_id from raw.fub__text_messages")
    assert texts == [(person_id,)]
    assert ask.person(quiet).person_id == quiet


def test_what_belonged_to_deleted_and_merged_people_is_followed(
    account: Account,
    ask: Asking,
    runtime: Runtime,
    parts: dict[str, Any],
    read_all: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The merged one has no address, so that nothing but their records tells where they went."""
    winner, loser, deleted = (account.add(firstName=name) for name in ("Ana", "Ann", "Bo"))
    notes = {n: runtime.crm.post("notes", {"personId": n, "body": "x"})["id"] for n in (winner, loser, deleted)}
    read_all()
    children.follow(**parts, now=ask.now)
    account.merge(winner, loser)
    account.delete(deleted)
    compare(tables.PEOPLE, sides(runtime))
    with monkeypatch.context() as patch:
        patch.setattr(gone, "MOST_ASKED", 0)
        assert not children.follow(**parts, now=ask.now).is_over, "and the next pass goes on with the same people"
    done = children.follow(**parts, now=ask.now)
    assert (done.count_landed, done.count_gone) == (1, 1)
    assert current(ask, tables.NOTES, "person_id", notes[loser]) == (winner, False)
    assert current(ask, tables.NOTES, "person_id", notes[deleted]) == (deleted, True)
    assert current(ask, tables.NOTES, "person_id", notes[winner]) == (winner, False)
    again = children.follow(**parts, now=ask.now)
    assert (again.count_landed, again.count_gone) == (0, 0)


def test_a_text_that_moved_with_a_merge_before_anybody_read_it_is_found_at_the_winner(
    account: Account, ask: Asking, runtime: Runtime, parts: dict[str, Any]
) -> None:
    winner = account.add(firstName="Ana", emails=EMAIL)
    loser = account.add(firstName="Ann", phones=PHONE)
    children.follow(**parts, now=ask.now)
    account.control("act", what="text", person_id=loser)
    account.merge(winner, loser)
    compare(tables.PEOPLE, sides(runtime))
    children.follow(**parts, now=ask.now)
    assert ask.person(loser).merged_into == winner
    assert ask.lake("select person_id from raw.fub__text_messages") == [(winner,)]


def test_a_smaller_total_starts_a_walk_and_a_wrong_one_starts_no_third(
    world: World,
    account: Account,
    ask: Asking,
    runtime: Runtime,
    parts: dict[str, Any],
    read_all: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(totals, "COUNTED", (tables.PEOPLE, tables.TASKS))
    person_id = account.add(firstName="Ana", emails=EMAIL)
    ids = [runtime.crm.post("tasks", {"personId": person_id, "name": "Call"})["id"] for _ in range(3)]
    read_all()
    assert totals.shrunk(**parts, now=ask.now) == ()
    runtime.crm.delete(f"tasks/{ids[1]}")
    assert totals.shrunk(**parts, now=ask.now) == (tables.TASKS,)
    assert [each.record_id for each in compare(tables.TASKS, sides(runtime)).differences] == [ids[1]]
    totals.settle(tables.TASKS, **parts, now=ask.now)
    assert totals.shrunk(**parts, now=ask.now) == ()

    said = totals._said
    monkeypatch.setattr(totals, "_said", lambda table, crm: (max(0, said(table, crm)[0] - 1), said(table, crm)[1]))  # type: ignore[operator]
    for walks in range(3):
        wrong = tables.TASKS in totals.shrunk(**parts, now=ask.now)
        assert wrong == (walks < 2), "two walks that leave the same are what a wrong total is known by"
        if wrong:
            totals.settle(tables.TASKS, **parts, now=ask.now)
    monkeypatch.setattr(totals, "_said", said)
    runtime.crm.delete(f"tasks/{ids[0]}")
    monkeypatch.setattr(totals, "_said", lambda table, crm: (max(0, said(table, crm)[0] - 1), said(table, crm)[1]))  # type: ignore[operator]
    assert tables.TASKS in totals.shrunk(**parts, now=ask.now), "a deletion shows under a wrong total too"


def test_many_records_missing_at_once_are_not_believed_to_be_gone(
    ask: Asking, runtime: Runtime, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": n, "personId": 1, "body": "x", "updated": "2026-03-03T15:00:00Z"} for n in range(1, 41)]
    landing.land(runtime.lake, tables.NOTES, rows, landed_by="poll", now=ask.now)
    found = gone.confirm(tables.NOTES, range(1, 31), **parts, now=ask.now, landed_by="poll")
    assert (found.gone_ids, len(found.unbelieved_ids)) == ((), 30)
    assert ask.one("select count(*) from ledger.alerts where kind = 'records_missing'") == 1
    monkeypatch.setattr(gone, "MOST_ASKED", 2)
    few = gone.confirm(tables.NOTES, [1, 2, 3], **parts, now=ask.now, landed_by="poll")
    assert (few.gone_ids, few.unasked_ids) == ((3, 2), (1,)), "a long list goes over several passes"
    assert current(ask, tables.NOTES, "note_id", 3) == (3, True)
    assert current(ask, tables.NOTES, "note_id", 1) == (1, False)


def test_a_stage_of_the_account_that_vanished_is_tombstoned_by_the_next_poll(
    world: World, account: Account, ask: Asking, runtime: Runtime
) -> None:
    from leadpipe.crm.sync import Sync

    stage = runtime.crm.post("stages", {"name": "Investor"})["id"]
    sync = Sync(runtime.keeper)
    sync.whole((tables.STAGES,), now=ask.now)
    assert current(ask, tables.STAGES, "name", stage) == ("Investor", False)
    del world.store.stages[stage]
    sync.whole((tables.STAGES,), now=ask.now)
    assert current(ask, tables.STAGES, "name", stage) == ("Investor", True)


def test_after_a_day_of_lost_and_repeated_webhooks_every_raw_table_equals_the_crm(
    world: World, runtime: Runtime, ask: Asking, account: Account, team: Team
) -> None:
    """The small version of ``python -m benchmarks drift``: every kind of act, one poll, every row and column equal."""
    account.control("population", aged=25)
    bound = free_socket()
    runtime.settings = runtime.settings.model_copy(update={"public_base_url": url_of(bound)})
    with served(create_gateway(runtime), bound):
        webhooks.install(runtime.crm, runtime.settings)
        while not poll.poll(runtime, channels={}).is_history_complete:
            pass
        assert unequal(team.control.crm(), runtime.lake) == {}
        account.control("faults", fub_webhook_lost=0.3, fub_webhook_repeated=0.2)
        new = account.inquire(firstName="Ana", emails=EMAIL)
        team.all_kinds()
        team.work(12)
        first_touch.answer_new_leads(runtime, linger_seconds=1, channels={})
    assert {"delete_person", "merge", "text", "delete_note", "edit_note", "move_meeting"} <= set(team.acts)
    done = poll.poll(runtime, channels={})
    assert done.failures == []
    assert unequal(team.control.crm(), runtime.lake) == {}
    assert audit(runtime).differences == [], "the night's audit agrees"
    with runtime.engine.connect() as connection:
        unstated = connection.execute(
            text(
                "select person_id from ledger.people where person_id >= :new and outcome is null and deleted_at is null"
            ),
            {"new": new},
        ).scalars()
        assert list(unstated) == []
