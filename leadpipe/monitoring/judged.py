"""Everything the marts say of how the system does, read together.

What lives here: the composition. What does not: any of its rules (``targets``, ``anomaly``, ``starving``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from leadpipe.monitoring import anomaly, starving, targets
from leadpipe.monitoring.anomaly import Comparison
from leadpipe.monitoring.starving import Starving
from leadpipe.monitoring.targets import Kpi

if TYPE_CHECKING:
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

_BUILT = (
    "select 1 from duckdb_tables() where database_name = 'lake' and schema_name = 'marts' "
    "and table_name in ('kpis', 'starving_leads') having count(*) = 2"
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The newest figure of each KPI, the rates compared with their past, the leads that are forgotten."""

    kpis: dict[str, Kpi]
    rates: dict[str, Comparison]
    starving: Starving

    def as_metadata(self) -> dict[str, Any]:
        """For Dagster; figures and words only."""
        return {
            **{f"kpi/{name}": kpi.words for name, kpi in self.kpis.items()},
            **{f"rate/{name}": rate.words for name, rate in self.rates.items()},
            "starving_leads": self.starving.count,
        }


def judge(lake: Lake, settings: Settings, *, now: datetime) -> Judged:
    """Read the marts as they stand; before their first build there is nothing to judge."""
    if not lake.query(_BUILT).num_rows:
        none = {rate: anomaly.compare(rate, []) for rate in anomaly.RATES}
        return Judged(kpis={}, rates=none, starving=Starving(count_by_what_is_known={}, first_ids=()))
    today = now.astimezone(ZoneInfo(settings.team_timezone)).date()
    return Judged(kpis=targets.newest(lake, today=today), rates=anomaly.comparisons(lake), starving=starving.read(lake))
