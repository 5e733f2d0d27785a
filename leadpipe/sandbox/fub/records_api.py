"""Everything but people over HTTP: events, notes, calls, texts, tasks, deals, appointments, small tables.

What lives here: FUB sheet 3.4, 5 and 7 as requests. What does not: webhooks (``hooks_api``), people (``people_api``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.fub.answers import NOT_FOUND, Call, Listing, Refused, page
from leadpipe.sandbox.fub.fields import (
    BODY_KEYS,
    CREATABLE,
    CUSTOM_FIELD_TYPES,
    NEEDS_ONE_OF,
    REQUIRED,
    SORTS,
    WITH_PERSON,
    Row,
)
from leadpipe.sandbox.fub.new_rows import new_row
from leadpipe.sandbox.fub.people import stamp
from leadpipe.sandbox.fub.store import custom_field

if TYPE_CHECKING:
    from leadpipe.sandbox.fub.people_api import PeopleApi
    from leadpipe.sandbox.fub.store import FubStore
    from leadpipe.sandbox.state import Sandbox

Reply = tuple[int, Any]
FILTERS = (
    "personId", "type", "status", "pipelineId", "userId", "assignedUserId", "assignedTo", "createdById", "phone",
    "toNumber", "fromNumber", "isCompleted", "name", "event",
)  # fmt: skip
# Parameters that the real lists ignore although one would expect them (3.4).
IGNORED = {"calls": frozenset({"userId"})}


# Parameters that bound a time: name, field, and whether it is the earliest (1) or the latest (-1).
_SPANS = {
    "appointments": (("start", "start", 1), ("end", "end", -1)),
    "tasks": (("dueStart", "dueDate", 1), ("dueEnd", "dueDate", -1)),
}


class RecordsApi:
    """Records of one account over HTTP. ``created`` is told of every record that a caller makes."""

    def __init__(self, sandbox: Sandbox, store: FubStore, people: PeopleApi) -> None:
        self._sandbox = sandbox
        self._store = store
        self._people = people
        self.created: list[Callable[[str, Row], None]] = []

    def answer(self, call: Call) -> Reply:
        """Any request of a collection that is not people or webhooks."""
        if call.collection in self._store.small:
            return self._small(call)
        if call.collection == "events" and call.method == "POST":
            return self._post_event(call)
        if call.collection == "emEvents" and call.method == "POST":
            return self._post_marketing(call)
        if call.method == "POST":
            return self._create(call)
        if call.record_id is None:
            return 200, self._list(call)
        row = self._store.rows[call.collection].get(call.record_id)
        if row is None:
            raise Refused(404, NOT_FOUND)
        if call.method == "GET":
            return 200, row
        if call.method == "PUT":
            return 200, self._update(row, call)
        return self._delete(row, call)

    # lists

    def _small(self, call: Call) -> Reply:
        rows = self._store.small[call.collection]
        if call.method == "POST" and call.collection in {"customFields", "stages"}:
            return self._define(call, rows)
        if call.method != "GET":
            raise Refused(403, "You do not have access to this endpoint.")
        if call.record_id is None:
            return 200, self._page(sorted(rows.values(), key=lambda row: -row["id"]), call)
        if call.record_id not in rows:
            raise Refused(404, NOT_FOUND)
        return 200, rows[call.record_id]

    def _define(self, call: Call, rows: dict[int, Row]) -> Reply:
        number = max(rows, default=0) + 1
        if call.collection == "customFields":
            rows[number] = self._new_field(call, number, rows)
            event = "customFieldsCreated"
        else:
            rows[number] = rows[2] | {"id": number, "name": call.body["name"], "isProtected": False}
            event = "stageCreated"
        self._store.notify(event, [number], None)
        return 201, rows[number]

    def _new_field(self, call: Call, number: int, rows: dict[int, Row]) -> Row:
        """A new field; that an agent may not define one, and that its name must be free, is our choice."""
        if call.caller.role == "agent":
            raise Refused(403, "You do not have access to this endpoint.")
        _check_body("customFields", call.body, BODY_KEYS["customFields"])
        if call.body["type"] not in CUSTOM_FIELD_TYPES:
            raise Refused(400, "Invalid value for 'type' field.")
        field = custom_field(number, str(call.body["label"]), call.body["type"], call.body.get("choices"))
        if any(row["name"] == field["name"] for row in rows.values()):
            raise Refused(400, "Invalid value for 'label' field.")
        return field | {key: call.body[key] for key in ("hideIfEmpty", "orderWeight") if key in call.body}

    def _list(self, call: Call) -> Row:
        needed = NEEDS_ONE_OF.get(call.collection)
        if needed and not any(call.query.get(name) for name in needed):
            raise Refused(400, f"One of these parameters is required: {', '.join(needed)}.")
        records = self._store.rows[call.collection]
        person = call.query.get("personId", "")
        tests = self._tests(call)

        def newest_first(below: int | None) -> Iterator[Row]:
            if person.isdigit():
                rows = (r for r in records.of_person(int(person)) if below is None or r["id"] < below)
            else:
                rows = records.newest_first(below)
            return (row for row in rows if all(test(row) for test in tests))

        def sorted_by(field: str, falling: bool) -> Iterator[Row]:
            if field == "updated" and falling and not person:
                return (row for row in records.last_changed_first() if all(test(row) for test in tests))
            return iter(_sorted(list(newest_first(None)), field, falling))

        is_whole = not tests and not person
        listing = Listing(
            newest_first=newest_first,
            sorted_by=sorted_by,
            id_of=lambda row: row["id"],
            count=lambda: len(records) if is_whole else sum(1 for _ in newest_first(None)),
        )
        return self._finish(listing, call)

    def _page(self, rows: list[Row], call: Call) -> Row:
        listing = Listing(
            newest_first=lambda below: (row for row in rows if below is None or row["id"] < below),
            sorted_by=lambda field, falling: iter(_sorted(rows, field, falling)),
            id_of=lambda row: row["id"],
            count=lambda: len(rows),
        )
        return self._finish(listing, call)

    def _finish(self, listing: Listing[Row], call: Call) -> Row:
        deep = self._sandbox.config.fub_deep_tokens_work
        found = page(call.collection, listing, call.query, lambda row: row, deep_tokens=deep)
        if call.collection == "deals":
            by_stage: dict[str, int] = {}
            for row in listing:
                by_stage[str(row["stageId"])] = by_stage.get(str(row["stageId"]), 0) + 1
            found["_metadata"]["totalByStageId"] = by_stage
        return found

    def _tests(self, call: Call) -> list[Callable[[Row], bool]]:
        query, ignored = call.query, IGNORED.get(call.collection, frozenset[str]())
        tests: list[Callable[[Row], bool]] = []
        if query.get("id"):
            wanted = set(query["id"].split(","))
            tests.append(lambda row: str(row["id"]) in wanted)
        for name in FILTERS:
            # One person's records come from their own index; deals and appointments name people inside.
            if query.get(name) and name not in ignored and name != "personId":
                tests.append(_one_of(name, query[name]))
        if call.collection == "deals" and query.get("includeDeleted") != "1":
            tests.append(lambda row: row.get("status") != "Deleted")
        if query.get("createdAfter"):
            tests.append(lambda row: str(row.get("created") or row.get("createdAt")) > query["createdAfter"])
        for name, field, sign in _SPANS.get(call.collection, ()):
            if query.get(name):
                tests.append(_within(field, query[name], sign))
        if call.collection == "events" and query.get("hasProperty"):
            tests.append(lambda row: bool(row.get("property")) == (query["hasProperty"].lower() in {"1", "true"}))
        return tests

    # writing

    def _post_event(self, call: Call) -> Reply:
        person: Any = call.body.get("person") or {}
        if not isinstance(person, dict) or not (person or call.body.get("source")):
            raise Refused(400, "Missing required field in the request: person.")
        if person.get("id") and int(person["id"]) not in self._store.people.all:
            raise Refused(404, NOT_FOUND)
        self._people.check_keys({k: v for k, v in person.items() if k != "id"}, CREATABLE)
        if call.body.get("source") in self._sandbox.config.fub_archived_sources:
            return 204, None
        found, is_new = self._store.add_event(call.body)
        if is_new and self._sandbox.faults.strikes("fub_not_ready"):
            found.ready_at = time.monotonic() + self._sandbox.faults.value("fub_not_ready", 5.0)
        return (201 if is_new else 200), self._store.people.show_created(found)

    def _post_marketing(self, call: Call) -> Reply:
        ids: list[int] = []
        unknown: list[str] = []
        for entry in call.body.get("emEvents") or ():
            known = self._store.people.match([entry.get("recipient", "")]) if not entry.get("personId") else None
            person_id = entry.get("personId") or (known.id if known else None)
            if person_id not in self._store.people.all:
                unknown.append(str(entry.get("recipient") or person_id))
                continue
            row = self._store.add("emEvents", {**entry, "personId": person_id}, is_quiet=True)
            ids.append(row["id"])
            event = {"open": "emEventsOpened", "click": "emEventsClicked", "unsubscribe": "emEventsUnsubscribed"}
            if entry.get("type") in event:
                self._store.notify(event[entry["type"]], [row["id"]], None)
        return 200, {"emEventIds": ids, "recipientsNotFound": unknown}

    def _create(self, call: Call) -> Reply:
        collection, body = call.collection, call.body
        allowed = BODY_KEYS.get(collection)
        if allowed is None:
            raise Refused(403, "You do not have access to this endpoint.")
        customs = {key for key in body if collection == "deals" and key.startswith("custom")}
        _check_body(collection, body, allowed | customs)
        if collection in WITH_PERSON and not (collection == "calls" and body.get("personId") == 0):
            self._people.visible(int(body["personId"]), call.caller)
        system = self._sandbox.config.fub_system if call.caller.has_system else None
        fields = new_row(self._store, call, system)
        row = self._store.add(collection, fields, is_dated=collection != "deals")
        for listener in self.created:
            listener(collection, row)
        return 201, row

    def _update(self, row: Row, call: Call) -> Row:
        allowed = BODY_KEYS.get(call.collection, frozenset[str]()) - {"personId"}
        wrong = [key for key in call.body if key not in allowed]
        if wrong:
            raise Refused(400, f"Invalid fields in the request body: {', '.join(wrong)}.")
        if call.collection == "textMessages":
            raise Refused(404, NOT_FOUND)
        fields = dict(call.body)
        if call.collection == "tasks" and "isCompleted" in fields:
            fields["isCompleted"] = int(bool(fields["isCompleted"]))
            fields["completed"] = stamp(self._store.now()) if fields["isCompleted"] else None
        if call.collection == "appointments" and not all(name in fields for name in REQUIRED["appointments"]):
            raise Refused(400, "Missing required field in the request: title.")
        return self._store.change(call.collection, row, fields)

    def _delete(self, row: Row, call: Call) -> Reply:
        if call.collection in {"calls", "textMessages", "events"}:
            raise Refused(403, "You do not have access to this endpoint.")
        if call.collection == "deals":
            self._store.change("deals", row, {"status": "Deleted"})
            return 200, {}
        self._store.remove(call.collection, row)
        return (204, None) if call.collection == "appointments" else (200, {})


def _check_body(collection: str, body: Row, allowed: Iterable[str]) -> None:
    wrong = [key for key in body if key not in allowed]
    if wrong:
        raise Refused(400, f"Invalid fields in the request body: {', '.join(wrong)}.")
    missing = [name for name in REQUIRED.get(collection, ()) if body.get(name) in (None, "")]
    if missing:
        raise Refused(400, f"Missing required field in the request: {missing[0]}.")


def _one_of(name: str, wanted: str) -> Callable[[Row], bool]:
    values = set(wanted.split(","))
    return lambda row: str(row.get(name)) in values


def _within(field: str, bound: str, sign: int) -> Callable[[Row], bool]:
    """On the right side of a moment; both are ISO, cut to the shorter of the two."""

    def test(row: Row) -> bool:
        value = str(row.get(field) or "")
        size = min(len(value), len(bound))
        one, other = value[:size], bound[:size]
        return size > 0 and (one >= other if sign > 0 else one <= other)

    return test


def _sorted(rows: list[Row], field: str, falling: bool) -> list[Row]:
    if field not in SORTS | {"id"}:
        return rows
    return sorted(rows, key=lambda row: ((value := row.get(field)) is not None, value or 0), reverse=falling)
