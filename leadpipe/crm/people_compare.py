"""What the ledger keeps of people against what the CRM says of them now.

What lives here: the comparison, column by column. What does not: storing people (``people``), whose word counts
(``conflicts``), the lake (``compare``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.crm.mapping import read_person
from leadpipe.errors import BadRecord

if TYPE_CHECKING:
    from sqlalchemy import Engine

Row = dict[str, Any]
# What the CRM decides (``conflicts``). Times of talks only move forward, and how a lead came is written once.
COLUMNS = (
    "first_name", "last_name", "stage", "source", "assigned_user_id", "assigned_to", "price_usd", "tags", "place",
    "custom", "crm_updated_at",
)  # fmt: skip
# A number that its owner called wrong stays detached whatever the CRM says (C20), so it counts as known.
_PEOPLE = text(
    """
    select p.*, array(
      select c.address from ledger.person_contact_points o join ledger.contact_points c on c.id = o.contact_point_id
      where o.person_id = p.person_id and (o.detached_at is null or o.detached_reason <> 'gone_from_crm')
    ) as addresses
    from ledger.people p where p.person_id = any(cast(:ids as bigint[]))
    """
)


def ledger_differences(engine: Engine, rows: Sequence[Row]) -> dict[int, tuple[str, ...]]:
    """Columns in which the ledger differs, by person; people whose rows cannot be read are left out."""
    people = {person.person_id: person for row in rows if (person := _read(row)) is not None}
    with engine.connect() as connection:
        known = {row["person_id"]: row for row in connection.execute(_PEOPLE, {"ids": list(people)}).mappings()}
    found: dict[int, tuple[str, ...]] = {}
    for person_id, person in people.items():
        row = known.get(person_id)
        if row is None:
            found[person_id] = ("person_id",)
            continue
        names = [name for name in COLUMNS if row[name] != _kept(getattr(person, name))]
        if row["deleted_at"] is not None:
            names.append("deleted_at")
        if {point.address for point in (*person.emails, *person.phones)} != set(row["addresses"]):
            names.append("contact_points")
        if names:
            found[person_id] = tuple(names)
    return found


def _read(row: Row) -> Any:
    try:
        return read_person(row)
    except BadRecord:
        return None


def _kept(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
