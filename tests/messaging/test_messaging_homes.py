"""Words that call the home somebody asked about available: its MLS number finds the last look (C41)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from tests.messaging.conftest import EMAIL_BODY

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, Go, MakeIntent, Put, Rows

BODY = EMAIL_BODY.replace("Hi, are you still looking to buy?", "Hi, 12 Oak St is still available.")
_ASKED = text(
    "insert into ledger.inquiries (event_id, person_id, type, property, occurred_at, first_seen_at) "
    "values (:event, 1, 'Property Inquiry', cast(:property as jsonb), :at, :at)"
)
_LOOKED = text(
    "insert into ledger.listing_statuses (listing_key, listing_id, dataset, status, checked_at) "
    "values (:key, :number, 'mls', :status, :at)"
)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([("MLS7", "Active", 3)], ("accepted", None)),
        ([("MLS7", "Not active", 2)], ("blocked", "stale_listing")),
        ([("MLS7", "Active", 30)], ("blocked", "stale_listing")),
        ([("MLS8", "Active", 3)], ("blocked", "stale_listing")),
        ([("MLS7", "Active", 3), ("MLS7", "Active", 3)], ("blocked", "stale_listing")),
        ([], ("blocked", "stale_listing")),
    ],
    ids=["for sale", "gone", "seen 30 hours ago", "another home's", "a number of two homes", "never seen"],
)
def test_the_home_of_the_last_inquiry_is_called_available_only_by_who_looked(
    ledger_engine: Engine, put: Put, go: Go, rows: Rows, add_lead: AddLead, intent: MakeIntent, clock: FixedClock,
    looks: list[tuple[str, str, int]], expected: tuple[str, str | None],
) -> None:  # fmt: skip
    lead = add_lead(1)
    asked: dict[str, Any] = {"at": clock.now() - timedelta(days=1)}
    with ledger_engine.begin() as connection:
        for event, number in ((1, "MLS8"), (2, "MLS7")):
            home = json.dumps({"street": "12 Oak St", "state": "TX", "mls_number": number})
            connection.execute(_ASKED, asked | {"event": event, "property": home})
            asked["at"] += timedelta(hours=1)
        for key, (number, status, hours) in enumerate(looks):
            at = clock.now() - timedelta(hours=hours)
            connection.execute(_LOOKED, {"key": f"L{key}", "number": number, "status": status, "at": at})
    put(intent(lead, body=BODY))
    go()
    [message] = rows("messages")
    assert (message.state, message.code) == expected
