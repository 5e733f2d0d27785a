"""The outreach tests' team and people, for whom messages are made, sent, explained and made again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from leadpipe.explain import record
from leadpipe.explain.record import Recorded
from leadpipe.explain.replay import Replayed, replay
from leadpipe.outreach.first_touch import plan_new_leads
from tests.messaging.conftest import add_lead, channels, go, intent, live_settings, put
from tests.outreach.conftest import PEWC, World, add_person, ask, live, planning_world, team, world

__all__ = [
    "add_lead", "add_person", "ask", "channels", "go", "intent", "live", "live_settings", "planning_world", "put",
    "team", "world",
]  # fmt: skip

# Written consent so fresh that nobody need ask whether the number changed hands (C19).
AGREED = PEWC | {"customConsentAt": "2026-02-20T10:00:00Z"}


@pytest.fixture
def messages(planning_world: World, add_person: Any, ask: Any, live: Any) -> list[str]:
    """Ids of messages of every kind of template: welcome, email in two languages, text, and a blocked WhatsApp."""
    world = planning_world
    aged = timedelta(days=200)
    add_person(1)
    ask(1, 1)
    add_person(2, age=aged)
    add_person(3, age=aged, customLanguage="Spanish")
    add_person(4, age=aged, emails=[], **AGREED)
    add_person(5, age=aged, emails=[], phones=[{"value": "+447700900123"}], customWhatsAppOptIn="2025-06-01T10:00:00Z")
    home = {"address": "9 Elm St", "price_usd": 450_000, "beds": 3, "baths": 2.5, "url": "", "listing_key": "L9"}
    intents = plan_new_leads(
        world.engine,
        [1],
        listings_by_person={1: [home | {"state": "TX", "status": "Active", "checked_at": world.clock.now()}]},
        market_facts={},
        settings=world.settings,
        clock=world.clock,
    )
    world.enqueue(intents)
    world.plan()
    world.enqueue_planned()
    world.run_until(world.clock.now() + timedelta(days=1, hours=6))
    rows = world.sql("select id::text, channel || ' ' || state from ledger.messages order by person_id, created_at")
    assert {what for _, what in rows} == {"email accepted", "sms accepted", "whatsapp blocked"}
    return [row[0] for row in rows]


def recorded(world: World, message_id: str) -> Recorded:
    """What the ledger holds about a message now."""
    with world.engine.connect() as connection:
        return record.read(connection, message_id, by=world.clock.now())


def replayed(world: World, message_id: str, *, looks_at_today: bool = True) -> Replayed:
    """A message made again."""
    return replay(recorded(world, message_id), settings=world.settings if looks_at_today else None)
