"""Why a lead has its score, in words.

What lives here: the sentence for each feature's value, and choosing three of them. What does not: how much a feature
adds (``model``).

Sentences speak of ranges, not of hours: a reason changes when the matter does, not with every passing hour, because a
changed first reason is written back to the CRM.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from leadpipe.scoring.features import NAMES, UNKNOWN, WORDS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

COUNT = 3
# Log-odds below which a feature says nothing either way.
NEGLIGIBLE = 0.01
WEEKDAYS = ("", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_AGES = ((24.0, "within a day"), (168.0, "within a week"), (719.0, "within a month"), (math.inf, "over a month ago"))
_WORDS = {
    "source": ("Came through {}", "Source unknown"),
    "lead_type": ("Filed as {}", "Kind of lead unknown"),
    "stage": ("Stage {}", "Stage unknown"),
    "inquiry_type": ("Last asked by {}", "Has not asked for anything"),
    "property_type": ("Asked about {} property", "Kind of property unknown"),
    "side": ("Wants to {}", "Buying or selling unknown"),
}
_SINCE = {
    "hours_since_inquiry": ("Asked {}", "Has not asked for anything"),
    "hours_since_reply": ("Replied {}", "Has never replied"),
    "hours_since_touch": ("Heard from us {}", "Has not heard from us"),
    "age_hours": ("Came in {}", "Came in at an unknown time"),
}
_COUNTED = {
    "count_inquiries": ("No inquiry", "One inquiry", "Several inquiries"),
    "count_views": ("No homes viewed", "One home viewed", "Several homes viewed"),
    "count_replies": ("No reply so far", "One reply", "Several replies"),
}
_DIRECTION = {1: " (raises the score)", -1: " (lowers the score)", 0: ""}


def sentence(name: str, value: Any) -> str:
    """One feature's value in words."""
    if name in _WORDS:
        known, unknown = _WORDS[name]
        return unknown if value == UNKNOWN else known.format(_spelled(name, value))
    number = float(value)
    if name in _SINCE:
        known, unknown = _SINCE[name]
        return unknown if math.isnan(number) else known.format(next(word for limit, word in _AGES if number <= limit))
    if name in _COUNTED:
        return _COUNTED[name][min(2, int(number))]
    return _other(name, number)


def _spelled(name: str, value: str) -> str:
    if value == "both":
        return "buy and sell"
    return value.title() if name in {"source", "stage", "lead_type"} and "." not in value else value


def _other(name: str, number: float) -> str:
    if name == "price_usd":
        return "Price unknown" if math.isnan(number) else f"Price around ${_rounded(number):,.0f}"
    if name == "timeline_months":
        return "No date named" if math.isnan(number) else _timeline(number)
    if name == "arrival_hour":
        return "Came in at night" if number < 7 or number >= 22 else f"Came in in the {_part_of_day(number)}"
    if name == "arrival_weekday":
        return f"Came in on a {WEEKDAYS[int(number)]}"
    if name == "has_budget":
        return "Named a budget" if number else "No budget named"
    if name == "has_place":
        return "Named a place" if number else "No place named"
    raise ValueError(f"no words for the feature {name}")


def _rounded(price: float) -> float:
    return max(50_000.0, round(price / 50_000) * 50_000)


def _timeline(months: float) -> str:
    for limit in (3, 6, 12):
        if months <= limit:
            return f"Wants to move within {limit} months"
    return "Wants to move in more than a year"


def _part_of_day(hour: float) -> str:
    return "morning" if hour < 12 else "afternoon" if hour < 18 else "evening"


def three_reasons(frame: pd.DataFrame, contributions: np.ndarray[Any, Any]) -> list[list[str]]:
    """The three features that move each lead's score most, in words, strongest first; never the same words twice.

    Args:
        frame: features, one row a lead.
        contributions: log-odds by lead and feature, columns in the order of ``NAMES``.

    Returns:
        Three lists as long as the frame: every lead's first, second and third reason.
    """
    import numpy as np

    # Beyond the third there are spares, for features that say the same in the same words.
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, : COUNT + 3]
    strength = np.take_along_axis(contributions, order, axis=1)
    direction = np.where(np.abs(strength) < NEGLIGIBLE, 0, np.sign(strength)).astype(int)
    values = {name: frame[name].to_numpy() for name in NAMES}
    said: dict[tuple[str, Any, int], str] = {}
    columns: list[list[str]] = [[] for _ in range(COUNT)]
    for row, (features, directions) in enumerate(zip(order.tolist(), direction.tolist(), strict=True)):
        chosen: dict[str, None] = {}
        for feature, way in zip(features, directions, strict=True):
            name = NAMES[feature]
            value = values[name][row]
            key = (name, value if name in WORDS or not math.isnan(value) else None, way)
            text = said.get(key)
            if text is None:
                text = said[key] = sentence(name, value) + _DIRECTION[way]
            chosen[text] = None
            if len(chosen) == COUNT:
                break
        for column, text in zip(columns, chosen, strict=False):
            column.append(text)
    return columns
