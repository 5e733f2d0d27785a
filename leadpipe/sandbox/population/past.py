"""People of the past: months of histories, so that the old can be revived and a score has something to learn.

What lives here: what happened to somebody before the sandbox began. What does not: who they are (``cast``).

Whether a lead met an agent or bought within 90 days depends, with much chance, on where they came from, what they asked
for, how they looked around and whether they called back; on nothing about who they are.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.fub.new_rows import call_row
from leadpipe.sandbox.fub.people import Person, stamp
from leadpipe.sandbox.population.cast import Draft

if TYPE_CHECKING:
    from leadpipe.sandbox.fub.store import FubStore

Row = dict[str, Any]
OLDEST_DAYS, YOUNGEST_DAYS = 1_090.0, 100.0
SOURCE_WORTH = {"Referral": 1.4, "Open House": 0.7, "demo-realty.example": 0.4, "Zillow": 0.0, "Realtor.com": -0.1,
                "Facebook": -0.8}  # fmt: skip
KIND_WORTH = {"Property Inquiry": 0.4, "Seller Inquiry": 0.3, "Registration": -0.3, "General Inquiry": -0.2}
AGENTS = (2, 3, 4)
HIDDEN_RECORDING = "* Recording URL is hidden for privacy reasons *"


def live_through(store: FubStore, draft: Draft, *, started_at: datetime) -> Person:
    """Create somebody who came months ago, with everything that happened since."""
    dice, fields = draft.dice, draft.fields
    at = started_at - timedelta(days=dice.uniform(YOUNGEST_DAYS, OLDEST_DAYS))
    moment = stamp(at)
    for name in ("customConsentAt", "customWhatsAppOptIn"):
        if name in fields:
            fields[name] = moment
    kind = dice.choices(tuple(KIND_WORTH), (45, 15, 25, 15))[0]
    views = min(9, int(dice.expovariate(0.9)))
    calls_back = dice.random() < 0.15
    logit = -3.3 + SOURCE_WORTH[fields["source"]] + KIND_WORTH[kind] + 0.45 * views + 1.5 * calls_back
    logit -= 0.9 if fields["price"] > 700_000 else 0.0
    meets = dice.random() < 1 / (1 + math.exp(-logit))
    buys = meets and dice.random() < 0.45
    stage = "Closed" if buys else dice.choices(("Lead", "Contacted", "Nurture", "Trash"), (58, 27, 13, 2))[0]
    agent = dice.choice(AGENTS)
    person = store.people.create(
        {**fields, "stage": stage, "assignedUserId": agent, "type": "Seller" if kind == "Seller Inquiry" else "Buyer"},
        at=at, is_quiet=True,
    )  # fmt: skip
    seen = at + timedelta(minutes=dice.uniform(0, 5))
    _event(store, person, kind, draft, seen)
    for _ in range(views):
        seen = at + timedelta(days=dice.uniform(0, 12))
        if dice.random() < 0.35:
            _event(store, person, "Viewed Property", draft, seen)
    called = at + timedelta(hours=dice.uniform(0.5, 30))
    if dice.random() < 0.5:
        _call(store, person, agent, called, is_incoming=False, seconds=dice.choice((0, 0, 40, 180)))
    if calls_back:
        called = at + timedelta(days=dice.uniform(1, 10))
        _call(store, person, agent, called, is_incoming=True, seconds=dice.randrange(60, 900))
    last = max(seen, called)
    if meets:
        last = max(last, _meeting(store, person, draft, at))
    if buys:
        last = max(last, _deal(store, person, draft, at, agent))
    if dice.random() < 0.04:
        _note(store, person, agent, last)
    person.hidden |= {"propertiesViewed": views, "propertiesSaved": views // 4, "pagesViewed": views * 2}
    person.shown |= {"websiteVisits": views // 2, "lastActivity": stamp(last), "updated": stamp(last)}
    return person


def _event(store: FubStore, person: Person, kind: str, draft: Draft, at: datetime) -> None:
    home: Row | None = None
    if kind in {"Property Inquiry", "Viewed Property"}:
        place = draft.place
        home = {"street": f"{draft.dice.randrange(10, 990)} Oak St", "city": place.city, "state": place.state,
                "code": place.zip, "price": draft.fields["price"], "mlsNumber": f"MLS{draft.serial}",
                "bedrooms": draft.dice.randrange(2, 6), "type": "Residential"}  # fmt: skip
    body = {"source": draft.fields["source"], "type": kind, "person": {"id": person.id}, "property": home,
            "occurredAt": stamp(at)}  # fmt: skip
    store.add_event(body, at=at, is_quiet=True)


def _call(store: FubStore, person: Person, agent: int, at: datetime, *, is_incoming: bool, seconds: int) -> None:
    store.add("calls", call_by(store, person, agent, is_incoming=is_incoming, seconds=seconds), at=at, is_quiet=True)


def call_by(store: FubStore, person: Person, agent: int, *, is_incoming: bool, seconds: int) -> Row:
    """A call of an agent's own, as it is read."""
    phone = next(iter(person.get("phones")), {"normalized": ""})["normalized"]
    body = {"personId": person.id, "phone": phone, "isIncoming": is_incoming, "duration": seconds,
            "outcome": "Interested" if seconds > 60 else "No Answer", "recordingUrl": HIDDEN_RECORDING}  # fmt: skip
    return {"createdById": agent, "updatedById": agent, "systemName": None} | call_row(store, body, store.users[agent])


def _meeting(store: FubStore, person: Person, draft: Draft, at: datetime) -> datetime:
    entered = at + timedelta(days=draft.dice.uniform(2, 55))
    held = stamp(entered + timedelta(days=2))
    store.add("appointments", meeting_of(store, person, held), at=entered, is_quiet=True)
    return entered


def meeting_of(store: FubStore, person: Person, start: str) -> Row:
    """An appointment, as it is read."""
    agent = person.assigned_user_id or 1
    user = store.users[agent]
    return {
        "createdById": agent, "updatedById": agent, "title": "Showing", "description": "", "start": start, "end": start,
        "timezone": "US/Central", "allDay": False, "originFub": True, "location": "", "typeId": None, "outcomeId": None,
        "type": None, "outcome": None, "isEditable": True, "detailsVisible": True, "isDeletable": True,
        "invitees": [
            {"userId": agent, "personId": None, "relationshipId": None, "name": user["name"], "email": user["email"],
             "picture": None},
            {"userId": None, "personId": person.id, "relationshipId": 0, "name": person.get("name"), "email": ""},
        ],
    }  # fmt: skip


def _deal(store: FubStore, person: Person, draft: Draft, at: datetime, agent: int) -> datetime:
    entered = at + timedelta(days=draft.dice.uniform(10, 80))
    closed = entered + timedelta(days=draft.dice.uniform(5, 20))
    row = deal_of(store, person, agent, stage=("Closed", 103), entered=stamp(closed), price=draft.fields["price"])
    store.add("deals", row, at=entered, is_quiet=True, is_dated=False)
    return closed


def deal_of(
    store: FubStore, person: Person, agent: int, *, stage: tuple[str, int], entered: str, price: int
) -> Row:  # fmt: skip
    """A deal, as it is read."""
    user = store.users[agent]
    return {
        "name": f"Deal {person.get('lastName')}", "type": 0, "status": "Active", "price": price, "orderWeight": 1000,
        "description": "", "projectedCloseDate": entered, "pipelineId": 1, "pipelineName": "Buyers",
        "stageId": stage[1], "stageName": stage[0], "enteredStageAt": entered, "commissionValue": int(price * 0.025),
        "agentCommission": int(price * 0.015), "teamCommission": int(price * 0.01), "timeToClose": None,
        "people": [{"id": person.id, "name": person.get("name"), "avatar": None}],
        "users": [{"id": user["id"], "name": user["name"], "picture": None}],
    }  # fmt: skip


def _note(store: FubStore, person: Person, agent: int, at: datetime) -> None:
    store.add("notes", note_by(store, person, agent, "Spoke briefly, wants to wait."), at=at, is_quiet=True)


def note_by(store: FubStore, person: Person, agent: int, words: str) -> Row:
    """A note of an agent's own, as it is read."""
    name = store.users[agent]["name"]
    return {
        "createdById": agent, "updatedById": agent, "createdBy": name, "updatedBy": name, "personId": person.id,
        "showContent": True, "subject": "", "body": words, "type": "", "isHtml": False, "actionPlanId": None,
        "isExternal": False, "systemId": None, "automationId": None, "systemName": None,
    }  # fmt: skip
