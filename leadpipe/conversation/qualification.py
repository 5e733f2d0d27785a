"""What a lead told us that the team needs: when, how much, where, buying or selling; each with its sentence.

What lives here: the shape and the rules that find it in English and Spanish. What does not: storing it (``effects``).
"""

from __future__ import annotations

from dataclasses import dataclass

KEYS = (
    "timeline_months", "budget_low_usd", "budget_high_usd", "zip", "city", "state", "side", "bedrooms",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing the lead said. ``sentence`` is theirs, word for word."""

    key: str
    value: str
    sentence: str
    inbound_id: int
