"""The nightly planning: every lead has one outcome, planned twice it says the same, and it messages nobody."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from leadpipe import processes
from leadpipe.errors import TransientError
from leadpipe.market.tables import MARKET_TREND_SCHEMA
from leadpipe.outreach import planner, queue
from leadpipe.outreach.queue import OUTCOMES
from leadpipe.outreach.queue_problems import problems
from leadpipe.scoring.tables import LEAD_SCORES_SCHEMA
from tests.outreach.conftest import PEWC, World, plans_folder

if TYPE_CHECKING:
    from collections.abc import Callable

AGED = timedelta(days=300)


@pytest.fixture
def world(planning_world: World) -> World:
    return planning_world


def score(world: World, person_id: int, pct: float, band: str, *, at: timedelta = timedelta(0)) -> None:
    row = {
        "person_id": person_id,
        "score_pct": pct,
        "priority_band": band,
        "reason_1": f"reason of {pct}",
        "reason_2": "",
        "reason_3": "",
        "model_version": "test",
        "is_prior": False,
        "features": "{}",
        "scored_at": world.clock.now() + at,
    }
    world.lake.append("scoring.lead_scores", pa.Table.from_pylist([row], schema=LEAD_SCORES_SCHEMA))


def trend(world: World, zip_code: str, change: float, *, age_days: int = 35) -> None:
    row = {
        "zip": zip_code,
        "metric": "zhvi",
        "month": world.clock.now().date() - timedelta(days=age_days),
        "value_usd": 400_000.0,
        "change_12m_pct": change,
        "release": world.clock.now().date(),
        "attribution": "Data Provided by Zillow Group.",
    }
    world.lake.append("enrichment.market_trend", pa.Table.from_pylist([row], schema=MARKET_TREND_SCHEMA))


def test_an_aged_lead_is_planned_with_words_time_score_and_reason(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    score(world, 1, 9.0, "medium", at=-timedelta(days=9))
    score(world, 1, 31.5, "high")
    report = world.plan()
    (row,) = world.queue()
    assert (row["outcome"], row["step"], row["channel"], row["occurrence"]) == ("planned", "still_looking", "email", 1)
    assert row["subject"] == "Still looking to buy in Austin?"
    assert "Demo Realty, 1 Example Street, Austin, TX 78701" in row["body"]
    assert json.loads(row["variables"])["first_name"] == "Ana"
    assert row["due_at"] >= world.clock.now()
    assert (row["score_pct"], row["priority_band"]) == (31.5, "high")
    assert row["reason"] == "no contact for 300 days, round 1 of 3; high priority: reason of 31.5"
    assert row["cohort"] == date(2025, 5, 1)
    assert (report.count_people, report.count_planned) == (1, 1)


def test_planning_messages_nobody_and_writes_nothing_to_the_ledger(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    world.plan()
    for table in ("messages", "enrolments", "decisions"):
        assert world.sql(f"select count(*) from ledger.{table}") == [(0,)]


def change(assignments: str) -> Callable[[World, int], None]:
    return lambda world, person_id: none(
        world.sql(f"update ledger.people set {assignments} where person_id = :id", at=world.clock.now(), id=person_id)
    )


def none(_: Any) -> None:
    return None


def listed(kind: str, source: str, action: str = "suppress", days_ago: int = 40) -> Callable[[World, int], None]:
    channel = "sms" if kind == "phone" else "email"
    return lambda world, person_id: none(
        world.sql(
            "insert into ledger.suppressions (contact_point_id, channel, action, source, at, recorded_at) "
            "select c.id, :channel, :action, :source, :at, :at from ledger.contact_points c "
            "join ledger.person_contact_points o on o.contact_point_id = c.id where c.kind = :kind and "
            "o.person_id = :id",
            channel=channel, action=action, source=source, kind=kind, id=person_id,
            at=world.clock.now() - timedelta(days=days_ago),
        )
    )  # fmt: skip


def both(*steps: Callable[[World, int], None]) -> Callable[[World, int], None]:
    return lambda world, person_id: none([step(world, person_id) for step in steps])


def inside(plan: str, step: str) -> Callable[[World, int], None]:
    return lambda world, person_id: none(
        world.sql(
            "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, step, opened_at, next_due_at) "
            "values (:id, :plan, 'test', 1, :step, :at, :later)",
            plan=plan, step=step, id=person_id, at=world.clock.now(), later=world.clock.now() + timedelta(days=3),
        )
    )  # fmt: skip


def met(times: int, days_ago: int) -> Callable[[World, int], None]:
    return lambda world, person_id: none(
        world.sql(
            "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, state, step, opened_at, "
            "ended_at, end_reason) select :id, 'reactivation', 'test', n, 'done', 'done', :at, :at, 'silence' "
            "from generate_series(1, :times) n",
            id=person_id, times=times, at=world.clock.now() - timedelta(days=days_ago),
        )
    )  # fmt: skip


def busy(world: World, person_id: int) -> None:
    world.sql(
        "insert into ledger.messages (id, person_id, contact_point_id, plan, step, occurrence, channel, purpose, body, "
        "state, due_at, created_at, changed_at) select gen_random_uuid(), :id, c.id, 'conversation', 'answer', 1, "
        "'email', 'conversation', 'Hello', 'held', :at, :at, :at from ledger.contact_points c "
        "join ledger.person_contact_points o on o.contact_point_id = c.id "
        "where c.kind = 'email' and o.person_id = :id",
        id=person_id, at=world.clock.now(),
    )  # fmt: skip


def asked_lately(world: World, person_id: int) -> None:
    world.sql(
        "insert into ledger.inquiries (event_id, person_id, type, occurred_at, first_seen_at) "
        "values (:id, :id, 'Registration', :at, :at)",
        id=person_id, at=world.clock.now() - timedelta(days=20),
    )  # fmt: skip


def nothing(world: World, person_id: int) -> None:
    pass


STOPPED_BY_TEXT = listed("phone", "stop_keyword")
BOUNCED = listed("email", "bounce")
RELAY = {"emails": [{"value": "ab12@convo.zillow.com"}], "phones": []}
CASES: list[tuple[str, dict[str, Any], Callable[[World, int], None], tuple[str, str | None]]] = [
    ("aged", {}, nothing, ("planned", None)),
    ("89 days old", {"age": timedelta(days=89)}, nothing, ("not_aged", "recent_contact")),
    ("91 days old", {"age": timedelta(days=91)}, nothing, ("planned", None)),
    ("wrote lately", {"lastReceivedText": "2026-02-20T10:00:00Z"}, nothing, ("not_aged", "recent_contact")),
    ("asked lately", {}, asked_lately, ("not_aged", "recent_contact")),
    ("closed", {"stage": "Closed"}, nothing, ("stopped", "stop_stage")),
    ("trash", {"stage": "Trash"}, nothing, ("stopped", "stop_stage")),
    ("paused", {}, change("automation_paused_at = :at"), ("stopped", "automation_paused")),
    ("deleted", {}, change("deleted_at = :at"), ("stopped", "gone")),
    ("merged", {}, change("merged_into = 1, refreshed_at = :at"), ("stopped", "gone")),
    ("stopped by text", {}, STOPPED_BY_TEXT, ("stopped", "refused")),
    ("complained by email", {}, listed("email", "complaint"), ("stopped", "refused")),
    ("stopped and started", {}, both(STOPPED_BY_TEXT, listed("phone", "start_keyword", "lift", 30)), ("planned", None)),
    ("inside", {}, inside("reactivation", "market_update"), ("not_due", "market_update")),
    ("in new_lead", {}, inside("new_lead", "silence"), ("outranked", "new_lead")),
    ("in nurture", {}, inside("nurture", "agent_first"), ("outranked", "nurture")),
    ("in property_alert", {}, inside("property_alert", "new_listings"), ("planned", None)),
    ("three rounds", {}, met(3, 60), ("exhausted", "occurrence_3")),
    ("two rounds", {}, met(2, 60), ("planned", None)),
    ("a round 29 days ago", {}, met(1, 29), ("finished", "occurrence_1")),
    ("a round 31 days ago", {}, met(1, 31), ("planned", None)),
    ("busy", {}, busy, ("waits", "message_under_way")),
    ("no address", {"emails": [], "phones": []}, nothing, ("no_channel", "no_contact_point")),
    ("phone without consent", {"emails": []}, nothing, ("no_channel", "no_consent")),
    ("phone with consent", {"emails": [], **PEWC}, nothing, ("planned", None)),
    ("bounced", {}, BOUNCED, ("no_channel", "no_consent")),
    ("bounced, phone with consent", PEWC, BOUNCED, ("planned", None)),
    ("relay address only", RELAY, nothing, ("no_channel", "relay_address")),
]


def test_every_lead_has_one_outcome_and_it_is_told_why(add_person: Any, world: World) -> None:
    for person_id, (_, person, past, _) in enumerate(CASES, start=1):
        add_person(person_id, **({"age": AGED} | person))
        past(world, person_id)
    world.plan()
    rows = world.queue()
    assert [row["person_id"] for row in rows] == list(range(1, len(CASES) + 1))
    found = {CASES[row["person_id"] - 1][0]: (row["outcome"], row["code"]) for row in rows}
    assert found == {name: expected for name, _, _, expected in CASES}
    assert {row["outcome"] for row in rows} <= set(OUTCOMES)
    assert all(row["reason"] for row in rows)


def test_by_text_with_written_consent_by_email_with_an_address(add_person: Any, world: World) -> None:
    add_person(1, age=AGED, **PEWC)
    add_person(2, age=AGED, emails=[], **PEWC)
    add_person(3, age=AGED, emails=[], phones=[{"value": "+447700900123"}], customWhatsAppOptIn="2025-06-01T10:00:00Z")
    world.plan()
    assert [(row["step"], row["channel"]) for row in world.queue()] == [
        ("still_looking", "email"),
        ("still_looking_sms", "sms"),
        ("still_looking_whatsapp", "whatsapp"),
    ]


def test_the_same_cohort_planned_twice_gives_the_same_rows(add_person: Any, world: World) -> None:
    for person_id in range(1, 8):
        add_person(person_id, age=AGED + timedelta(days=person_id * 9), emails=[] if person_id == 3 else [
            {"value": f"lead{person_id}@example.com"}
        ])  # fmt: skip
    world.plan()
    first = world.queue()
    world.plan()
    assert world.queue() == first


def test_the_run_key_is_of_cohort_plan_and_day(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    keys = set()
    for hours in (0, 5, 24):
        world.clock.advance(timedelta(hours=hours))
        world.plan()
        keys.add(world.queue()[0]["planned_run_key"])
    assert len(keys) == 2


def test_planning_a_cohort_replaces_its_rows_and_no_others(add_person: Any, world: World) -> None:
    add_person(1, age=timedelta(days=300))
    add_person(2, age=timedelta(days=400))
    world.plan()
    planned_at = {row["person_id"]: row["planned_at"] for row in world.queue()}
    world.clock.advance(timedelta(hours=1))
    world.plan(date(2025, 5, 1))
    again = {row["person_id"]: row["planned_at"] for row in world.queue()}
    assert again[1] == planned_at[1] + timedelta(hours=1)
    assert again[2] == planned_at[2]


def test_a_person_who_left_a_cohort_leaves_the_queue(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    world.plan()
    world.sql("update ledger.people set crm_created_at = crm_created_at - interval '90 days'")
    report = world.plan(date(2025, 5, 1))
    assert (report.count_rows, world.queue()) == (0, [])


def test_a_market_fact_of_the_zip_is_in_the_variables_only_while_fresh(add_person: Any, world: World) -> None:
    for person_id, code in ((1, "78701"), (2, "77084")):
        add_person(person_id, age=AGED, addresses=[{"city": "Austin", "state": "TX", "code": code}])
    trend(world, "78701", 2.14)
    trend(world, "77084", 5.0, age_days=100)
    world.plan()
    facts = [json.loads(row["variables"])["market"] for row in world.queue()]
    assert facts[0]["sentence"].startswith("The value of a typical home in ZIP 78701 rose by 2.1%")
    assert facts[1] is None


def test_two_records_with_one_address_are_planned_once_the_elder_first(add_person: Any, world: World) -> None:
    shared = [{"value": "shared@example.com"}]
    add_person(1, age=timedelta(days=200), emails=shared)
    add_person(2, age=timedelta(days=400), emails=shared)
    world.plan()
    assert world.outcomes() == {1: ("waits", "same_contact_point"), 2: ("planned", None)}


def test_an_address_planned_in_another_cohort_is_not_planned_again(add_person: Any, world: World) -> None:
    shared = [{"value": "shared@example.com"}]
    add_person(1, age=timedelta(days=300), emails=shared)
    add_person(2, age=timedelta(days=400), emails=shared)
    first, second = date(2025, 5, 1), date(2025, 1, 27).replace(day=1)
    world.plan(first)
    world.plan(second)
    expected = {1: ("planned", None), 2: ("waits", "same_contact_point")}
    assert world.outcomes() == expected
    for cohort in (first, second):
        world.plan(cohort)
        assert world.outcomes() == expected
    assert set(problems(world.engine, world.lake).values()) == {0}


def test_an_address_that_another_record_had_a_message_at_lately_waits(add_person: Any, world: World) -> None:
    shared = [{"value": "shared@example.com"}]
    add_person(1, age=timedelta(days=400), emails=shared)
    world.plan()
    world.enqueue_planned()
    add_person(2, age=timedelta(days=300), emails=shared)
    world.plan()
    assert world.outcomes()[2] == ("waits", "same_contact_point")


def test_an_address_counts_its_rounds_whoever_had_them(add_person: Any, world: World) -> None:
    shared = [{"value": "shared@example.com"}]
    add_person(1, age=timedelta(days=400), emails=shared)
    world.plan()
    world.enqueue_planned()
    world.sql("update ledger.people set deleted_at = :at", at=world.clock.now())
    add_person(2, age=timedelta(days=300), emails=shared)
    world.clock.advance(timedelta(days=45))
    world.plan()
    (row,) = [row for row in world.queue() if row["person_id"] == 2]
    assert (row["outcome"], row["occurrence"]) == ("planned", 2)


SPRING = """\
name: spring
description: A campaign of higher priority.
priority: {priority}
trigger: nightly
audience: [{audience}]
exits: [reply]
{more}steps:
  - id: hello
    kind: send
    channel: email
    template: still_looking_email
    purpose: marketing
    only_if: [has_direct_email]
"""


def spring(world: World, folder: Path, *, priority: int = 20, audience: str = "", more: str = "") -> None:
    words = SPRING.format(priority=priority, audience=audience, more=more)
    made = plans_folder(folder / "plans", spring=words)
    world.settings = world.settings.model_copy(update={"plans_path": made})


def test_of_two_nightly_plans_the_higher_one_gets_the_person(add_person: Any, world: World, tmp_path: Path) -> None:
    spring(world, tmp_path)
    add_person(1, age=AGED)
    world.plan()
    assert [(row["plan"], row["outcome"], row["code"]) for row in world.queue()] == [
        ("reactivation", "outranked", "spring"),
        ("spring", "planned", None),
    ]


def test_who_is_not_in_the_audience_is_left_to_the_next_plan(add_person: Any, world: World, tmp_path: Path) -> None:
    spring(world, tmp_path, audience="is_seller")
    add_person(1, age=AGED)
    world.plan()
    assert [(row["plan"], row["outcome"], row["code"]) for row in world.queue()] == [
        ("reactivation", "planned", None),
        ("spring", "no_channel", "audience"),
    ]


def test_a_paused_plan_plans_nobody(add_person: Any, world: World, tmp_path: Path) -> None:
    spring(world, tmp_path, more="is_paused: true\n")
    add_person(1, age=AGED)
    world.plan()
    assert [row["plan"] for row in world.queue()] == ["reactivation"]


def test_the_words_do_not_depend_on_the_name_or_the_zip_of_a_person(add_person: Any, world: World) -> None:
    """Compliance C37: the paired test of names and places."""
    for person_id, (name, code) in enumerate(
        [("Emily", "78701"), ("Lakisha", "77051"), ("José", "79901"), ("Wei", "75201")], start=1
    ):
        add_person(person_id, age=AGED, firstName=name, addresses=[{"city": "Austin", "state": "TX", "code": code}])
    world.plan()
    words = {row["body"].replace(json.loads(row["variables"])["first_name"], "NAME") for row in world.queue()}
    assert len(words) == 1


def test_more_people_than_a_chunk_are_all_planned_and_read_back_in_parts(
    add_person: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "CHUNK", 4)
    for person_id in range(1, 12):
        add_person(person_id, age=AGED + timedelta(days=13 * person_id))
    assert world.plan().count_rows == 11
    since = world.clock.now() - timedelta(hours=1)
    with queue.extract(world.lake, planned_since=since, cohorts=None) as extract:
        parts = list(extract.parts(is_planned=True, count=3))
    assert [len(part) for part in parts] == [3, 3, 3, 2]
    assert sorted(row.person_id for part in parts for row in part) == list(range(1, 12))
    assert {row.due_at for part in parts for row in part} == {row["due_at"] for row in world.queue()}


def test_several_processes_plan_the_same_rows_and_write_to_a_shared_address_once(
    add_person: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person_id in range(1, 12):
        # Two records in different chunks have one address between them.
        address = f"lead{person_id if person_id != 9 else 2}@example.com"
        add_person(person_id, age=AGED + timedelta(days=13 * person_id), emails=[{"value": address}])
    alone = (world.plan().count_by_outcome, world.queue())
    assert world.outcomes()[2] != world.outcomes()[9]
    monkeypatch.setattr(planner, "CHUNK", 4)
    monkeypatch.setattr(planner, "FEW", 1)
    monkeypatch.setattr(processes, "count_processors", lambda: 2)
    assert (world.plan().count_by_outcome, world.queue()) == alone


def test_what_a_process_raises_is_raised_and_one_that_dies_is_told(tmp_path: Path) -> None:
    with processes.started(_worker, 7, count=2) as workers:
        assert sorted(workers.answers([1, 2, 3])) == [8, 9, 10]
    with processes.started(_worker, 7, count=1) as workers, pytest.raises(ValueError, match="no such task"):
        list(workers.answers([1, 0]))
    with processes.started(_worker, 7, count=1) as workers, pytest.raises(TransientError, match="a process died"):
        list(workers.answers([-1]))


def _worker(begin: int) -> Callable[[int], int]:
    def work(task: int) -> int:
        if task == 0:
            raise ValueError("no such task")
        if task < 0:
            os._exit(1)
        return begin + task

    return work


def test_rows_read_are_of_one_snapshot(add_person: Any, world: World) -> None:
    for person_id in range(1, 5):
        add_person(person_id, age=AGED)
    world.plan()
    since = world.clock.now() - timedelta(hours=1)
    with queue.extract(world.lake, planned_since=since, cohorts=None) as extract:
        parts = extract.parts(is_planned=True, count=2)
        first = next(parts)
        world.sql("update ledger.people set stage = 'Closed'")
        world.plan()
        assert len([*first, *next(parts)]) == 4


def test_a_planned_queue_has_no_problems_and_what_is_said_later_makes_none(add_person: Any, world: World) -> None:
    for person_id in range(1, 6):
        add_person(person_id, age=AGED, emails=[] if person_id == 2 else [{"value": f"l{person_id}@example.com"}])
    world.plan()
    assert set(problems(world.engine, world.lake).values()) == {0}
    world.clock.advance(timedelta(hours=1))
    listed("email", "one_click", days_ago=0)(world, 1)
    assert set(problems(world.engine, world.lake).values()) == {0}


def test_bad_rows_are_counted_by_what_is_wrong_with_them(add_person: Any, world: World) -> None:
    for person_id in (1, 2):
        add_person(person_id, age=AGED)
    listed("email", "bounce")(world, 1)
    world.plan()
    (row,) = [row for row in world.queue() if row["person_id"] == 2]
    point = world.sql(
        "select c.id from ledger.contact_points c join ledger.person_contact_points o on o.contact_point_id = c.id "
        "where o.person_id = 1 and c.kind = 'email'"
    )[0][0]
    bad = [
        row | {"person_id": 1, "contact_point_id": point},
        row,
        row | {"person_id": 3, "contact_point_id": 99, "body": " "},
        row | {"person_id": 4, "contact_point_id": 98, "due_at": row["planned_at"] - timedelta(seconds=1)},
        row | {"person_id": 5, "contact_point_id": 97, "reason": ""},
    ]
    world.lake.append(queue.TABLE, pa.Table.from_pylist(bad, schema=queue.QUEUE_SCHEMA))
    assert problems(world.engine, world.lake) == {
        "planned_twice": 2,
        "suppressed": 1,
        "wordless": 1,
        "untimely": 1,
        "unexplained": 1,
    }
