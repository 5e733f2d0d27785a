"""Which people a query of ``/people`` lets through.

What lives here: the parameters of FUB sheet 3.2 as tests on a person. What does not: paging (``people_api``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from leadpipe.sandbox.fub.answers import Call, Caller
from leadpipe.sandbox.fub.fields import SORTS
from leadpipe.sandbox.fub.people import Person

Test = Callable[[Person], bool]


def may_see(person: Person, caller: Caller) -> bool:
    """An agent's key sees the people assigned to them or on whom they collaborate (1)."""
    if caller.role != "agent":
        return True
    return person.assigned_user_id == caller.user_id or caller.user_id in person.collaborators


def tests_of(call: Call) -> list[Test]:
    """The filters of a query, cheapest first; unknown parameters are ignored without an error (3.2)."""
    query, caller = call.query, call.caller
    tests: list[Test] = []
    if query.get("includeTrash") != "true":
        tests.append(lambda p: p.shown["stage"] != "Trash")
    if query.get("includeUnclaimed") != "true":
        tests.append(lambda p: p.shown.get("claimed", True))
    if caller.role == "agent":
        tests.append(lambda p: may_see(p, caller))
    for name in ("stage", "source", "assignedTo", "assignedUserId", "assignedPondId", "assignedLenderName",
                 "assignedLenderId"):  # fmt: skip
        if query.get(name):
            tests.append(_equals(name, query[name]))
    for name in query:
        if name.startswith("custom"):
            tests.append(_equals(name, query[name]))
    for name in ("name", "firstName", "lastName"):
        if query.get(name):
            tests.append(_holds(name, query[name].lower()))
    if query.get("contacted"):
        wanted = query["contacted"].lower() in {"true", "1"}
        tests.append(lambda p: bool(p.get("contacted")) == wanted)
    for name, sign in (("priceAbove", 1), ("priceBelow", -1)):
        if query.get(name, "").isdigit():
            tests.append(_beyond(int(query[name]), sign))
    if query.get("tags"):
        wanted_tags = {tag.strip().lower() for tag in query["tags"].split(",")}
        tests.append(lambda p: any(tag.lower() in wanted_tags for tag in p.get("tags")))
    tests += chain.from_iterable(_bounds(name, query) for name in ("created", "updated", "lastActivity"))
    for name, sign in (("idGreaterThan", 1), ("idLessThan", -1)):
        if query.get(name, "").isdigit():
            tests.append(_id_beyond(int(query[name]), sign))
    return tests


def _equals(name: str, wanted: str) -> Test:
    return lambda person: str(person.get(name)) == wanted


def _holds(name: str, wanted: str) -> Test:
    return lambda person: wanted in str(person.get(name)).lower()


def _beyond(bound: int, sign: int) -> Test:
    return lambda person: person.get("price") is not None and (person.get("price") - bound) * sign > 0


def _id_beyond(bound: int, sign: int) -> Test:
    return lambda person: (person.id - bound) * sign > 0


def _bounds(name: str, query: dict[str, str]) -> Iterator[Test]:
    """``updatedAfter`` and its relatives, exclusive; times as ISO or as ``2024-11-23 01:02:03``."""
    for word, sign in (("After", 1), ("Before", -1)):
        text = query.get(name + word)
        if text:
            bound = _moment(text)
            if sign > 0:
                yield lambda person, bound=bound: person.shown[name] > bound
            else:
                yield lambda person, bound=bound: person.shown[name] < bound


def _moment(text: str) -> str:
    """A time as records write it."""
    whole = text.strip().replace(" ", "T").split(".")[0].removesuffix("Z").split("+")[0]
    return whole + "Z"


def until(people: Iterator[Person], since: str) -> Iterator[Person]:
    """Last changed first, down to a moment."""
    bound = _moment(since)
    for person in people:
        if person.shown["updated"] <= bound:
            return
        yield person


def ordered(people: list[Person], field: str, falling: bool) -> list[Person]:
    """By a field, people without it first; an unknown field changes nothing."""
    if field not in SORTS:
        return people
    return sorted(people, key=lambda p: ((value := p.get(field)) is not None, value or 0), reverse=falling)
