"""The leads that are forgotten: they could be reached, nobody reached them, and nothing says why.

What lives here: reading the list. What does not: who is on it (``dbt/models/marts/starving_leads.sql``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

TABLE = "marts.starving_leads"
SHOWN = 20

_COUNTS = f"select what_is_known, count(*) as count from {TABLE} group by 1 order by 2 desc, 1"  # noqa: S608 - our name
_FIRST = f"select person_id from {TABLE} order by days_without_touch desc, person_id limit ?"  # noqa: S608 - our name


@dataclass(frozen=True, kw_only=True)
class Starving:
    """How many, by what is known of them, and those who have waited longest."""

    count_by_what_is_known: dict[str, int]
    first_ids: tuple[int, ...]

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.count_by_what_is_known.values())

    @property
    def words(self) -> str:
        """The counts in words."""
        return ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in self.count_by_what_is_known.items())

    def as_metadata(self) -> dict[str, Any]:
        """For Dagster; ids and counts only."""
        return {"count": self.count, "person_ids": list(self.first_ids), **self.count_by_what_is_known}


def read(lake: Lake) -> Starving:
    """The list as the last build of the marts left it."""
    counts = {row["what_is_known"]: int(row["count"]) for row in lake.query(_COUNTS).to_pylist()}
    ids = lake.query(_FIRST, [SHOWN]).column("person_id").to_pylist()
    return Starving(count_by_what_is_known=counts, first_ids=tuple(ids))
