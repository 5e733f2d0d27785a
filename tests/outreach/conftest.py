"""People of the outreach tests, written to the ledger as the CRM's intake writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.clock import FixedClock
from leadpipe.crm.mapping import Inquiry, read_person
from leadpipe.crm.people import store_inquiries, upsert_people
from leadpipe.outreach.golive import record_go_live

if TYPE_CHECKING:
    from sqlalchemy import Engine

AddPerson = Callable[..., int]
Ask = Callable[..., None]


@pytest.fixture
def add_person(ledger_engine: Engine, clock: FixedClock) -> AddPerson:
    """A function that stores one person; keywords are FUB's own keys, ``age`` is the time since creation."""

    def add(person_id: int, *, age: timedelta = timedelta(minutes=1), **payload: Any) -> int:
        person = read_person(
            {
                "id": person_id,
                "created": (clock.now() - age).isoformat(),
                "updated": clock.now().isoformat(),
                "firstName": "Ana",
                "lastName": "Example",
                "stage": "Lead",
                "source": "Website",
                "assignedTo": "Bo Lee",
                "assignedUserId": 7,
                "emails": [{"value": f"lead{person_id}@example.com", "isPrimary": 1}],
                "phones": [{"value": f"+1512555{person_id % 100:02d}{person_id % 90 + 10:02d}", "isPrimary": 1}],
                "addresses": [{"city": "Austin", "state": "TX", "code": "78701", "country": "US"}],
            }
            | payload
        )
        upsert_people(ledger_engine, [person], now=clock.now())
        return person_id

    return add


@pytest.fixture
def ask(ledger_engine: Engine, clock: FixedClock) -> Ask:
    """A function that stores one inquiry of a person."""

    def ask(person_id: int, event_id: int, *, at: datetime | None = None, **home: Any) -> None:
        inquiry = Inquiry(
            event_id=event_id,
            person_id=person_id,
            type="Property Inquiry",
            source="Website",
            message="Is it still for sale?",
            property={"street": "12 Oak St", "city": "Austin", "state": "TX", "zip": "78702"} | home,
            occurred_at=at or clock.now(),
        )
        store_inquiries(ledger_engine, [inquiry], now=clock.now())

    return ask


@pytest.fixture
def live(ledger_engine: Engine, clock: FixedClock) -> datetime:
    """The team went live three days ago."""
    at = clock.now() - timedelta(days=3)
    with ledger_engine.begin() as connection:
        record_go_live(connection, at)
    return at
