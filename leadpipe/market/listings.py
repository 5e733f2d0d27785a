"""Active listings of the places that leads named, landed in the lake.

What lives here: which places to read, versions, checks, and the end of a licence. What does not: the wire
(``bridge``), whom to tell (``matches``), what the ledger keeps of a look (``statuses``).

Grain of ``enrichment.listings``: listing x version seen, append-only. ``enrichment.listing_checks`` says when each was
last looked up and whether it was active, so that nobody writes about a home that is gone (compliance C41).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.errors import Rejected
from leadpipe.market import statuses, tables
from leadpipe.market.bridge import Search
from leadpipe.market.criteria import stated
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.market.bridge import BridgeClient
    from leadpipe.market.listing import Listing
    from leadpipe.store.lake import Lake

# 20 ZIPs in one filter stay well below the length a URL may have; 600 ZIPs are 30 searches.
ZIPS_A_SEARCH = 20
MAX_ZIPS = 600
MAX_CITIES = 60
# MLS data is kept while it is of use and no longer; versions not seen active for so long are deleted.
KEEP_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class Landing:
    """What one landing did.

    Attributes:
        is_allowed: False when the MLS has not approved the dataset, or has withdrawn it; what was stored is then gone.
        count_active: active listings seen now, which may be shown or not.
        count_versions: versions not stored before.
        count_gone: listings that were active at the last check of their place and are not any more.
    """

    is_allowed: bool
    count_places: int = 0
    count_left_out: int = 0
    count_active: int = 0
    count_versions: int = 0
    count_gone: int = 0
    set_aside: tuple[SetAside, ...] = ()


def refresh_listings(engine: Engine, lake: Lake, bridge: BridgeClient, *, now: datetime) -> Landing:
    """Land the active listings of every place that a lead named, most wanted first.

    No lock and no connection is held while Bridge answers. A place whose search fails ends the run with what was read
    before it left unwritten, so a failed read never passes for a place without homes.

    Raises:
        TransientError: Bridge does not answer now; nothing was written.
    """
    searches, count_left_out = _searches(engine, now)
    found: dict[str, Listing] = {}
    unread: list[tuple[str, str]] = []
    try:
        for search in searches:
            listings, bad = bridge.listings(search)
            # A home that may not be shown to consumers is not kept either.
            found |= {listing.listing_key: listing for listing in listings if listing.is_displayable}
            unread += bad
    except Rejected as error:
        if error.code != "403":
            raise
        purge(engine, lake, bridge.dataset)
        return Landing(is_allowed=False)
    count_versions, count_gone = _store(engine, lake, bridge.dataset, list(found.values()), now)
    return Landing(
        is_allowed=True,
        count_places=sum(len(search.zips) or 1 for search in searches),
        count_left_out=count_left_out,
        count_active=len(found),
        count_versions=count_versions,
        count_gone=count_gone,
        set_aside=tuple(
            SetAside(source="bridge_listings", record_key=key, reason=reason, raw=b"") for key, reason in unread
        ),
    )


def purge(engine: Engine, lake: Lake, dataset: str) -> None:
    """Delete everything stored of a dataset: its licence has ended (zillow sheet section 3)."""
    with engine.begin() as ledger:
        statuses.purge(ledger, dataset)
    for table in (tables.LISTINGS, tables.LISTING_CHECKS):
        with lake.write(table) as connection:
            connection.execute(f"delete from {table} where dataset = ?", [dataset])  # noqa: S608 - our own names


def forget_old(engine: Engine, lake: Lake, *, now: datetime) -> None:
    """Delete listings that no check has seen active for ``KEEP_DAYS``, and their checks."""
    before = now - timedelta(days=KEEP_DAYS)
    with engine.begin() as ledger:
        statuses.forget(ledger, before=before)
    fresh = f"select listing_key from {tables.LISTING_CHECKS} where is_active and checked_at >= ?"  # noqa: S608
    for table in (tables.LISTINGS, tables.LISTING_CHECKS):
        with lake.write(table) as connection:
            connection.execute(f"delete from {table} where listing_key not in ({fresh})", [before])  # noqa: S608
    with lake.write(tables.LISTING_CHECKS) as connection:
        connection.execute(f"delete from {tables.LISTING_CHECKS} where checked_at < ?", [before])  # noqa: S608


def _searches(engine: Engine, now: datetime) -> tuple[list[Search], int]:
    """Searches for the places of all leads, and how many places are beyond the limits."""
    with engine.connect() as connection:
        wishes = stated(connection, now=now).values()
    zips = Counter(wish.zip for wish in wishes if wish.zip)
    cities = Counter((wish.city, wish.state) for wish in wishes if not wish.zip)
    wanted = _most_wanted(zips, MAX_ZIPS)
    searches = [Search(zips=tuple(wanted[n : n + ZIPS_A_SEARCH])) for n in range(0, len(wanted), ZIPS_A_SEARCH)]
    searches += [Search(city=city, state=state) for city, state in _most_wanted(cities, MAX_CITIES)]
    return searches, max(0, len(zips) - MAX_ZIPS) + max(0, len(cities) - MAX_CITIES)


def _most_wanted(counts: Counter[Any], limit: int) -> list[Any]:
    return [place for place, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]]


def _store(engine: Engine, lake: Lake, dataset: str, found: Sequence[Listing], now: datetime) -> tuple[int, int]:
    known = {row["listing_key"]: row for row in current_listings(lake, dataset=dataset)}
    new = [home for home in found if (row := known.get(home.listing_key)) is None or _differs(row, home)]
    seen = {home.listing_key for home in found}
    gone = sorted(key for key, row in known.items() if row["is_active"] and key not in seen)
    # First, since messages are judged by it; a landing that fails after it is made again whole.
    with engine.begin() as ledger:
        statuses.keep(ledger, found, gone, dataset=dataset, now=now)
    lake.append(tables.LISTINGS, _rows(new, now))
    checks = [{"listing_key": key, "is_active": True} for key in sorted(seen)]
    checks += [{"listing_key": key, "is_active": False} for key in gone]
    stamped = [{**check, "dataset": dataset, "checked_at": now} for check in checks]
    lake.append(tables.LISTING_CHECKS, pa.Table.from_pylist(stamped, schema=tables.LISTING_CHECKS_SCHEMA))
    return len(new), len(gone)


def _differs(row: dict[str, Any], home: Listing) -> bool:
    return row["content_hash"] != home.content_hash


def _rows(listings: Iterable[Listing], now: datetime) -> pa.Table:
    rows = [
        {**asdict(home), "feed_types": list(home.feed_types), "address": home.address or None}
        | {"content_hash": home.content_hash, "landed_at": now}
        for home in listings
    ]
    return pa.Table.from_pylist(rows, schema=tables.LISTINGS_SCHEMA)


def current_listings(lake: Lake, *, dataset: str | None = None) -> list[dict[str, Any]]:
    """The newest version of every listing with when it first landed, and its last check.

    Args:
        lake: where they are.
        dataset: of one MLS; None means all.
    """
    return lake.query(
        f"""
        with newest as (
            select *, min(landed_at) over (partition by listing_key) as first_landed_at
            from {tables.LISTINGS}
            where dataset = coalesce(?, dataset)
            qualify row_number() over (partition by listing_key order by landed_at desc) = 1
        ), checked as (
            select listing_key, arg_max(is_active, checked_at) as is_active, max(checked_at) as checked_at
            from {tables.LISTING_CHECKS} group by listing_key
        )
        select newest.* exclude (payload), coalesce(checked.is_active, false) as is_active, checked.checked_at
        from newest left join checked using (listing_key)
        order by listing_key
        """,  # noqa: S608 - our own names
        [dataset],
    ).to_pylist()
