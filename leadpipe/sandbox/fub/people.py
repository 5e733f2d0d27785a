"""People of the fake account: creating, changing, matching, merging, deleting, and how much of one a caller sees.

What lives here: FUB sheet section 4. What does not: HTTP (``people_api``), a person's notes and calls (``store``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from leadpipe.sandbox.fub.collection import Collection
from leadpipe.sandbox.fub.fields import HIDDEN, NOT_IN_POST, PERSON, UNCLAIMED, Row

Notify = Callable[[str, list[int], Row | None], None]


def stamp(at: datetime) -> str:
    """A record's time: UTC, whole seconds, ``Z``. The sandbox knows no other zone."""
    return at.isoformat()[:19] + "Z"


@dataclass(kw_only=True, slots=True)
class Person:
    """One person: only what differs from an empty one, by where it is shown."""

    shown: Row
    hidden: Row = field(default_factory=dict[str, Any])
    custom: Row = field(default_factory=dict[str, Any])
    collaborators: tuple[int, ...] = ()
    ready_at: float = 0.0
    """Monotonic time from which GET finds them; distribution takes a moment (sheet section 5)."""

    @property
    def id(self) -> int:
        """The person's id."""
        return self.shown["id"]

    @property
    def assigned_user_id(self) -> int | None:
        """The agent."""
        return self.shown.get("assignedUserId")

    def get(self, name: str) -> Any:
        """Any field, wherever it is kept."""
        for part in (self.shown, self.hidden, self.custom):
            if name in part:
                return part[name]
        return PERSON.get(name, HIDDEN.get(name))

    @property
    def contacts(self) -> list[str]:
        """All emails and phones as typed."""
        return [entry["value"] for kind in ("emails", "phones") for entry in self.shown.get(kind, ())]


class People:
    """Everyone of the account. ``notify`` is told of every change that a webhook would tell."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        users: dict[int, Row],
        stages: dict[int, Row],
        custom_names: Callable[[], list[str]],
        notify: Notify,
    ) -> None:
        self._now = now
        self._users = users
        self._stages = stages
        self._custom_names = custom_names
        self._notify = notify
        self.all: Collection[Person] = Collection(first_id=10_001, updated_of=lambda person: person.shown["updated"])
        self._by_contact: dict[str, set[int]] = defaultdict(set)
        self.count_in_trash = 0

    # reading

    def stage_id(self, name: str) -> int | None:
        """A stage's id by its exact name."""
        return next((number for number, row in self._stages.items() if row["name"] == name), None)

    def match(self, contacts: Iterable[str]) -> Person | None:
        """The oldest person with one of these addresses or numbers, Trash excluded."""
        for contact in contacts:
            for person_id in sorted(self._by_contact.get(contact_key(contact), ())):
                person = self.all.get(person_id)
                if person is not None and person.get("stage") != "Trash":
                    return person
        return None

    def with_contact(self, contact: str) -> list[Person]:
        """Everyone with this address or number, newest first."""
        ids = sorted(self._by_contact.get(contact_key(contact), ()), reverse=True)
        return [person for person_id in ids if (person := self.all.get(person_id)) is not None]

    def show(self, person: Person, fields: str = "") -> Row:
        """What a read answers for these ``fields`` (4.1, 4.2); unclaimed leads show next to nothing (4.4)."""
        if not person.get("claimed"):
            return {name: person.get(name) for name in UNCLAIMED}
        if not fields:
            return PERSON | person.shown
        customs = dict.fromkeys(self._custom_names())
        if fields == "allFields":
            return PERSON | HIDDEN | customs | person.shown | person.hidden | person.custom
        names = set(fields.split(","))
        if "allCustom" in names:
            names |= set(customs)
        whole = PERSON | HIDDEN | customs | person.shown | person.hidden | person.custom
        return {name: value for name, value in whole.items() if name == "id" or name in names}

    def show_created(self, person: Person) -> Row:
        """What POST answers: shorter than a read."""
        shown = {name: value for name, value in self.show(person).items() if name not in NOT_IN_POST}
        return shown | {"delayed": None}

    # writing

    def create(self, fields: Row, *, at: datetime | None = None, is_quiet: bool = False) -> Person:
        """A new person; ``is_quiet`` keeps webhooks still (history loaded before anyone listens)."""
        moment = stamp(at or self._now())
        number = self.all.next_id()
        person = Person(shown={"id": number, "created": moment, "updated": moment, "lastActivity": moment})
        self._apply(person, {"stage": "Lead", **fields})
        if person.assigned_user_id is None and "assignedPondId" not in person.shown:
            self._assign(person, 2 + number % (len(self._users) - 1))
        self.all.put(number, person)
        self._index(person)
        if not is_quiet:
            self._notify("peopleCreated", [number], None)
        return person

    def update(self, person: Person, fields: Row, *, merges_tags: bool = False) -> None:
        """Change a person and tell what kind of change it was."""
        fields = dict(fields)
        before_tags, before_stage = person.get("tags"), person.get("stage")
        if merges_tags and "tags" in fields:
            fields["tags"] = list(dict.fromkeys([*before_tags, *fields["tags"]]))
        new_tags = [tag for tag in fields.get("tags", []) if tag not in before_tags]
        self._apply(person, fields)
        self._index(person)
        person.shown["updated"] = stamp(self._now())
        self.all.touched(person.id)
        self._notify("peopleUpdated", [person.id], None)
        if new_tags:
            self._notify("peopleTagsCreated", [person.id], {"tags": new_tags})
        if person.get("stage") != before_stage:
            self._notify("peopleStageUpdated", [person.id], {"stage": person.get("stage")})

    def touch(self, person_id: int, **fields: Any) -> None:
        """Conversation fields, which move ``lastActivity`` and not ``updated`` (3.3)."""
        person = self.all.get(person_id)
        if person is not None:
            person.hidden.update(fields)
            person.shown["lastActivity"] = stamp(self._now())

    def delete(self, person_id: int) -> None:
        """Hard delete."""
        person = self.all.pop(person_id)
        if person is None:
            return
        self.count_in_trash -= person.get("stage") == "Trash"
        for contact in person.contacts:
            self._by_contact[contact_key(contact)].discard(person_id)
        self._notify("peopleDeleted", [person_id], None)

    def merge(self, winner: Person, losers: Iterable[Person]) -> None:
        """As the app merges: contacts move over, the losers go to Trash and keep theirs, no pointer stays (4.6)."""
        for loser in losers:
            known = {contact_key(contact) for contact in winner.contacts}
            for kind in ("emails", "phones"):
                more = [
                    {**e, "isPrimary": 0} for e in loser.shown.get(kind, ()) if contact_key(e["value"]) not in known
                ]
                winner.shown[kind] = [*winner.shown.get(kind, ()), *more]
            self.update(loser, {"stage": "Trash"})
        self.update(winner, {})

    def _assign(self, person: Person, user_id: int | None) -> None:
        user = self._users.get(user_id) if user_id is not None else None
        person.shown["assignedUserId"] = user["id"] if user else None
        person.shown["assignedTo"] = user["name"] if user else None
        shown = [{"id": user["id"], "name": user["name"], "assigned": True, "role": user["role"]}] if user else []
        for collaborator in person.collaborators:
            other = self._users[collaborator]
            shown.append({"id": other["id"], "name": other["name"], "assigned": False, "role": other["role"]})
        person.shown["collaborators"] = shown

    def _index(self, person: Person) -> None:
        for contact in person.contacts:
            self._by_contact[contact_key(contact)].add(person.id)

    def _apply(self, person: Person, fields: Row) -> None:
        shown = person.shown
        for key, value in fields.items():
            if key == "emails":
                shown["emails"] = [_entry(e, "home", is_first=i == 0) for i, e in enumerate(value)]
            elif key == "phones":
                shown["phones"] = [_phone(e, is_first=i == 0) for i, e in enumerate(value)]
            elif key == "stage":
                self.count_in_trash += (value == "Trash") - (shown.get("stage") == "Trash")
                shown["stage"], shown["stageId"] = value, self.stage_id(value)
            elif key == "assignedUserId":
                self._assign(person, value)
            elif key == "assignedTo":
                self._assign(person, next((n for n, user in self._users.items() if user["name"] == value), None))
            elif key == "collaborators":
                person.collaborators = tuple(n for n in value if n in self._users)
                self._assign(person, person.assigned_user_id)
            elif key == "contacted":
                shown["contacted"] = int(value)
            elif key == "createdAt":
                shown["created"] = value
            elif key.startswith("custom"):
                person.custom[key] = value
            elif key in HIDDEN:
                person.hidden[key] = value
            else:
                shown[key] = value
        shown["name"] = f"{shown.get('firstName', '')} {shown.get('lastName', '')}".strip()


def contact_key(value: str) -> str:
    """What the CRM matches people by: the lower-cased email, or the last ten digits."""
    text = str(value).strip().lower()
    return text if "@" in text else "".join(filter(str.isdigit, text))[-10:]


def _entry(entry: Row, kind: str, *, is_first: bool) -> Row:
    return {
        "value": entry["value"], "type": entry.get("type", kind), "status": entry.get("status", "Valid"),
        "isPrimary": int(entry.get("isPrimary", is_first)), "relationshipId": 0,
    }  # fmt: skip


def _phone(entry: Row, *, is_first: bool) -> Row:
    digits = "".join(filter(str.isdigit, str(entry["value"])))
    return _entry(entry, "mobile", is_first=is_first) | {
        "normalized": digits[-10:], "isLandline": entry.get("isLandline", False), "isOnboardingNumber": False,
    }  # fmt: skip
