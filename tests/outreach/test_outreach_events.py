"""What people do, applied to the plans they are inside."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.outreach import enrol, events
from tests.outreach.conftest import World

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def enter(world: World) -> Callable[..., int]:
    """A function that puts a person at a step of a built-in plan."""

    def enter(person_id: int, plan: str, step: str) -> int:
        entry = enrol.Entry(
            person_id=person_id,
            plan=plan,
            plan_version="test",
            occurrence=1,
            step=step,
            due_at=world.clock.now(),
            reason="test",
        )
        with world.engine.begin() as connection:
            return enrol.open_passages(connection, [entry], now=world.clock.now())[person_id, plan]

    return enter


@pytest.mark.parametrize(
    ("plan", "step", "event", "state", "reason"),
    [
        ("new_lead", "ask_timeline", "reply", "ended", "reply"),
        ("new_lead", "silence", "reply", "ended", "reply"),
        ("new_lead", "ask_timeline", "human_acted", "ended", "human_acted"),
        ("new_lead", "ask_timeline", "opt_out", "ended", "opt_out"),
        ("new_lead", "ask_timeline", "stop_stage", "ended", "stop_stage"),
        ("new_lead", "ask_timeline", "not_interested", "ended", "not_interested"),
        ("reactivation", "silence", "reply", "ended", "reply"),
        ("nurture", "agent_first", "human_acted", "done", "agent_took_over"),
        ("nurture", "still_here", "human_acted", "ended", "human_acted"),
        ("nurture", "still_here", "reply", "open", None),
        ("nurture", "still_here", "not_interested", "ended", "not_interested"),
        ("property_alert", "new_listings", "reply", "open", None),
        ("property_alert", "new_listings", "stop_stage", "ended", "stop_stage"),
    ],
)
def test_an_event_meets_a_passage_as_its_plan_says(
    add_person: Any, world: World, enter: Any, plan: str, step: str, event: str, state: str, reason: str | None
) -> None:
    add_person(1)
    enter(1, plan, step)
    world.note(1, event)
    (passage,) = [found for found in world.passages(1) if found[0] == plan]
    assert (passage[2], passage[4]) == (state, reason)


@pytest.mark.parametrize("event", ["reply", "human_acted", "opt_out", "not_interested", "stop_stage"])
def test_what_waits_of_an_ended_plan_is_cancelled_with_the_reason(
    add_person: Any, world: World, enter: Any, event: str
) -> None:
    add_person(1, age=timedelta(days=200))
    enter(1, "reactivation", "still_looking")
    world.enqueue(world.advance().intents)
    world.note(1, event)
    assert world.sql("select state, code from ledger.messages") == [("cancelled", event)]
    world.clock.advance(timedelta(days=2))
    assert world.send() == {}


def test_an_event_between_making_and_storing_an_intent_keeps_it_from_leaving(
    add_person: Any, world: World, enter: Any
) -> None:
    add_person(1, age=timedelta(days=200))
    enter(1, "reactivation", "still_looking")
    intents = world.advance().intents
    world.note(1, "reply")
    world.enqueue(intents)
    world.clock.advance(timedelta(hours=3))
    world.send()
    assert world.sent() == []
    assert world.sql("select state from ledger.messages where state not in ('cancelled', 'blocked')") == []


def test_a_positive_reply_opens_nurture_and_an_agent_ends_it(add_person: Any, world: World, enter: Any) -> None:
    add_person(1, age=timedelta(days=200))
    enter(1, "reactivation", "silence")
    assert world.note(1, "positive_reply") == events.Noted(count_ended=1, count_moved=0, opened=("nurture",))
    assert world.passages(1) == [
        ("reactivation", 1, "ended", "silence", "positive_reply"),
        ("nurture", 1, "open", "agent_first", None),
    ]
    world.clock.advance(timedelta(hours=20))
    world.work()
    world.note(1, "human_acted")
    assert world.passages(1)[1] == ("nurture", 1, "done", "agent_first", "agent_took_over")
    world.clock.advance(timedelta(days=30))
    world.work()
    assert world.sent() == []


def test_nurture_speaks_when_no_agent_does(add_person: Any, world: World) -> None:
    add_person(1, age=timedelta(days=200))
    world.note(1, "positive_reply")
    world.run_until(world.clock.now() + timedelta(days=40))
    assert [step for _, _, step in world.sent()] == ["still_here", "nudge"]
    assert world.passages(1) == [("nurture", 1, "done", "agent_third", "silence")]


def test_noting_an_event_again_changes_nothing_more(add_person: Any, world: World) -> None:
    add_person(1, age=timedelta(days=200))
    world.note(1, "positive_reply")
    assert world.note(1, "positive_reply") == events.Noted()
    assert len(world.passages(1)) == 1


def test_a_second_yes_meets_the_plan_again_only_after_its_pause(add_person: Any, world: World) -> None:
    add_person(1, age=timedelta(days=200))
    world.note(1, "positive_reply")
    world.note(1, "human_acted")
    world.clock.advance(timedelta(hours=5))
    assert world.note(1, "positive_reply").opened == ()
    world.clock.advance(timedelta(days=1))
    assert world.note(1, "positive_reply").opened == ("nurture",)
    assert [passage[1] for passage in world.passages(1)] == [1, 2]


@pytest.mark.parametrize(
    "change",
    ["stage = 'Closed'", "automation_paused_at = '2026-03-03T15:00:00Z'", "deleted_at = '2026-03-03T15:00:00Z'"],
)
def test_a_yes_opens_nothing_for_who_is_gone_paused_or_in_a_stop_stage(
    add_person: Any, world: World, change: str
) -> None:
    add_person(1)
    world.sql(f"update ledger.people set {change}")
    assert world.note(1, "positive_reply").opened == ()
    assert world.passages(1) == []


def test_not_interested_ends_everything_and_pauses_but_is_no_legal_opt_out(
    add_person: Any, world: World, enter: Any
) -> None:
    add_person(1, age=timedelta(days=200))
    for plan, step in (("reactivation", "still_looking"), ("property_alert", "new_listings")):
        enter(1, plan, step)
    world.enqueue(world.advance().intents)
    assert world.note(1, "not_interested").count_ended == 2
    assert {passage[2] for passage in world.passages(1)} == {"ended"}
    assert world.sql("select automation_paused_reason from ledger.people") == [("not_interested",)]
    assert world.sql("select count(*) from ledger.suppressions") == [(0,)]
    assert world.sql("select count(*) from ledger.messages where state in ('queued', 'held', 'review')") == [(0,)]


def test_the_first_pause_keeps_its_reason(add_person: Any, world: World) -> None:
    add_person(1)
    world.sql("update ledger.people set automation_paused_at = :at, automation_paused_reason = 'human_acted'",
              at=world.clock.now())  # fmt: skip
    world.note(1, "not_interested")
    assert world.sql("select automation_paused_reason from ledger.people") == [("human_acted",)]


def test_one_persons_event_leaves_others_alone(add_person: Any, world: World, enter: Any) -> None:
    for person_id in (1, 2):
        add_person(person_id)
        enter(person_id, "reactivation", "silence")
    world.note(1, "reply")
    assert world.passages(2)[0][2] == "open"


def test_an_unknown_event_is_refused_by_name(add_person: Any, world: World) -> None:
    add_person(1)
    with pytest.raises(ValueError, match="'shrug' is no event of a plan"):
        world.note(1, "shrug")


def test_passages_that_waited_for_a_paused_person_go_on_when_told(add_person: Any, world: World, enter: Any) -> None:
    add_person(1)
    enter(1, "reactivation", "silence")
    world.sql("update ledger.enrolments set state = 'paused'")
    world.clock.advance(timedelta(days=1))
    with world.engine.begin() as connection:
        assert events.resume(connection, 1, now=world.clock.now()) == 1
    assert world.sql("select state, next_due_at from ledger.enrolments") == [("open", world.clock.now())]
