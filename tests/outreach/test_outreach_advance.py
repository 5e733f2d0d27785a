"""People move on through their plans in time: what is due becomes an intent, once, and waits where it must."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leadpipe.outreach import advance as advance_module
from leadpipe.outreach import enrol
from leadpipe.outreach.advance import LOOK_AGAIN, STORE_WITHIN
from leadpipe.outreach.first_touch import plan_new_leads
from tests.outreach.conftest import World, plans_folder

STEPS = """\
name: {name}
description: A plan of the tests.
priority: {priority}
trigger: nightly
exits: [{exits}]
{more}steps:
  - id: hello
    kind: send
    channel: email
    template: still_looking_email
    purpose: marketing
    only_if: [has_direct_email]
  - id: pause
    kind: wait
    after: 2 days
  - id: again
    kind: send
    after: 1 day at 10:00 local
    channel: email
    template: nurture_nudge
    purpose: marketing
    only_if: [has_direct_email]
  - id: done
    kind: exit
    reason: silence
"""


def steps(name: str = "steps", priority: int = 60, exits: str = "reply, opt_out", more: str = "") -> str:
    return STEPS.format(name=name, priority=priority, exits=exits, more=more)


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    made = plans_folder(tmp_path / "plans", steps=steps())
    world.settings = world.settings.model_copy(update={"plans_path": made})
    return made


def enter(world: World, person_id: int, plan: str = "steps", step: str = "hello", **context: Any) -> int:
    entry = enrol.Entry(
        person_id=person_id,
        plan=plan,
        plan_version="test",
        occurrence=1,
        step=step,
        due_at=world.clock.now(),
        reason="test",
        context=context,
    )
    with world.engine.begin() as connection:
        return enrol.open_passages(connection, [entry], now=world.clock.now())[person_id, plan]


@pytest.mark.usefixtures("folder")
class TestInOrder:
    def test_every_step_comes_in_its_time_and_the_passage_ends(self, add_person: Any, world: World) -> None:
        add_person(1, age=timedelta(days=200))
        enter(world, 1)
        begun = world.clock.now()
        world.run_until(begun + timedelta(days=10))
        assert world.sent() == [(1, "steps", "hello"), (1, "steps", "again")]
        assert world.passages(1) == [("steps", 1, "done", "again", "silence")]
        (again_at,) = world.sql("select due_at from ledger.messages where step = 'again'")
        # Two days after the first left, a day more, and then ten in the morning in Austin.
        assert again_at[0].replace(second=0) == datetime(2026, 3, 7, 16, 0, tzinfo=UTC)

    def test_a_run_that_died_before_storing_makes_the_same_intent_again(self, add_person: Any, world: World) -> None:
        add_person(1)
        enrolment_id = enter(world, 1)
        (first,) = world.advance().intents
        assert world.advance().intents == []
        world.clock.advance(STORE_WITHIN)
        (again,) = world.advance().intents
        assert (first.plan, first.step, first.occurrence, first.enrolment_id) == (
            again.plan,
            again.step,
            again.occurrence,
            enrolment_id,
        )
        assert world.enqueue([first, again]).count_new == 1

    def test_a_message_stored_while_the_passage_is_looked_at_is_not_taken_for_another_records(
        self, add_person: Any, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_person(1)
        enter(world, 1)
        drop = advance_module._Desk._drop_met_addresses

        def stored_meanwhile(desk: Any) -> None:
            world.enqueue(desk._report.intents)
            drop(desk)

        monkeypatch.setattr(advance_module._Desk, "_drop_met_addresses", stored_meanwhile)
        assert world.enqueue(world.advance().intents).count_new == 0
        assert world.passages(1)[0][:3] == ("steps", 1, "open")
        assert world.sql("select state from ledger.messages") == [("queued",)]

    def test_a_stored_message_is_not_made_again(self, add_person: Any, world: World) -> None:
        add_person(1)
        enter(world, 1)
        world.work()
        for _ in range(5):
            world.clock.advance(timedelta(hours=3))
            world.work()
        assert world.sent() == [(1, "steps", "hello")]

    def test_two_runs_at_once_share_the_passages(self, add_person: Any, world: World) -> None:
        for person_id in (1, 2, 3):
            add_person(person_id)
            enter(world, person_id)
        with world.engine.begin() as other:
            enrol.move(other, [], now=world.clock.now())
            other.exec_driver_sql("select 1 from ledger.enrolments where person_id = 2 for no key update")
            taken = [intent.person_id for intent in world.advance().intents]
        assert taken == [1, 3]

    def test_one_pass_takes_no_more_than_its_limit_and_the_next_goes_on(self, add_person: Any, world: World) -> None:
        from leadpipe.outreach.advance import advance_due

        for person_id in (1, 2, 3):
            add_person(person_id)
            enter(world, person_id)
        counts = [len(advance_due(world.engine, settings=world.settings, clock=world.clock, limit=2)) for _ in range(3)]
        assert counts == [2, 1, 0]

    def test_the_next_delay_counts_from_when_the_message_left(self, add_person: Any, world: World) -> None:
        add_person(1)
        enter(world, 1)
        world.enqueue(world.advance().intents)
        world.clock.advance(timedelta(hours=5))
        world.work()
        world.clock.advance(LOOK_AGAIN)
        world.work()
        (due,) = world.sql("select step, next_due_at from ledger.enrolments")
        (left,) = world.sql("select accepted_at from ledger.messages")
        assert due == ("pause", left[0] + timedelta(days=2))


@pytest.mark.usefixtures("folder")
class TestWhoWaits:
    def test_a_person_with_a_message_under_way_waits_for_it(self, add_person: Any, world: World) -> None:
        add_person(1)
        enter(world, 1)
        world.enqueue(world.advance().intents)
        world.clock.advance(timedelta(minutes=2))
        report = world.advance()
        assert (report.count_waiting, report.intents) == (1, [])

    def test_a_person_in_two_plans_gets_the_message_of_the_higher_one_first(
        self, add_person: Any, world: World, folder: Path
    ) -> None:
        (folder / "higher.yaml").write_text(steps("higher", 50), encoding="utf-8")
        add_person(1)
        enter(world, 1, "steps")
        enter(world, 1, "higher")
        assert [intent.plan for intent in world.advance().intents] == ["higher"]
        world.run_until(world.clock.now() + timedelta(days=30))
        assert [plan for _, plan, _ in world.sent()] == ["higher", "higher", "steps", "steps"]

    def test_a_plan_that_runs_beside_neither_waits_nor_makes_wait(
        self, add_person: Any, world: World, folder: Path
    ) -> None:
        (folder / "beside.yaml").write_text(steps("beside", 10, more="runs_beside: true\n"), encoding="utf-8")
        add_person(1)
        enter(world, 1, "steps")
        enter(world, 1, "beside")
        world.run_until(world.clock.now() + timedelta(days=2))
        # One message at a time all the same: the law lets the second marketing email leave a day later.
        first, second = world.sql("select plan, accepted_at from ledger.messages order by accepted_at")
        assert (first[0], second[0]) == ("beside", "steps")
        assert timedelta(days=1) <= second[1] - first[1] < timedelta(days=2)

    def test_two_people_with_one_address_get_one_message(self, add_person: Any, world: World) -> None:
        shared = [{"value": "shared@example.com"}]
        for person_id in (1, 2):
            add_person(person_id, emails=shared)
            enter(world, person_id)
        world.run_until(world.clock.now() + timedelta(hours=6))
        assert world.sent() == [(1, "steps", "hello")]
        assert world.passages(2) == [("steps", 1, "ended", "hello", "same_contact_point")]

    def test_a_message_in_review_holds_its_person_up_for_no_longer_than_it_is_fresh(
        self, add_person: Any, world: World
    ) -> None:
        world.settings = world.settings.model_copy(update={"shadow_first": 10})
        add_person(1)
        enter(world, 1)
        world.work()
        world.clock.advance(timedelta(hours=3))
        assert world.advance().count_waiting == 1
        world.clock.advance(timedelta(hours=30))
        world.advance()
        assert world.passages(1)[0][3] == "pause"


@pytest.mark.usefixtures("folder")
class TestWhoLeaves:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ("stage = 'Closed'", "stop_stage"),
            ("deleted_at = '2026-03-03T16:00:00Z'", "gone"),
            ("merged_into = 9", "gone"),
        ],
    )
    def test_who_no_longer_belongs_leaves_the_plan_with_a_reason(
        self, add_person: Any, world: World, change: str, reason: str
    ) -> None:
        add_person(9)
        add_person(1)
        enter(world, 1)
        world.sql(f"update ledger.people set {change} where person_id = 1")
        report = world.advance()
        assert (report.intents, report.count_ended) == ([], 1)
        assert world.passages(1) == [("steps", 1, "ended", "hello", reason)]

    def test_a_plan_taken_out_of_the_folder_ends_for_those_inside(
        self, add_person: Any, world: World, folder: Path
    ) -> None:
        add_person(1)
        enter(world, 1)
        (folder / "steps.yaml").unlink()
        world.advance()
        assert world.passages(1)[0][2:] == ("ended", "hello", "plan_removed")

    def test_a_step_taken_out_of_the_file_ends_the_passage_of_those_at_it(
        self, add_person: Any, world: World, folder: Path
    ) -> None:
        add_person(1)
        enter(world, 1)
        (folder / "steps.yaml").write_text(steps().replace("id: hello", "id: good_day"), encoding="utf-8")
        world.advance()
        assert world.passages(1)[0][2:] == ("ended", "hello", "step_removed")

    def test_an_edit_later_in_the_file_reaches_those_inside(self, add_person: Any, world: World, folder: Path) -> None:
        add_person(1)
        enter(world, 1)
        world.work()
        (folder / "steps.yaml").write_text(steps().replace("after: 2 days", "after: 5 days"), encoding="utf-8")
        world.clock.advance(timedelta(minutes=2))
        world.advance()
        (left,) = world.sql("select accepted_at from ledger.messages")
        (due,) = world.sql("select next_due_at from ledger.enrolments")
        assert due[0] == left[0] + timedelta(days=5)

    def test_a_person_whose_address_went_away_is_passed_over(self, add_person: Any, world: World) -> None:
        add_person(1, emails=[])
        enter(world, 1)
        assert world.advance().intents == []
        assert world.passages(1)[0][3] == "pause"


@pytest.mark.usefixtures("folder")
def test_a_passage_that_came_over_in_a_merge_goes_on_after_what_was_sent_before(add_person: Any, world: World) -> None:
    from leadpipe.crm.sweep import follow_merges

    shared = [{"value": "shared@example.com"}]
    add_person(1, emails=[{"value": "first@example.com"}, *shared], age=timedelta(days=400))
    add_person(2, emails=shared)
    enter(world, 2)
    world.work()
    assert world.sent() == [(2, "steps", "hello")]
    add_person(2, emails=shared, stage="Trash")
    assert follow_merges(world.engine, now=world.clock.now()) == ((2, 1),)
    world.run_until(world.clock.now() + timedelta(days=10))
    assert world.sent() == [(2, "steps", "hello"), (1, "steps", "again")]
    assert world.passages(1) == [("steps", 1, "done", "again", "silence")]


@pytest.mark.usefixtures("folder")
class TestPauses:
    def test_a_paused_person_waits_inside_and_goes_on_after(self, add_person: Any, world: World) -> None:
        add_person(1)
        enter(world, 1)
        world.sql("update ledger.people set automation_paused_at = :now", now=world.clock.now())
        assert world.advance().intents == []
        assert world.passages(1)[0][2] == "paused"
        world.clock.advance(timedelta(days=3))
        assert world.take_up_again() == 0
        world.sql("update ledger.people set automation_paused_at = null")
        assert world.take_up_again() == 1
        assert [intent.step for intent in world.advance().intents] == ["hello"]

    def test_nobody_enters_moves_or_is_sent_to_while_a_plan_is_paused(
        self, add_person: Any, world: World, folder: Path
    ) -> None:
        for person_id in (1, 2):
            add_person(person_id)
            enter(world, person_id)
        (intent, _) = world.advance().intents
        world.enqueue([intent])
        (folder / "steps.yaml").write_text(steps(more="is_paused: true\n"), encoding="utf-8")
        world.clock.advance(timedelta(hours=2))
        world.take_up_again()
        assert world.advance().count_passages == 0
        assert world.send() == {}
        assert {passage[2] for passage in world.passages(1) + world.passages(2)} == {"paused"}
        (folder / "steps.yaml").write_text(steps(), encoding="utf-8")
        assert world.take_up_again() == 2
        world.work()
        assert sorted(world.sent()) == [(1, "steps", "hello"), (2, "steps", "hello")]

    def test_what_went_stale_in_a_pause_expires_and_its_person_goes_on(
        self, add_person: Any, world: World, folder: Path
    ) -> None:
        add_person(1)
        enter(world, 1)
        world.enqueue(world.advance().intents)
        (folder / "steps.yaml").write_text(steps(more="is_paused: true\n"), encoding="utf-8")
        world.clock.advance(timedelta(days=4))
        world.take_up_again()
        (folder / "steps.yaml").write_text(steps(), encoding="utf-8")
        world.take_up_again()
        world.run_until(world.clock.now() + timedelta(days=8))
        states = world.sql("select step, state, code from ledger.messages order by created_at")
        assert states == [("hello", "expired", "stale"), ("again", "accepted", None)]

    def test_a_step_with_a_time_of_day_keeps_to_it_after_a_wait(self, add_person: Any, world: World) -> None:
        add_person(1)
        enter(world, 1, step="again")
        world.clock.advance(timedelta(hours=14))  # midnight in Austin
        assert world.advance().intents == []
        (due,) = world.sql("select next_due_at from ledger.enrolments")
        assert due[0] == datetime(2026, 3, 4, 16, 0, tzinfo=UTC)


class TestWords:
    def test_words_that_cannot_be_made_keep_one_passage_back_and_tell_the_team(
        self, add_person: Any, world: World, tmp_path: Path
    ) -> None:
        broken = steps("broken").replace("template: still_looking_email", "template: market_update")
        made = plans_folder(tmp_path / "plans", steps=steps(), broken=broken)
        world.settings = world.settings.model_copy(update={"plans_path": made})
        for person_id, plan in ((1, "broken"), (2, "steps")):
            add_person(person_id)
            enter(world, person_id, plan)
        assert [intent.person_id for intent in world.advance().intents] == [2]
        alerts = world.sql("select kind, title from ledger.alerts")
        assert alerts == [("plan_broken", "Plan broken: step hello cannot be written")]
        world.clock.advance(timedelta(hours=2))
        world.advance()
        assert world.sql("select count(*) from ledger.alerts") == [(1,)]

    def test_a_market_step_prints_the_fact_of_the_persons_zip(self, add_person: Any, world: World) -> None:
        world.market.facts["78701"] = (2.14, world.clock.now().date() - timedelta(days=35))
        add_person(1, age=timedelta(days=200))
        enter(world, 1, "reactivation", "market_update")
        (intent,) = world.advance().intents
        assert "rose by 2.1%" in intent.body
        assert "Data Provided by Zillow Group." in intent.body

    def test_without_a_market_fact_the_step_is_passed_over(self, add_person: Any, world: World) -> None:
        add_person(1, age=timedelta(days=200))
        enter(world, 1, "reactivation", "market_update")
        assert world.advance().intents == []
        assert world.passages(1)[0][3] == "offer"

    def test_score_and_priority_of_the_entry_stay_with_later_steps(self, add_person: Any, world: World) -> None:
        add_person(1, age=timedelta(days=200))
        enter(world, 1, "reactivation", "offer", priority=60, score_pct=31.5)
        (intent,) = world.advance().intents
        assert (intent.priority, intent.score_pct) == (60, 31.5)


@pytest.mark.usefixtures("live")
def test_a_welcome_is_followed_by_the_text_and_the_questions(add_person: Any, ask: Any, world: World) -> None:
    add_person(1)
    ask(1, 100)
    world.enqueue(
        plan_new_leads(
            world.engine, [1], listings_by_person={}, market_facts={}, settings=world.settings, clock=world.clock
        )
    )
    world.run_until(world.clock.now() + timedelta(days=40))
    assert [step for _, _, step in world.sent()] == ["welcome_email", "welcome_sms", "ask_timeline", "ask_budget"]
    assert world.passages(1) == [("new_lead", 1, "done", "silence", "silence")]
    (sms,) = world.sql("select due_at from ledger.messages where step = 'welcome_sms'")
    assert sms[0].replace(second=0) == datetime(2026, 3, 4, 16, 0, tzinfo=UTC)


@pytest.mark.usefixtures("live")
def test_a_new_inquiry_ends_a_running_reactivation(add_person: Any, ask: Any, world: World) -> None:
    add_person(1, age=timedelta(days=300))
    enter(world, 1, "reactivation", "still_looking")
    world.enqueue(world.advance().intents)
    ask(1, 100)
    intents = plan_new_leads(
        world.engine, [1], listings_by_person={}, market_facts={}, settings=world.settings, clock=world.clock
    )
    assert [intent.step for intent in intents] == ["welcome_email"]
    assert world.passages(1)[0] == ("reactivation", 1, "ended", "still_looking", "higher_plan")
    assert world.sql("select state, code from ledger.messages") == [("cancelled", "higher_plan")]
