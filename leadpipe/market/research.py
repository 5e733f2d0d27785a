"""Zillow Research index files: from the published wide layout to long rows, one release at a time.

What lives here: reading a file and replacing its release in the lake. What does not: fetching the bytes
(``sources``), changes over time (``trend``).

Every release restates the whole history (the same ZIP and month moved by 5 % between two of them), so rows carry their
release, a release is replaced as a whole, and nothing is ever computed across two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.errors import BadRecord
from leadpipe.market import tables
from leadpipe.market.sources import ATTRIBUTION, SOURCES, Fetched, Source, fetch
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    import duckdb
    import httpx

    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

# What the layout promises of a ZIP file (zillow sheet 4.1); dates are found by their pattern, never by position.
KEYS = ("RegionID", "SizeRank", "RegionName", "RegionType", "StateName", "State", "City", "Metro", "CountyName")
MONTH = re.compile(r"^\d{4}-\d{2}-\d{2}$")
# Three years answer every question asked here; the file goes back to 2000 and has 121 MB.
MONTHS_READ = 36


@dataclass(frozen=True, kw_only=True)
class Release:
    """One release of one metric as it is in the lake.

    Attributes:
        is_changed: whether this reading wrote it; False when the publisher's file is the one read before.
        set_aside: rows and cells that could not be read, for the quarantine.
    """

    metric: str
    release: date
    source_url: str
    count_zips: int
    count_rows: int
    count_blank: int
    retrieved_at: datetime
    is_changed: bool
    set_aside: tuple[SetAside, ...] = ()


def refresh(
    lake: Lake,
    settings: Settings,
    *,
    now: datetime,
    metrics: Sequence[str] = tuple(SOURCES),
    transport: httpx.BaseTransport | None = None,
) -> list[Release]:
    """Bring the named metrics up to the published files; a file that has not changed is not read again.

    Raises:
        ConfigurationError: the file is not where the settings say.
        BadRecord: the file has not the published layout; the message names the missing column.
        TransientError: the publisher cannot be reached now.
    """
    return [_refresh(lake, settings, SOURCES[metric], now, transport) for metric in metrics]


def _refresh(
    lake: Lake, settings: Settings, source: Source, now: datetime, transport: httpx.BaseTransport | None
) -> Release:
    before = _last_read(lake, source.metric)
    with fetch(source, settings, etag=before["etag"] if before else "", transport=transport) as fetched:
        if before and (fetched.path is None or fetched.content_hash == before["content_hash"]):
            return _unchanged(source, before)
        assert fetched.path is not None
        rows, found = read_file(fetched.path, metric=source.metric, source_url=fetched.url, now=now)
    lake.replace_partition(source.table, "release", [found.release], rows)
    lake.append(tables.RELEASES, _release_row(found, fetched))
    return found


def read_file(path: Path, *, metric: str, source_url: str, now: datetime) -> tuple[pa.Table, Release]:
    """The long rows of a wide file, and what was found in it.

    Returns:
        Rows of ``tables.INDEX_SCHEMA`` for the newest ``MONTHS_READ`` months, blank cells left out.

    Raises:
        BadRecord: a promised column is missing, there is no month, or the file is no CSV; never an empty result.
    """
    import duckdb

    with duckdb.connect() as db:
        db.execute("set TimeZone = 'UTC'")
        try:
            wide = db.read_csv(str(path), header=True, all_varchar=True, delimiter=",", quotechar='"')
            months = _months(wide.columns, path.name)
            db.register("wide", wide)
            wanted = ", ".join(f'"{name}"' for name in (*KEYS, *months))
            db.execute(f"create temp table cells as select row_number() over () as line, {wanted} from wide")  # noqa: S608
        except duckdb.Error as error:
            raise BadRecord(f"{path.name} cannot be read as CSV: {type(error).__name__}") from error
        return _unpivoted(db, months, metric=metric, source_url=source_url, now=now, name=path.name)


def _months(columns: list[str], name: str) -> list[str]:
    missing = [key for key in KEYS if key not in columns]
    if missing:
        raise BadRecord(f"{name} lacks the column {', '.join(missing)}; the published layout has changed")
    months = sorted(column for column in columns if MONTH.match(column))
    if not months:
        raise BadRecord(f"{name} has no month column (YYYY-MM-DD)")
    return months[-MONTHS_READ:]


def _unpivoted(
    db: duckdb.DuckDBPyConnection, months: list[str], *, metric: str, source_url: str, now: datetime, name: str
) -> tuple[pa.Table, Release]:
    wanted = ", ".join(f'"{month}"' for month in months)
    db.execute(
        f"""
        create temp table regions as
        select line, RegionName as zip,
          case when not coalesce(regexp_full_match(RegionName, '[0-9]{{5}}'), false) then 'RegionName is no ZIP code'
               when row_number() over (partition by RegionName order by line) > 1 then 'the ZIP code comes twice'
          end as reason
        from cells;
        create temp table long as
        select c.line, c.RegionName as zip, cast(c.month as date) as month, c.value as text,
          try_cast(c.value as double) as value_usd, c.City as city, c.State as state, c.Metro as metro,
          c.CountyName as county
        from cells unpivot include nulls (value for month in ({wanted})) c
        join regions r on r.line = c.line and r.reason is null;
        """  # noqa: S608 - dates by their pattern
    )
    bad = [
        SetAside(source=f"zillow_{metric}", record_key=f"{name}:{key}", reason=reason, raw=json.dumps(raw).encode())
        for key, reason, raw in _set_aside(db)
    ]
    rows = db.execute(
        """
        select zip, month, value_usd, cast($1 as date) as release, city, state, metro, county,
          cast($2 as timestamptz) as retrieved_at, $3 as source_url, $4 as attribution
        from long where value_usd > 0 and isfinite(value_usd) order by zip, month
        """,
        [months[-1], now, source_url, ATTRIBUTION],
    ).to_arrow_table()
    counts = db.execute("select count(distinct zip), count(*) filter (where text is null) from long").fetchone()
    assert counts is not None
    if rows.num_rows == 0:
        raise BadRecord(f"{name} holds not one value that can be read")
    found = Release(
        metric=metric,
        release=date.fromisoformat(months[-1]),
        source_url=source_url,
        count_zips=counts[0],
        count_rows=rows.num_rows,
        count_blank=counts[1],
        retrieved_at=now,
        is_changed=True,
        set_aside=tuple(bad),
    )
    return rows.cast(tables.INDEX_SCHEMA), found


def _set_aside(db: duckdb.DuckDBPyConnection) -> list[tuple[str, str, dict[str, Any]]]:
    regions = db.execute("select line, zip, reason from regions where reason is not null order by line").fetchall()
    cells = db.execute(
        """
        select zip, month, text from long
        where text is not null and (value_usd is null or value_usd <= 0 or not isfinite(value_usd))
        order by zip, month
        """
    ).fetchall()
    found = [(f"line {line}", reason, {"RegionName": code}) for line, code, reason in regions]
    found += [
        (f"{code} {month}", "the value is no positive number", {"RegionName": code, str(month): text})
        for code, month, text in cells
    ]
    return found


def _last_read(lake: Lake, metric: str) -> dict[str, Any] | None:
    if not lake.has_table(tables.RELEASES):
        return None
    found = lake.query(
        f"select * from {tables.RELEASES} where metric = ? order by retrieved_at desc limit 1",  # noqa: S608
        [metric],
    ).to_pylist()
    return found[0] if found else None


def _unchanged(source: Source, before: dict[str, Any]) -> Release:
    return Release(
        metric=source.metric,
        release=before["release"],
        source_url=before["source_url"],
        count_zips=before["count_zips"],
        count_rows=before["count_rows"],
        count_blank=before["count_blank"],
        retrieved_at=before["retrieved_at"],
        is_changed=False,
    )


def _release_row(found: Release, fetched: Fetched) -> pa.Table:
    row = {
        "metric": found.metric,
        "release": found.release,
        "source_url": found.source_url,
        "etag": fetched.etag,
        "content_hash": fetched.content_hash,
        "bytes": fetched.count_bytes,
        "count_zips": found.count_zips,
        "count_rows": found.count_rows,
        "count_blank": found.count_blank,
        "count_set_aside": len(found.set_aside),
        "retrieved_at": found.retrieved_at,
    }
    return pa.Table.from_pylist([row], schema=tables.RELEASES_SCHEMA)
