"""``/people`` over HTTP: the list with its filters, one person, create, update, claim.

What lives here: FUB sheet 3.2, 4.4 and 4.6 as requests. What does not: what a change does (``people``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from leadpipe.sandbox.fub.answers import NOT_FOUND, Call, Caller, Listing, Refused, page
from leadpipe.sandbox.fub.fields import CREATABLE, SORTS, UPDATABLE, Row
from leadpipe.sandbox.fub.people import Person
from leadpipe.sandbox.fub.people_filters import Test, may_see, ordered, tests_of, until

if TYPE_CHECKING:
    from leadpipe.sandbox.fub.store import FubStore
    from leadpipe.sandbox.state import Sandbox

Reply = tuple[int, Any]
_KEPT_TOTALS = 256


class PeopleApi:
    """The people of one account, as a caller may see them."""

    def __init__(self, sandbox: Sandbox, store: FubStore) -> None:
        self._sandbox = sandbox
        self._store = store
        self._people = store.people
        self._totals: dict[str, int] = {}

    def answer(self, call: Call) -> Reply:
        """Any request under ``/people``."""
        named = {
            ("GET", "checkDuplicate"): self._check_duplicate, ("GET", "unclaimed"): self._unclaimed,
            ("POST", "claim"): self._claim, ("POST", "ignoreUnclaimed"): self._ignore,
            ("POST", ""): self._create,
        }.get((call.method, call.rest))  # fmt: skip
        if named is not None:
            return named(call)
        if call.record_id is None:
            # GET /people/undefined answers the whole list (zillow sheet 5).
            if call.method != "GET":
                raise Refused(404, NOT_FOUND)
            return 200, self._list(call)
        person = self.visible(call.record_id, call.caller)
        if call.method == "GET":
            return 200, self._people.show(person, call.query.get("fields", ""))
        if call.method == "PUT":
            return 200, self._update(person, call)
        if call.method == "DELETE":
            self._store.delete_person(person.id)
            return 200, {}
        raise Refused(404, NOT_FOUND)

    def visible(self, person_id: int, caller: Caller) -> Person:
        """The person, if the caller may see them and distribution is done.

        Raises:
            Refused: gone, not theirs, or not there yet: the same 404.
        """
        person = self._people.all.get(person_id)
        if person is None or not may_see(person, caller) or person.ready_at > time.monotonic():
            raise Refused(404, NOT_FOUND)
        return person

    # one person

    def _create(self, call: Call) -> Reply:
        self.check_keys(call.body, CREATABLE)
        _check_contacts(call.body)
        contacts = [entry["value"] for kind in ("emails", "phones") for entry in call.body.get(kind) or ()]
        known = self._people.match(contacts) if call.query.get("deduplicate") == "true" else None
        if known is not None:
            return 200, self._people.show_created(known)
        self._check_stage(call.body)
        return 201, self._people.show_created(self._people.create(call.body))

    def _update(self, person: Person, call: Call) -> Row:
        self.check_keys(call.body, UPDATABLE)
        _check_contacts(call.body)
        self._check_stage(call.body)
        merges = call.query.get("mergeTags") == "true"
        self._people.update(person, call.body, merges_tags=merges)
        if call.body.get("contacted"):
            for plan in self._store.rows["actionPlansPeople"].of_person(person.id):
                plan["status"] = "Paused"
        return self._people.show(person)

    def check_keys(self, body: Row, allowed: frozenset[str]) -> None:
        """A body may hold only known keys, custom fields among them (4.6)."""
        customs = {row["name"] for row in self._store.custom_fields.values()}
        wrong = [key for key in body if key not in allowed and key not in customs]
        if wrong:
            raise Refused(400, f"Invalid fields in the request body: {', '.join(wrong)}.")

    def _check_stage(self, body: Row) -> None:
        if "stage" in body and self._people.stage_id(body["stage"]) is None:
            raise Refused(400, "Invalid value for 'stage' field.")

    def _check_duplicate(self, call: Call) -> Reply:
        kind = "email" if call.query.get("email") else "phone"
        person = self._people.match([call.query[kind]]) if call.query.get(kind) else None
        if person is None:
            return 200, {"found": False}
        return 200, {"found": True, "matchedBy": kind, "assignedTo": person.get("assignedTo")}

    def _unclaimed(self, call: Call) -> Reply:
        rows = [p for p in self._people.all.newest_first() if not p.get("claimed")]
        return 200, self._page(rows, call)

    def _claim(self, call: Call) -> Reply:
        person = self._people.all.get(int(call.body.get("personId") or call.body.get("id") or 0))
        if person is None:
            raise Refused(404, NOT_FOUND)
        if person.get("claimed"):
            return 409, {name: person.get(name) for name in ("id", "created", "name", "claimed")}
        self._people.update(person, {"claimed": True, "assignedUserId": call.caller.user_id})
        return 200, self._people.show(person)

    def _ignore(self, call: Call) -> Reply:
        if int(call.body.get("personId") or 0) not in self._people.all:
            raise Refused(404, NOT_FOUND)
        return 204, None

    # the list

    def _list(self, call: Call) -> Row:
        query = call.query
        if query.get("id"):
            ids = sorted({int(text) for text in query["id"].split(",") if text.strip().isdigit()}, reverse=True)
            rows = [person for number in ids if (person := self._people.all.get(number)) is not None]
            return self._page([p for p in rows if all(test(p) for test in tests_of(call))], call)
        for name in ("email", "phone"):
            if query.get(name):
                rows = self._people.with_contact(query[name])
                return self._page([p for p in rows if all(test(p) for test in tests_of(call))], call)
        if any(query.get(name) for name in ("updatedAfter", "updatedBefore")) and not (
            self._sandbox.config.fub_updated_after_works
        ):
            return self._page([], call)
        return self._walk(call)

    def _page(self, rows: list[Person], call: Call) -> Row:
        """A page of a few rows at hand."""

        def below(number: int | None) -> Iterator[Person]:
            return (p for p in rows if number is None or p.id < number)

        listing = Listing(
            newest_first=below,
            sorted_by=lambda field, falling: iter(ordered(rows, field, falling)),
            id_of=lambda person: person.id,
            count=lambda: len(rows),
        )
        return self._shown(listing, call)

    def _walk(self, call: Call) -> Row:
        """A page of everyone, read only as far as the page goes."""
        tests = tests_of(call)
        since = call.query.get("updatedAfter", "")

        def passing(people: Iterator[Person]) -> Iterator[Person]:
            return (person for person in people if all(test(person) for test in tests))

        def sorted_by(field: str, falling: bool) -> Iterator[Person]:
            if field not in SORTS:
                return passing(self._people.all.newest_first())
            if field == "updated" and falling:
                changed = self._people.all.last_changed_first()
                return passing(until(changed, since) if since else changed)
            return iter(ordered(list(passing(self._people.all.newest_first())), field, falling))

        top = call.query.get("idLessThan", "")
        first = int(top) if top.isdigit() else None
        listing = Listing(
            newest_first=lambda below: passing(self._people.all.newest_first(first if below is None else below)),
            sorted_by=sorted_by,
            id_of=lambda person: person.id,
            count=lambda: self._total(call, tests, since),
        )
        return self._shown(listing, call)

    def _shown(self, listing: Listing[Person], call: Call) -> Row:
        fields = call.query.get("fields", "")
        deep = self._sandbox.config.fub_deep_tokens_work
        return page("people", listing, call.query, lambda p: self._people.show(p, fields), deep_tokens=deep)

    def _total(self, call: Call, tests: list[Test], since: str) -> int:
        """How many match. Counted at a walk's first page and remembered for its others: it may be out of date."""
        shown = {name: value for name, value in call.query.items() if name not in {"next", "limit", "fields", "sort"}}
        if set(shown) <= {"includeTrash", "includeUnclaimed", "offset"} and call.caller.role != "agent":
            return len(self._people.all) - (0 if shown.get("includeTrash") == "true" else self._people.count_in_trash)
        key = f"{call.caller.user_id}{sorted(shown.items())}"
        if not call.query.get("next") or key not in self._totals:
            if len(self._totals) >= _KEPT_TOTALS:
                self._totals.clear()
            people = until(self._people.all.last_changed_first(), since) if since else self._people.all.newest_first()
            self._totals[key] = sum(1 for person in people if all(test(person) for test in tests))
        return self._totals[key]


def _check_contacts(body: Row) -> None:
    for kind in ("emails", "phones"):
        entries = body.get(kind)
        if entries is None:
            continue
        if not isinstance(entries, list) or not all(isinstance(e, dict) and e.get("value") for e in entries):
            raise Refused(400, f"Invalid value for '{kind}' field.")
