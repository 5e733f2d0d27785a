"""What a polling pass did.

What lives here: the counts of a pass and how they are shown. What does not: the pass (``poll``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadpipe.crm.passes import Pass


@dataclass(kw_only=True)
class Polled:
    """What a pass did; counts only, and one line per source that failed."""

    is_first: bool = False
    count_people: int = 0
    count_new: int = 0
    count_answered: int = 0
    count_by_table: dict[str, int] = field(default_factory=dict[str, int])
    count_set_aside: int = 0
    count_unsubscribes: int = 0
    count_recovered: int = 0
    count_gone: int = 0
    count_action_plans_running: int | None = None
    hooks_wrong: tuple[str, ...] = ()
    is_history_complete: bool = True
    failures: list[str] = field(default_factory=list[str])

    def add(self, read: Pass) -> None:
        """Count what one read of a collection stored."""
        self.count_landed(read.count_by_table)
        self.count_set_aside += read.count_set_aside

    def count_landed(self, written: Mapping[str, int]) -> None:
        """Count rows written to raw tables."""
        for name, count in written.items():
            self.count_by_table[name] = self.count_by_table.get(name, 0) + count

    def as_metadata(self) -> dict[str, Any]:
        """Counts for Dagster; never contact details."""
        found: dict[str, Any] = {
            "is_first_sync": self.is_first,
            "people_read": self.count_people,
            "people_new": self.count_new,
            "people_answered": self.count_answered,
            "quarantined": self.count_set_aside,
            "unsubscribes": self.count_unsubscribes,
            "reports_recovered": self.count_recovered,
            "records_gone": self.count_gone,
            "webhooks_wrong": len(self.hooks_wrong),
            "history_complete": self.is_history_complete,
            "failures": len(self.failures),
            **{f"landed/{name}": count for name, count in self.count_by_table.items()},
        }
        if self.count_action_plans_running is not None:
            found["action_plans_running"] = self.count_action_plans_running
        return found
