"""From the queue to the ledger: each planned row becomes one message, every other row one stated reason."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from leadpipe.outreach import enqueue_planned as module
from tests.outreach.conftest import PEWC, World

AGED = timedelta(days=300)


@pytest.fixture
def world(planning_world: World) -> World:
    return planning_world


def counts(world: World) -> dict[str, int]:
    return {
        table: world.sql(f"select count(*) from ledger.{table}")[0][0]
        for table in ("messages", "enrolments", "decisions", "message_events", "verdicts")
    }


def test_a_planned_row_becomes_a_passage_and_a_message_with_its_words(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    world.plan()
    (row,) = world.queue()
    assert world.enqueue_planned().count_by_state == {"queued": 1}
    found = world.sql(
        "select m.person_id, m.subject, m.body, m.due_at, m.state, m.occurrence, m.evidence ->> 'planned_run_key', "
        "m.evidence -> 'variables' ->> 'first_name', e.step, e.next_due_at, e.reason "
        "from ledger.messages m join ledger.enrolments e on e.id = m.enrolment_id"
    )
    assert found == [
        (1, row["subject"], row["body"], row["due_at"], "queued", 1, row["planned_run_key"], "Ana", "still_looking",
         row["due_at"], "nightly")
    ]  # fmt: skip


def test_enqueueing_twice_changes_nothing(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    add_person(2, age=AGED, stage="Closed")
    world.plan()
    world.enqueue_planned()
    before = counts(world)
    again = world.enqueue_planned()
    assert (again.count_new, again.count_repeats) == (0, 1)
    assert counts(world) == before


def test_a_second_planning_of_the_same_cohort_enqueues_nothing(add_person: Any, world: World) -> None:
    for person_id in range(1, 5):
        add_person(person_id, age=AGED)
    cohort = date(2025, 5, 1)
    world.plan(cohort)
    assert world.enqueue_planned(cohort).count_new == 4
    world.plan(cohort)
    assert world.outcomes() == dict.fromkeys(range(1, 5), ("not_due", "still_looking"))
    assert world.enqueue_planned(cohort).count_new == 0
    assert world.sql("select count(*) from ledger.messages") == [(4,)]


def test_everyone_else_leaves_one_decision_with_the_reason(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    add_person(2, age=AGED, stage="Closed")
    add_person(3, age=AGED, emails=[])
    world.plan()
    world.enqueue_planned()
    decisions = world.sql(
        "select person_id, plan, outcome, code, message_id is not null from ledger.decisions order by person_id"
    )
    assert decisions == [
        (1, "reactivation", "queued", None, True),
        (2, "reactivation", "stopped", "stop_stage", False),
        (3, "reactivation", "no_channel", "no_consent", False),
    ]


def test_only_the_cohorts_asked_for_are_enqueued(add_person: Any, world: World) -> None:
    add_person(1, age=timedelta(days=300))
    add_person(2, age=timedelta(days=400))
    world.plan()
    world.enqueue_planned(date(2025, 5, 1))
    assert world.sql("select person_id from ledger.messages") == [(1,)]


def test_what_was_planned_longer_than_a_day_ago_is_not_enqueued(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    world.plan()
    world.clock.advance(timedelta(hours=25))
    assert world.enqueue_planned().count_new == 0
    assert counts(world)["enrolments"] == 0


CHANGES = {
    "stop_stage": "update ledger.people set stage = 'Closed' where person_id = :id",
    "automation_paused": "update ledger.people set automation_paused_at = :at where person_id = :id",
    "gone": "update ledger.people set deleted_at = :at where person_id = :id",
    "replied": "update ledger.people set last_two_way_at = :at where person_id = :id",
    "outranked": "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, step, opened_at, "
    "next_due_at) values (:id, 'new_lead', 'test', 1, 'welcome_email', :at, :at)",
    "already_met": "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, state, step, opened_at) "
    "values (:id, 'reactivation', 'test', 1, 'ended', 'offer', :at)",
}


def test_what_changed_since_the_planning_is_left_out_with_its_reason(add_person: Any, world: World) -> None:
    for person_id in range(1, len(CHANGES) + 1):
        # Younger cohorts have the smaller numbers: rows do not come in the order of people.
        add_person(person_id, age=AGED + timedelta(days=31 * person_id))
    world.plan()
    at = world.clock.now() + timedelta(minutes=1)
    for person_id, change in enumerate(CHANGES.values(), start=1):
        world.sql(change, id=person_id, **({"at": at} if ":at" in change else {}))
    assert world.enqueue_planned().count_new == 0
    decisions = world.sql("select outcome, code from ledger.decisions order by person_id")
    assert decisions == [("waits", code) for code in CHANGES]
    assert world.sql("select count(*) from ledger.messages") == [(0,)]


def test_a_higher_nightly_plan_ends_the_lower_one_it_finds(add_person: Any, world: World, tmp_path: Path) -> None:
    from tests.outreach.test_outreach_planner import spring

    add_person(1, age=AGED)
    world.plan()
    world.enqueue_planned()
    world.run_until(world.clock.now() + timedelta(days=2))
    spring(world, tmp_path)
    world.plan()
    world.enqueue_planned()
    assert [(row[0], row[2], row[4]) for row in world.passages(1)] == [
        ("reactivation", "ended", "higher_plan"),
        ("spring", "open", None),
    ]


def test_a_run_that_died_between_passage_and_message_goes_on(
    add_person: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person_id in (1, 2, 3):
        add_person(person_id, age=AGED)
    world.plan()

    def dies(*_: Any, **__: Any) -> Any:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(module, "enqueue", dies)
        with pytest.raises(RuntimeError, match="killed"):
            world.enqueue_planned()
    assert counts(world) | {"decisions": 0} == {
        "messages": 0, "enrolments": 3, "decisions": 0, "message_events": 0, "verdicts": 0
    }  # fmt: skip
    assert world.enqueue_planned().count_new == 3
    assert counts(world)["enrolments"] == 3


def test_a_run_that_died_and_never_came_back_is_finished_by_the_sending_job(
    add_person: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_person(1, age=AGED)
    world.plan()
    with monkeypatch.context() as patched:
        patched.setattr(module, "enqueue", lambda *_, **__: module.Enqueued())
        patched.setattr(module.entering, "without_message", lambda *_: set())
        world.enqueue_planned()
    world.run_until(world.clock.now() + timedelta(hours=30))
    assert world.sent() == [(1, "reactivation", "still_looking")]


def test_records_with_one_address_planned_in_two_cohorts_get_one_message(add_person: Any, world: World) -> None:
    shared = [{"value": "shared@example.com"}]
    add_person(1, age=timedelta(days=300), emails=shared)
    add_person(2, age=timedelta(days=400), emails=shared)
    for cohort in (date(2025, 5, 1), date(2025, 1, 1)):
        world.plan(cohort)
    assert world.outcomes() == {1: ("planned", None), 2: ("waits", "same_contact_point")}
    assert world.enqueue_planned().count_new == 1
    decisions = dict(world.sql("select coalesce(code, outcome), person_id from ledger.decisions"))
    assert sorted(decisions) == ["queued", "same_contact_point"]
    left_out = world.passages(decisions["same_contact_point"])
    assert [row[2:] for row in left_out] in ([], [("ended", "still_looking", "same_contact_point")])


def test_a_better_band_goes_first(add_person: Any, world: World) -> None:
    from tests.outreach.test_outreach_planner import score

    for person_id, band in ((1, "low"), (2, "high"), (3, "medium")):
        add_person(person_id, age=AGED)
        score(world, person_id, 10.0, band)
    add_person(4, age=AGED)
    world.plan()
    world.enqueue_planned()
    assert world.sql("select person_id from ledger.messages order by priority") == [(2,), (3,), (1,), (4,)]


def test_a_text_planned_for_the_morning_is_queued_and_one_without_legal_hours_is_held(
    add_person: Any, world: World
) -> None:
    add_person(1, age=AGED, emails=[], **PEWC)
    world.plan()
    assert world.enqueue_planned().count_by_state == {"queued": 1}
    (due,) = world.sql("select due_at from ledger.messages")
    assert due[0] > world.clock.now() + timedelta(hours=12)


def test_parts_of_a_large_queue_are_all_enqueued(
    add_person: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    for person_id in range(1, 12):
        add_person(
            person_id, age=AGED + timedelta(days=31 * (person_id % 3)), stage="Lead" if person_id % 4 else "Trash"
        )
    world.plan()
    assert world.enqueue_planned().count_new == 9
    assert world.sql("select count(*), count(distinct person_id) from ledger.decisions") == [(11, 11)]
