"""The queue: what is to be sent to whom, when, in which words and why, as a table anyone can read.

What lives here: the columns of ``outreach.queue`` and the outcomes a row can have. What does not: who gets a row
(``planner``), what becomes of it (``enqueue``).

Grain: one row per person, plan and step of one cohort's latest planning; planning a cohort again replaces its rows.
"""

from __future__ import annotations

import pyarrow as pa

TABLE = "outreach.queue"
_AT = pa.timestamp("us", tz="UTC")
QUEUE_SCHEMA = pa.schema(
    [
        ("planned_run_key", pa.string()),  # hash of cohort, plan version and planning day: the same when planned twice
        ("cohort", pa.date32()),  # first day of the month of creation in the CRM
        ("person_id", pa.int64()),
        ("contact_point_id", pa.int64()),
        ("plan", pa.string()),
        ("plan_version", pa.string()),
        ("step", pa.string()),
        ("occurrence", pa.int32()),
        ("channel", pa.string()),
        ("purpose", pa.string()),
        ("template", pa.string()),
        ("template_version", pa.string()),
        ("subject", pa.string()),
        ("body", pa.string()),
        ("variables", pa.string()),  # JSON
        ("due_at", _AT),
        ("score_pct", pa.float64()),
        ("priority_band", pa.string()),
        ("reason", pa.string()),  # in words
        ("outcome", pa.string()),
        ("code", pa.string()),
        ("planned_at", _AT),
    ]
)

# planned: a message is to go. Every other outcome says why none is, with a code.
OUTCOMES = {
    "planned": "a message is to go",
    "not_due": "inside the plan, the next step is due later",
    "waits": "another message to this person is still under way",
    "outranked": "a plan of higher priority has this person",
    "no_channel": "no step of the plan has a channel that reaches this person",
    "stopped": "stage, pause, refusal or deletion ends every plan",
    "exhausted": "met this plan as often as it allows",
    "not_aged": "spoke with the team within the aging period",
    "finished": "went through the plan; the next round is not due",
}
