"""The passes that running jobs make: first touch from stored people, and the sending job."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from leadpipe.crm.intake import Intake
from leadpipe.errors import ConfigurationError
from leadpipe.outreach.plan import load_plans, paused_plans
from leadpipe.runtime import Runtime
from leadpipe.work.first_touch import FirstTouch, answer
from leadpipe.work.send_due import send_due
from tests.outreach.conftest import World, plans_folder
from tests.outreach.test_outreach_advance import enter, steps


class Homes:
    """A recommender that knows one home for everyone."""

    def for_people(self, _: Any, person_ids: Any, *, now: Any) -> dict[int, list[dict[str, Any]]]:
        home = {
            "address": "9 Elm St",
            "price_usd": 300_000,
            "url": "https://example.com/9",
            "attribution": "By Example",
            "status": "Active",
            "checked_at": now,
        }
        return {person_id: [home] for person_id in person_ids}


@pytest.fixture
def runtime(world: World) -> Runtime:
    """A runtime whose ledger is real and whose outside is fakes."""
    made = Runtime(world.settings)
    made.__dict__ |= {
        "engine": world.engine,
        "clock": world.clock,
        "recommender": Homes(),
        "market_facts": world.market,
        "channels": world.channels,
    }
    return made


def taken(*person_ids: int, human_ids: tuple[int, ...] = ()) -> Intake:
    return Intake(person_ids=person_ids, new_ids=person_ids, human_ids=human_ids)


@pytest.mark.usefixtures("live")
class TestFirstTouch:
    def test_a_new_lead_is_answered_by_email_with_homes_and_the_market_of_the_zip(
        self, add_person: Any, ask: Any, world: World, runtime: Runtime
    ) -> None:
        world.market.facts["78702"] = (2.14, world.clock.now().date() - timedelta(days=35))
        add_person(1)
        ask(1, 100)
        report = FirstTouch()
        answer(runtime, taken(1), world.channels, report)
        assert report.states == {"accepted": 1}
        assert world.sent() == [(1, "new_lead", "welcome_email")]
        (request,) = world.channels["email"].requests
        assert "9 Elm St, $300,000" in request.body
        assert "ZIP 78702 rose by 2.1%" in request.body

    def test_a_stale_market_fact_is_not_told(self, add_person: Any, world: World, runtime: Runtime) -> None:
        world.market.facts["78701"] = (2.14, date(2025, 1, 31))
        add_person(1)
        answer(runtime, taken(1), world.channels, FirstTouch())
        (request,) = world.channels["email"].requests
        assert "Zillow" not in request.body

    def test_the_same_people_twice_are_answered_once(self, add_person: Any, world: World, runtime: Runtime) -> None:
        add_person(1)
        for _ in range(3):
            answer(runtime, taken(1), world.channels, FirstTouch())
        assert len(world.channels["email"].requests) == 1

    def test_a_lead_an_agent_just_called_is_left_to_the_agent(
        self, add_person: Any, world: World, runtime: Runtime
    ) -> None:
        add_person(1, lastOutgoingCall="2026-03-03T15:50:00Z")
        answer(runtime, taken(1, human_ids=(1,)), world.channels, FirstTouch())
        assert world.sent() == []
        assert world.sql("select outcome from ledger.people") == [("human_acted",)]

    def test_an_inquiry_of_a_person_who_was_merged_is_answered_to_the_one_who_stays(
        self, add_person: Any, ask: Any, world: World, runtime: Runtime
    ) -> None:
        add_person(1, age=timedelta(days=400))
        add_person(2, age=timedelta(days=400))
        ask(2, 100)
        world.sql("update ledger.people set merged_into = 1 where person_id = 2")
        answer(runtime, taken(2), world.channels, FirstTouch())
        assert world.sent() == [(1, "new_lead", "welcome_email")]
        assert world.sql("select person_id, outcome from ledger.inquiries") == [(1, "enrolled")]

    def test_nobody_to_answer_is_no_work(self, world: World, runtime: Runtime) -> None:
        report = FirstTouch()
        answer(runtime, taken(), world.channels, report)
        assert (report.count_people, report.count_intents) == (0, 0)


class TestSendDue:
    def test_due_steps_become_messages_and_leave(self, add_person: Any, world: World, runtime: Runtime) -> None:
        add_person(1, age=timedelta(days=200))
        enter(world, 1, "reactivation", "still_looking")
        first = send_due(runtime, linger_seconds=0)
        assert first.count_intents == 1
        world.clock.advance(timedelta(hours=3))
        assert send_due(runtime, linger_seconds=0).states == {"accepted": 1}
        assert world.sent() == [(1, "reactivation", "still_looking")]

    def test_a_run_takes_up_again_who_is_no_longer_paused(
        self, add_person: Any, world: World, runtime: Runtime
    ) -> None:
        add_person(1, age=timedelta(days=200))
        enter(world, 1, "reactivation", "still_looking")
        world.sql("update ledger.enrolments set state = 'paused'")
        assert send_due(runtime, linger_seconds=0).count_intents == 1

    def test_a_wrong_plan_file_keeps_plans_back_and_lets_what_is_queued_leave(
        self, add_person: Any, world: World, tmp_path: Path
    ) -> None:
        made = plans_folder(tmp_path / "plans", steps=steps())
        world.settings = world.settings.model_copy(update={"plans_path": made})
        for person_id, plan, step in ((1, "steps", "hello"), (2, "new_lead", "welcome_email"), (3, "steps", "hello")):
            add_person(person_id)
            enter(world, person_id, plan, step)
        world.enqueue([intent for intent in world.advance().intents if intent.person_id != 3])
        (made / "steps.yaml").write_text(steps().replace("priority: 60", "priority: soon"), encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"steps.yaml:3:1"):
            load_plans(made)
        assert paused_plans(made) == ("steps",)
        runtime = Runtime(world.settings)
        runtime.__dict__ |= {"engine": world.engine, "clock": world.clock, "market_facts": world.market}
        report = send_due(runtime, linger_seconds=0, channels=dict(world.channels))
        assert "steps.yaml:3:1" in report.failures[0]
        assert world.sent() == [(2, "new_lead", "welcome_email")]
        assert world.sql("select kind, count(*) from ledger.alerts group by 1") == [("plan_broken", 1)]
        (made / "steps.yaml").write_text(steps(), encoding="utf-8")
        world.clock.advance(timedelta(minutes=2))
        send_due(runtime, linger_seconds=0, channels=dict(world.channels))
        assert sorted(world.sent()) == [(1, "steps", "hello"), (2, "new_lead", "welcome_email"), (3, "steps", "hello")]
