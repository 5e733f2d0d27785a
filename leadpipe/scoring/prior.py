"""The score before the team has a history: a documented prior.

What lives here: the points and the base rate. What does not: models learned from outcomes (``train``).

Points are log-odds, added to a base rate of 2 %: the order of what brokerages report for portal leads, and what every
inside-sales desk goes by (who answers, who asks twice, who names a date). They are nobody's measurement; a score from
here carries the version ``prior-1`` and ``is_prior``, and a trained model replaces it as soon as there are outcomes
enough. The same table stands in ``docs/scoring.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadpipe.scoring.features import NAMES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PRIOR_VERSION = "prior-1"
BASE_RATE = 0.02
# Probabilities from which a lead is of high and of medium priority.
BANDS = (0.06, 0.025)

SOURCE_POINTS = {"referral": 0.8, "past client": 0.8, "open house": 0.3, "facebook": -0.4}
INQUIRY_POINTS = {
    "property inquiry": 0.4,
    "seller inquiry": 0.5,
    "visited open house": 0.4,
    "general inquiry": 0.1,
    "registration": -0.3,
}
SIDE_POINTS = {"sell": 0.3, "both": 0.3}
STAGE_POINTS = {"hot prospect": 0.8, "nurture": 0.2, "trash": -3.0, "closed": -1.5}
# Steps: (at most, points); the first that fits counts.
REPLY_AGE_POINTS = ((24.0, 0.6), (168.0, 0.3), (719.0, 0.0), (float("inf"), -0.3))
INQUIRY_AGE_POINTS = ((1.0, 0.6), (24.0, 0.4), (168.0, 0.1), (719.0, -0.2), (float("inf"), -0.6))
TIMELINE_POINTS = ((3.0, 1.0), (6.0, 0.5), (12.0, 0.0), (float("inf"), -0.5))
COUNT_POINTS = {
    "count_replies": ((0.0, 0.0), (1.0, 1.2), (float("inf"), 1.6)),
    "count_inquiries": ((1.0, 0.0), (2.0, 0.4), (float("inf"), 0.7)),
    "count_views": ((0.0, 0.0), (4.0, 0.2), (float("inf"), 0.5)),
}
KNOWN_POINTS = {"has_budget": 0.4, "has_place": 0.2}


def contributions(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Log-odds that each feature adds, one row a lead and one column for each of ``features.NAMES``."""
    import numpy as np

    found = np.zeros((len(frame), len(NAMES)))

    def put(name: str, points: Any) -> None:
        found[:, NAMES.index(name)] = points

    put("source", _by_part(frame["source"], SOURCE_POINTS))
    put("inquiry_type", frame["inquiry_type"].map(INQUIRY_POINTS).fillna(0.0))
    put("side", frame["side"].map(SIDE_POINTS).fillna(0.0))
    put("stage", frame["stage"].map(STAGE_POINTS).fillna(0.0))
    put("hours_since_reply", _by_step(frame["hours_since_reply"], REPLY_AGE_POINTS))
    put("hours_since_inquiry", _by_step(frame["hours_since_inquiry"], INQUIRY_AGE_POINTS))
    put("timeline_months", _by_step(frame["timeline_months"], TIMELINE_POINTS))
    for name, steps in COUNT_POINTS.items():
        put(name, _by_step(frame[name], steps))
    for name, points in KNOWN_POINTS.items():
        put(name, frame[name] * points)
    return found


def _by_part(values: pd.Series[Any], points: dict[str, float]) -> Any:
    """Points of the first part that a word contains: "Zillow referral" is a referral."""
    by_value = {
        value: next((number for part, number in points.items() if part in value), 0.0) for value in values.unique()
    }
    return values.map(by_value)


def _by_step(values: pd.Series[Any], steps: tuple[tuple[float, float], ...]) -> Any:
    """Points of the first step that a number does not exceed; a missing number has none."""
    import numpy as np

    limits = np.array([limit for limit, _ in steps])
    points = np.array([number for _, number in steps])
    numbers = values.to_numpy(dtype="float64")
    chosen = points[np.minimum(np.searchsorted(limits, numbers), len(points) - 1)]
    return np.where(np.isnan(numbers), 0.0, chosen)
