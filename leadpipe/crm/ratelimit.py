"""Pacing of calls to Follow Up Boss: one sliding window per context, corrected by the response headers.

What lives here: when the next request may leave. What does not: sending it. Facts: FUB sheet section 2; the headers
decide, the seeds below are today's defaults.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

# Context -> (requests, window in seconds). Seeds of the sheet's table; every answer corrects them.
SEEDS = {"global": 250, "events": 20, "PUT.people": 25, "notes": 10}
WINDOW_SECONDS = 10.0
# One request of each window stays unused: the vendor's clock and ours do not tick together.
SPARE = 1


@dataclass
class _Context:
    limit: int
    window_seconds: float = WINDOW_SECONDS
    sent: deque[float] = field(default_factory=deque[float])


def context_of(method: str, path: str) -> str:
    """The context an endpoint belongs to (sheet section 2)."""
    collection = path.lstrip("/").split("/")[0].split("?")[0]
    if collection == "notes":
        return "notes"
    if collection == "events" and method == "GET":
        return "events"
    if collection == "people" and method == "PUT":
        return "PUT.people"
    return "POST.events" if collection == "events" else "global"


class RateLimiter:
    """Makes callers wait so that no context is exceeded; shared by the threads of one process."""

    def __init__(
        self, *, sleep: Callable[[float], None] = time.sleep, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep = sleep
        self._now = monotonic
        self._lock = threading.Lock()
        self._contexts = {name: _Context(limit) for name, limit in SEEDS.items()}
        self._blocked_until = 0.0

    def wait(self, method: str, path: str) -> None:
        """Return when the request may leave; it is then counted."""
        while True:
            with self._lock:
                pause = self._pause(context_of(method, path))
                if pause <= 0:
                    context = self._contexts.get(context_of(method, path))
                    if context is not None:
                        context.sent.append(self._now())
                    return
            self._sleep(pause)

    def _pause(self, name: str) -> float:
        now = self._now()
        if self._blocked_until > now:
            return self._blocked_until - now
        context = self._contexts.get(name)
        if context is None:
            return 0.0
        while context.sent and context.sent[0] <= now - context.window_seconds:
            context.sent.popleft()
        if len(context.sent) < max(1, context.limit - SPARE):
            return 0.0
        return context.sent[0] + context.window_seconds - now

    def saw(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Take over what an answer says about its context."""
        name = headers.get("X-RateLimit-Context") or context_of(method, path)
        limit = _number(headers.get("X-RateLimit-Limit"))
        if limit is None:
            return
        with self._lock:
            context = self._contexts.setdefault(name, _Context(int(limit)))
            context.limit = int(limit)
            context.window_seconds = _number(headers.get("X-RateLimit-Window")) or WINDOW_SECONDS

    def refused(self, headers: Mapping[str, str]) -> float:
        """A 429 came: no request, of any context, leaves before Retry-After. Returns the seconds."""
        pause = retry_after_seconds(headers.get("Retry-After"))
        with self._lock:
            self._blocked_until = max(self._blocked_until, self._now() + pause)
        return pause


def retry_after_seconds(value: str | None, *, default: float = 10.0) -> float:
    """Retry-After as seconds or as a date; ``default`` (a whole window) when absent or unreadable."""
    if not value:
        return default
    seconds = _number(value)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return default


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None
