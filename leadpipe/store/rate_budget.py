"""The rate budget: what may be asked of a provider now.

What lives here: what a budget tells and is told, and the windows of a process that has no ledger. What does not: those
that all processes share (``ledger_budget``), the arithmetic (``rate_window``), waiting, and which call belongs where
(each client).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from leadpipe.store.rate_window import Window


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a caller was told: how long to wait before asking again, or 0 and what is left after this call."""

    context: str
    wait_seconds: float
    limit: int | None
    window_seconds: float
    left: int | None

    @classmethod
    def of(cls, context: str, window: Window, wait_seconds: float) -> Self:
        """The answer of a context's window."""
        return cls(
            context=context,
            wait_seconds=wait_seconds,
            limit=window.limit,
            window_seconds=window.window_seconds,
            left=window.left,
        )


@dataclass(frozen=True, kw_only=True)
class Said:
    """What an answer says about its context."""

    context: str
    limit: int
    window_seconds: float
    remaining: int | None

    def is_news(self, turn: Turn) -> bool:
        """Whether it tells more than the turn did: other limits, another context, or calls that are not ours."""
        if (self.context, self.limit, self.window_seconds) != (turn.context, turn.limit, turn.window_seconds):
            return True
        return self.remaining is not None and turn.left is not None and self.remaining < turn.left

    def teach(self, window: Window, now: float) -> None:
        """Let a window take it over."""
        window.learn(now, limit=self.limit, window_seconds=self.window_seconds, remaining=self.remaining)


class RateBudget(Protocol):
    """Where the windows of one provider are kept."""

    def take(self, context: str, *, is_bulk: bool) -> Turn:
        """Count a call of this context if it may leave now.

        Raises:
            TransientError: the budget cannot be read; nothing may leave.
        """
        ...

    def learn(self, turn: Turn, said: Said) -> None:
        """Take over what the answer to a call said; never fails, since the call had its effect."""
        ...

    def block(self, seconds: float) -> None:
        """No call of any context leaves for so long; never fails."""
        ...


class OwnBudget:
    """The windows of one process, for tests and for commands where no ledger was ever set up."""

    def __init__(
        self, limits: Mapping[str, int | None], *, window_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._windows = {name: Window(limit, window_seconds) for name, limit in limits.items()}
        self._window_seconds = window_seconds
        self._now = now
        self._lock = threading.Lock()
        self._blocked_until = 0.0

    def take(self, context: str, *, is_bulk: bool) -> Turn:
        """See ``RateBudget``."""
        with self._lock:
            window = self._window(context)
            wait = window.take(self._now(), is_bulk=is_bulk)
            return Turn.of(context, window, wait)

    def learn(self, turn: Turn, said: Said) -> None:
        """See ``RateBudget``."""
        if said.is_news(turn):
            with self._lock:
                said.teach(self._window(said.context), self._now())

    def block(self, seconds: float) -> None:
        """See ``RateBudget``."""
        with self._lock:
            self._blocked_until = self._now() + seconds
            for window in self._windows.values():
                window.block(self._now(), seconds)

    def _window(self, context: str) -> Window:
        fresh = Window(None, self._window_seconds, blocked_until=self._blocked_until)
        return self._windows.setdefault(context, fresh)
