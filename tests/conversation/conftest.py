"""People, messages and inbound messages of the conversation tests, written as the running system writes them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.conversation.inbound import Inbound, StoredInbound, store_inbound
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

AddPerson = Callable[..., int]
Say = Callable[..., StoredInbound]
Write = Callable[..., str]
Rows = Callable[..., list[dict[str, Any]]]
PHONE, EMAIL = "+15125550101", "ana1@example.com"


@pytest.fixture
def add_person(ledger_engine: Engine, clock: FixedClock) -> AddPerson:
    """A function that stores one person with a phone and an email; keywords are FUB's own keys."""

    def add(person_id: int = 1, **payload: Any) -> int:
        person = read_person(
            {
                "id": person_id,
                "created": (clock.now() - timedelta(days=200)).isoformat(),
                "updated": clock.now().isoformat(),
                "firstName": "Ana",
                "lastName": "Example",
                "stage": "Lead",
                "source": "Website",
                "assignedTo": "Bo Lee",
                "assignedUserId": 7,
                "emails": [{"value": f"ana{person_id}@example.com", "isPrimary": 1}],
                "phones": [{"value": f"+151255501{person_id:02d}", "isPrimary": 1}],
                "addresses": [{"city": "Denver", "state": "CO", "code": "80202", "country": "US"}],
            }
            | payload
        )
        upsert_people(ledger_engine, [person], now=clock.now())
        return person_id

    return add


@pytest.fixture
def write(ledger_engine: Engine, clock: FixedClock) -> Write:
    """A function that leaves one of our messages in the ledger, as sending or planning left it; returns its id."""
    steps = itertools.count(1)

    def leave(
        person_id: int = 1, *, state: str = "queued", channel: str = "sms", plan: str = "reactivation", **more: Any
    ) -> str:
        message_id = str(uuid.uuid4())
        kind = "email" if channel == "email" else "phone"
        with ledger_engine.begin() as connection:
            connection.execute(
                text(
                    "insert into ledger.messages (id, person_id, contact_point_id, enrolment_id, plan, step, occurrence, "
                    "channel, purpose, subject, body, state, due_at, created_at, changed_at, accepted_at, provider, "
                    "provider_id) select cast(cast(:id as text) as uuid), :person, c.id, :enrolment, :plan, :step, 1, :channel, :purpose, 'Hello', "
                    "'Are you still looking to buy?', :state, :now, :now, :now, :accepted, :provider, cast(:id as text) "
                    "from ledger.contact_points c join ledger.person_contact_points o on o.contact_point_id = c.id "
                    "where o.person_id = :person and c.kind = :kind order by o.rank limit 1"
                ),
                {
                    "id": message_id,
                    "person": person_id,
                    "enrolment": more.get("enrolment_id"),
                    "plan": plan,
                    "step": f"step{next(steps)}",
                    "channel": channel,
                    "purpose": more.get("purpose", "marketing"),
                    "state": state,
                    "now": clock.now(),
                    "accepted": clock.now() if state in {"accepted", "sent", "delivered"} else None,
                    "provider": "ses" if channel == "email" else "twilio",
                    "kind": kind,
                },
            )
        return message_id

    return leave


@pytest.fixture
def say(ledger_engine: Engine, settings: Settings, clock: FixedClock) -> Say:
    """A function by which a lead writes to us, as the gateway stores it."""
    numbers = itertools.count(1)

    def speak(body: str, *, channel: str = "sms", address: str | None = None, **more: Any) -> StoredInbound:
        inbound = Inbound(
            channel=channel,
            provider_id=more.pop("provider_id", f"in-{next(numbers)}"),
            address=address or (EMAIL if channel == "email" else PHONE),
            body=body,
            received_at=more.pop("at", clock.now()),
            **more,
        )
        with ledger_engine.begin() as connection:
            return store_inbound(connection, inbound, settings=settings, now=clock.now())

    return speak


@pytest.fixture
def rows(ledger_engine: Engine) -> Rows:
    """A function that reads rows of the ledger."""

    def read(query: str, **values: Any) -> list[dict[str, Any]]:
        with ledger_engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    return read
