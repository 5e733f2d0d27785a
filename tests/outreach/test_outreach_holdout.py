"""The control group of a nightly plan: who is in it, what becomes of them, and which plans may have one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.errors import ConfigurationError
from leadpipe.outreach.plan import Plan, builtin_folder, load_plans
from tests.outreach.conftest import plans_folder

if TYPE_CHECKING:
    from tests.outreach.conftest import World

AGED = timedelta(days=300)
PEOPLE = range(1, 25)


def revive(folder: Path, holdout_pct: float, *, trigger: str = "nightly") -> Path:
    text = (builtin_folder() / "reactivation.yaml").read_text(encoding="utf-8")
    changed = text.replace("trigger: nightly", f"trigger: {trigger}\nholdout_pct: {holdout_pct}")
    return plans_folder(folder / f"plans {holdout_pct}", reactivation=changed)


def plan_of(folder: Path, holdout_pct: float) -> Plan:
    return load_plans(revive(folder, holdout_pct))["reactivation"]


def test_the_share_is_kept_and_a_larger_group_keeps_who_was_in_the_smaller(tmp_path: Path) -> None:
    nobody, tenth, quarter = plan_of(tmp_path, 0), plan_of(tmp_path, 10), plan_of(tmp_path, 25)
    held_out = {number for number in range(20_000) if tenth.holds_out(number)}
    assert 0.09 < len(held_out) / 20_000 < 0.11
    assert all(quarter.holds_out(number) for number in held_out)
    assert not any(nobody.holds_out(number) for number in held_out)


def test_the_groups_of_two_plans_are_drawn_apart(tmp_path: Path) -> None:
    one = plan_of(tmp_path, 50)
    other = one.model_copy(update={"name": "other"})
    both = sum(one.holds_out(number) and other.holds_out(number) for number in range(20_000))
    assert 0.23 < both / 20_000 < 0.27


def test_who_is_held_out_gets_nothing_night_after_night_and_it_is_told(
    add_person: Any, planning_world: World, tmp_path: Path
) -> None:
    world = planning_world
    world.settings = world.settings.model_copy(update={"plans_path": revive(tmp_path, 40)})
    plan = load_plans(world.settings.plans_path)["reactivation"]
    for person_id in PEOPLE:
        add_person(person_id, age=AGED)
    control = {person_id for person_id in PEOPLE if plan.holds_out(person_id)}
    assert 3 < len(control) < 20
    for _ in range(2):
        world.plan()
        outcomes = world.outcomes()
        assert {p for p, told in outcomes.items() if told == ("control_group", "holdout")} == control
        world.enqueue_planned()
        world.clock.advance(timedelta(days=1))
    written_to = {row[0] for row in world.sql("select distinct person_id from ledger.messages")}
    assert written_to == set(PEOPLE) - control
    kept = world.sql("select distinct person_id from ledger.decisions where outcome = 'control_group'")
    assert {row[0] for row in kept} == control


def test_whom_the_plan_met_before_is_no_control(add_person: Any, planning_world: World, tmp_path: Path) -> None:
    world = planning_world
    for person_id in PEOPLE:
        add_person(person_id, age=AGED)
    world.plan()
    world.enqueue_planned()
    world.settings = world.settings.model_copy(update={"plans_path": revive(tmp_path, 50)})
    world.sql(
        "update ledger.enrolments set state = 'ended', ended_at = :at, end_reason = 'silence'", at=world.clock.now()
    )
    world.clock.advance(timedelta(days=45))
    world.plan()
    assert "control_group" not in {outcome for outcome, _ in world.outcomes().values()}


def test_who_cannot_be_reached_is_in_neither_group(add_person: Any, planning_world: World, tmp_path: Path) -> None:
    world = planning_world
    world.settings = world.settings.model_copy(update={"plans_path": revive(tmp_path, 50)})
    for person_id in PEOPLE:
        add_person(person_id, age=AGED, emails=[], phones=[])
    world.plan()
    assert {outcome for outcome, _ in world.outcomes().values()} == {"no_channel"}


def test_only_a_plan_that_begins_by_itself_may_leave_people_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holdout_pct is for plans with trigger: nightly"):
        load_plans(revive(tmp_path, 10, trigger="new_lead"))
