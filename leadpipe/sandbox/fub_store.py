"""The fake account's records: people, events, activities and small tables, with Follow Up Boss's own rules.

What lives here: rows and how they change. What does not: HTTP (``fub``), notifications (``fub_webhooks``).
Facts: FUB sheet sections 4, 5 and 7.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

Row = dict[str, Any]
DEFAULT_HIDDEN = (
    "background lastCommunication lastReceivedEmail lastSentEmail lastEmail emailsReceived emailsSent "
    "lastIncomingCall lastOutgoingCall lastCall firstCall callsIncoming callsOutgoing callsDuration lastReceivedText "
    "lastSentText lastText textsReceived textsSent lastLeadActivity propertiesViewed propertiesSaved pagesViewed "
    "lastIdxVisit nextTask"
)
HIDDEN = frozenset(DEFAULT_HIDDEN.split())
WRITABLE = frozenset(
    "createdAt firstName lastName name stage source sourceUrl contacted price assignedTo assignedUserId assignedPondId "
    "assignedLenderName assignedLenderId emails phones addresses tags background collaborators timeframeId type".split()
)
STAGES = ("Lead", "Contacted", "Nurture", "Hot Prospect", "Active Client", "Under Contract", "Closed", "Trash")
AGENTS = (("Dana Lee", "Broker"), ("Marco Ruiz", "Agent"), ("Priya Shah", "Agent"), ("Tom Becker", "Agent"))


def stamp(at: datetime) -> str:
    """A record's time: UTC, whole seconds, ``Z``."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class FubStore:
    """All records of one fake account; ``notify(event, ids, data)`` is called on every change."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.notify: Callable[[str, list[int], Row | None], None] = lambda event, ids, data: None  # noqa: ARG005
        self.people: dict[int, Row] = {}
        self.rows: dict[str, dict[int, Row]] = {
            name: {}
            for name in (
                "events", "notes", "calls", "textMessages", "tasks", "appointments", "deals", "emEvents",
                "actionPlansPeople", "webhooks", "webhookEvents",
            )
        }  # fmt: skip
        self._ids = defaultdict(lambda: itertools.count(1))
        self._ids["people"] = itertools.count(10_001)
        self.users = {
            number: {
                "id": number, "created": stamp(now()), "updated": stamp(now()), "name": name, "role": role,
                "firstName": name.split()[0], "lastName": name.split()[1],
                "email": f"{name.split()[0].lower()}@demo-realty.example",
                "status": "Active", "timezone": "US/Central", "isOwner": number == 1, "picture": [], "groups": [],
            }
            for number, (name, role) in enumerate(AGENTS, start=1)
        }  # fmt: skip
        self.stages = {
            number: {"id": number, "name": name, "orderWeight": number * 1000, "isProtected": name in {"Lead", "Trash"},
                     "pipelineId": None, "description": "", "systems": [], "peopleCount": 0}
            for number, name in enumerate(STAGES, start=2)
        }  # fmt: skip
        self.pipelines = {
            1: {"id": 1, "name": "Buyers", "description": "", "orderWeight": 1000,
                "stages": [{"id": 101, "name": "Offer", "closedStage": False},
                           {"id": 102, "name": "Under Contract", "closedStage": False},
                           {"id": 103, "name": "Closed", "closedStage": True}]}
        }  # fmt: skip
        names = (
            ("customConsentSms", "text"), ("customConsentText", "text"), ("customConsentAt", "text"),
            ("customConsentIp", "text"), ("customWhatsAppOptIn", "text"), ("customLeadScore", "number"),
            ("customLeadPriority", "text"), ("customLeadReason", "text"),
        )  # fmt: skip
        self.custom_fields = {
            number: {"id": number, "name": name, "label": name[6:], "type": kind, "choices": [], "orderWeight": 1000,
                     "hideIfEmpty": False, "readOnly": False}
            for number, (name, kind) in enumerate(names, start=70)
        }  # fmt: skip
        self.by_contact: dict[str, set[int]] = defaultdict(set)

    def next_id(self, collection: str) -> int:
        """The next id of a collection; each counts separately."""
        return next(self._ids[collection])

    # people

    def stage_id(self, name: str) -> int | None:
        """A stage's id by its exact name."""
        return next((number for number, row in self.stages.items() if row["name"] == name), None)

    def blank_person(self, at: datetime) -> Row:
        """A person with every field the API shows."""
        moment = stamp(at)
        zero: Row = {name: None for name in HIDDEN} | {
            name: 0
            for name in (
                "emailsReceived", "emailsSent", "callsIncoming", "callsOutgoing", "callsDuration", "textsReceived",
                "textsSent", "propertiesViewed", "propertiesSaved", "pagesViewed",
            )
        }  # fmt: skip
        person: Row = {
            "id": self.next_id("people"), "created": moment, "updated": moment, "createdVia": "API",
            "lastActivity": moment, "name": "", "firstName": "", "lastName": "", "stage": "Lead", "stageId": 2,
            "type": "Buyer", "source": "<unspecified>", "sourceId": 1, "sourceUrl": "", "leadFlowId": 7,
            "delayed": False, "contacted": 0, "price": None, "assignedLenderId": None, "assignedLenderName": None,
            "assignedUserId": None, "assignedPondId": None, "assignedTo": None, "tags": [], "emails": [],
            "phones": [], "addresses": [], "picture": None, "socialData": [], "websiteVisits": 0,
            "timeframeId": None, "timeframeUpdated": None, "timeframeStatus": None, "timeframeDateRange": None,
            "claimed": True, "dealStatus": None, "dealStage": None, "dealName": None, "dealCloseDate": None,
            "dealPrice": None, "firstToClaimOffer": False, "collaborators": [], "teamLeaders": [], "pondMembers": [],
        }  # fmt: skip
        return person | zero

    def add_person(self, fields: Row, *, at: datetime | None = None, quiet: bool = False) -> Row:
        """Create a person; ``quiet`` keeps webhooks still (history loaded before the demo)."""
        person: Row = self.blank_person(at or self.now())
        self._apply(person, fields)
        if person["assignedUserId"] is None and not quiet:
            self._assign(person, 2 + person["id"] % (len(AGENTS) - 1))
        self.people[person["id"]] = person
        self._index(person)
        if not quiet:
            self.notify("peopleCreated", [person["id"]], None)
        return person

    def _assign(self, person: Row, user_id: int) -> None:
        user = self.users.get(user_id)
        person["assignedUserId"], person["assignedTo"] = (user_id, user["name"]) if user else (None, None)

    def _index(self, person: Row) -> None:
        for entry in [*person["emails"], *person["phones"]]:
            self.by_contact[contact_key(entry["value"])].add(person["id"])

    def _apply(self, person: Row, fields: Row) -> None:
        for key, value in fields.items():
            if key == "emails":
                person["emails"] = [_entry(e, "home", first=i == 0) for i, e in enumerate(value)]
            elif key == "phones":
                person["phones"] = [
                    _entry(e, "mobile", first=i == 0)
                    | {"normalized": "".join(filter(str.isdigit, str(e["value"])))[-10:], "isLandline": False,
                       "isOnboardingNumber": False}
                    for i, e in enumerate(value)
                ]  # fmt: skip
            elif key == "stage":
                person["stage"], person["stageId"] = value, self.stage_id(value)
            elif key == "assignedUserId":
                self._assign(person, value)
            elif key == "contacted":
                person["contacted"] = int(bool(value))
            elif key != "createdAt":
                person[key] = value
        person["name"] = f"{person['firstName']} {person['lastName']}".strip()

    def update_person(self, person: Row, fields: Row, *, merge_tags: bool = False) -> Row:
        """Change a person and tell the hooks what kind of change it was."""
        fields = dict(fields)
        if merge_tags and "tags" in fields:
            fields["tags"] = list(dict.fromkeys([*person["tags"], *fields["tags"]]))
        new_tags = [tag for tag in fields.get("tags", []) if tag not in person["tags"]]
        stage_before = person["stage"]
        self._apply(person, fields)
        self._index(person)
        person["updated"] = stamp(self.now())
        self.notify("peopleUpdated", [person["id"]], None)
        if new_tags:
            self.notify("peopleTagsCreated", [person["id"]], {"tags": new_tags})
        if person["stage"] != stage_before:
            self.notify("peopleStageUpdated", [person["id"]], {"stage": person["stage"]})
        return person

    def touch(self, person_id: int, **fields: Any) -> None:
        """Bump conversation fields, which move ``lastActivity`` but not always ``updated``."""
        person = self.people.get(person_id)
        if person is not None:
            person.update(fields)
            person["lastActivity"] = stamp(self.now())

    def match(self, contacts: Iterable[str]) -> Row | None:
        """An existing person with one of these addresses or numbers, Trash excluded."""
        for contact in contacts:
            for person_id in sorted(self.by_contact.get(contact_key(contact), ())):
                person = self.people.get(person_id)
                if person is not None and person["stage"] != "Trash":
                    return person
        return None

    def delete_person(self, person_id: int) -> None:
        """Hard delete, children too, without child webhooks."""
        self.people.pop(person_id, None)
        for name in ("notes", "calls", "textMessages", "events", "tasks"):
            self.rows[name] = {k: r for k, r in self.rows[name].items() if r.get("personId") != person_id}
        self.notify("peopleDeleted", [person_id], None)

    def merge(self, winner_id: int, loser_ids: list[int]) -> None:
        """Merge as the app does: data move to the winner, the losers go to Trash, no pointer stays."""
        winner = self.people[winner_id]
        for loser_id in loser_ids:
            loser = self.people[loser_id]
            known = {contact_key(e["value"]) for e in [*winner["emails"], *winner["phones"]]}
            for kind in ("emails", "phones"):
                winner[kind] += [{**e, "isPrimary": 0} for e in loser[kind] if contact_key(e["value"]) not in known]
            for name in ("notes", "calls", "textMessages", "events", "tasks"):
                for row in self.rows[name].values():
                    if row.get("personId") == loser_id:
                        row["personId"] = winner_id
            self.update_person(loser, {"stage": "Trash"})
        self._index(winner)
        self.update_person(winner, {})

    # children

    def add(self, collection: str, row: Row, *, quiet: bool = False, at: datetime | None = None) -> Row:
        """Create a record of a collection with its id and times."""
        moment = stamp(at or self.now())
        full: Row = {"id": self.next_id(collection), "created": moment, "updated": moment, **row}
        self.rows[collection][full["id"]] = full
        if not quiet:
            self.notify(f"{collection}Created", [full["id"]], None)
        return full

    def add_event(self, body: Row, *, at: datetime | None = None) -> tuple[Row, bool]:
        """``POST /events``: match or create the person, store the event. Returns the person and whether it is new."""
        data = body.get("person", {})
        person = self.people.get(int(data["id"])) if data.get("id") else None
        contacts = [e["value"] for key in ("emails", "phones") for e in data.get(key, [])]
        person = person or self.match(contacts)
        is_new = person is None
        if person is None:
            fields = {k: v for k, v in data.items() if k in WRITABLE or k.startswith("custom")}
            fields.setdefault("source", body.get("source", "<unspecified>"))
            if body.get("property", {}).get("price"):
                fields.setdefault("price", int(float(body["property"]["price"])))
            person = self.add_person(fields, at=at)
        kind = body.get("type", "Inquiry")
        if kind == "Inquiry":
            kind = "Property Inquiry" if body.get("property") else "General Inquiry"
        home = dict(body["property"]) if body.get("property") else None
        if home:
            home |= {key: str(home[key]) for key in ("price", "bedrooms", "bathrooms") if key in home}
        self.add(
            "events",
            {
                "occurred": body.get("occurredAt") or stamp(at or self.now()), "personId": person["id"],
                "message": body.get("message", ""), "description": body.get("description", ""), "additional": [],
                "noteId": None, "source": body.get("source", "<unspecified>"), "type": kind, "pageTitle": None,
                "pageUrl": None, "pageDuration": 0, "property": home, "propertySearch": body.get("propertySearch"),
            },
            at=at,
        )  # fmt: skip
        self.touch(person["id"], lastLeadActivity=stamp(self.now()))
        return person, is_new


def contact_key(value: str) -> str:
    """What the CRM matches people by: the lower-cased email, or the last ten digits."""
    text = str(value).strip().lower()
    return text if "@" in text else "".join(filter(str.isdigit, text))[-10:]


def _entry(entry: Row, kind: str, *, first: bool) -> Row:
    return {"value": entry["value"], "type": entry.get("type", kind), "status": entry.get("status", "Valid"),
            "isPrimary": int(entry.get("isPrimary", first)), "relationshipId": 0}  # fmt: skip
