"""Market facts of some ZIP codes, at once and without a way to fail.

What lives here: the small trend table kept in memory. What does not: words and freshness (``outreach.variables``).
A lead is never held up because enrichment is down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date
from threading import Lock
from typing import TYPE_CHECKING

from leadpipe.market import tables

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

KEEP_SECONDS = 600.0
# After a failure the lake is left alone for so long; a first touch must not wait for it again and again.
RETRY_SECONDS = 30.0

Fact = tuple[float, date]


class MarketFacts:
    """The 12-month ZHVI change by ZIP, read whole and kept for ten minutes."""

    def __init__(self, lake: Lake, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._monotonic = monotonic
        self._facts: dict[str, Fact] = {}
        self._ask_again_at = float("-inf")
        self._lock = Lock()

    def for_zips(self, zips: Iterable[str]) -> dict[str, Fact]:
        """Change in percent and its month for those of the ZIPs that have one; never raises.

        When the lake cannot be read, what was read last stays in use (its month says how old it is), else nothing.
        """
        with self._lock:
            if self._monotonic() >= self._ask_again_at:
                self._read()
            facts = self._facts
        return {code: facts[code] for code in zips if code in facts}

    def _read(self) -> None:
        try:
            rows = self._lake.query(
                f"select zip, change_12m_pct, month from {tables.MARKET_TREND} "  # noqa: S608 - our own names
                "where metric = 'zhvi' and change_12m_pct is not null"
            )
        except Exception as error:  # noqa: BLE001 - whatever is wrong with enrichment, the lead goes on without it
            import structlog

            structlog.get_logger().warning("market facts not read", error=type(error).__name__)
            self._ask_again_at = self._monotonic() + RETRY_SECONDS
            return
        columns = (rows[name].to_pylist() for name in ("zip", "change_12m_pct", "month"))
        self._facts = {code: (change, month) for code, change, month in zip(*columns, strict=True)}
        self._ask_again_at = self._monotonic() + KEEP_SECONDS
