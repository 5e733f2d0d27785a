"""People who were erased and whom the CRM still knows: what it tells of them is not read, and so not stored again.

What lives here: who they are, and their records left out. What does not: erasing (``privacy``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from leadpipe.store.tables.leads import people

if TYPE_CHECKING:
    from sqlalchemy import Engine

Row = dict[str, Any]
Erased = Callable[[], frozenset[int]]
# By collection: where a record has its person's id.
ABOUT = {
    "people": "id", "events": "personId", "notes": "personId", "calls": "personId", "textMessages": "personId",
    "tasks": "personId", "emails": "personId", "emEvents": "personId",
}  # fmt: skip
# Records that name people in a list, and where an entry has the person's id.
LISTS = {"deals": ("people", "id"), "appointments": ("invitees", "personId")}
# What the team called such a record may hold the name of who was erased, and nobody here knows that name any more.
_NAMING = frozenset({"name", "title", "description", "customFields"})


def erased_ids(engine: Engine) -> frozenset[int]:
    """The records of everybody who was erased; few, and read by an index of their own."""
    wanted = select(people.c.person_id).where(people.c.erased_at.is_not(None))
    with engine.connect() as connection:
        return frozenset(connection.execute(wanted).scalars())


def without_erased(collection: str, rows: Iterable[Row], erased: frozenset[int]) -> list[Row]:
    """The records of a collection without those about erased people, and without them in the lists of the others."""
    if not erased:
        return list(rows)
    if collection in LISTS:
        return _without_in_lists(rows, erased, *LISTS[collection])
    field = ABOUT.get(collection)
    return [row for row in rows if field is None or _id(row.get(field)) not in erased]


def _without_in_lists(rows: Iterable[Row], erased: frozenset[int], name: str, field: str) -> list[Row]:
    kept: list[Row] = []
    for row in rows:
        entries = row.get(name)
        entries = entries if isinstance(entries, list) else []
        others = [each for each in entries if not (isinstance(each, dict) and _id(each.get(field)) in erased)]
        if len(others) == len(entries):
            kept.append(row)
        elif any(isinstance(each, dict) and each.get(field) for each in others):
            kept.append({key: value for key, value in row.items() if key not in _NAMING} | {name: others})
    return kept


def _id(value: object) -> int:
    return int(str(value)) if str(value).isdigit() else 0
