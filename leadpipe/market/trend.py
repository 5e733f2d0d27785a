"""The market trend of every ZIP code, from the newest release alone.

What lives here: the level and the change over twelve months. What does not: reading releases (``research``), asking
for the ZIPs of some leads (``facts``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from leadpipe.market import tables
from leadpipe.market.sources import SOURCES

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

# In the worst months on record a ZIP's smoothed index moved by less than two thirds within a year.
ABSURD_CHANGE_PCT = 75.0

_TREND = """
    with newest as (
        select * from {table} where release = (select max(release) from {table})
    ), last as (
        select zip, max(month) as month from newest group by zip
    )
    select
        now_.zip, '{metric}' as metric, now_.month, now_.value_usd,
        round(100.0 * (now_.value_usd / before_.value_usd - 1), 2) as change_12m_pct,
        now_.release, now_.attribution
    from last
    join newest now_ using (zip, month)
    left join newest before_ on before_.zip = now_.zip and before_.month = last_day(now_.month - interval 12 month)
"""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """What ``enrichment.market_trend`` now holds."""

    count_rows: int
    release_by_metric: dict[str, date]


def refresh_trend(lake: Lake) -> Trend:
    """Rebuild ``enrichment.market_trend`` from the newest release of each metric.

    Twelve months back is looked up by date, so a ZIP with a gap there has no change rather than one over eleven
    months. A ZIP that the newest month leaves blank keeps its own last month of that release.
    """
    parts = [_TREND.format(table=source.table, metric=source.metric) for source in SOURCES.values()]
    union = " union all ".join(f"(select * from ({part}))" for part in parts)  # noqa: S608 - our own names
    found = lake.query(f"select * from ({union}) order by metric, zip").cast(tables.MARKET_TREND_SCHEMA)  # noqa: S608
    lake.replace(tables.MARKET_TREND, found)
    return Trend(count_rows=found.num_rows, release_by_metric=_releases(found))


def _releases(rows: pa.Table) -> dict[str, date]:
    pairs = zip(rows["metric"].to_pylist(), rows["release"].to_pylist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: pair[1]))


def absurd_changes(lake: Lake) -> list[str]:
    """ZIPs whose ZHVI moved further in a year than any market does; a misread file shows here first."""
    found = lake.query(
        f"select zip from {tables.MARKET_TREND} "  # noqa: S608 - our own names
        "where metric = 'zhvi' and abs(change_12m_pct) > ? order by zip",
        [ABSURD_CHANGE_PCT],
    )
    return found["zip"].to_pylist()


def stale_metrics(lake: Lake) -> list[str]:
    """Metrics whose trend is of another release than the newest one landed."""
    found: list[str] = []
    for source in SOURCES.values():
        row = lake.query(
            f"select (select max(release) from {source.table}) as landed, "  # noqa: S608 - our own names
            f"(select max(release) from {tables.MARKET_TREND} where metric = ?) as used",
            [source.metric],
        ).to_pylist()[0]
        if row["landed"] != row["used"]:
            found.append(source.metric)
    return found
