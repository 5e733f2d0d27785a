"""The nightly audit: what it finds, heals, writes again or leaves open; and whose word counts, as data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from leadpipe.crm import audit, compare, conflicts, custom_fields, tables, watermark, written
from leadpipe.crm.audit import Audited
from leadpipe.crm.conflicts import RULES, Winner
from leadpipe.crm.custom_fields import PRIORITY_FIELD, REASON_FIELD, SCORE_FIELD
from leadpipe.crm.writeback import MOVED_IN_CRM, carry_out
from leadpipe.crm.writeback_journal import WriteBack, journal
from leadpipe.errors import TransientError
from leadpipe.runtime import Runtime
from leadpipe.sandbox.fub.fields import CREATABLE, CUSTOM_FIELDS
from leadpipe.sandbox.world import World
from leadpipe.work import audit as nightly_audit
from leadpipe.work import poll
from leadpipe.work.audit import sides
from tests.crm.conftest import Account, Asking

DOCS = Path(__file__).parents[2] / "docs" / "follow-up-boss.md"
EMAIL = [{"value": "ana1@example.com"}]
OURS = {SCORE_FIELD: 61.5, REASON_FIELD: "Asked twice", PRIORITY_FIELD: "high"}


@pytest.fixture(autouse=True)
def _idle_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's agents leave tasks alone: what changes here is what a test changes."""
    monkeypatch.setattr("leadpipe.sandbox.population.agents.ACTS_ON_TASK", 0.0)


@pytest.fixture
def run(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Audited]:
    """A function that audits some collections once: each is a table to create. The day of drift audits all."""
    monkeypatch.setattr(audit, "WHOLE", (tables.PEOPLE, tables.CALLS, tables.TASKS))
    monkeypatch.setattr(audit, "SLICED", (tables.NOTES,))
    monkeypatch.setattr(audit, "SMALL", ())
    needed = {each.name: each.schema for each in (tables.PEOPLE, tables.TEXT_MESSAGES)} | {audit.TABLE: audit.SCHEMA}
    runtime.lake.append_all({name: schema.empty_table() for name, schema in needed.items()})
    watermark.write(runtime.engine, "fub_people", runtime.clock.now(), now=runtime.clock.now())
    return lambda: nightly_audit.audit(runtime)


@pytest.fixture
def carry(runtime: Runtime) -> Callable[..., list[str]]:
    """A function that journals these writes and carries out what waits; returns the states of all."""

    def run(*items: WriteBack) -> list[str]:
        now = runtime.clock.now()
        with runtime.engine.begin() as connection:
            journal(connection, items, now=now)
        carry_out(engine=runtime.engine, crm=runtime.crm, clock=runtime.clock, worker="w")
        with runtime.engine.connect() as connection:
            return list(connection.execute(text("select state from ledger.writebacks order by id")).scalars())

    return run


def score(person_id: int, marker: str = "score:1", **values: Any) -> WriteBack:
    return WriteBack(person_id=person_id, kind="fields", marker=marker, payload=OURS | values)


def seen(done: Audited) -> set[tuple[str, str, str]]:
    return {(each.collection, each.kind, each.outcome) for each in done.differences}


def test_what_was_missed_is_named_and_healed_on_every_side(
    world: World, account: Account, ask: Asking, runtime: Runtime, run: Callable[[], Audited]
) -> None:
    here, gone, kept = (
        account.add(firstName=name, emails=[{"value": f"{name}@example.com"}]) for name in ("ana", "bo", "cy")
    )
    note = runtime.crm.post("notes", {"personId": here, "body": "x"})["id"]
    task = runtime.crm.post("tasks", {"personId": here, "name": "Call"})["id"]
    first = run()
    assert {each.kind for each in first.differences} == {"missing"}
    # Changes that no list of changes tells: a note's text without its time, a person without theirs, deletions.
    world.store.rows["notes"].rows[note]["body"] = "y"
    world.store.people.all.rows[here].shown["firstName"] = "Anna"
    account.delete(gone)
    runtime.crm.delete(f"tasks/{task}")
    with runtime.engine.begin() as connection:
        connection.execute(text("update ledger.people set stage = 'Elsewhere', tags = '{x}'"))
        connection.execute(text("delete from ledger.person_contact_points where person_id = :id"), {"id": here})
    done = run()
    found = {(each.collection, each.kind, each.record_id): each.fields for each in done.differences}
    assert found == {
        ("people", "stale", here): ("firstName",),
        ("people", "gone", gone): (),
        ("people", "ledger", kept): ("stage", "tags"),
        ("notes", "stale", note): ("body",),
        ("tasks", "gone", task): (),
    }
    assert done.outcomes == {"healed": 5}
    assert (ask.person(here).first_name, ask.person(here).stage) == ("Anna", "Lead")
    assert ask.points(here) == {"ana@example.com": None}
    assert ask.person(gone).deleted_at is not None
    held = ask.lake("select collection, record_id, outcome from ops.crm_audit order by collection, record_id")
    assert held == [
        ("notes", note, "healed"), ("people", here, "healed"), ("people", gone, "healed"), ("people", kept, "healed"),
        ("tasks", task, "healed"),
    ]  # fmt: skip
    assert audit.open_by_kind(runtime.lake) == {}
    assert run().differences == [], "nothing differs from what was just read"


def test_a_record_that_changes_under_the_walk_is_no_difference(
    world: World, account: Account, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook lands a newer version between our reading and our landing: ours must not win, nor be called open."""
    person_id = account.add(firstName="Ana", emails=EMAIL)
    compare.compare(tables.PEOPLE, sides(runtime))
    world.store.people.all.rows[person_id].shown["firstName"] = "Anna"
    land, late = compare._land, []

    def slow(table: tables.RawTable, rows: Any, parts: Any, read_at: Any) -> tuple[int, ...]:
        if table is tables.PEOPLE and not late:
            late.append(1)
            account.change(person_id, firstName="Annabel")
            land(table, runtime.crm.people([person_id]), parts, parts.clock.now())
        return land(table, rows, parts, read_at)

    monkeypatch.setattr(compare, "_land", slow)
    met = compare.compare(tables.PEOPLE, sides(runtime))
    assert [each.outcome for each in met.differences] == ["healed"]
    monkeypatch.setattr(compare, "_land", land)
    assert compare.compare(tables.PEOPLE, sides(runtime)).differences == []


def test_what_cannot_be_read_is_open_and_stops_no_other_collection(
    world: World, account: Account, runtime: Runtime, run: Callable[[], Audited], monkeypatch: pytest.MonkeyPatch
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    world.store.people.all.rows[person_id].shown["price"] = {"odd": 1}
    pages = runtime.crm.pages

    def broken(path: str, query: Any = None) -> Any:
        if path == "calls":
            raise TransientError("FUB GET /calls: HTTP 502 4 times")
        return pages(path, query)

    monkeypatch.setattr(runtime.crm, "pages", broken)
    monkeypatch.setattr(audit, "SMALL", (tables.STAGES,))
    done = run()
    assert ("people", "unreadable", "open") in seen(done)
    assert ("calls", "not_read", "open") in seen(done)
    assert ("stages", "missing", "healed") in seen(done)
    assert audit.open_by_kind(runtime.lake) == {"not_read": 1, "unreadable": 1}
    reason = next(each.reason for each in done.differences if each.kind == "unreadable")
    assert "price" in reason
    assert "odd" not in reason


def test_a_long_collection_is_compared_over_several_nights(
    world: World, account: Account, runtime: Runtime, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_id = account.add(firstName="Ana")
    for number in range(250):
        world.store.add("notes", {"personId": person_id, "body": str(number)})
    monkeypatch.setattr(compare, "CHUNK", 100)
    account.control("limits", notes=10_000)
    nights = [compare.compare(tables.NOTES, sides(runtime), max_seconds=0) for _ in range(4)]
    assert [(night.count_seen, night.is_whole) for night in nights] == [
        (100, False), (100, False), (50, True), (100, False)
    ]  # fmt: skip
    assert ask.lake("select count(*), count(distinct note_id) from raw.fub__notes") == [(250, 250)]


def test_before_the_first_sync_the_audit_does_nothing(account: Account, runtime: Runtime, ask: Asking) -> None:
    account.add(firstName="Ana", emails=EMAIL)
    assert nightly_audit.audit(runtime).differences == []
    assert ask.one("select count(*) from ledger.people") == 0


def test_texts_that_a_person_s_own_fields_tell_of_are_read(
    world: World, account: Account, run: Callable[[], Audited], ask: Asking
) -> None:
    person_id = account.add(firstName="Ana", phones=[{"value": "+15125550142"}])
    account.control("act", what="text", person_id=person_id)
    assert ("textMessages", "missing", "healed") in seen(run())
    assert ask.lake("select person_id from raw.fub__text_messages") == [(person_id,)]


# what leadpipe wrote


def test_a_score_that_somebody_typed_over_is_written_again_by_the_repair_and_not_by_the_audit(
    account: Account, runtime: Runtime, run: Callable[[], Audited], carry: Callable[..., list[str]], ask: Asking
) -> None:
    custom_fields.install(runtime.crm)
    person_id, other = account.add(firstName="Ana", emails=EMAIL), account.add(firstName="Bo")
    assert carry(score(person_id), score(other, "score:2")) == ["done", "done"]
    account.change(person_id, **{SCORE_FIELD: 1, "stage": "Nurture"})
    done = run()
    assert ("people", "written", "write_again") in seen(done)
    assert [each.fields for each in done.differences if each.kind == "written"] == [(SCORE_FIELD,)]
    assert ask.one("select count(*) from ledger.writebacks") == 2, "an asset writes nothing"
    repairs = [written.journal_repairs(runtime.engine, runtime.lake, now=ask.now) for _ in range(2)]
    assert repairs == [1, 0]
    carry()
    account_says = runtime.crm.people([person_id])[0]
    assert {name: account_says[name] for name in OURS} == OURS
    assert account_says["stage"] == "Nurture", "the team's own fields stay as they are"


def test_a_field_that_somebody_types_over_again_and_again_is_told_and_not_fought_over(
    account: Account, runtime: Runtime, run: Callable[[], Audited], carry: Callable[..., list[str]], ask: Asking
) -> None:
    custom_fields.install(runtime.crm)
    person_id = account.add(firstName="Ana")
    carry(score(person_id), *(score(person_id, f"repair:{person_id}:{day}") for day in range(written.MOST_REPAIRS)))
    account.change(person_id, **{PRIORITY_FIELD: "mine"})
    run()
    assert audit.open_by_kind(runtime.lake) == {"written": 1}
    assert written.journal_repairs(runtime.engine, runtime.lake, now=ask.now) == 0


def test_tags_and_a_stage_that_the_team_took_back_stay_taken_back(
    account: Account, runtime: Runtime, run: Callable[[], Audited], carry: Callable[..., list[str]]
) -> None:
    person_id = account.add(firstName="Ana")
    carry(
        WriteBack(person_id=person_id, kind="tags", marker="t", payload={"tags": ["leadpipe bounced"]}),
        WriteBack(person_id=person_id, kind="stage", marker="s", payload={"stage": "Nurture", "from": "Lead"}),
    )
    assert runtime.crm.people([person_id])[0]["stage"] == "Nurture"
    account.change(person_id, tags=["VIP"], stage="Contacted")
    assert {each.kind for each in run().differences} == {"missing"}, "read, and not written again"


def test_a_lead_that_the_team_moved_after_the_decision_is_not_moved(
    account: Account, runtime: Runtime, carry: Callable[..., list[str]], ask: Asking
) -> None:
    moved, there = account.add(firstName="Ana"), account.add(firstName="Bo")
    account.change(moved, stage="Hot Prospect")
    account.change(there, stage="Nurture")
    states = carry(
        *(
            WriteBack(person_id=n, kind="stage", marker=f"s:{n}", payload={"stage": "Nurture", "from": "Lead"})
            for n in (moved, there)
        )
    )
    assert states == ["superseded", "done"]
    assert ask.one("select code from ledger.writebacks where person_id = :id", id=moved) == MOVED_IN_CRM
    assert runtime.crm.people([moved])[0]["stage"] == "Hot Prospect"


def test_a_field_that_no_rule_gives_to_leadpipe_is_never_written(
    account: Account, runtime: Runtime, carry: Callable[..., list[str]], ask: Asking
) -> None:
    person_id = account.add(firstName="Ana")
    item = WriteBack(person_id=person_id, kind="fields", marker="f", payload={"firstName": "Bo", SCORE_FIELD: 1})
    assert carry(item) == ["failed"]
    assert "firstName" in ask.one("select code from ledger.writebacks")
    assert runtime.crm.people([person_id])[0]["firstName"] == "Ana"


def test_writes_that_failed_or_wait_for_a_day_are_open_unless_the_person_is_gone(
    account: Account, runtime: Runtime, run: Callable[[], Audited], ask: Asking
) -> None:
    gone = account.add(firstName="Ana")
    run()
    account.delete(gone)
    writes = (
        ("failed", 3, "note", 1),
        ("pending", 2, "tags", 1),
        ("pending", 0, "task", 1),
        ("failed", 3, "tags", gone),
    )
    with runtime.engine.begin() as connection:
        for state, days, kind, person_id in writes:
            connection.execute(
                text(
                    "insert into ledger.writebacks (person_id, kind, marker, state, code, created_at, done_at) "
                    "values (:id, :kind, :kind || :id, :state, 'RateLimited', :at, :at)"
                ),
                {"kind": kind, "state": state, "at": ask.now - timedelta(days=days), "id": person_id},
            )
    found = [each.reason for each in run().differences if each.kind == "write"]
    assert found == ["note failed: RateLimited", "tags pending: RateLimited"]


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ("61.5", 61.5, True), (61, 61.0, True), ("", None, True), (None, 3, False), ("high", "high", True),
        ("High", "high", False), ("much", 3, False), (0, None, False),
    ],
)  # fmt: skip
def test_a_number_may_come_back_as_text_and_empty_is_null(theirs: object, ours: object, expected: bool) -> None:
    assert written.is_same(theirs, ours) is expected


# the rules


def test_every_field_of_a_person_has_one_rule() -> None:
    named = [name for rule in RULES for name in rule.fields]
    assert len(named) == len(set(named))
    for name in (*CREATABLE, *(name for name, _ in CUSTOM_FIELDS), *(each.name for each in custom_fields.DEFINITIONS)):
        assert conflicts.rule_of(name)
    with pytest.raises(KeyError):
        conflicts.rule_of("nobodyKnows")
    assert conflicts.winner_of("nobodyKnows") is Winner.CRM


def test_only_leadpipe_s_own_fields_are_written_again() -> None:
    ours = {name for rule in RULES if rule.winner is Winner.LEADPIPE for name in rule.fields}
    assert ours == {SCORE_FIELD, REASON_FIELD, PRIORITY_FIELD}
    assert {name for rule in RULES if rule.winner is Winner.ONCE for name in rule.fields} == {
        "stage", "tags", "notes", "tasks"
    }  # fmt: skip


def test_the_documented_rules_are_the_rules() -> None:
    table = "\n".join(conflicts.as_table())
    assert table in DOCS.read_text(), "print it with: python -m leadpipe.crm.conflicts"


# our own echoes


def test_what_leadpipe_wrote_comes_back_and_nothing_follows_from_it(
    account: Account, runtime: Runtime, carry: Callable[..., list[str]], ask: Asking
) -> None:
    custom_fields.install(runtime.crm)
    person_id = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    states = carry(
        score(person_id),
        WriteBack(person_id=person_id, kind="note", marker="n", payload={"body": "Lead wrote by text: hello"}),
        WriteBack(person_id=person_id, kind="task", marker="t", payload={"name": "Call", "assignedUserId": 2}),
        WriteBack(person_id=person_id, kind="tags", marker="g", payload={"tags": ["leadpipe interested"]}),
    )
    assert set(states) == {"done"}
    with runtime.engine.begin() as connection:
        connection.execute(text("update ledger.people set outcome = 'enrolled'"))
    done = poll.poll(runtime, channels={})
    assert done.failures == []
    assert (done.count_new, done.count_answered) == (0, 0)
    assert ask.ledger("select 1 from ledger.human_actions") == []
    assert ask.person(person_id).automation_paused_reason is None
    assert ask.person(person_id).tags == ["leadpipe interested"], "read all the same"
    assert ask.one("select count(*) from ledger.writebacks") == len(states)
