"""Homes that went or that nobody looked at since stop the message that lists them, at every judging alike (C41)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.explain import record
from leadpipe.explain.replay import replay
from leadpipe.market import statuses
from leadpipe.messaging.homes import offered_in
from leadpipe.outreach import enrol
from leadpipe.outreach.plan import load_plans
from leadpipe.outreach.variables import listing_variables
from tests.market.test_market_listings import home as wire_home
from tests.outreach.conftest import World

if TYPE_CHECKING:
    from leadpipe.messaging.intent import Intent

PLAN = "property_alert"


def looked(world: World, *, hours: float, gone: bool = False, key: str = "L1", **fields: Any) -> None:
    """The daily reading of the listing service, so many hours before now: the home was for sale, or no longer."""
    from leadpipe.market.listing import read_listing

    found = read_listing(wire_home(key, **fields), dataset="mls")
    with world.engine.begin() as connection:
        at = world.clock.now() - timedelta(hours=hours)
        statuses.keep(connection, [] if gone else [found], [key] if gone else [], dataset="mls", now=at)


def alert(world: World, *, hours: float, status: str = "Active", state: str = "TX") -> Intent:
    """The email of a passage that was opened with one home, looked at so many hours before now."""
    home = {"listing_key": "L1", "address": "1 Oak St", "price_usd": 400_000, "state": state, "status": status}
    seen_at = world.clock.now() - timedelta(hours=hours)
    plan = load_plans(None)[PLAN]
    entry = enrol.Entry(
        person_id=1, plan=PLAN, plan_version=plan.version, occurrence=1, step="new_listings", due_at=world.clock.now(),
        reason="test", context={"listings": [listing_variables(home | {"checked_at": seen_at})]},
    )  # fmt: skip
    with world.engine.begin() as connection:
        enrol.open_passages(connection, [entry], now=world.clock.now())
    (intent,) = world.advance().intents
    return intent


def state_of(world: World) -> tuple[str, str | None]:
    ((state, code),) = world.sql("select state, code from ledger.messages")
    return state, code


def replays(world: World) -> str:
    """What a replay of the one message answers."""
    ((message_id,),) = world.sql("select id::text from ledger.messages")
    with world.engine.connect() as connection:
        found = record.read(connection, message_id, by=world.clock.now())
    return replay(found, settings=world.settings).answer


@pytest.mark.parametrize(
    ("hours", "status", "expected"),
    [
        (3, "Active", ("queued", None)),
        (2, "Pending", ("blocked", "stale_listing")),
        (30, "Active", ("blocked", "stale_listing")),
    ],
    ids=["seen for sale three hours ago", "pending two hours ago", "seen 30 hours ago"],
)
def test_a_message_starts_by_what_was_seen_of_its_home(
    add_person: Any, world: World, hours: float, status: str, expected: tuple[str, str | None]
) -> None:
    add_person(1)
    world.enqueue([alert(world, hours=hours, status=status)])
    assert state_of(world) == expected
    assert replays(world) == "identical"


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (None, "accepted"),
        ({"hours": 2, "gone": True}, "blocked"),
        ({"hours": 1}, "accepted"),
    ],
    ids=["nobody looked since", "it went two hours ago", "it was seen again"],
)
def test_the_claim_knows_what_became_of_the_home_since(
    add_person: Any, world: World, later: dict[str, Any] | None, expected: str
) -> None:
    add_person(1)
    looked(world, hours=3)
    world.enqueue([alert(world, hours=3)])
    world.clock.advance(timedelta(hours=4))
    if later is not None:
        looked(world, **later)
    world.send()
    assert state_of(world) == (expected, "stale_listing" if expected == "blocked" else None)
    assert replays(world) == "identical"


@pytest.mark.parametrize("is_seen_again", [False, True])
def test_a_look_that_nobody_renews_is_none_after_a_day(add_person: Any, world: World, is_seen_again: bool) -> None:
    add_person(1)
    looked(world, hours=20)
    world.enqueue([alert(world, hours=20)])
    assert state_of(world) == ("queued", None)
    world.clock.advance(timedelta(hours=10))
    if is_seen_again:
        looked(world, hours=1)
    world.send()
    assert state_of(world) == (("accepted", None) if is_seen_again else ("blocked", "stale_listing"))
    assert replays(world) == "identical"


def test_the_newer_look_counts_whichever_it_is(add_person: Any, world: World) -> None:
    add_person(1)
    looked(world, hours=9)
    looked(world, hours=8, gone=True)
    # Listed again since: who asked for homes just now saw it.
    world.enqueue([alert(world, hours=1)])
    world.send()
    assert state_of(world) == ("accepted", None)


def test_a_home_in_a_state_without_licence_waits_for_a_person(add_person: Any, world: World) -> None:
    add_person(1)
    world.enqueue([alert(world, hours=1, state="Oklahoma")])
    assert state_of(world) == ("review", "license_state")
    assert replays(world) == "identical"


def test_of_a_home_without_a_look_nothing_is_known() -> None:
    assert offered_in({"listings": []}) == offered_in({}) == offered_in(None) == ()
    for at in ("", "yesterday", "2026-03-03T16:00:00"):
        (found,) = offered_in({"listings": [{"listing_key": "L1", "status": "Active", "checked_at": at}]})
        assert found.seen.checked_at is None, at
