"""Up to three homes for a lead, when a first message is about to leave.

What lives here: asking Bridge in little time and remembering the answers. What does not: the criteria (``criteria``),
the words (``outreach``), alerts about new homes (``matches``). A lead is never held up: no answer means no homes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from leadpipe.market.criteria import Criteria, stated

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.market.bridge import BridgeClient
    from leadpipe.market.listing import Listing

COUNT = 3
# All searches of one call together; a batch of leads waits no longer than this.
PATIENCE_SECONDS = 2.0
KEEP_SECONDS = 600.0
# After a failure Bridge is left alone for so long, so that the next leads do not wait for it either.
RETRY_SECONDS = 30.0
REMEMBERED = 5_000
_CANDIDATES = 50
_WORKERS = 8

Row = dict[str, Any]


class _Kept(NamedTuple):
    """One answer of Bridge: by which clocks it was had, and the homes chosen of it."""

    at_seconds: float
    asked_at: datetime
    homes: list[Row]


class Recommender:
    """Recommendations by stated place and budget, the same for equal criteria (C37).

    Args:
        bridge: the client, or None while no MLS is connected; then there are no recommendations.
        monotonic: seconds that only grow.
    """

    def __init__(self, bridge: BridgeClient | None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._bridge = bridge
        self._monotonic = monotonic
        self._known: dict[Criteria, _Kept] = {}
        self._closed_until = float("-inf")
        self._lock = Lock()

    def for_people(self, engine: Engine, person_ids: Iterable[int], *, now: datetime) -> dict[int, list[Row]]:
        """Homes by person, best known first; whoever has no criteria, or no answer in time, is left out.

        Never raises for what Bridge does. Keys of a home: address, price_usd, beds, baths, url, attribution,
        listing_key, state, status, and checked_at: the ``now`` of the call that asked Bridge.
        """
        if self._bridge is None:
            return {}
        with engine.connect() as connection:
            criteria = stated(connection, now=now, person_ids=person_ids)
        self._learn(self._bridge, sorted(set(criteria.values()) - self._fresh(now), key=repr), now)
        return {
            person_id: homes
            for person_id, wish in criteria.items()
            if (kept := self._known.get(wish)) and (homes := kept.homes)
        }  # fmt: skip

    def _fresh(self, now: datetime) -> set[Criteria]:
        with self._lock:
            oldest = self._monotonic() - KEEP_SECONDS
            # A listing goes stale: what is older than ten minutes is forgotten, not only asked for again. By our own
            # calendar too, which may be a simulated one that jumps.
            self._known = {
                wish: kept
                for wish, kept in self._known.items()
                if kept.at_seconds > oldest and now - kept.asked_at < timedelta(seconds=KEEP_SECONDS)
            }
            if len(self._known) > REMEMBERED:
                self._known = {}
            return set(self._known)

    def _learn(self, bridge: BridgeClient, wishes: list[Criteria], now: datetime) -> None:
        if not wishes or self._monotonic() < self._closed_until:
            return
        pool = ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="bridge")
        asked: dict[Future[list[Listing]], Criteria] = {
            pool.submit(
                bridge.first, wish.as_search(), count=_CANDIDATES, timeout_seconds=PATIENCE_SECONDS
            ): wish
            for wish in wishes
        }  # fmt: skip
        done, late = wait(asked, timeout=PATIENCE_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)
        failures = ["late"] * len(late)
        for future in done:
            error = future.exception()
            if error is None:
                homes = chosen(future.result(), asked[future], checked_at=now)
                self._known[asked[future]] = _Kept(self._monotonic(), now, homes)
            else:
                failures.append(type(error).__name__)
        if failures:
            import structlog

            structlog.get_logger().warning(
                "recommendations not read", count_failed=len(failures), count_asked=len(wishes), error=failures[0]
            )
            self._closed_until = self._monotonic() + RETRY_SECONDS


def chosen(listings: Iterable[Listing], wish: Criteria, *, checked_at: datetime) -> list[Row]:
    """The newest of the homes that fit and may be shown; a function of the criteria and the market alone."""
    fitting = [
        home
        for home in listings
        if home.is_active and home.is_displayable and wish.fits(price_usd=home.price_usd, beds=home.beds)
    ]
    fitting.sort(key=lambda home: home.listing_key)
    fitting.sort(key=lambda home: home.listed_on.isoformat() if home.listed_on else "", reverse=True)
    return [home.as_recommendation(checked_at) for home in fitting[:COUNT]]
