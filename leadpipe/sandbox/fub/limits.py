"""Rate limits: a true sliding window of ten seconds for each context.

What lives here: counting, the headers, and who came back before they were told to. What does not: which answer is given
instead. Facts: FUB sheet section 2.
The contexts are written down here a second time on purpose: a fake that asked the client where a request counts would
agree with its mistakes.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable
from time import monotonic

# Requests that were under way when their sender was told to wait are no disobedience.
UNDER_WAY_SECONDS = 0.3
LIMITS = {"global": 250, "events": 20, "PUT.people": 25, "notes": 10}
WITHOUT_SYSTEM = {"global": 125, "events": 10, "PUT.people": 25, "notes": 10}


def context_of(method: str, collection: str) -> str:
    """The bucket an endpoint belongs to."""
    if collection == "notes":
        return "notes"
    if collection == "events":
        return "POST.events" if method == "POST" else "events"
    return "PUT.people" if collection == "people" and method == "PUT" else "global"


class Windows:
    """The account's windows; every key and system of it shares them. ``seconds`` is asked for each request."""

    def __init__(self, seconds: Callable[[], float] = lambda: 10) -> None:
        self._seconds = seconds
        self.limits = dict(LIMITS)
        self.without_system = dict(WITHOUT_SYSTEM)
        self._sent: dict[str, deque[float]] = defaultdict(deque)
        self.count_refused = 0
        self.count_all = 0
        self.count_early = 0
        self._quiet_from = self._quiet_until = 0.0

    def told_to_wait(self, seconds: float) -> None:
        """A 429 leaves: no request of any context should come for so long."""
        now = monotonic()
        if now >= self._quiet_until:
            self._quiet_from = now + UNDER_WAY_SECONDS
        self._quiet_until = max(self._quiet_until, now + seconds)

    def take(self, context: str, *, has_system: bool) -> tuple[bool, dict[str, str]]:
        """Count one request: whether there is room, and the headers of the answer."""
        self.count_all += 1
        self.count_early += self._quiet_from < monotonic() < self._quiet_until
        limit = (self.limits if has_system else self.without_system).get(context)
        if limit is None:
            return True, {"X-RateLimit-Context": context}
        now, window = monotonic(), self._seconds()
        sent = self._sent[context]
        while sent and sent[0] <= now - window:
            sent.popleft()
        has_room = len(sent) < limit
        if has_room:
            sent.append(now)
        else:
            self.count_refused += 1
        headers = {
            "X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(max(0, limit - len(sent))),
            "X-RateLimit-Window": f"{window:g}", "X-RateLimit-Context": context,
        }  # fmt: skip
        if not has_room:
            # Room comes when the oldest of the last `limit` requests leaves the window.
            free_at = sent[len(sent) - limit] + window
            headers["Retry-After"] = str(max(1, math.ceil(free_at - now)))
        return has_room, headers
