"""A runtime on this test's ledger and lake, its Dagster resource, and aged people."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import pytest

from leadpipe.clock import FixedClock
from leadpipe.crm import tables
from leadpipe.crm.landing import land
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.store.bootstrap import create_tables
from leadpipe.store.lake import Lake
from resources.runtime import LeadpipeResource

AddAged = Callable[..., None]


@pytest.fixture
def runtime(settings: Settings, lake: Lake, clock: FixedClock) -> Generator[Runtime]:
    create_tables(lake)
    runtime = Runtime(settings)
    runtime.__dict__.update(clock=clock, lake=lake)
    yield runtime
    runtime.close()


@pytest.fixture
def leadpipe(runtime: Runtime) -> LeadpipeResource:
    return LeadpipeResource.of(runtime)


@pytest.fixture
def add_aged(runtime: Runtime, clock: FixedClock) -> AddAged:
    """A function that stores people with an email, created so many days ago, in the lake too when asked."""

    def add(*person_ids: int, days: int = 200, is_landed: bool = False) -> None:
        payloads: list[dict[str, Any]] = [
            {
                "id": person_id,
                "created": (clock.now() - timedelta(days=days)).isoformat(),
                "updated": clock.now().isoformat(),
                "firstName": "Ana",
                "stage": "Lead",
                "source": "Website",
                "emails": [{"value": f"lead{person_id}@example.com", "isPrimary": 1}],
                "addresses": [{"city": "Austin", "state": "TX", "code": "78701", "country": "US"}],
            }
            for person_id in person_ids
        ]
        upsert_people(runtime.engine, [read_person(payload) for payload in payloads], now=clock.now())
        if is_landed:
            land(runtime.lake, tables.PEOPLE, payloads, landed_by="poll", now=clock.now())

    return add
