"""The newest look at each listing, kept in the ledger: a message is judged where no lake can be read (C41).

What lives here: writing and forgetting ``ledger.listing_statuses``. What does not: looking (``listings``), judging
(``messaging.homes``, ``policy.content``).

Grain: one row a listing. It says of whom, when and whether it was for sale, and holds nothing of its words or price.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.market.listing import Listing

# Only active homes are asked for: what became of one that no longer comes, nobody said.
GONE = "Not active"

_KEEP = text(
    """
    insert into ledger.listing_statuses (listing_key, listing_id, dataset, status, state, checked_at)
    select key, number, :dataset, status, state, :now
    from unnest(cast(:keys as text[]), cast(:numbers as text[]), cast(:statuses as text[]), cast(:states as text[]))
      as looked (key, number, status, state)
    order by key
    on conflict (listing_key) do update set listing_id = excluded.listing_id, dataset = excluded.dataset,
      status = excluded.status, state = excluded.state, checked_at = excluded.checked_at
    where ledger.listing_statuses.checked_at <= excluded.checked_at
    """
)
_GONE = text(
    "update ledger.listing_statuses set status = :gone, checked_at = :now "
    "where listing_key = any(cast(:keys as text[])) and checked_at <= :now"
)
_PURGE = text("delete from ledger.listing_statuses where dataset = :dataset")
_FORGET = text("delete from ledger.listing_statuses where checked_at < :before")


def keep(connection: Connection, found: Sequence[Listing], gone: Iterable[str], *, dataset: str, now: datetime) -> None:
    """Note what a reading saw for sale, and which listings it no longer saw; an older reading changes nothing."""
    values = {
        "keys": [home.listing_key for home in found],
        "numbers": [home.listing_id for home in found],
        "statuses": [home.status for home in found],
        "states": [home.state for home in found],
    }
    if found:
        connection.execute(_KEEP, values | {"dataset": dataset, "now": now})
    connection.execute(_GONE, {"gone": GONE, "keys": sorted(gone), "now": now})


def purge(connection: Connection, dataset: str) -> None:
    """Delete everything of a dataset: its licence has ended."""
    connection.execute(_PURGE, {"dataset": dataset})


def forget(connection: Connection, *, before: datetime) -> None:
    """Delete what was last looked at before this moment."""
    connection.execute(_FORGET, {"before": before})
