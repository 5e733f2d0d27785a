"""What Follow Up Boss holds, landed as it came.

What lives here: the raw tables' place in the graph, and their report. What does not: reading (``leadpipe.crm``). First
touch lands people and events too, so these tables are written by ops, which report them; nothing here runs.
"""

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

# One record a version seen: a landing never changes a row, the current one is a staging view.
GRAINS = {
    "people": "One row per person and version seen, also of people in Trash.",
    "events": "One row per event (inquiry, visit, registration) and version seen.",
    "notes": "One row per note and version seen.",
    "calls": "One row per call and version seen.",
    "text_messages": "One row per text and version seen, of people with an open conversation.",
    "tasks": "One row per task and version seen.",
    "appointments": "One row per appointment and version seen.",
    "deals": "One row per deal and version seen.",
    "users": "One row per user of the account and version seen.",
    "stages": "One row per stage and version seen.",
    "pipelines": "One row per pipeline and version seen.",
}
# The poller looks every minute; half an hour without a look means that it does not run.
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=30), warn_window=timedelta(minutes=5))


def key(entity: str) -> dg.AssetKey:
    """The asset key of a raw table."""
    return dg.AssetKey(["raw", f"fub__{entity}"])


raw_fub = [
    dg.AssetSpec(
        key(entity),
        description=f"{entity.replace('_', ' ').capitalize()} of Follow Up Boss, payload kept whole. {grain}",
        group_name="raw_fub",
        owners=["team:operations"],
        kinds={"python", "duckdb"},
        tags={"pii": "true"} if entity not in ("users", "stages", "pipelines") else {},
        metadata={"dagster/table_name": f"lake.raw.fub__{entity}"},
        freshness_policy=FRESHNESS,
    )
    for entity, grain in GRAINS.items()
]


def reports(
    written_by_table: Mapping[str, int], rows_by_table: Mapping[str, int], *, watermark: str | None
) -> list[dg.AssetMaterialization]:
    """One materialization per raw table of a pass: rows written, rows held, how far the CRM was read."""
    return [
        dg.AssetMaterialization(
            spec.key,
            metadata={
                "dagster/row_count": rows_by_table.get(name, 0),
                "rows_written": written_by_table.get(name, 0),
                **({"watermark": watermark} if watermark else {}),
            },
        )
        for spec in raw_fub
        if (name := ".".join(spec.key.path)) in rows_by_table
    ]
