"""What one pass over a collection read, and how its records are gathered.

What lives here: the report of a pass, batches, digests. What does not: which records are asked for (``sync``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from leadpipe.crm.inquiries import Inquiry
from leadpipe.crm.values import canonical, read_id

if TYPE_CHECKING:
    from leadpipe.crm.intake import Intake

Row = dict[str, Any]


@dataclass(kw_only=True)
class Pass:
    """What one pass read: people, new ones, inquiries, counts by table."""

    is_first: bool = False
    person_ids: list[int] = field(default_factory=list[int])
    new_ids: list[int] = field(default_factory=list[int])
    new_inquiries: list[Inquiry] = field(default_factory=list[Inquiry])
    human_ids: list[int] = field(default_factory=list[int])
    count_by_table: dict[str, int] = field(default_factory=dict[str, int])
    count_set_aside: int = 0

    def add(self, taken: Intake) -> None:
        """Count one stored batch."""
        self.person_ids += taken.person_ids
        self.new_ids += taken.new_ids
        fresh = set(taken.new_inquiry_ids)
        self.new_inquiries += [inquiry for inquiry in taken.inquiries if inquiry.event_id in fresh]
        self.human_ids += taken.human_ids
        self.count_set_aside += taken.count_set_aside
        for name, count in taken.count_by_table.items():
            self.count(name, count)

    def count(self, table: str, count: int) -> None:
        """Count rows written to a raw table."""
        self.count_by_table[table] = self.count_by_table.get(table, 0) + count


def digest_of(rows: Iterable[Row]) -> str:
    """One digest of records, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(canonical, rows))).encode()).hexdigest()


def noting_ids(pages: Iterable[list[Row]], seen: list[int]) -> Generator[list[Row]]:
    """The same pages; the ids that passed are added to ``seen``."""
    for page in pages:
        seen += [i for row in page if (i := read_id(row)) is not None]
        yield page


def in_batches(pages: Iterator[list[Row]], size: int) -> Iterator[list[Row]]:
    """The rows of the pages in batches of ``size`` or a little more."""
    batch: list[Row] = []
    for page in pages:
        batch += page
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
