"""A circuit breaker per provider: after repeated failures its channels rest.

One outage must not turn a whole backlog into unknowns.

What lives here: counting failures in a row and the pause that follows. What does not: what becomes of a message.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from leadpipe.messaging.channels.base import Outcome, SendResult

FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0


@dataclass
class _Provider:
    failures: int = 0
    pause_seconds: float = FIRST_PAUSE_SECONDS
    open_until: float = 0.0


class Breakers:
    """The breakers of one process. ``monotonic`` is wall time: providers recover by it, whatever the clock says."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._providers: dict[str, _Provider] = {}

    def note(self, provider: str, result: SendResult) -> None:
        """Count one result. A 429 or a misconfiguration opens at once, a success closes."""
        state = self._providers.setdefault(provider, _Provider())
        if result.outcome in {Outcome.ACCEPTED, Outcome.REFUSED}:
            self._providers[provider] = _Provider()
            return
        state.failures += 1
        if result.needs_person:
            self._open(state, LONGEST_PAUSE_SECONDS)
        elif result.retry_after_seconds:
            self._open(state, min(result.retry_after_seconds, LONGEST_PAUSE_SECONDS))
        elif state.failures >= FAILURES_TO_OPEN:
            self._open(state, state.pause_seconds)
            # Half open afterwards: the count stays, so that one more failure opens it again, for longer.
            state.pause_seconds = min(state.pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _open(self, state: _Provider, seconds: float) -> None:
        state.open_until = max(state.open_until, self._monotonic() + seconds)

    def is_open(self, provider: str) -> bool:
        """Whether the provider rests now."""
        state = self._providers.get(provider)
        return state is not None and state.open_until > self._monotonic()
