"""Pacing of calls to Follow Up Boss: which context a call belongs to, and waiting until it may leave.

What lives here: contexts, the wait, what answers say. What does not: counting (``store.rate_budget``), sending. Facts:
FUB sheet section 2; the headers decide, the limits below are today's defaults.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from leadpipe.store.ledger_budget import LedgerBudget
from leadpipe.store.rate_budget import OwnBudget, RateBudget, Said, Turn

if TYPE_CHECKING:
    from sqlalchemy import Engine

PROVIDER = "fub"
# Context -> requests in a window with a registered system; None: no limit of its own. Every answer corrects them.
LIMITS: dict[str, int | None] = {"global": 250, "events": 20, "POST.events": None, "PUT.people": 25, "notes": 10}
WINDOW_SECONDS = 10.0


def context_of(method: str, path: str) -> str:
    """The context an endpoint belongs to (sheet section 2)."""
    collection = _collection(path)
    if collection == "notes":
        return "notes"
    if collection == "events" and method == "GET":
        return "events"
    if collection == "people" and method == "PUT":
        return "PUT.people"
    return "POST.events" if collection == "events" else "global"


def _collection(path: str) -> str:
    return path.lstrip("/").split("/")[0].split("?")[0]


def ledger_budget(engine: Engine) -> RateBudget:
    """The account's budget that every process of this ledger shares."""
    return LedgerBudget(engine, PROVIDER, LIMITS, window_seconds=WINDOW_SECONDS)


class RateLimiter:
    """Makes callers wait until the budget lets their call leave; safe to share between threads.

    Threads of one kind ask one at a time: the others would ask in vain.
    """

    def __init__(self, budget: RateBudget | None = None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._budget = budget or OwnBudget(LIMITS, window_seconds=WINDOW_SECONDS)
        self._sleep = sleep
        self._queues: defaultdict[tuple[str, bool], threading.Lock] = defaultdict(threading.Lock)
        # Where an answer named another context than the table.
        self._named: dict[tuple[str, str], str] = {}

    def wait(self, method: str, path: str, *, is_bulk: bool = False) -> Turn:
        """Return when the request may leave; it is then counted.

        Args:
            method: of the request.
            path: of the request.
            is_bulk: nobody waits for it; keep an even pace and let others go first.

        Raises:
            TransientError: the budget cannot be read; the request must not leave.
        """
        context = self._named.get((method, _collection(path))) or context_of(method, path)
        with self._queues[context, is_bulk]:
            while (turn := self._budget.take(context, is_bulk=is_bulk)).wait_seconds > 0:
                self._sleep(turn.wait_seconds)
        return turn

    def saw(self, turn: Turn, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Take over what an answer says about its context."""
        limit = _number(headers.get("X-RateLimit-Limit"))
        if limit is None:
            return
        remaining = _number(headers.get("X-RateLimit-Remaining"))
        said = Said(
            context=headers.get("X-RateLimit-Context") or turn.context,
            limit=int(limit),
            window_seconds=_number(headers.get("X-RateLimit-Window")) or WINDOW_SECONDS,
            remaining=None if remaining is None else int(remaining),
        )
        if said.context != turn.context:
            self._named[method, _collection(path)] = said.context
        self._budget.learn(turn, said)

    def refused(self, headers: Mapping[str, str]) -> float:
        """A 429 came: no request, of any context, leaves before Retry-After. Returns the seconds."""
        pause = retry_after_seconds(headers.get("Retry-After"))
        self._budget.block(pause)
        return pause


def retry_after_seconds(value: str | None, *, default: float = WINDOW_SECONDS) -> float:
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
