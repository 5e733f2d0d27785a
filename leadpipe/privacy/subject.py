"""Whose data it is: the records of one human being, their own addresses, and those they share.

What lives here: from the id that somebody names to every record and address. What does not: what is done with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.errors import Rejected

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Merged records are one human being: the losers of a merge and the winner, whichever of them is named.
_RECORDS = text(
    """
    with recursive same as (
      select person_id from ledger.people where person_id = :id
      union
      select case when p.person_id = s.person_id then p.merged_into else p.person_id end
      from ledger.people p join same s on p.person_id = s.person_id or p.merged_into = s.person_id
      where p.merged_into is not null
    )
    select person_id from same where person_id is not null order by 1
    """
)
_POINTS = text(
    """
    select c.id, c.kind, c.address, array_remove(array_agg(distinct o.person_id), null) as others
    from ledger.person_contact_points mine
    join ledger.contact_points c on c.id = mine.contact_point_id
    left join (ledger.person_contact_points o join ledger.people p on p.person_id = o.person_id
        and p.erased_at is null)
      on o.contact_point_id = c.id and o.person_id <> all(cast(:people as bigint[]))
      and coalesce(o.detached_reason, '') <> 'erased'
    where mine.person_id = any(cast(:people as bigint[]))
    group by c.id order by c.id
    """
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One human being.

    Attributes:
        person_id: the record that was named.
        people: all records of that person.
        points: contact points that are theirs alone.
        shared: contact points that another person's record has too, with those people's ids.
        shared_addresses: the shared ones as a scan would meet them; never shown.
    """

    person_id: int
    people: tuple[int, ...]
    points: tuple[int, ...]
    shared: Mapping[int, tuple[int, ...]]
    shared_addresses: frozenset[str] = frozenset()

    @property
    def parameters(self) -> dict[str, Any]:
        """The names that the rules' conditions use."""
        return {
            "people": list(self.people),
            "people_text": [str(each) for each in self.people],
            "points": list(self.points),
        }


def subject_of(connection: Connection, person_id: int) -> Subject:
    """Every record and address of the person.

    Raises:
        Rejected: the ledger does not know the person.
    """
    people = tuple(connection.execute(_RECORDS, {"id": person_id}).scalars())
    if not people:
        raise Rejected(f"person {person_id} is not in the ledger; take the id from Follow Up Boss", code="unknown")
    points = connection.execute(_POINTS, {"people": list(people)}).all()
    shared = {row.id: tuple(sorted(row.others)) for row in points if row.others}
    return Subject(
        person_id=person_id,
        people=people,
        points=tuple(row.id for row in points if not row.others),
        shared=shared,
        shared_addresses=frozenset(
            row.address.lower() if row.kind == "email" else "".join(filter(str.isdigit, row.address))[-10:]
            for row in points
            if row.others
        ),
    )
