"""Rates that have no target and should not change by themselves: is this week like the weeks before?

What lives here: the test and its limits. What does not: the daily counts (``marts.kpis``), telling anybody.

The method: the last seven complete days against the twenty-eight before them (whole weeks, so that weekends weigh
alike), by Fisher's exact test on the two counts. A change is told when chance alone makes one as large in fewer than
one case in a thousand, when it is at least a quarter of the earlier rate, and when both spans hold enough cases. The
test is asked daily of overlapping weeks, so the limit is strict: ``tests/monitoring`` measures how often it cries wolf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

RECENT_DAYS, BEFORE_DAYS = 7, 28
FEWEST = 30
P_LIMIT = 0.001
LEAST_CHANGE = 0.25
RATES = ("response", "conversion")

_DAYS = """
    select day, cast(day_count_part as bigint) as part, cast(day_count_whole as bigint) as whole
    from marts.kpis where kpi = ? and is_complete order by day
"""


@dataclass(frozen=True, kw_only=True)
class Day:
    """One complete day: how many of how many."""

    day: date
    part: int
    whole: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The last complete week against the four before it.

    Attributes:
        p_value: how often chance alone makes such a difference; None when there are too few cases to say.
    """

    rate: str
    until: date | None
    recent: tuple[int, int]
    before: tuple[int, int]
    p_value: float | None

    @property
    def recent_rate(self) -> float | None:
        """Of the last week; None without a case."""
        return self.recent[0] / self.recent[1] if self.recent[1] else None

    @property
    def before_rate(self) -> float | None:
        """Of the four weeks before; None without a case."""
        return self.before[0] / self.before[1] if self.before[1] else None

    @property
    def is_anomaly(self) -> bool:
        """Whether a person should look."""
        if self.p_value is None or self.recent_rate is None or self.before_rate is None:
            return False
        change = abs(self.recent_rate - self.before_rate)
        return self.p_value < P_LIMIT and change >= LEAST_CHANGE * self.before_rate

    @property
    def words(self) -> str:
        """What changed, in words."""
        if self.p_value is None or self.recent_rate is None or self.before_rate is None:
            return f"too few cases to compare ({self.recent[1]} and {self.before[1]}, wanted {FEWEST} of each)"
        return (
            f"{self.recent_rate:.1%} ({self.recent[0]} of {self.recent[1]}) in the {RECENT_DAYS} days to {self.until}, "
            f"{self.before_rate:.1%} ({self.before[0]} of {self.before[1]}) in the {BEFORE_DAYS} before; "
            f"by chance alone in {self.p_value:.2g} of cases"
        )

    def as_metadata(self) -> dict[str, Any]:
        """For Dagster; figures only."""
        values = {"p_value": self.p_value, "recent_rate": self.recent_rate, "before_rate": self.before_rate}
        return {"words": self.words, **{name: value for name, value in values.items() if value is not None}}


def compare(rate: str, days: Sequence[Day]) -> Comparison:
    """The last complete week of these days against the four before it; days without a case may be missing."""
    until = max((each.day for each in days), default=None)
    if until is None:
        return Comparison(rate=rate, until=None, recent=(0, 0), before=(0, 0), p_value=None)
    recent = _sum(days, after=until - timedelta(days=RECENT_DAYS), to=until)
    before = _sum(days, after=until - timedelta(days=RECENT_DAYS + BEFORE_DAYS), to=until - timedelta(days=RECENT_DAYS))
    p_value = _p_value(recent, before) if min(recent[1], before[1]) >= FEWEST else None
    return Comparison(rate=rate, until=until, recent=recent, before=before, p_value=p_value)


def _sum(days: Sequence[Day], *, after: date, to: date) -> tuple[int, int]:
    inside = [each for each in days if after < each.day <= to]
    return sum(each.part for each in inside), sum(each.whole for each in inside)


def _p_value(recent: tuple[int, int], before: tuple[int, int]) -> float:
    # Imported here: it brings 40 MB, which only the run that asks should carry.
    from scipy.stats import fisher_exact

    table = [[part, whole - part] for part, whole in (recent, before)]
    return float(fisher_exact(table)[1])  # pyright: ignore[reportArgumentType] - its stubs know no result


def comparisons(lake: Lake) -> dict[str, Comparison]:
    """Each rate compared, from the complete days of ``marts.kpis``."""
    found: dict[str, Comparison] = {}
    for rate in RATES:
        rows = lake.query(_DAYS, [rate]).to_pylist()
        found[rate] = compare(rate, [Day(day=row["day"], part=row["part"], whole=row["whole"]) for row in rows])
    return found
