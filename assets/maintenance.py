"""Keeping the lake small, and handing the marts out as one file.

What lives here: the two steps. What does not: their order and ages (``leadpipe.store.maintenance``), the swap
(``leadpipe.store.publish``).
"""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from resources.runtime import LeadpipeResource

COMMON = {"group_name": "maintenance", "owners": ["team:operations"]}


@dg.asset(
    key=["ops", "lake_maintenance"],
    kinds={"duckdb", "postgres"},
    pool="maintenance",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=3), warn_window=timedelta(hours=30)),
    **COMMON,
)
def lake_maintenance(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """Small files merged, old snapshots expired, leftovers deleted. No table: one run is one pass over the lake."""
    from leadpipe.clock import WallClock
    from leadpipe.store.maintenance import maintain

    return dg.MaterializeResult(metadata=maintain(leadpipe.runtime.lake, clock=WallClock()).as_metadata())


def build_published_marts(marts: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """The step that writes ``marts.duckdb``, after these marts."""

    @dg.asset(key=["published", "marts"], deps=list(marts), kinds={"duckdb"}, pool="publishing", **COMMON)
    def published_marts(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
        """Every mart in one DuckDB file, swapped in whole. One file, the tables of one snapshot."""
        from leadpipe.store.publish import path_of, publish

        runtime = leadpipe.runtime
        done = publish(runtime.lake, path_of(runtime.settings), now=runtime.clock.now())
        return dg.MaterializeResult(metadata=done.as_metadata())

    return published_marts
