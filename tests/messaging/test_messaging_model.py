"""Every order of everything that can happen to an intent, tried out: what must hold, holds in each.

The model breaks as soon as one safeguard is taken away; that is how it shows that it would see a fault.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import NamedTuple, cast

import pytest

from leadpipe.messaging.protocol import MOVES, UNSURE, WENT_OUT, Event, State
from tests.messaging import protocol_model
from tests.messaging.protocol_model import (
    SAFEGUARDS,
    START,
    Broken,
    Model,
    Step,
    World,
    check,
    is_settled,
)


class Explored(NamedTuple):
    """Every world that can be reached, what follows it, and the first fault on the shortest way."""

    worlds: dict[World, list[tuple[Step, World]]]
    moves: set[tuple[Event, State | None, State]]
    fault: str
    way: list[Step]


@cache
def explore(without: str = "", *, wanted: str = "") -> Explored:
    """Breadth first from the beginning, until every world was seen or one has the fault (any, if none is named)."""
    model = Model(*([without] if without else []))
    came_from: dict[World, tuple[World, Step] | None] = {START: None}
    worlds: dict[World, list[tuple[Step, World]]] = {}
    waiting = deque([START])
    while waiting:
        world = waiting.popleft()
        try:
            check(world)
        except Broken as error:
            if wanted in str(error):
                return Explored(worlds, model.moves_made, str(error), way_to(world, came_from))
            continue
        worlds[world] = list(model.steps(world))
        for step, after in worlds[world]:
            if after not in came_from:
                came_from[after] = (world, step)
                waiting.append(after)
    return Explored(worlds, model.moves_made, "", [])


def way_to(world: World, came_from: dict[World, tuple[World, Step] | None]) -> list[Step]:
    way: list[Step] = []
    while (before := came_from[world]) is not None:
        world, step = before
        way.append(step)
    return way[::-1]


def test_no_order_of_steps_breaks_the_protocol() -> None:
    found = explore()
    assert found.fault == "", found.way
    assert len(found.worlds) > 5_000


def test_every_kind_of_step_and_every_move_of_the_protocol_was_tried() -> None:
    found = explore()
    steps = {step[0] for following in found.worlds.values() for step, _ in following}
    assert steps == {
        "plan", "open claim", "commit claim", "wait", "look again", "call", "write outcome", "write outcome again",
        "forget", "crash", "lose session", "recover", "report", "look up", "give up", "resolve", "STOP", "reply",
        "read", "take over", "edit plan", "merge", "expire", "release", "reject", "stop sending", "resume",
    }  # fmt: skip
    known = {(e, before, after) for e, table in MOVES.items() for before, afters in table.items() for after in afters}
    untried = {
        # Hours and doubts of the law, which the model knows nothing of: `held` and `review` come about otherwise.
        (Event.ENQUEUE, None, State.HELD),
        *((Event.CLAIM, before, State.REVIEW) for before in (State.QUEUED, State.HELD)),
        *((Event.RELEASE, State.REVIEW, after) for after in (State.HELD, State.REVIEW)),
        # A STOP cancels what waits: only what came back from a call meets one at its claim.
        (Event.CLAIM, State.QUEUED, State.BLOCKED),
        (Event.RELEASE, State.REVIEW, State.BLOCKED),
        # Reserved: an opt-out between claim and call is `held` today and ends at the next claim.
        (Event.OUTCOME, State.SENDING, State.CANCELLED),
    }
    # No list tells of bounces and complaints; only reports do.
    known -= {move for move in known if move[0] is Event.RECONCILE and move[2] in {State.BOUNCED, State.COMPLAINED}}
    assert known - found.moves == untried
    assert found.moves <= known


def test_from_everywhere_every_intent_can_still_end() -> None:
    """No world is a dead end: machines and one deciding person bring every message to an end with a reason."""
    worlds = explore().worlds
    before: dict[World, list[World]] = {}
    for world, following in worlds.items():
        for _, after in following:
            before.setdefault(after, []).append(world)
    ends = {world for world in worlds if is_settled(world)}
    waiting = deque(ends)
    while waiting:
        for earlier in before.get(waiting.popleft(), ()):
            if earlier not in ends:
                ends.add(earlier)
                waiting.append(earlier)
    assert ends == worlds.keys()


def test_what_is_unsure_is_found_out_or_put_before_a_person_by_the_next_pass() -> None:
    for world, following in explore().worlds.items():
        for number, row in enumerate(world.rows):
            if row.state is State.SENDING and row.owner is None:
                assert any(step == ("recover",) for step, _ in following), world
            if row.state is State.UNKNOWN:
                given_up = [after.rows[number] for step, after in following if step == ("give up",)]
                assert [(one.state, one.is_told) for one in given_up] == [(State.PARKED, True)], world


def test_an_intent_that_has_ended_stays_ended_and_nothing_it_became_is_taken_back() -> None:
    over = {State.BLOCKED, State.CANCELLED, State.EXPIRED, State.REFUSED}
    for world, following in explore().worlds.items():
        for step, after in following:
            for row, later in zip(world.rows, after.rows, strict=False):
                assert row.state not in over or later.state is row.state, world
                assert row.state not in WENT_OUT or later.state in WENT_OUT | {State.REFUSED}, world
                if row.state in UNSURE and later.state in {State.QUEUED, State.HELD}:
                    # Only its own call can say so, and it says that it did nothing.
                    assert (step[0], row.count_accepted) == ("write outcome", 0), world


BREAKS = {
    "intent keys": "accepted twice",
    "row lock": "accepted twice",
    "attempt commit": "accepted twice",
    "own attempt": "accepted twice",
    "suppression check": "claimed after a suppression",
    "unread check": "claimed with an answer unread",
    "call lock": "called after a suppression",
    "session check": "called after a suppression",
    "last look": "called after a suppression",
    "alert": "parked, and nobody was told",
}


def test_every_safeguard_is_tried_without() -> None:
    assert BREAKS.keys() == SAFEGUARDS


@pytest.mark.parametrize("safeguard", BREAKS)
def test_without_one_safeguard_the_model_breaks(safeguard: str) -> None:
    assert explore(safeguard, wanted=BREAKS[safeguard]).fault, "the model does not see what this safeguard is for"


def test_the_shortest_way_to_a_second_message_without_the_attempts_commit_is_a_crash_after_the_call() -> None:
    found = explore("attempt commit", wanted="accepted twice")
    assert [step[0] for step in found.way] == [
        "plan", "open claim", "call", "crash", "open claim", "call",
    ]  # fmt: skip


def test_a_table_with_a_wrong_move_breaks_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if an outcome that nobody knows went back to the queue.
    monkeypatch.setitem(
        cast("dict[Event, object]", MOVES), Event.RECOVER, {State.SENDING: frozenset({State.QUEUED, State.UNKNOWN})}
    )
    monkeypatch.setattr(protocol_model, "RECOVERED", State.QUEUED)
    assert explore.__wrapped__(wanted="accepted twice").fault
