"""The market assets run on the real cut, twice, and their checks can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from assets import market
from leadpipe.clock import FixedClock
from leadpipe.market import tables
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.store.bootstrap import create_tables
from leadpipe.store.lake import Lake
from resources.runtime import LeadpipeResource

DATA = Path(__file__).parents[1] / "data" / "zillow"
EVERYTHING = [
    market.zhvi, market.zori, market.market_trend, market.no_absurd_change, market.trend_is_of_the_newest_release,
]  # fmt: skip


def resource(settings: Settings) -> tuple[LeadpipeResource, Runtime]:
    runtime = Runtime(settings.model_copy(update={"zillow_folder": DATA}))
    return LeadpipeResource.of(runtime), runtime


def test_the_assets_run_twice_with_the_same_rows_and_their_checks_pass(settings: Settings, lake: Lake) -> None:
    create_tables(lake)
    leadpipe, runtime = resource(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            result = dg.materialize(EVERYTHING, resources={"leadpipe": leadpipe}, instance=instance)
            assert result.success
            assert all(check.passed for check in result.get_asset_check_evaluations())
            assert len(result.get_asset_check_evaluations()) == 2
    runtime.close()
    assert lake.query(f"select count(*) as n from {tables.ZHVI}")["n"].to_pylist() == [2120]
    # One of the 60 ZIP codes has no home value in any month, so the trend has 59 of home values and 60 of rents.
    assert lake.query(f"select count(*) as n from {tables.MARKET_TREND}")["n"].to_pylist() == [119]


def test_an_absurd_change_and_a_trend_left_behind_fail_their_checks(settings: Settings, lake: Lake) -> None:
    create_tables(lake)
    leadpipe, runtime = resource(settings)
    row: dict[str, Any] = {"zip": "77084", "metric": "zhvi", "change_12m_pct": 300.0}
    lake.replace(tables.MARKET_TREND, pa.Table.from_pylist([row], schema=tables.MARKET_TREND_SCHEMA))
    assert not market.no_absurd_change(leadpipe).passed

    zhvi = {"zip": "77084", "release": FixedClock.now, "value_usd": 1.0}
    zhvi["release"] = __import__("datetime").date(2026, 1, 31)
    lake.append(tables.ZHVI, pa.Table.from_pylist([zhvi], schema=tables.INDEX_SCHEMA))
    assert not market.trend_is_of_the_newest_release(leadpipe).passed
    runtime.close()


def test_without_an_mls_the_listings_asset_says_that_it_skipped(settings: Settings, lake: Lake) -> None:
    create_tables(lake)
    leadpipe, runtime = resource(settings)
    assert "no Bridge token" in str(market.listings(leadpipe).metadata)
    runtime.close()


def test_a_permanent_failure_is_not_tried_again(settings: Settings, lake: Lake, tmp_path: Path) -> None:
    create_tables(lake)
    runtime = Runtime(settings.model_copy(update={"zillow_folder": tmp_path}))
    result = dg.materialize(
        [market.zhvi], resources={"leadpipe": LeadpipeResource.of(runtime)}, raise_on_error=False
    )  # fmt: skip
    runtime.close()
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
