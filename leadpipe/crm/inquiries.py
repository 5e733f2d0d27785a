"""Inquiries: events of the CRM in which a lead asks for something.

What lives here: which events those are, reading one and storing it once. What does not: whom to answer
(``outreach.first_touch``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.crm.bulk import cursor_of
from leadpipe.crm.values import MAX_INT, read_time, read_whole
from leadpipe.errors import BadRecord

if TYPE_CHECKING:
    from sqlalchemy import Engine

Row = dict[str, Any]

# Events that ask for something (FUB sheet section 5); browsing and incoming calls do not start a welcome.
INQUIRY_TYPES = frozenset(
    {
        "Registration",
        "Inquiry",
        "Seller Inquiry",
        "Property Inquiry",
        "General Inquiry",
        "Visited Open House",
        "Property Search",
    }
)


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """An event in which a lead asks for something."""

    event_id: int
    person_id: int
    type: str
    source: str
    message: str
    property: Row
    occurred_at: datetime


def read_inquiry(payload: Row) -> Inquiry | None:
    """The inquiry in an event, or None when the event asks for nothing or names no person.

    Raises:
        BadRecord: no usable id or time.
    """
    try:
        event_id = int(payload["id"])
        occurred_at = read_time(payload.get("occurred") or payload.get("created"))
    except (KeyError, TypeError, ValueError):
        raise BadRecord("FUB event without a usable id or time") from None
    if not 0 < event_id <= MAX_INT:
        raise BadRecord("FUB event without a usable id")
    if occurred_at is None:
        raise BadRecord(f"FUB event {event_id} has no time")
    person_id = read_whole(payload.get("personId"))
    if str(payload.get("type")) not in INQUIRY_TYPES or not person_id:
        return None
    found = payload.get("property")
    home: Row = found if isinstance(found, dict) else {}
    place = {
        "street": "street",
        "city": "city",
        "state": "state",
        "zip": "code",
        "mls_number": "mlsNumber",
        "type": "type",
    }
    details = {ours: str(home[theirs]) for ours, theirs in place.items() if home.get(theirs)}
    for ours, theirs in {"price_usd": "price", "bedrooms": "bedrooms"}.items():
        if str(home.get(theirs) or "").replace(".", "", 1).isdigit():
            details[ours] = str(int(float(home[theirs])))
    return Inquiry(
        event_id=event_id,
        person_id=person_id,
        type=str(payload["type"]),
        source=str(payload.get("source") or ""),
        message=str(payload.get("message") or ""),
        property=details,
        occurred_at=occurred_at,
    )


def store_inquiries(engine: Engine, inquiries: Iterable[Inquiry], *, now: datetime) -> tuple[int, ...]:
    """Store inquiries once each by event id and return the new ids; the request is consent to be answered (C4)."""
    rows = {i.event_id: i for i in inquiries}
    if not rows:
        return ()
    with engine.begin() as connection:
        cursor = cursor_of(connection)
        cursor.executemany(
            "insert into ledger.inquiries "
            "(event_id, person_id, type, source, message, property, occurred_at, first_seen_at) "
            "values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (event_id) do nothing returning event_id",
            [
                (i.event_id, i.person_id, i.type, i.source, i.message, json.dumps(i.property), i.occurred_at, now)
                for i in rows.values()
            ],
            returning=True,
        )
        new: list[int] = []
        while True:
            new += [row[0] for row in cursor.fetchall()]
            if not cursor.nextset():
                break
        cursor.execute(
            """
            insert into ledger.consents (
              person_id, channel, level, scope, seller, source, evidence, at, expires_at, dedupe_key, recorded_at)
            select i.person_id, channel, 'inquiry', 'inquiry:' || i.event_id, 'ours', lower(i.source),
              jsonb_build_object('event_id', i.event_id, 'form', 'none_on_file'), i.occurred_at,
              i.occurred_at + interval '90 days', 'inquiry:' || channel || ':' || i.event_id, %(now)s
            from ledger.inquiries i cross join unnest(array['sms', 'email', 'whatsapp']) channel
            where i.event_id = any(%(ids)s)
            on conflict (dedupe_key) do nothing
            """,
            {"ids": new, "now": now},
        )
    return tuple(new)
