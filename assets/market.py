"""Market data as assets: Zillow Research releases, the trend of every ZIP code, active listings.

What lives here: four tables and their checks. What does not: any rule (``leadpipe.market``).
"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from leadpipe.errors import PermanentError
from resources.runtime import LeadpipeResource

if TYPE_CHECKING:
    from leadpipe.market.research import Release

# The publisher's hiccups last minutes; a permanent error is not tried again.
NETWORK_RETRY = dg.RetryPolicy(max_retries=3, delay=60, backoff=dg.Backoff.EXPONENTIAL)
COMMON = {"group_name": "enrichment", "owners": ["team:operations"]}
# Looked at every day; the publisher's hiccups may take one.
LOOKED_DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=3), warn_window=timedelta(hours=30))


@contextmanager
def _without_useless_retries() -> Generator[None]:
    try:
        yield
    except PermanentError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _land(leadpipe: LeadpipeResource, metric: str) -> dg.MaterializeResult:
    from leadpipe.market.research import refresh
    from leadpipe.store import quarantine

    runtime = leadpipe.runtime
    now = runtime.clock.now()
    with _without_useless_retries():
        (release,) = refresh(runtime.lake, runtime.settings, now=now, metrics=[metric])
    with runtime.engine.begin() as connection:
        quarantine.store(connection, release.set_aside, now=now)
    return dg.MaterializeResult(metadata=_as_metadata(release))


def _as_metadata(release: "Release") -> dict[str, dg.MetadataValue]:
    return {
        "dagster/row_count": dg.MetadataValue.int(release.count_rows),
        "release": dg.MetadataValue.text(release.release.isoformat()),
        "is_changed": dg.MetadataValue.bool(release.is_changed),
        "count_zips": dg.MetadataValue.int(release.count_zips),
        "count_blank": dg.MetadataValue.int(release.count_blank),
        "count_set_aside": dg.MetadataValue.int(len(release.set_aside)),
        "retrieved_at": dg.MetadataValue.timestamp(release.retrieved_at),
        "source_url": dg.MetadataValue.text(release.source_url),
    }


@dg.asset(
    key=["enrichment", "zhvi"],
    kinds={"python", "duckdb"},
    retry_policy=NETWORK_RETRY,
    freshness_policy=LOOKED_DAILY,
    **COMMON,
)
def zhvi(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """Zillow Home Value Index. One row per ZIP code, month and release; releases are never mixed."""
    return _land(leadpipe, "zhvi")


@dg.asset(
    key=["enrichment", "zori"],
    kinds={"python", "duckdb"},
    retry_policy=NETWORK_RETRY,
    freshness_policy=LOOKED_DAILY,
    **COMMON,
)
def zori(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """Zillow Observed Rent Index. One row per ZIP code, month and release; releases are never mixed."""
    return _land(leadpipe, "zori")


@dg.asset(key=["enrichment", "market_trend"], deps=[zhvi, zori], kinds={"duckdb"}, **COMMON)
def market_trend(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """Level and twelve-month change of the newest release. One row per ZIP code and metric."""
    from leadpipe.market.trend import refresh_trend

    found = refresh_trend(leadpipe.runtime.lake)
    releases = {f"release_{metric}": day.isoformat() for metric, day in found.release_by_metric.items()}
    return dg.MaterializeResult(metadata={"dagster/row_count": found.count_rows, **releases})


releases = dg.AssetSpec(
    ["enrichment", "releases"],
    deps=[zhvi, zori],
    description="Zillow Research files that were read, written by the steps that read them. One row per reading.",
    kinds={"duckdb"},
    **COMMON,
)


@dg.asset_check(asset=market_trend, blocking=True)
def no_absurd_change(leadpipe: LeadpipeResource) -> dg.AssetCheckResult:
    """No ZIP code's home values moved further in a year than any market does."""
    from leadpipe.market.trend import absurd_changes

    zips = absurd_changes(leadpipe.runtime.lake)
    return dg.AssetCheckResult(passed=not zips, metadata={"count": len(zips), "zips": zips[:20]})


@dg.asset_check(asset=market_trend, blocking=True)
def trend_is_of_the_newest_release(leadpipe: LeadpipeResource) -> dg.AssetCheckResult:
    """Each metric's trend is of the newest release that has landed."""
    from leadpipe.market.trend import stale_metrics

    stale = stale_metrics(leadpipe.runtime.lake)
    return dg.AssetCheckResult(passed=not stale, metadata={"stale_metrics": stale})


@dg.asset(
    key=["enrichment", "listings"],
    deps=[dg.AssetKey(["raw", "ledger__people"])],
    kinds={"python", "duckdb"},
    retry_policy=NETWORK_RETRY,
    freshness_policy=LOOKED_DAILY,
    **COMMON,
)
def listings(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """Active MLS listings of the places that leads named. One row per listing and version seen."""
    from leadpipe.market.bridge import BridgeClient
    from leadpipe.market.listings import forget_old, refresh_listings
    from leadpipe.store import quarantine

    runtime = leadpipe.runtime
    bridge = BridgeClient.from_settings(runtime.settings)
    if bridge is None:
        return dg.MaterializeResult(metadata={"skipped": "no Bridge token or dataset is set"})
    now = runtime.clock.now()
    try:
        with _without_useless_retries():
            done = refresh_listings(runtime.engine, runtime.lake, bridge, now=now)
    finally:
        bridge.close()
    forget_old(runtime.engine, runtime.lake, now=now)
    with runtime.engine.begin() as connection:
        quarantine.store(connection, done.set_aside, now=now)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.count_versions,
            "is_allowed": done.is_allowed,
            "count_places": done.count_places,
            "count_places_left_out": done.count_left_out,
            "count_active": done.count_active,
            "count_gone": done.count_gone,
            "count_set_aside": len(done.set_aside),
            "checked_at": dg.MetadataValue.timestamp(now),
        }
    )


listing_checks = dg.AssetSpec(
    ["enrichment", "listing_checks"],
    deps=[listings],
    description="When a listing was seen active or gone, written beside the listings. One row per listing and look.",
    kinds={"duckdb"},
    **COMMON,
)
