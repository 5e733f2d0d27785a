"""How often something may happen within a span of time, counted in this process.

What lives here: one counter of fixed windows. What does not: what is counted and what follows (``limits``).

A window that has ended is dropped whole, so nothing is walked through and memory stays bounded whoever calls
(``docs/decisions/0032``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

MAX_KEYS = 50_000


class Window:
    """Counts by key, begun anew every ``seconds``.

    Args:
        limit: how often within one window; 0 is no limit.
        seconds: length of a window.
        monotonic: seconds that only grow.
    """

    def __init__(self, limit: int, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._seconds, self._monotonic = limit, seconds, monotonic
        self._ends_at = float("-inf")
        self._counts: dict[str, int] = {}

    def is_full(self, key: str) -> bool:
        """Whether this key has had its share of the running window."""
        self._turn()
        return self._limit > 0 and self._counts.get(key, 0) >= self._limit

    def add(self, key: str) -> None:
        """Count one; of more keys than can be told apart the late ones count as unknown (empty)."""
        self._turn()
        if key not in self._counts and len(self._counts) >= MAX_KEYS:
            key = ""
        self._counts[key] = self._counts.get(key, 0) + 1

    def seconds_left(self) -> int:
        """Whole seconds until the next window, at least one."""
        return max(1, math.ceil(self._ends_at - self._monotonic()))

    def _turn(self) -> None:
        now = self._monotonic()
        if now >= self._ends_at:
            self._counts, self._ends_at = {}, now + self._seconds
