"""From a batch of CRM notifications to stored people, inquiries and human actions.

What lives here: reading what the notices name, fetching it, landing it and writing the ledger. What does not: deciding
whom to answer (``outreach.first_touch``). A notice is a hint "refetch these ids"; one fetch serves every notice that
names the same record.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.crm import landing, tables
from leadpipe.crm.inbox import Notice
from leadpipe.crm.mapping import Inquiry, Person, read_human_action, read_inquiry, read_person
from leadpipe.crm.people import store_human_actions, store_inquiries, upsert_people
from leadpipe.errors import BadRecord
from leadpipe.store import quarantine
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
ACTIVITIES = {"notes": tables.NOTES, "calls": tables.CALLS, "textMessages": tables.TEXT_MESSAGES}


@dataclass(kw_only=True)
class Wanted:
    """Record ids that a batch of notices names, by what to do with them."""

    people: set[int] = field(default_factory=set[int])
    deleted_people: set[int] = field(default_factory=set[int])
    events: set[int] = field(default_factory=set[int])
    activities: dict[str, set[int]] = field(default_factory=lambda: {name: set[int]() for name in ACTIVITIES})
    unsubscribed: set[int] = field(default_factory=set[int])
    unread: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Notices whose body names no records: (inbox id, reason)."""


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What a batch brought: the people to consider for a first touch and those a human just spoke to."""

    person_ids: tuple[int, ...]
    new_ids: tuple[int, ...]
    inquiries: tuple[Inquiry, ...]
    human_ids: tuple[int, ...]
    count_landed: int
    count_set_aside: int


def read_notices(notices: Sequence[Notice]) -> Wanted:
    """The ids that the notices name, as numbers or digits, in a body that may be a list of one (sheet 9.15)."""
    wanted = Wanted()
    for notice in notices:
        try:
            body = json.loads(notice.body)
            body = body[0] if isinstance(body, list) else body
            ids = {int(value) for value in body["resourceIds"]}
        except (ValueError, KeyError, TypeError, IndexError):
            wanted.unread.append((notice.id, "names no records"))
            continue
        _sort(notice.kind, ids, wanted)
    return wanted


def _sort(kind: str, ids: set[int], wanted: Wanted) -> None:
    if kind == "peopleDeleted":
        wanted.deleted_people |= ids
    elif kind.startswith("people"):
        wanted.people |= ids
    elif kind == "eventsCreated":
        wanted.events |= ids
    elif kind == "emEventsUnsubscribed":
        wanted.unsubscribed |= ids
    else:
        for name in ACTIVITIES:
            if kind.startswith(name) and not kind.endswith("Deleted"):
                wanted.activities[name] |= ids


def take_in(
    wanted: Wanted, *, crm: FubClient, lake: Lake, engine: Engine, now: datetime, landed_by: str = "webhook"
) -> Intake:
    """Fetch what is wanted, land it and store it.

    Raises:
        TransientError: the CRM or a store does not answer; nothing is marked as done, the notices wait.
    """
    event_rows = crm.events(wanted.events)
    activity_rows = {name: _activity_rows(crm, name, ids) for name, ids in wanted.activities.items() if ids}
    people_ids = set(wanted.people) | {int(row["personId"]) for row in event_rows if row.get("personId")}
    people_ids |= {int(row["personId"]) for rows in activity_rows.values() for row in rows if row.get("personId")}
    people_rows = crm.people(sorted(people_ids)) if people_ids else []
    return store(people_rows, event_rows, activity_rows, lake=lake, engine=engine, now=now, landed_by=landed_by)


def _activity_rows(crm: FubClient, name: str, ids: set[int]) -> list[Row]:
    rows = (crm.find(name, record_id) for record_id in sorted(ids))
    return [row for row in rows if row is not None]


def store(
    people_rows: Sequence[Row],
    event_rows: Sequence[Row],
    activity_rows: dict[str, list[Row]],
    *,
    lake: Lake,
    engine: Engine,
    now: datetime,
    landed_by: str,
) -> Intake:
    """Land payloads in the lake, then store what they mean in the ledger; unreadable ones are set aside."""
    set_aside: list[SetAside] = []
    landed = 0
    batches = [(tables.PEOPLE, people_rows), (tables.EVENTS, event_rows)]
    batches += [(ACTIVITIES[name], rows) for name, rows in activity_rows.items()]
    for table, rows in batches:
        if rows:
            report = landing.land(lake, table, rows, landed_by=landed_by, now=now)
            landed += report.count_written
            set_aside += report.set_aside
    people: list[Person] = []
    inquiries: list[Inquiry] = []
    for payload in people_rows:
        try:
            people.append(read_person(payload))
        except BadRecord as error:
            set_aside.append(_set_aside("fub_people", payload, error))
    for payload in event_rows:
        try:
            inquiry = read_inquiry(payload)
        except BadRecord as error:
            set_aside.append(_set_aside("fub_events", payload, error))
            continue
        if inquiry is not None:
            inquiries.append(inquiry)
    actions = [
        action
        for name, rows in activity_rows.items()
        for payload in rows
        if (action := read_human_action(name, payload)) is not None
    ]
    stored = upsert_people(engine, people, now=now)
    store_inquiries(engine, inquiries, now=now)
    human_ids = store_human_actions(engine, actions, now=now)
    with engine.begin() as connection:
        count = quarantine.store(connection, set_aside, now=now)
    return Intake(
        person_ids=tuple(person.person_id for person in people),
        new_ids=stored.new_ids,
        inquiries=tuple(inquiries),
        human_ids=human_ids,
        count_landed=landed,
        count_set_aside=count + stored.count_set_aside,
    )


def _set_aside(source: str, payload: Row, error: BadRecord) -> SetAside:
    key = str(payload.get("id", "no id"))
    return SetAside(source=source, record_key=key, reason=str(error), raw=tables.canonical(payload).encode())
