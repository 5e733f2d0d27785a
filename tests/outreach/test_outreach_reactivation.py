"""Reactivation over simulated months, through the real planner, gate and sender: rounds, silence, replies, merges."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.outreach.conftest import PEWC, World

AGED = timedelta(days=400)


@pytest.fixture
def world(planning_world: World) -> World:
    return planning_world


def night(world: World) -> int:
    world.plan()
    return world.enqueue_planned().count_new


def steps_of(world: World, person_id: int) -> list[tuple[str, int]]:
    return [
        (row[0], row[1])
        for row in world.sql(
            "select step, occurrence from ledger.messages where person_id = :id and accepted_at is not null "
            "order by accepted_at",
            id=person_id,
        )
    ]


def test_silence_is_met_again_after_thirty_days_and_three_times_at_most(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    begun = world.clock.now()
    for _ in range(5):
        night(world)
        world.run_until(world.clock.now() + timedelta(days=50))
    rounds = [("still_looking", n) for n in (1, 2, 3)] + [("offer", n) for n in (1, 2, 3)]
    assert sorted(steps_of(world, 1)) == sorted(rounds)
    assert [passage[1:3] for passage in world.passages(1)] == [(1, "done"), (2, "done"), (3, "done")]
    last = world.sql("select occurrence, accepted_at from ledger.messages where step = 'offer' order by occurrence")
    first = world.sql(
        "select occurrence, accepted_at from ledger.messages where step = 'still_looking' order by occurrence"
    )
    assert all(after[1] - before[1] >= timedelta(days=30) for before, after in zip(last, first[1:], strict=False))
    night(world)
    assert world.outcomes()[1] == ("exhausted", "occurrence_3")
    assert world.clock.now() - begun >= timedelta(days=250)


def test_a_round_that_is_not_over_is_left_alone_by_the_night(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    for _ in range(3):
        night(world)
        world.run_until(world.clock.now() + timedelta(days=4))
    assert sorted(steps_of(world, 1)) == [("offer", 1), ("still_looking", 1)]


def test_after_an_exit_nothing_of_the_plan_leaves_any_more(add_person: Any, world: World) -> None:
    events = ["reply", "positive_reply", "human_acted", "opt_out", "not_interested", "stop_stage"]
    for person_id in range(1, len(events) + 1):
        add_person(person_id, age=AGED)
    night(world)
    world.run_until(world.clock.now() + timedelta(days=2))
    for person_id, event in enumerate(events, start=1):
        assert world.note(person_id, event).count_ended == 1
    world.run_until(world.clock.now() + timedelta(days=20))
    reactivated = [(person_id, step) for person_id, plan, step in world.sent() if plan == "reactivation"]
    assert sorted(reactivated) == [(person_id, "still_looking") for person_id in range(1, len(events) + 1)]
    assert [world.passages(person_id)[0][4] for person_id in range(1, len(events) + 1)] == events


def test_a_merge_during_a_round_leaves_the_elders_round_and_ends_the_other(add_person: Any, world: World) -> None:
    add_person(1, age=AGED)
    add_person(2, age=AGED)
    night(world)
    world.sql("update ledger.people set merged_into = 1 where person_id = 2")
    world.run_until(world.clock.now() + timedelta(days=60))
    assert [row[0] for row in world.sent()] == [1, 1]
    assert world.passages(2) == [("reactivation", 1, "ended", "still_looking", "gone")]


def test_after_the_send_each_eligible_lead_has_one_message_per_due_step_or_a_stated_reason(
    add_person: Any, world: World
) -> None:
    world.market.facts["78701"] = (2.1, world.clock.now().date() - timedelta(days=35))
    kinds: list[dict[str, Any]] = [
        {},
        PEWC,
        {"emails": [], **PEWC},
        {"emails": []},
        {
            "emails": [],
            "addresses": [],
            "phones": [{"value": "+447700900123"}],
            "customWhatsAppOptIn": "2025-06-01T10:00:00Z",
        },
        {"stage": "Closed"},
        {"lastReceivedText": "2026-02-20T10:00:00Z"},
        {"emails": [{"value": "shared@example.com"}]},
        {"emails": [{"value": "shared@example.com"}]},
    ]
    for person_id, kind in enumerate(kinds, start=1):
        add_person(person_id, age=AGED, **kind)
    night(world)
    for _ in range(2):
        world.run_until(world.clock.now() + timedelta(days=5))
        before = world.sql("select count(*) from ledger.messages")
        # A nightly run in between changes nothing.
        night(world)
        assert world.sql("select count(*) from ledger.messages") == before
    world.run_until(world.clock.now() + timedelta(days=40))
    per_step = Counter((person, step) for person, _, step in world.sent())
    assert set(per_step.values()) == {1}
    with_message = {person for person, _ in per_step}
    assert with_message == {1, 2, 3, 5, 8}
    assert {step for person, step in per_step if person == 2} == {
        "still_looking", "still_looking_sms", "market_update", "offer"
    }  # fmt: skip
    reasons = dict(
        world.sql(
            "select person_id, outcome || ':' || code from ledger.decisions where message_id is null "
            "and person_id = any(:ids) order by at desc",
            ids=[4, 6, 7, 9],
        )
    )
    assert reasons == {
        4: "no_channel:no_consent",
        6: "stopped:stop_stage",
        7: "not_aged:recent_contact",
        9: "waits:same_contact_point",
    }
    unfinished = world.sql("select state, count(*) from ledger.messages where accepted_at is null group by 1")
    assert unfinished == []
