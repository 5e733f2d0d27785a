"""Keeping the lake small and quick: merged files, expired snapshots, deleted leftovers.

What lives here: the steps, their order and their ages. What does not: when it runs (a schedule), erasure of a person.

Each step is one transaction of DuckLake under the lake's exclusive lock, taken anew for each, so that an append waits
for one step and not for all of them; readers never wait. A file is deleted only a day after the last snapshot that
names it went, because a reader may still be in it, and an unknown file only after a week, because a commit under way
has written files that no snapshot names yet (an age of one second destroyed 6 files of 1,442). While a backup copies
files none is deleted; the next night deletes them.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from leadpipe.store import locks
from leadpipe.store.lake import retried

if TYPE_CHECKING:
    from leadpipe.clock import WallClock
    from leadpipe.store.lake import Lake

SNAPSHOTS_KEPT = timedelta(days=30)
FILES_KEPT = timedelta(hours=24)
ORPHANS_KEPT = timedelta(days=7)
# A file is rewritten when this share of its rows is deleted: marts change a few rows at a time, all day.
DELETED_SHARE = 0.1
DELETING = ("cleanup", "orphans")


@dataclass(frozen=True, kw_only=True)
class Maintained:
    """What one maintenance did, counted by step, and how long each step held the lake."""

    rows_flushed: int
    files_rewritten: int
    files_merged: int
    snapshots_expired: int
    files_deleted: int
    orphans_deleted: int
    seconds_by_step: dict[str, float]

    def as_metadata(self) -> dict[str, int | float]:
        """Counts and the longest hold, for a materialization."""
        return {
            "rows_flushed": self.rows_flushed,
            "files_rewritten": self.files_rewritten,
            "files_merged": self.files_merged,
            "snapshots_expired": self.snapshots_expired,
            "files_deleted": self.files_deleted,
            "orphans_deleted": self.orphans_deleted,
            "longest_hold_seconds": round(max(self.seconds_by_step.values(), default=0.0), 3),
        }


def maintain(lake: Lake, *, clock: WallClock) -> Maintained:
    """Run every step once, in order; running it again finds nothing to do.

    Args:
        lake: which lake.
        clock: the machine's own clock. Snapshots and files carry wall-clock times, so the simulated clock of a demo,
            a day ahead, would delete files under a reader.

    Raises:
        TransientError: the lake stayed busy, or a step lost against other commits too often.
    """
    now = clock.now()
    steps = {
        "flush": "ducklake_flush_inlined_data('lake')",
        "rewrite": f"ducklake_rewrite_data_files('lake', delete_threshold => {DELETED_SHARE})",
        "merge": "ducklake_merge_adjacent_files('lake')",
        "expire": f"ducklake_expire_snapshots('lake', older_than => '{now - SNAPSHOTS_KEPT}'::timestamptz)",
        "cleanup": f"ducklake_cleanup_old_files('lake', older_than => '{now - FILES_KEPT}'::timestamptz)",
        "orphans": f"ducklake_delete_orphaned_files('lake', older_than => '{now - ORPHANS_KEPT}'::timestamptz)",
    }
    found: dict[str, list[tuple[object, ...]]] = {}
    seconds: dict[str, float] = {}
    with lake.connect() as connection:
        for name, call in steps.items():

            def commit(name: str = name, call: str = call) -> tuple[list[tuple[object, ...]], float]:
                with _may_run(lake, name) as may_run:
                    started = time.monotonic()
                    rows = connection.execute(f"call {call}").fetchall() if may_run else []
                    return rows, time.monotonic() - started

            found[name], seconds[name] = retried(commit, what=name)
    return Maintained(
        rows_flushed=_total(found["flush"]),
        files_rewritten=_total(found["rewrite"]),
        files_merged=_total(found["merge"]),
        snapshots_expired=len(found["expire"]),
        files_deleted=len(found["cleanup"]),
        orphans_deleted=len(found["orphans"]),
        seconds_by_step=seconds,
    )


@contextmanager
def _may_run(lake: Lake, step: str) -> Generator[bool]:
    """The lake for one step alone; False when the step deletes files and a backup holds them in place."""
    if step not in DELETING:
        with locks.lake_lock(lake.database_url):
            yield True
        return
    with locks.try_cleanup(lake.database_url) as is_free:
        if not is_free:
            yield False
            return
        with locks.lake_lock(lake.database_url):
            yield True


def _total(rows: list[tuple[object, ...]]) -> int:
    """The third column of a step that reports one row a table: rows flushed, or files taken in."""
    return sum(int(str(row[2])) for row in rows)
