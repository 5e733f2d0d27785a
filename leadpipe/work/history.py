"""Reading the CRM's histories to their end: all collections side by side, each at the pace of its own limit.

What lives here: one run over what is not read yet. What does not: reading one (``crm.history``), what is new
(``work.poll``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from leadpipe.crm.history import History
from leadpipe.crm.passes import Pass
from leadpipe.crm.sync import ACTIVITY
from leadpipe.errors import LeadpipeError
from leadpipe.store.away import transient_when_away

if TYPE_CHECKING:
    from leadpipe.crm.tables import RawTable
    from leadpipe.runtime import Runtime

# A polling pass reads a slice too, and lets go after a few seconds.
BUSY_SECONDS = 1.0


@dataclass(kw_only=True)
class HistoryRead:
    """What a run read; counts only, and one line per collection that failed."""

    is_complete: bool = True
    count_by_table: dict[str, int] = field(default_factory=dict[str, int])
    count_set_aside: int = 0
    failures: list[str] = field(default_factory=list[str])

    def as_metadata(self) -> dict[str, Any]:
        """Counts for Dagster."""
        return {
            "history_complete": self.is_complete,
            "quarantined": self.count_set_aside,
            "failures": len(self.failures),
            **{f"landed/{name}": count for name, count in self.count_by_table.items()},
        }


def read_history(runtime: Runtime, *, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> HistoryRead:
    """Read every history downwards, at most for so long; what is not over goes on where it stopped.

    A collection that fails stops no other; its place stays where the last batch left it.
    """
    from leadpipe.conversation.takeover import pause_for_people

    ended = Event()

    def now() -> float:
        """Past every deadline once the run is told to end, so that no thread outlives it."""
        return math.inf if ended.is_set() else monotonic()

    history, until = History(runtime.keeper, clock=runtime.clock, monotonic=now), monotonic() + seconds
    report = HistoryRead()

    def read(table: RawTable) -> tuple[Pass, bool]:
        result = Pass()
        try:
            with transient_when_away(f"the history of {table.collection}"):
                while (left := until - now()) > 0:
                    if history.read(table, result, seconds=left):
                        return result, True
                    time.sleep(min(BUSY_SECONDS, left))
        except LeadpipeError as error:
            report.failures.append(f"{table.collection}: {error}")
        return result, False

    with ThreadPoolExecutor(len(ACTIVITY)) as threads:
        try:
            for result, is_over in threads.map(read, ACTIVITY):
                _add(report, result, is_over=is_over)
                people = result.human_ids
                pause_for_people(runtime.engine, people, settings=runtime.settings, now=runtime.clock.now())
        finally:
            ended.set()
    return report


def _add(report: HistoryRead, result: Pass, *, is_over: bool) -> None:
    report.is_complete = report.is_complete and is_over
    report.count_set_aside += result.count_set_aside
    for name, count in result.count_by_table.items():
        report.count_by_table[name] = report.count_by_table.get(name, 0) + count
