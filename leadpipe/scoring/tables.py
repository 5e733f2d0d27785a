"""Columns of the scoring tables in the lake.

What lives here: one Arrow schema per ``scoring.*`` table, with its grain. What does not: filling them (``score``).
"""

from __future__ import annotations

import pyarrow as pa

LEAD_SCORES = "scoring.lead_scores"
BANDS = ("high", "medium", "low")

# Grain: person x scored_at, append-only; the newest row of a person is the score in force.
LEAD_SCORES_SCHEMA = pa.schema(
    [
        ("person_id", pa.int64()),
        ("score_pct", pa.float64()),
        ("priority_band", pa.string()),
        ("reason_1", pa.string()),
        ("reason_2", pa.string()),
        ("reason_3", pa.string()),
        ("model_version", pa.string()),
        ("is_prior", pa.bool_()),
        ("features", pa.string()),
        ("scored_at", pa.timestamp("us", tz="UTC")),
    ]
)

SCHEMAS: dict[str, pa.Schema] = {LEAD_SCORES: LEAD_SCORES_SCHEMA}
