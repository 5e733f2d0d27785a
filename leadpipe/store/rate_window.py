"""A provider's limit of calls as arithmetic: how many may leave in any window, and when the next one may.

What lives here: one context's window and its decisions, without a clock or a store of its own. What does not: where it
is kept (``rate_budget``, ``ledger_budget``), which call belongs to which context (each provider's client).

The window slides. It is counted in hundredths: a call leaves the count with its hundredth, some hundredths later than
the provider lets it go, because requests do not arrive as evenly as they were sent. So a limit is used to 95 % and not
broken.

Two kinds of callers share it. Whoever answers somebody takes what room there is. Whoever reads in bulk keeps an even
pace, so that room never comes back all at once, and steps aside while one of the others waits: their wait is one step
of that pace, not a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

SLOTS = 100
# Hundredths for which a call counts beyond its window: four for the unevenness of the network, one for its own slot.
KEPT_SLOTS = SLOTS + 5
# A bulk reader that was held up may make good so much of a window at once.
CATCH_UP_SHARE = 0.1
# How long a waiting caller keeps bulk readers aside after the moment it will ask again.
PATIENCE_SECONDS = 0.5
# Rounding must not make "not yet" look like "now".
SHORTEST_PAUSE_SECONDS = 0.001


@dataclass
class Window:
    """One context's calls. Times are seconds of one clock that only runs forward.

    Attributes:
        limit: calls allowed in a window; None for a context without one, which a block stops all the same.
        window_seconds: length of the window.
        counts: calls by slot, the oldest first; the last is ``newest_slot``.
        newest_slot: number of the newest slot, counted from the clock's zero.
        blocked_until: the provider said that nothing may leave before.
        bulk_from: when the pace of bulk readers allows their next call.
        yield_until: a caller of the other kind waits until then, so bulk readers do too.
    """

    limit: int | None
    window_seconds: float
    counts: list[int] = field(default_factory=lambda: [0] * KEPT_SLOTS)
    newest_slot: int = 0
    blocked_until: float = 0.0
    bulk_from: float = 0.0
    yield_until: float = 0.0

    @property
    def used(self) -> int:
        """Calls that count now."""
        return sum(self.counts)

    @property
    def left(self) -> int | None:
        """Calls that may still leave at once; None without a limit."""
        return None if self.limit is None else max(0, self.limit - self.used)

    def take(self, now: float, *, is_bulk: bool) -> float:
        """Count one call, if it may leave.

        Returns:
            0 when it may leave and is counted; else the seconds after which to ask again.
        """
        self._advance(now)
        if self.blocked_until > now:
            return self.blocked_until - now
        start = max(self.bulk_from, now - CATCH_UP_SHARE * self.window_seconds)
        if is_bulk and max(start, self.yield_until) > now:
            return max(start, self.yield_until) - now
        if self.limit is not None and self.used >= self.limit:
            pause = max(SHORTEST_PAUSE_SECONDS, self._room_at() - now)
            if not is_bulk:
                self.yield_until = now + pause + PATIENCE_SECONDS
            return pause
        self.counts[-1] += 1
        if is_bulk:
            self.bulk_from = start + self._pace()
        else:
            self.yield_until = 0.0
        return 0.0

    def learn(self, now: float, *, limit: int, window_seconds: float, remaining: int | None) -> None:
        """Take over what an answer said.

        Calls that the provider counted and we did not are others' (another system of the account, a budget that was
        lost); they count as made now.
        """
        self._advance(now)
        if window_seconds != self.window_seconds:
            used = self.used
            self.window_seconds = window_seconds
            self.counts, self.newest_slot = [0] * KEPT_SLOTS, self._slot(now)
            self.counts[-1] = used
        self.limit = max(1, limit)
        if remaining is not None:
            self.counts[-1] += max(0, limit - remaining - self.used)

    def block(self, now: float, seconds: float) -> None:
        """Let nothing leave for so long."""
        self.blocked_until = max(self.blocked_until, now + seconds)

    def _slot(self, now: float) -> int:
        return int(now * SLOTS / self.window_seconds)

    def _pace(self) -> float:
        """Seconds from one bulk call to the next."""
        return 0.0 if self.limit is None else self.window_seconds * KEPT_SLOTS / SLOTS / max(1, self.limit)

    def _advance(self, now: float) -> None:
        """Drop the slots that no longer count."""
        steps = self._slot(now) - self.newest_slot
        if steps > 0:
            self.counts = [*self.counts[steps:], *[0] * min(steps, KEPT_SLOTS)][-KEPT_SLOTS:]
            self.newest_slot += steps

    def _room_at(self) -> float:
        """When enough of the oldest calls have left for one more."""
        surplus = self.used - (self.limit or 0)
        oldest = self.newest_slot - KEPT_SLOTS + 1
        slot = next((n for n, gone in enumerate(accumulate(self.counts), oldest) if gone > surplus), self.newest_slot)
        return (slot + KEPT_SLOTS) * self.window_seconds / SLOTS


def window_of(counts: Sequence[int]) -> list[int]:
    """Counts as they were kept, whatever their number."""
    return [*[0] * KEPT_SLOTS, *counts][-KEPT_SLOTS:]
