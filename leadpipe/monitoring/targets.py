"""The targets: what ``marts.kpis`` says about each, and what a person is told of it.

What lives here: reading the newest row of each KPI and judging it. What does not: its definition and its figures
(``dbt/models/marts/kpis.sql``), rates without a target (``anomaly``), delivering an alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

TABLE = "marts.kpis"
# Nothing happened for so long: the last figure says nothing about today.
STALE_AFTER = timedelta(days=3)

_NEWEST = f"""
    select kpi, day, subject, unit, value, target, target_is, is_met, count_part, count_whole, window_days, definition
    from {TABLE} qualify row_number() over (partition by kpi order by day desc) = 1
"""  # noqa: S608 - our own name


@dataclass(frozen=True, kw_only=True)
class Kpi:
    """The newest figure of one KPI.

    Attributes:
        subject: what the figure is of where the worst of several counts, e.g. a service; else "".
        value: over ``window_days`` days ending with ``day``; None when nothing happened.
        is_met: None where there is no target, or too little happened to say.
    """

    kpi: str
    day: date
    subject: str
    unit: str
    value: float | None
    target: float | None
    target_is: str
    is_met: bool | None
    count_part: float
    count_whole: float
    window_days: int
    definition: str

    @property
    def words(self) -> str:
        """The figure beside its target, in words."""
        of = f" ({self.subject})" if self.subject else ""
        wanted = f", wanted {self.target_is.replace('_', ' ')} {self._shown(self.target)}" if self.target else ""
        return f"{self._shown(self.value)}{of}{wanted}, {self.window_days} days to {self.day}"

    def _shown(self, value: float | None) -> str:
        if value is None:
            return "nothing to measure"
        return f"{value:.0f} s" if self.unit == "seconds" else f"{value:.2%}"

    def as_metadata(self) -> dict[str, Any]:
        """For Dagster; figures only."""
        return {
            "words": self.words,
            "definition": self.definition,
            "day": str(self.day),
            "count_part": self.count_part,
            "count_whole": self.count_whole,
            **({"value": self.value} if self.value is not None else {}),
            **({"target": self.target} if self.target is not None else {}),
        }


def newest(lake: Lake, *, today: date) -> dict[str, Kpi]:
    """The newest figure of each KPI by its name; what is older than ``STALE_AFTER`` counts as nothing to measure."""
    found = {row["kpi"]: Kpi(**row) for row in lake.query(_NEWEST).to_pylist()}
    return {name: _fresh(kpi, today) for name, kpi in found.items()}


def _fresh(kpi: Kpi, today: date) -> Kpi:
    # What has no target is judged late, when its cohort is complete.
    if kpi.target is None or today - kpi.day <= STALE_AFTER:
        return kpi
    return replace(kpi, value=None, is_met=None)


def as_control(kpis: Mapping[str, Kpi]) -> str:
    """What ``ledger.controls`` keeps of it for the gateway's figures, as JSON."""
    return orjson.dumps({name: {"value": kpi.value, "is_met": kpi.is_met} for name, kpi in kpis.items()}).decode()
