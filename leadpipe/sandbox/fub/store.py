"""The fake account: its people, their events and activities, its small tables.

What lives here: records other than people and how they come about. What does not: HTTP, notifications.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from leadpipe.sandbox.fub.collection import Collection
from leadpipe.sandbox.fub.fields import AGENTS, COLLECTIONS, CREATABLE, CUSTOM_FIELDS, PIPELINE_STAGES, STAGES, Row
from leadpipe.sandbox.fub.people import People, Person, stamp

PERSON_MOVES = ("events", "notes", "calls", "textMessages", "emails", "tasks")
# How a conversation's record moves the person's own counters: collection -> (incoming, outgoing) field stems.
_COUNTERS = {
    "textMessages": (("lastReceivedText", "textsReceived"), ("lastSentText", "textsSent"), "lastText"),
    "calls": (("lastIncomingCall", "callsIncoming"), ("lastOutgoingCall", "callsOutgoing"), "lastCall"),
    "emails": (("lastReceivedEmail", "emailsReceived"), ("lastSentEmail", "emailsSent"), "lastEmail"),
}


class FubStore:
    """All records of one fake account; ``notify(event, ids, data)`` is called on every change."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.notify: Callable[[str, list[int], Row | None], None] = _nobody
        created = stamp(now())
        self.users: dict[int, Row] = {
            number: _user(number, name, role, created) for number, (name, role) in enumerate(AGENTS, start=1)
        }
        self.stages: dict[int, Row] = {
            number: {"id": number, "name": name, "orderWeight": number * 1000, "isProtected": name in {"Lead", "Trash"},
                     "pipelineId": None, "description": "", "systems": [], "peopleCount": 0}
            for number, name in enumerate(STAGES, start=2)
        }  # fmt: skip
        stages = [
            {"id": number, "name": name, "color": "#3b82f6", "description": "", "orderWeight": number,
             "closedStage": name == "Closed"}
            for name, number in PIPELINE_STAGES
        ]  # fmt: skip
        self.pipelines: dict[int, Row] = {
            1: {"id": 1, "name": "Buyers", "description": "", "orderWeight": 1000, "stages": stages}
        }
        self.custom_fields: dict[int, Row] = {
            number: custom_field(number, name[6:], kind) for number, (name, kind) in enumerate(CUSTOM_FIELDS, start=70)
        }
        self.small: dict[str, dict[int, Row]] = {
            "users": self.users, "stages": self.stages, "pipelines": self.pipelines, "customFields": self.custom_fields,
            "actionPlans": {1: {"id": 1, "name": "New buyer drip", "status": "Active"}},
            "smartLists": {}, "ponds": {}, "groups": {}, "teams": {},
            "timeframes": {
                number: {"id": number, "name": name}
                for number, name in enumerate(
                    ("0-3 Months", "3-6 Months", "6-12 Months", "12+ Months", "No Plans"), start=1
                )
            },
        }  # fmt: skip
        self.rows: dict[str, Collection[Row]] = {
            name: Collection(updated_of=lambda row: row.get("updated") or row.get("createdAt") or "")
            for name in COLLECTIONS
        }
        self.people = People(
            now=now, users=self.users, stages=self.stages, custom_names=self._custom_names,
            notify=self._tell,
        )  # fmt: skip

    def _tell(self, event: str, ids: list[int], data: Row | None) -> None:
        """Whoever listens by then."""
        self.notify(event, ids, data)

    def _custom_names(self) -> list[str]:
        return [row["name"] for row in self.custom_fields.values()]

    # records

    def add(
        self, collection: str, row: Row, *, at: datetime | None = None, is_quiet: bool = False, is_dated: bool = True
    ) -> Row:
        """A new record with its id and times; deals carry ``createdAt`` alone (``is_dated`` False)."""
        records = self.rows[collection]
        moment = stamp(at or self.now())
        number = records.next_id()
        full: Row = {"id": number, **({"created": moment, "updated": moment} if is_dated else {"createdAt": moment})}
        full |= row
        records.put(number, full, person_ids=_people_of(collection, full))
        self._count(collection, full, moment)
        if not is_quiet and collection not in {"webhooks", "webhookEvents"}:
            self.notify(_event_name(collection, "Created"), [number], None)
        return full

    def change(self, collection: str, row: Row, fields: Row) -> Row:
        """Change a record."""
        row |= fields
        if "updated" in row:
            row["updated"] = stamp(self.now())
        self.rows[collection].touched(row["id"])
        if collection != "webhooks":
            self.notify(_event_name(collection, "Updated"), [row["id"]], None)
        return row

    def remove(self, collection: str, row: Row) -> None:
        """Delete a record."""
        self.rows[collection].pop(row["id"])
        if collection != "webhooks":
            self.notify(_event_name(collection, "Deleted"), [row["id"]], None)

    def _count(self, collection: str, row: Row, moment: str) -> None:
        """A text, call or mail shows in the person's own fields."""
        stems = _COUNTERS.get(collection)
        person = self.people.all.get(row.get("personId") or 0)
        if stems is None or person is None:
            return
        last, count = stems[0] if row.get("isIncoming") else stems[1]
        fields = {last: moment, f"{last}Id": row["id"], count: person.get(count) + 1, stems[2]: moment,
                  "lastCommunication": moment}  # fmt: skip
        person.hidden.update(fields)
        person.shown["lastActivity"] = max(moment, person.shown["lastActivity"])
        if not row.get("isIncoming"):
            person.shown["contacted"] = max(1, person.get("contacted"))

    # people and what hangs on them

    def delete_person(self, person_id: int) -> None:
        """Hard delete, children too, without webhooks of theirs (4.6)."""
        for name in PERSON_MOVES:
            for row in list(self.rows[name].of_person(person_id)):
                self.rows[name].pop(row["id"])
        self.people.delete(person_id)

    def merge(self, winner_id: int, loser_ids: Iterable[int]) -> None:
        """Merge as the app does: the losers' records move to the winner."""
        winner = self.people.all.rows[winner_id]
        losers = [self.people.all.rows[number] for number in loser_ids]
        for loser in losers:
            for name in PERSON_MOVES:
                for row in self.rows[name].move(loser.id, winner_id):
                    row["personId"] = winner_id
        self.people.merge(winner, losers)

    def add_event(self, body: Row, *, at: datetime | None = None, is_quiet: bool = False) -> tuple[Person, bool]:
        """``POST /events``: match or create the person, store the event. The person, and whether they are new.

        Raises:
            KeyError: ``person.id`` is given and unknown.
        """
        data: Row = body.get("person") or {}
        person = self.people.all.rows[int(data["id"])] if data.get("id") else None
        contacts = [entry["value"] for kind in ("emails", "phones") for entry in data.get(kind) or ()]
        person = person or self.people.match(contacts)
        is_new = person is None
        home: Row | None = dict(body["property"]) if body.get("property") else None
        if person is None:
            fields = {key: value for key, value in data.items() if key in CREATABLE or key.startswith("custom")}
            fields.setdefault("source", body.get("source") or "<unspecified>")
            if home and home.get("price"):
                fields.setdefault("price", int(float(home["price"])))
            fields.setdefault("type", "Seller" if body.get("type") == "Seller Inquiry" else "Buyer")
            person = self.people.create(fields, at=at, is_quiet=is_quiet)
        kind = body.get("type") or "Inquiry"
        if kind == "Inquiry":
            kind = "Property Inquiry" if home else "General Inquiry"
        self.add("events", _event_row(body, person.id, kind, home, stamp(at or self.now())), at=at, is_quiet=is_quiet)
        self.people.touch(person.id, lastLeadActivity=stamp(at or self.now()))
        return person, is_new


def _event_row(body: Row, person_id: int, kind: str, home: Row | None, moment: str) -> Row:
    """An event as it is read: numbers of the property come back as text (5, 9.7)."""
    if home is not None:
        texts = ("price", "bedrooms", "bathrooms", "area", "lot")
        home |= {key: str(home[key]) for key in texts if home.get(key) is not None}
        home |= {"id": person_id * 7, "lat": None, "lng": None, "forRent": "1" if home.get("forRent") else "0"}
    return {
        "occurred": body.get("occurredAt") or moment, "personId": person_id, "message": body.get("message") or "",
        "description": body.get("description") or "", "additional": [], "noteId": None,
        "source": body.get("source") or "<unspecified>", "type": kind, "pageTitle": body.get("pageTitle"),
        "pageUrl": body.get("pageUrl"), "pageDuration": body.get("pageDuration") or 0, "property": home,
        "propertySearch": body.get("propertySearch"),
    }  # fmt: skip


def _people_of(collection: str, row: Row) -> list[int]:
    if collection == "deals":
        return [person["id"] for person in row.get("people", ())]
    if collection == "appointments":
        return [each["personId"] for each in row.get("invitees", ()) if each.get("personId")]
    return [row["personId"]] if row.get("personId") else []


def _event_name(collection: str, change: str) -> str:
    if collection == "peopleRelationships":
        return f"peopleRelationship{change}"
    if collection == "emEvents":
        return "emEventsOpened"
    return f"{collection}{change}"


def _nobody(event: str, ids: list[int], data: Row | None) -> None:
    """Who listens before anyone does."""
    del event, ids, data


def custom_field(number: int, label: str, kind: str, choices: list[Any] | None = None) -> Row:
    """A custom field's definition; its name is derived from the label."""
    name = "custom" + "".join(part[:1].upper() + part[1:] for part in label.split())
    return {"id": number, "name": name, "label": label, "type": kind, "choices": choices or [], "orderWeight": 1000,
            "hideIfEmpty": False, "readOnly": False}  # fmt: skip


def _user(number: int, name: str, role: str, created: str) -> Row:
    first, last = name.split()
    return {
        "id": number, "created": created, "updated": created, "name": name, "firstName": first, "lastName": last,
        "email": f"{first.lower()}@demo-realty.example", "phone": f"+1512555010{number}", "role": role,
        "status": "Active", "timezone": "US/Central", "picture": [], "lastSeenIos": None, "lastSeenAndroid": None,
        "lastSeenFub2": created, "pauseLeadDistribution": False, "canExport": number == 1,
        "canCreateApiKeys": number == 1, "isOwner": number == 1, "groups": [], "teamIds": [], "teamLeaderOf": [],
        "leadEmailAddress": f"{first.lower()}.leads@demo-realty.example", "fuid": f"fau_{number:08x}", "beta": False,
        "mlsMemberships": [],
    }  # fmt: skip
