"""Zillow Research files: real rows, vintages apart, layouts that changed, files that did not."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from leadpipe.clock import FixedClock
from leadpipe.errors import BadRecord, ConfigurationError, TransientError
from leadpipe.market import tables
from leadpipe.market.facts import KEEP_SECONDS, RETRY_SECONDS, MarketFacts
from leadpipe.market.research import KEYS, read_file, refresh
from leadpipe.market.sources import ATTRIBUTION, SOURCES
from leadpipe.market.trend import absurd_changes, refresh_trend, stale_metrics
from leadpipe.settings import Settings
from leadpipe.store.bootstrap import create_tables
from leadpipe.store.lake import Lake

DATA = Path(__file__).parents[1] / "data" / "zillow"
ZHVI = SOURCES["zhvi"].file_name


@pytest.fixture
def from_folder(settings: Settings, lake: Lake) -> Settings:
    create_tables(lake)
    return settings.model_copy(update={"zillow_folder": DATA})


def count(lake: Lake, sql: str) -> Any:
    return lake.query(sql).to_pylist()[0]


def test_the_real_cut_becomes_long_rows_with_their_source(lake: Lake, from_folder: Settings, clock: FixedClock) -> None:
    zhvi, zori = refresh(lake, from_folder, now=clock.now())

    assert (zhvi.release, zhvi.count_zips, zhvi.count_rows, zhvi.count_blank) == (date(2023, 1, 31), 60, 2120, 40)
    assert (zori.release, zori.count_zips) == (date(2023, 10, 31), 60)
    assert zhvi.set_aside == zori.set_aside == ()
    row = lake.query(f"select * from {tables.ZHVI} where zip = '77449' and month = date '2020-02-29'").to_pylist()[0]
    assert row["value_usd"] == pytest.approx(204772.7416)
    assert row["release"] == date(2023, 1, 31)
    assert row["attribution"] == ATTRIBUTION
    assert row["source_url"] == f"file:{ZHVI}"
    assert row["retrieved_at"] == clock.now()
    assert (row["state"], row["city"], row["metro"]) == ("TX", None, "Houston-The Woodlands-Sugar Land, TX")
    assert count(lake, f"select count(*) as n from {tables.ZHVI} where value_usd is null")["n"] == 0
    assert lake.query(f"select * from {tables.ZHVI} limit 0").schema.names == tables.INDEX_SCHEMA.names


def test_the_trend_is_the_change_over_twelve_months_within_the_row(
    lake: Lake, from_folder: Settings, clock: FixedClock
) -> None:
    refresh(lake, from_folder, now=clock.now())
    trend = refresh_trend(lake)

    row = lake.query(f"select * from {tables.MARKET_TREND} where zip = '77084' and metric = 'zhvi'").to_pylist()[0]
    wide = next(line.split(",") for line in (DATA / ZHVI).read_text().splitlines() if line.split(",")[2] == "77084")
    assert row["change_12m_pct"] == pytest.approx(100 * (float(wide[-1]) / float(wide[-13]) - 1), abs=0.01)
    assert (row["month"], row["value_usd"]) == (date(2023, 1, 31), pytest.approx(float(wide[-1])))
    assert trend.release_by_metric == {"zhvi": date(2023, 1, 31), "zori": date(2023, 10, 31)}
    assert absurd_changes(lake) == []
    assert stale_metrics(lake) == []


def test_two_releases_stand_apart_and_the_trend_uses_the_newest_alone(
    lake: Lake, from_folder: Settings, clock: FixedClock
) -> None:
    refresh(lake, from_folder, now=clock.now(), metrics=["zhvi"])
    before = lake.query(f"select * from {tables.ZHVI} order by zip, month")
    later = from_folder.model_copy(update={"zillow_folder": DATA / "later"})
    refresh_trend(lake)
    (release,) = refresh(lake, later, now=clock.now() + timedelta(days=1), metrics=["zhvi"])
    assert stale_metrics(lake) == ["zhvi"]
    trend = refresh_trend(lake)

    assert release.release == date(2025, 7, 31)
    old = lake.query(f"select * from {tables.ZHVI} where release = date '2023-01-31' order by zip, month")
    assert old.equals(before)
    restated = lake.query(
        f"select value_usd from {tables.ZHVI} where zip = '77449' and month = date '2023-01-31' order by release"
    )["value_usd"].to_pylist()
    assert [round(value) for value in restated] == [274672, 287255]
    assert trend.count_rows == 10
    assert trend.release_by_metric == {"zhvi": date(2025, 7, 31)}


def test_a_restated_file_of_one_release_replaces_only_that_release(
    lake: Lake, from_folder: Settings, clock: FixedClock, tmp_path: Path
) -> None:
    later = from_folder.model_copy(update={"zillow_folder": DATA / "later"})
    refresh(lake, later, now=clock.now(), metrics=["zhvi"])
    header, *rows = (DATA / ZHVI).read_text().splitlines()
    (tmp_path / ZHVI).write_text("\n".join([header, *rows[:3]]) + "\n")
    mine = from_folder.model_copy(update={"zillow_folder": tmp_path})
    refresh(lake, mine, now=clock.now(), metrics=["zhvi"])
    (tmp_path / ZHVI).write_text("\n".join([header, *rows[:2]]) + "\n")
    refresh(lake, mine, now=clock.now() + timedelta(hours=1), metrics=["zhvi"])

    zips = lake.query(f"select release, count(distinct zip) as n from {tables.ZHVI} group by 1 order by 1").to_pylist()
    assert [row["n"] for row in zips] == [2, 10]


def test_a_file_that_did_not_change_is_not_written_again(lake: Lake, from_folder: Settings, clock: FixedClock) -> None:
    refresh(lake, from_folder, now=clock.now())
    snapshot = lake.snapshot_id()
    again = refresh(lake, from_folder, now=clock.now() + timedelta(days=1))

    assert [release.is_changed for release in again] == [False, False]
    assert again[0].count_rows == 2120
    assert lake.snapshot_id() == snapshot


@pytest.mark.parametrize("missing", KEYS)
def test_a_missing_column_is_named(clock: FixedClock, tmp_path: Path, missing: str) -> None:
    header, *rows = (DATA / ZHVI).read_text().splitlines()
    renamed = ",".join(f"New{name}" if name == missing else name for name in header.split(","))
    path = tmp_path / ZHVI
    path.write_text("\n".join([renamed, *rows]) + "\n")

    with pytest.raises(BadRecord, match=rf"lacks the column {missing};"):
        read_file(path, metric="zhvi", source_url="", now=clock.now())


@pytest.mark.parametrize(
    "content",
    ["", "RegionID\n1\n", ",".join(KEYS) + "\n", ",".join([*KEYS, "2023-01-31"]) + "\n"],
)
def test_a_file_without_values_is_never_an_empty_release(clock: FixedClock, tmp_path: Path, content: str) -> None:
    path = tmp_path / ZHVI
    path.write_text(content)

    with pytest.raises(BadRecord):
        read_file(path, metric="zhvi", source_url="", now=clock.now())


def test_rows_and_cells_that_cannot_be_read_are_set_aside_with_a_reason(
    lake: Lake, from_folder: Settings, clock: FixedClock, tmp_path: Path
) -> None:
    header, first, second, *_ = (DATA / ZHVI).read_text().splitlines()
    no_zip = first.split(",", 3)
    no_zip[2] = "7744"
    broken = second.rsplit(",", 2)[0] + ",n/a,0"
    (tmp_path / ZHVI).write_text("\n".join([header, first, first, ",".join(no_zip), broken]) + "\n")

    (found,) = refresh(
        lake, from_folder.model_copy(update={"zillow_folder": tmp_path}), now=clock.now(), metrics=["zhvi"]
    )

    assert found.count_zips == 2
    assert sorted(record.reason for record in found.set_aside) == [
        "RegionName is no ZIP code", "the ZIP code comes twice", "the value is no positive number",
        "the value is no positive number",
    ]  # fmt: skip


def test_the_sandbox_serves_the_cut_and_an_unchanged_file_is_not_sent_twice(
    lake: Lake, settings: Settings, clock: FixedClock, sandbox: Any
) -> None:
    create_tables(lake)
    base = f"{sandbox.config.base_url}/zillow/research/public_csvs"
    by_http = settings.model_copy(update={"zillow_base_url": base})

    first = refresh(lake, by_http, now=clock.now())
    again = refresh(lake, by_http, now=clock.now() + timedelta(days=1))

    assert [release.count_zips for release in first] == [60, 60]
    assert [release.is_changed for release in first + again] == [True, True, False, False]
    assert first[0].source_url == f"{base}/{SOURCES['zhvi'].path}"


def test_a_path_that_moved_is_told_with_the_setting_to_change(
    lake: Lake, settings: Settings, clock: FixedClock, sandbox: Any
) -> None:
    create_tables(lake)
    moved = settings.model_copy(update={"zillow_base_url": f"{sandbox.config.base_url}/zillow/elsewhere"})
    with pytest.raises(ConfigurationError, match="LEADPIPE_ZILLOW_BASE_URL"):
        refresh(lake, moved, now=clock.now())
    gone = settings.model_copy(update={"zillow_base_url": "http://127.0.0.1:9"})
    with pytest.raises(TransientError):
        refresh(lake, gone, now=clock.now())


def test_market_facts_are_kept_for_ten_minutes(lake: Lake, from_folder: Settings, clock: FixedClock) -> None:
    refresh(lake, from_folder, now=clock.now())
    refresh_trend(lake)
    seconds = [0.0]
    facts = MarketFacts(lake, monotonic=lambda: seconds[0])

    found = facts.for_zips(["77084", "00000"])
    assert list(found) == ["77084"]
    assert found["77084"][1] == date(2023, 1, 31)
    lake.replace(tables.MARKET_TREND, tables.MARKET_TREND_SCHEMA.empty_table())
    seconds[0] = KEEP_SECONDS - 1
    assert facts.for_zips(["77084"]) == found
    seconds[0] = KEEP_SECONDS
    assert facts.for_zips(["77084"]) == {}


def test_when_enrichment_is_down_there_are_no_facts_and_no_error(lake: Lake) -> None:
    seconds = [0.0]
    facts = MarketFacts(lake, monotonic=lambda: seconds[0])
    assert facts.for_zips(["77084"]) == {}

    row = {"zip": "77084", "metric": "zhvi", "month": date(2026, 1, 31), "change_12m_pct": 3.1}
    lake.append(tables.MARKET_TREND, pa.Table.from_pylist([row], schema=tables.MARKET_TREND_SCHEMA))
    assert facts.for_zips(["77084"]) == {}
    seconds[0] = RETRY_SECONDS
    assert facts.for_zips(["77084"]) == {"77084": (3.1, date(2026, 1, 31))}


def test_no_column_of_the_market_tables_holds_an_estimate_of_a_single_home() -> None:
    for schema in tables.SCHEMAS.values():
        assert not [name for name in schema.names if "zestimate" in name.lower() or "percent" in name.lower()]
