"""New homes that fit: one email a person, a week apart, no home twice, and nothing lost that could not go."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.messaging.intent import Intent
from leadpipe.outreach import property_alerts
from leadpipe.outreach.property_alerts import plan_property_alerts
from tests.outreach.conftest import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


def home(key: str, price: int = 400_000) -> dict[str, Any]:
    return {
        "listing_key": key,
        "address": f"{key} Oak St",
        "price_usd": price,
        "beds": 3,
        "baths": 2,
        "url": f"https://example.com/{key}",
        "attribution": "Courtesy of Example Realty",
    }


class NoLake:
    """The market is set by the test; nothing may be read from a lake."""


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[dict[str, Any]]]:
    """New homes by person, as ``market.matches`` finds them."""
    homes: dict[int, list[dict[str, Any]]] = {}

    def new_matches(*_: Any, now: datetime, since: datetime) -> dict[int, list[dict[str, Any]]]:
        assert now - since >= timedelta(days=7)
        looked = {"state": "TX", "status": "Active", "checked_at": now}
        return {person_id: [looked | each for each in found] for person_id, found in homes.items() if found}

    monkeypatch.setattr(property_alerts, "new_matches", new_matches)
    return homes


@pytest.fixture
def alerts(world: World) -> Callable[[], list[Intent]]:
    def run() -> list[Intent]:
        lake: Any = NoLake()
        return plan_property_alerts(world.engine, lake, settings=world.settings, clock=world.clock)

    return run


def test_new_homes_become_one_email(add_person: Any, world: World, market: Any, alerts: Any) -> None:
    add_person(1)
    market[1] = [home("A"), home("B")]
    (intent,) = alerts()
    assert (intent.channel, intent.plan, intent.purpose) == ("email", "property_alert", "marketing")
    assert "2 homes that fit" in intent.body
    assert "A Oak St, $400,000" in intent.body
    assert "Courtesy of Example Realty" in intent.body
    # The status of a home is at most a day old when it is offered (compliance C41).
    assert intent.expires_at == world.clock.now() + timedelta(hours=24)
    world.enqueue([intent])
    world.send()
    assert world.sent() == [(1, "property_alert", "new_listings")]


def test_the_next_email_comes_a_week_later_and_names_only_other_homes(
    add_person: Any, world: World, market: Any, alerts: Any
) -> None:
    add_person(1)
    market[1] = [home("A")]
    world.enqueue(alerts())
    world.send()
    market[1] = [home("B"), home("A")]
    for _ in range(2):
        world.clock.advance(timedelta(days=3))
        world.work()
        assert alerts() == []
    world.clock.advance(timedelta(days=1, minutes=1))
    (intent,) = alerts()
    assert [listing["listing_key"] for listing in intent.variables["listings"]] == ["B"]
    assert intent.occurrence == 2


def test_the_passage_is_over_once_the_email_left(add_person: Any, world: World, market: Any, alerts: Any) -> None:
    add_person(1)
    market[1] = [home("A")]
    world.enqueue(alerts())
    world.send()
    world.clock.advance(timedelta(minutes=10))
    world.work()
    assert world.passages(1) == [("property_alert", 1, "done", "new_listings", "sent")]


@pytest.mark.parametrize(
    ("person", "change"),
    [
        ({"emails": []}, ""),
        ({"emails": [{"value": "ab12@convo.zillow.com"}]}, ""),
        ({"stage": "Closed"}, ""),
        ({}, "automation_paused_at = :now"),
        ({}, "deleted_at = :now"),
        ({}, "merged_into = 2"),
    ],
)
def test_who_may_not_be_told_is_not(
    add_person: Any, world: World, market: Any, alerts: Any, person: dict[str, Any], change: str
) -> None:
    add_person(1, **person)
    if change:
        values = {"now": world.clock.now()} if ":now" in change else {}
        world.sql(f"update ledger.people set {change}", **values)
    market[1] = [home("A")]
    assert alerts() == []
    assert world.passages(1) == []


def test_a_person_with_a_message_under_way_is_told_the_next_time(
    add_person: Any, world: World, market: Any, alerts: Any
) -> None:
    add_person(1)
    world.sql(
        "insert into ledger.messages (id, person_id, contact_point_id, plan, step, occurrence, channel, purpose, body, "
        "state, due_at, created_at, changed_at) select gen_random_uuid(), 1, id, 'new_lead', 'ask_timeline', 1, "
        "'email', 'marketing', 'Hello', 'queued', :at, :at, :at from ledger.contact_points where kind = 'email'",
        at=world.clock.now(),
    )
    market[1] = [home("A")]
    assert alerts() == []
    world.sql("update ledger.messages set state = 'cancelled', code = 'reply'")
    assert len(alerts()) == 1


def test_two_records_with_one_address_get_one_email(add_person: Any, market: Any, alerts: Any) -> None:
    for person_id in (1, 2):
        add_person(person_id, emails=[{"value": "shared@example.com"}])
        market[person_id] = [home("A")]
    assert [intent.person_id for intent in alerts()] == [1]


def test_a_run_that_died_before_storing_is_finished_with_the_same_homes(
    add_person: Any, world: World, market: Any, alerts: Any
) -> None:
    add_person(1)
    market[1] = [home("A")]
    (lost,) = alerts()
    market[1] = []
    world.clock.advance(timedelta(hours=1))
    (again,) = world.advance().intents
    assert again.variables["listings"] == lost.variables["listings"]
    assert again.expires_at == lost.expires_at


def test_homes_nobody_stored_in_a_day_are_told_no_more(add_person: Any, world: World, market: Any, alerts: Any) -> None:
    add_person(1)
    market[1] = [home("A")]
    alerts()
    world.clock.advance(timedelta(hours=25))
    assert world.advance().intents == []
    assert world.passages(1) == [("property_alert", 1, "done", "new_listings", "stale")]


def test_equal_wishes_get_equal_homes_whatever_the_name(add_person: Any, market: Any, alerts: Any) -> None:
    """Compliance C37."""
    for person_id, name in enumerate(["Emily", "Lakisha", "Wei"], start=1):
        add_person(person_id, firstName=name)
        market[person_id] = [home("A"), home("B")]
    intents = alerts()
    assert len({str(intent.variables["listings"]) for intent in intents}) == 1
    assert len({intent.body.replace(intent.variables["first_name"], "NAME") for intent in intents}) == 1


def test_no_new_homes_make_no_passages(add_person: Any, world: World, market: Any, alerts: Any) -> None:
    add_person(1)
    assert alerts() == []
    assert world.passages(1) == []
