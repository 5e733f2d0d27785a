"""The polling pass and the nightly sweep against a sandbox over HTTP, a real ledger and a real lake."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from leadpipe.clock import read_offset, set_offset
from leadpipe.crm import history, inbox, intake, landing, sweep, tables, totals, touched, watermark, webhooks
from leadpipe.crm.history import History
from leadpipe.crm.intake import Wanted
from leadpipe.crm.keeping import Keeper
from leadpipe.crm.passes import Pass
from leadpipe.crm.sync import ACTIVITY, OVERLAP, Sync
from leadpipe.errors import BadRecord, Rejected, TransientError
from leadpipe.messaging.suppression import wrong_number
from leadpipe.runtime import Runtime
from leadpipe.sandbox.world import World
from leadpipe.store.locks import lock_key
from leadpipe.work import first_touch, poll
from leadpipe.work import history as work_history
from leadpipe.work.waiting import count_histories
from tests.crm.conftest import Account, Asking
from tests.store.sessions import end_all_sessions

EMAIL = [{"value": "ana1@example.com"}]
PASSAGE = (
    "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, step, opened_at, next_due_at) "
    "values (:id, 'reactivation', '1', 1, 'ask', :at, :at) returning id"
)
HELD = """
insert into ledger.messages (id, person_id, contact_point_id, enrolment_id, plan, step, occurrence, channel, purpose,
  body, state, due_at, not_before_at, created_at, changed_at)
select gen_random_uuid(), :id, contact_point_id, :passage, 'reactivation', 'ask', 1, 'email', 'marketing', 'words',
  'held', :at, :until, :at, :at
from ledger.person_contact_points where person_id = :id order by rank limit 1 returning id::text
"""


SMALL = poll.SMALL


@pytest.fixture(autouse=True)
def _without_small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users, stages, pipelines and deals are read in the test of the first pass; landing them takes half a second."""
    monkeypatch.setattr(poll, "SMALL", ())


@pytest.fixture
def lands() -> None:
    """This test looks at the lake."""


@pytest.fixture(autouse=True)
def _without_lake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ledger alone is looked at, nothing lands: opening the lake is a third of a second of work each time."""
    if "lands" not in request.fixturenames:
        monkeypatch.setattr(landing, "land_all", lambda *_, **__: [])


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The people whom a pass hands to the first touch, which itself is not under test here."""
    seen: list[int] = []
    monkeypatch.setattr(first_touch, "answer", lambda _runtime, taken, *_: seen.extend(taken.person_ids))
    return seen


def newest_rows(ask: Asking, person_id: int) -> list[Any]:
    return ask.lake(
        f"select stage, is_deleted, landed_by from raw.fub__people where person_id = {person_id} order by landed_at"
    )


# first sync


@pytest.mark.usefixtures("lands")
def test_the_first_pass_reads_everyone_and_welcomes_nobody(
    runtime: Runtime, account: Account, ask: Asking, answered: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "SMALL", SMALL)
    account.control("population", aged=130)
    account.inquire(firstName="Ana", emails=EMAIL)
    done = poll.poll(runtime, channels={})
    assert done.failures == []
    assert done.is_first
    assert done.count_people == 131
    assert answered == []
    assert ask.one("select count(*) from ledger.people") == 131
    assert ask.lake("select count(*), count(distinct person_id) from raw.fub__people") == [(131, 131)]
    for table in ("events", "users", "stages", "pipelines", "appointments", "deals"):
        held = runtime.crm.get(table)["_metadata"]["total"]
        assert done.count_by_table[f"raw.fub__{table}"] == int(held) > 0
        assert ask.lake(f"select count(*) from raw.fub__{table}") == [(int(held),)]


@pytest.mark.usefixtures("lands")
def test_a_second_pass_lands_nothing_again_and_answers_only_who_is_new(
    runtime: Runtime, account: Account, ask: Asking, answered: list[int]
) -> None:
    account.control("population", aged=20)
    poll.poll(runtime, channels={})
    new = account.inquire(firstName="Ana", emails=EMAIL)
    done = poll.poll(runtime, channels={})
    assert answered == [new]
    assert done.count_by_table["raw.fub__people"] == 1
    assert done.count_by_table["raw.fub__events"] == 1
    assert poll.poll(runtime, channels={}).count_by_table["raw.fub__people"] == 0
    assert answered == [new]


def test_an_old_lead_s_new_inquiry_is_answered(runtime: Runtime, account: Account, answered: list[int]) -> None:
    old = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    assert account.inquire(emails=EMAIL) == old
    poll.poll(runtime, channels={})
    assert answered == [old]


def test_a_lead_whose_run_died_between_storing_and_answering_is_answered_by_the_next_pass(
    runtime: Runtime, account: Account, sync: Sync, ask: Asking, answered: list[int]
) -> None:
    poll.poll(runtime, channels={})
    lost = account.inquire(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now)
    sync.activity(tables.EVENTS, now=ask.now)
    poll.poll(runtime, channels={})
    assert answered == [], "for two minutes the run that stored it may be at work"
    account.control("clock", jump_seconds=180)
    set_offset(runtime.engine, read_offset(runtime.engine) + timedelta(seconds=180))
    runtime.clock._read_at = 0.0  # type: ignore[attr-defined] - a jump is read within half a second
    poll.poll(runtime, channels={})
    assert answered == [lost]


# walks


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


# events and activities


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


def test_what_agents_do_is_recorded_and_pauses_automation_for_that_lead(
    runtime: Runtime, account: Account, ask: Asking
) -> None:
    poll.poll(runtime, channels={})
    leads = {
        act: account.add(firstName=act, emails=[{"value": f"{act}@example.com"}], phones=[{"value": "+15125550142"}])
        for act in ("call", "note", "text")
    }
    for act, person_id in leads.items():
        account.control("act", what=act, person_id=person_id)
    poll.poll(runtime, channels={})
    seen = ask.ledger("select kind, person_id from ledger.human_actions")
    assert {("call", leads["call"]), ("note", leads["note"]), ("text", leads["text"])} <= {tuple(row) for row in seen}
    for person_id in leads.values():
        assert ask.person(person_id).automation_paused_reason == "human_acted"
        assert ask.person(person_id).last_human_at is not None


def test_people_in_conversation_are_read_with_their_texts_at_every_pass(
    account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL, phones=[{"value": "+15125550142"}])
    assert sync.conversations([person_id], now=ask.now).human_ids == []
    account.control("act", what="text", person_id=person_id)
    assert sync.conversations([person_id], now=ask.now).human_ids == [person_id]
    assert sync.conversations([person_id], now=ask.now).person_ids == [], "the same as before"


def test_an_email_of_the_team_pauses_too_though_it_moves_no_updated(
    runtime: Runtime, account: Account, ask: Asking
) -> None:
    poll.poll(runtime, channels={})
    person_id = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    with runtime.engine.begin() as connection:
        connection.execute(text("update ledger.people set last_human_at = null"))
    account.control("act", what="email", person_id=person_id)
    email_id = max(row["id"] for page in runtime.crm.pages("emails", {"personId": person_id}) for row in page)
    taken = intake.take_in(
        Wanted(emails={email_id}), crm=runtime.crm, lake=runtime.lake, engine=runtime.engine, now=ask.now
    )
    assert taken.human_ids == (person_id,)
    assert ask.one("select kind from ledger.human_actions where person_id = :id", id=person_id) == "email"


# changes that re-judge


def held_message(ask: Asking, person_id: int) -> str:
    """A message of the person's open passage that waits for the morning; returns its id."""
    values = {"id": person_id, "at": ask.now - timedelta(minutes=1), "until": ask.now + timedelta(hours=9)}
    with ask.runtime.engine.begin() as connection:
        passage = connection.execute(text(PASSAGE), values).scalar_one()
        return connection.execute(text(HELD), values | {"passage": passage}).scalar_one()


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "Nurture"},
        {"assignedUserId": 3},
        {"price": 123_456},
        {
            "addresses": [
                {"type": "home", "street": "", "city": "Denver", "state": "CO", "code": "80202", "country": "US"}
            ]
        },
    ],
    ids=["stage", "agent", "price", "place"],
)
def test_a_change_of_what_is_judged_re_judges_what_is_held(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync, change: dict[str, Any]
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now)
    message_id = held_message(ask, person_id)
    account.change(person_id, firstName="Another name")
    sync.people(now=ask.now)
    assert ask.one("select not_before_at > :now from ledger.messages", now=ask.now), "a name re-judges nothing"
    account.change(person_id, **change)
    sync.people(now=ask.now)
    assert ask.one(
        "select not_before_at <= :now from ledger.messages where id = cast(:id as uuid)", id=message_id, now=ask.now
    )


def test_a_stop_stage_ends_the_plans_and_cancels_what_waits_at_once(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now)
    held_message(ask, person_id)
    account.change(person_id, stage="Under Contract")
    sync.people(now=ask.now)
    assert ask.ledger("select state, code from ledger.messages") == [("cancelled", "stop_stage")]
    assert ask.ledger("select state, end_reason from ledger.enrolments") == [("ended", "stop_stage")]


# what polling cannot see


@pytest.mark.usefixtures("lands")
def test_a_deleted_lead_is_tombstoned_once_its_own_get_says_404(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "MOST_PAGES_ELSE", -1)  # an account too large to be walked by day
    gone, here = (account.add(firstName="Ana", emails=[{"value": f"l{n}@example.com"}]) for n in range(2))
    poll.poll(runtime, channels={})
    held_message(ask, gone)
    account.delete(gone)
    poll.poll(runtime, channels={})
    assert ask.person(gone).deleted_at is None, "polling cannot see it"
    swept = nightly_sweep(runtime)
    assert swept.gone_ids == (gone,)
    assert ask.person(gone).deleted_at is not None
    assert ask.person(here).deleted_at is None
    assert ask.ledger("select state, code from ledger.messages") == [("cancelled", "deleted_in_crm")]
    assert newest_rows(ask, gone)[-1][1:] == (True, "sweep")
    assert nightly_sweep(runtime).gone_ids == ()


@pytest.mark.usefixtures("lands")
def test_a_deletion_nobody_told_of_is_found_by_the_next_poll_where_the_list_is_short_enough(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    gone, here = (account.add(firstName="Ana", emails=[{"value": f"l{n}@example.com"}]) for n in range(2))
    poll.poll(runtime, channels={})
    account.delete(gone)
    assert poll.poll(runtime, channels={}).count_gone == 1
    assert ask.person(gone).deleted_at is not None
    assert ask.person(here).deleted_at is None


def test_a_merge_is_followed_and_the_plan_goes_on_with_the_winner(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    winner = account.add(firstName="Ana", emails=[{"value": "ana@example.com"}])
    loser = account.add(firstName="Ana", emails=[{"value": "ana@work.example"}])
    poll.poll(runtime, channels={})
    message_id = held_message(ask, loser)
    account.merge(winner, loser)
    poll.poll(runtime, channels={})
    assert (ask.person(loser).stage, ask.person(loser).merged_into) == ("Trash", winner)
    assert set(ask.points(winner)) == {"ana@example.com", "ana@work.example"}
    assert ask.ledger("select person_id, state from ledger.enrolments") == [(winner, "open")]
    moved = ask.ledger("select person_id, state from ledger.messages where id = cast(:id as uuid)", id=message_id)
    assert moved == [(winner, "held")]


def test_a_merge_of_two_who_both_met_the_plan_keeps_the_winner_s_own_passage(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    winner = account.add(firstName="Ana", emails=[{"value": "ana@example.com"}])
    loser = account.add(firstName="Ana", emails=[{"value": "ana@work.example"}])
    poll.poll(runtime, channels={})
    held_message(ask, winner)
    held_message(ask, loser)
    account.merge(winner, loser)
    poll.poll(runtime, channels={})
    kept = ask.ledger("select person_id, state, end_reason from ledger.enrolments order by id")
    assert kept == [(winner, "open", None), (loser, "ended", "merged")]
    left = ask.ledger("select person_id, state, code from ledger.messages order by person_id")
    assert left == [(winner, "held", None), (loser, "cancelled", "merged")]


def test_a_lead_in_trash_stops_and_one_taken_back_out_is_a_lead_again(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    held_message(ask, person_id)
    account.change(person_id, stage="Trash")
    poll.poll(runtime, channels={})
    assert ask.person(person_id).stage == "Trash"
    assert ask.ledger("select state from ledger.messages") == [("cancelled",)]
    account.change(person_id, stage="Lead")
    poll.poll(runtime, channels={})
    assert (ask.person(person_id).stage, ask.person(person_id).deleted_at) == ("Lead", None)


@pytest.mark.usefixtures("lands")
def test_a_change_in_the_second_of_the_last_reading_is_found_by_the_sweep(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    account.change(person_id, firstName="Changed")
    updated_at = account.updated_at(person_id)
    with runtime.engine.begin() as connection:  # the CRM's stamp has whole seconds, so both versions carry this one
        connection.execute(
            text("update ledger.people set crm_updated_at = :at, refreshed_at = :at"), {"at": updated_at}
        )
    assert nightly_sweep(runtime).reread_ids == (person_id,)
    assert ask.person(person_id).first_name == "Changed"
    with runtime.engine.begin() as connection:
        connection.execute(text("update ledger.people set refreshed_at = refreshed_at + interval '3 seconds'"))
    assert nightly_sweep(runtime).reread_ids == ()


@pytest.mark.usefixtures("lands")
def test_a_missed_change_is_repaired_by_the_sweep(runtime: Runtime, account: Account, ask: Asking, sync: Sync) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    account.change(person_id, firstName="Changed")
    for source in ("fub_people", touched.SOURCE):
        watermark.write(runtime.engine, source, ask.now + timedelta(days=1), now=ask.now)
    poll.poll(runtime, channels={})
    assert ask.person(person_id).first_name == "Ana"
    assert nightly_sweep(runtime).reread_ids == (person_id,)
    assert ask.person(person_id).first_name == "Changed"


@pytest.mark.usefixtures("lands")
def test_when_a_tenth_of_everyone_vanishes_nobody_is_tombstoned_and_a_person_is_told(
    runtime: Runtime, world: World, account: Account, ask: Asking
) -> None:
    account.control("population", aged=60)
    poll.poll(runtime, channels={})
    agent_key = SecretStr(world.sandbox.config.fub_agent_key)
    narrowed = Runtime(runtime.settings.model_copy(update={"fub_api_key": agent_key}))
    try:
        swept = nightly_sweep(narrowed)
    finally:
        narrowed.close()
    assert swept.gone_ids == ()
    assert swept.count_missing_unbelieved > 25
    assert ask.one("select count(*) from ledger.people where deleted_at is not null") == 0
    assert ask.one("select kind from ledger.alerts where kind = 'people_missing'") == "people_missing"


def test_before_the_first_sync_a_sweep_does_nothing(runtime: Runtime, account: Account, ask: Asking) -> None:
    account.add(firstName="Ana", emails=EMAIL)
    assert nightly_sweep(runtime).count_seen == 0
    assert ask.one("select count(*) from ledger.people") == 0


# odd records


def test_a_phone_of_forty_digits_is_quarantined_and_the_lead_is_kept_with_the_email(
    runtime: Runtime, account: Account, ask: Asking, answered: list[int]
) -> None:
    poll.poll(runtime, channels={})
    person_id = account.inquire(firstName="Ana", emails=EMAIL, phones=[{"value": "5" * 40}])
    poll.poll(runtime, channels={})
    assert answered == [person_id]
    assert ask.points(person_id) == {"ana1@example.com": None}
    kept = ask.ledger("select source, record_key, reason, raw from ledger.quarantine")
    assert [tuple(row) for row in kept] == [("fub_contact_point", str(person_id), "phone_too_long", b"5" * 40)]


def test_a_person_without_phone_or_email_is_kept_with_a_reason(runtime: Runtime, account: Account, ask: Asking) -> None:
    poll.poll(runtime, channels={})
    person_id = account.inquire(firstName="Nobody")
    poll.poll(runtime, channels={})
    assert ask.points(person_id) == {}
    assert ask.person(person_id).outcome == "no_contact_point"
    assert ask.one("select outcome from ledger.inquiries") == "no_contact_point"


def test_an_unclaimed_lead_is_kept_and_becomes_whole_when_claimed(
    runtime: Runtime, world: World, account: Account, ask: Asking
) -> None:
    poll.poll(runtime, channels={})
    person_id = account.inquire(firstName="Ana", emails=EMAIL)
    person = world.store.people.all.get(person_id)
    assert person is not None
    world.store.people.update(person, {"claimed": False})
    poll.poll(runtime, channels={})
    assert ask.points(person_id) == {}
    assert ask.person(person_id).outcome == "no_contact_point"
    world.store.people.update(person, {"claimed": True, "assignedUserId": 2})
    poll.poll(runtime, channels={})
    assert ask.points(person_id) == {"ana1@example.com": None}


def test_a_number_that_was_called_wrong_stays_detached_whatever_the_crm_says(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    phone = [{"value": "(512) 555-0142"}]
    person_id = account.add(firstName="Ana", emails=EMAIL, phones=phone)
    sync.people(now=ask.now)
    point = ask.one("select id from ledger.contact_points where kind = 'phone'")
    with runtime.engine.begin() as connection:
        wrong_number(connection, contact_point_id=point, source="phrase", at=ask.now, now=ask.now)
    account.change(person_id, firstName="Changed", phones=phone)
    sync.people(now=ask.now)
    assert ask.points(person_id) == {"ana1@example.com": None, "+15125550142": "wrong_number"}


def test_an_address_that_left_the_crm_is_detached_and_comes_back_with_it(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now)
    account.change(person_id, emails=[{"value": "new@example.com"}])
    sync.people(now=ask.now)
    assert ask.points(person_id) == {"ana1@example.com": "gone_from_crm", "new@example.com": None}
    account.change(person_id, emails=[{"value": "new@example.com"}, *EMAIL])
    sync.people(now=ask.now)
    assert ask.points(person_id) == {"new@example.com": None, "ana1@example.com": None}


# the CRM's own opt-outs, plans and webhooks


def test_the_crm_s_unsubscribes_become_suppressions_once(
    runtime: Runtime, world: World, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=[*EMAIL, {"value": "second@example.com"}])
    other = account.add(firstName="Bo", emails=[{"value": "bo@example.com"}])
    poll.poll(runtime, channels={})
    world.store.add("emEvents", {"type": "unsubscribe", "personId": person_id, "recipient": "ana1@example.com"})
    world.store.add("emEvents", {"type": "open", "personId": other})
    world.store.add("emEvents", {"type": "spamreport", "personId": other})
    assert poll.poll(runtime, channels={}).count_unsubscribes == 2
    assert poll.poll(runtime, channels={}).count_unsubscribes == 0
    found = ask.ledger(
        "select address, channel, source from ledger.suppressions join ledger.contact_points c "
        "on c.id = contact_point_id order by 1"
    )
    assert [tuple(row) for row in found] == [
        ("ana1@example.com", "email", "fub_unsubscribe"),
        ("bo@example.com", "email", "fub_spam_report"),
    ]


def test_an_unsubscribed_event_of_a_lead_suppresses_their_email(
    runtime: Runtime, account: Account, ask: Asking
) -> None:
    poll.poll(runtime, channels={})
    account.inquire(kind="Unsubscribed", firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    assert ask.ledger("select channel, source from ledger.suppressions") == [("email", "fub_unsubscribed_event")]


def test_running_action_plans_beside_ours_are_counted_and_told(
    runtime: Runtime, world: World, account: Account, ask: Asking, sync: Sync
) -> None:
    both, only_theirs = (account.add(firstName="Ana", emails=[{"value": f"l{n}@example.com"}]) for n in range(2))
    sync.people(now=ask.now)
    held_message(ask, both)
    for person_id, status in ((both, "Running"), (only_theirs, "Running"), (both, "Paused")):
        world.store.add("actionPlansPeople", {"personId": person_id, "actionPlanId": 1, "status": status})
    done = poll.poll(runtime, channels={})
    assert done.count_action_plans_running == 1
    assert "1 leads" in ask.one("select body from ledger.alerts where kind = 'action_plans_running'")


def test_missing_and_disabled_webhooks_are_told_and_installed_ones_are_not(
    runtime: Runtime, world: World, account: Account, ask: Asking
) -> None:
    done = poll.poll(runtime, channels={})
    assert f"{webhooks.EVENTS[0]}: missing" in done.hooks_wrong
    assert "leadpipe webhooks install" in ask.one("select body from ledger.alerts where kind = 'webhook_missing'")
    hooks = webhooks.install(runtime.crm, runtime.settings)
    assert all(hook.is_right for hook in hooks)
    assert webhooks.install(runtime.crm, runtime.settings) == hooks
    runtime.crm.put(f"webhooks/{hooks[2].hook_id}", {"status": "Disabled"})
    assert [hook.state for hook in webhooks.status(runtime.crm, runtime.settings)].count("disabled") == 1
    assert all(hook.is_right for hook in webhooks.install(runtime.crm, runtime.settings))
    moved = runtime.settings.model_copy(update={"fub_webhook_token": SecretStr("new")})
    assert {hook.state for hook in webhooks.status(runtime.crm, moved)} == {"stale"}
    assert all(hook.is_right for hook in webhooks.install(runtime.crm, moved))
    assert webhooks.remove(runtime.crm, moved) == len(webhooks.EVENTS)
    assert {hook.state for hook in webhooks.status(runtime.crm, moved)} == {"missing"}


# when a source fails


def test_one_failing_source_stops_no_other_and_is_told_after_a_while(
    runtime: Runtime, account: Account, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll.poll(runtime, channels={})
    person_id = account.add(firstName="Ana", emails=EMAIL)

    def broken(self: Sync, table: tables.RawTable, *, now: Any) -> Any:
        raise TransientError(f"FUB GET /{table.collection}: HTTP 502 4 times")

    monkeypatch.setattr(Sync, "activity", broken)
    done = poll.poll(runtime, channels={})
    assert len(done.failures) == 5
    assert ask.person(person_id).first_name == "Ana"
    told: Callable[[], int] = lambda: ask.one("select count(*) from ledger.alerts where kind = 'poll_failed'")  # noqa: E731
    assert told() == 0
    with runtime.engine.begin() as connection:
        connection.execute(
            text("update ledger.watermarks set value = cast(:value as jsonb) where source = 'poll:events'"),
            {"value": json.dumps({"at": (ask.now - timedelta(minutes=20)).isoformat()})},
        )
    poll.poll(runtime, channels={})
    assert told() == 1


def test_a_refused_key_is_told_at_once_and_named(runtime: Runtime, ask: Asking) -> None:
    wrong = Runtime(runtime.settings.model_copy(update={"fub_api_key": SecretStr("fka_wrong_key")}))
    try:
        done = poll.poll(wrong, channels={})
    finally:
        wrong.close()
    assert done.failures
    body = ask.one("select body from ledger.alerts where kind = 'poll_failed'")
    assert "LEADPIPE_FUB_API_KEY" in body
    assert "fka_wrong_key" not in body + "".join(done.failures)


def test_the_first_pass_goes_live_once(runtime: Runtime, ask: Asking) -> None:
    with runtime.engine.begin() as connection:
        connection.execute(text("delete from ledger.controls where key = 'go_live'"))
    poll.poll(runtime, channels={})
    first = ask.one("select value ->> 'at' from ledger.controls where key = 'go_live'")
    poll.poll(runtime, channels={})
    assert ask.one("select value ->> 'at' from ledger.controls where key = 'go_live'") == first


# notices of the CRM


def put_notices(runtime: Runtime, **kinds: int) -> None:
    with runtime.engine.begin() as connection:
        for kind, record_id in kinds.items():
            connection.execute(
                text(
                    "insert into ledger.inbox (source, kind, dedupe_key, body, received_at) "
                    "values ('fub', :kind, :key, convert_to(:body, 'utf8'), :now)"
                ),
                {
                    "kind": kind,
                    "key": f"{kind}-{record_id}",
                    "body": json.dumps({"resourceIds": [record_id]}),
                    "now": runtime.clock.now(),
                },
            )


def test_a_deleted_person_s_notice_tombstones_and_an_unsubscribe_s_notice_suppresses(
    runtime: Runtime, world: World, account: Account, ask: Asking, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_last_known", lambda *_: [])
    here, gone = (account.add(firstName="Ana", emails=[{"value": f"l{n}@example.com"}]) for n in range(2))
    sync.people(now=ask.now)
    account.delete(gone)
    row = world.store.add("emEvents", {"type": "unsubscribe", "personId": here})
    put_notices(runtime, peopleDeleted=gone, emEventsUnsubscribed=row["id"])
    first_touch.answer_new_leads(runtime, linger_seconds=0, channels={})
    assert ask.person(gone).deleted_at is not None
    assert ask.person(here).deleted_at is None
    assert ask.ledger("select channel, source from ledger.suppressions") == [("email", "fub_unsubscribe")]
    assert {row.state for row in ask.ledger("select state from ledger.inbox")} == {"handled"}


def test_a_notice_that_cannot_be_worked_off_does_not_take_the_others_with_it(
    runtime: Runtime, account: Account, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_id = account.inquire(firstName="Ana", emails=EMAIL)
    take_in = intake.take_in

    def fussy(wanted: Wanted, **more: Any) -> Any:
        if 999 in wanted.people:
            raise BadRecord("a record that nobody can read")
        return take_in(wanted, **more)

    monkeypatch.setattr(intake, "take_in", fussy)
    put_notices(runtime, peopleUpdated=999, peopleCreated=person_id)
    done = first_touch.answer_new_leads(runtime, linger_seconds=0, channels={})
    assert done.count_notices == 2
    assert ask.person(person_id).outcome == "enrolled"
    states = ask.ledger("select kind, state, reason from ledger.inbox order by id")
    assert [tuple(row) for row in states] == [
        ("peopleUpdated", "new", "a record that nobody can read"),
        ("peopleCreated", "handled", None),
    ]


def test_notices_are_given_back_at_once_when_postgresql_dies_under_a_pass_and_when_it_is_there_again(
    runtime: Runtime, account: Account, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_id = account.inquire(firstName="Ana", emails=EMAIL)
    put_notices(runtime, peopleCreated=person_id)
    take_in, give_back = intake.take_in, inbox.give_back
    fails = iter(("lake", "ledger"))

    def dying(*what: Any, **more: Any) -> Any:
        match next(fails, None):
            case "lake":
                with runtime.lake.connect(read_only=True) as connection:
                    connection.begin()
                    connection.execute("from ducklake_snapshots('lake')").fetchall()
                    end_all_sessions(runtime.database_url)
                    connection.execute("from ducklake_snapshots('lake')").fetchall()
            case "ledger":
                with runtime.engine.connect() as connection:
                    end_all_sessions(runtime.database_url)
                    connection.execute(text("select 1"))
        return take_in(*what, **more)

    away = iter(range(2))

    def give_back_later(*what: Any, **more: Any) -> None:
        if next(away, None) is not None:
            raise OperationalError("update ledger.inbox", {}, psycopg.OperationalError("the database is starting up"))
        give_back(*what, **more)

    monkeypatch.setattr(intake, "take_in", dying)
    monkeypatch.setattr(inbox, "give_back", give_back_later)
    for _ in range(2):
        done = first_touch.answer_new_leads(runtime, linger_seconds=0, channels={})
        assert len(done.failures) == 1
        (row,) = ask.ledger("select state, attempts, lease_expires_at from ledger.inbox")
        assert (row.state, row.attempts) == ("new", 0)
        assert row.lease_expires_at <= ask.now + first_touch.RETRY_AFTER
        with runtime.engine.begin() as connection:
            connection.execute(text("update ledger.inbox set lease_expires_at = null"))
    assert first_touch.answer_new_leads(runtime, linger_seconds=0, channels={}).failures == []
    assert ask.person(person_id).outcome == "enrolled"


def test_our_own_notes_are_not_read_back(runtime: Runtime, account: Account, ask: Asking) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    ours = runtime.crm.post("notes", {"personId": person_id, "body": "by us"})["id"]
    with runtime.engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.writebacks (person_id, kind, marker, state, crm_id, created_at) "
                "values (:person, 'note', 'm-1', 'done', :crm, :now)"
            ),
            {"person": person_id, "crm": str(ours), "now": ask.now},
        )
    assert intake._not_ours(runtime.engine, "notes", {ours, 77}) == {77}
