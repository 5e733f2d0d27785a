"""Columns of the market tables in the lake.

What lives here: one Arrow schema per ``enrichment.*`` table, with its grain. What does not: filling them
(``research``, ``trend``, ``listings``).

No column may hold an estimate of a single home: those are never stored (zillow sheet section 3).
"""

from __future__ import annotations

import pyarrow as pa

ZHVI = "enrichment.zhvi"
ZORI = "enrichment.zori"
RELEASES = "enrichment.releases"
MARKET_TREND = "enrichment.market_trend"
LISTINGS = "enrichment.listings"
LISTING_CHECKS = "enrichment.listing_checks"

_AT = pa.timestamp("us", tz="UTC")

# Grain: ZIP x month x release. ZHVI in US dollars, ZORI in US dollars a month; blank cells are not rows.
INDEX_SCHEMA = pa.schema(
    [
        ("zip", pa.string()),
        ("month", pa.date32()),
        ("value_usd", pa.float64()),
        ("release", pa.date32()),
        ("city", pa.string()),
        ("state", pa.string()),
        ("metro", pa.string()),
        ("county", pa.string()),
        ("retrieved_at", _AT),
        ("source_url", pa.string()),
        ("attribution", pa.string()),
    ]
)

# Grain: metric x release x content; a file read again with other bytes is another row.
RELEASES_SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("release", pa.date32()),
        ("source_url", pa.string()),
        ("etag", pa.string()),
        ("content_hash", pa.string()),
        ("bytes", pa.int64()),
        ("count_zips", pa.int64()),
        ("count_rows", pa.int64()),
        ("count_blank", pa.int64()),
        ("count_set_aside", pa.int64()),
        ("retrieved_at", _AT),
    ]
)

# Grain: ZIP x metric, of the newest release alone.
MARKET_TREND_SCHEMA = pa.schema(
    [
        ("zip", pa.string()),
        ("metric", pa.string()),
        ("month", pa.date32()),
        ("value_usd", pa.float64()),
        ("change_12m_pct", pa.float64()),
        ("release", pa.date32()),
        ("attribution", pa.string()),
    ]
)

# Grain: listing x version seen. `address` is null where its owner hides it, and so is every other trace of it.
LISTINGS_SCHEMA = pa.schema(
    [
        ("listing_key", pa.string()),
        ("listing_id", pa.string()),
        ("dataset", pa.string()),
        ("status", pa.string()),
        ("property_type", pa.string()),
        ("property_sub_type", pa.string()),
        ("price_usd", pa.float64()),
        ("beds", pa.int64()),
        ("baths", pa.int64()),
        ("living_area_sqft", pa.float64()),
        ("address", pa.string()),
        ("city", pa.string()),
        ("state", pa.string()),
        ("zip", pa.string()),
        ("url", pa.string()),
        ("attribution", pa.string()),
        ("disclaimer", pa.string()),
        ("feed_types", pa.list_(pa.string())),
        ("is_displayable", pa.bool_()),
        ("is_address_shown", pa.bool_()),
        ("listed_on", pa.date32()),
        ("source_modified_at", _AT),
        ("payload", pa.string()),
        ("content_hash", pa.string()),
        ("landed_at", _AT),
    ]
)

# Grain: listing x check. The newest row says when its status was last looked up (compliance C41: within 24 h).
LISTING_CHECKS_SCHEMA = pa.schema(
    [
        ("listing_key", pa.string()),
        ("dataset", pa.string()),
        ("is_active", pa.bool_()),
        ("checked_at", _AT),
    ]
)

SCHEMAS: dict[str, pa.Schema] = {
    ZHVI: INDEX_SCHEMA,
    ZORI: INDEX_SCHEMA,
    RELEASES: RELEASES_SCHEMA,
    MARKET_TREND: MARKET_TREND_SCHEMA,
    LISTINGS: LISTINGS_SCHEMA,
    LISTING_CHECKS: LISTING_CHECKS_SCHEMA,
}
