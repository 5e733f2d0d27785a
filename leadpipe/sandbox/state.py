"""What the whole sandbox shares: its clock, its scheduler, the book of accepted messages, faults.

What lives here: state without a provider's own rules. What does not: any HTTP route.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from leadpipe.sandbox.config import SandboxConfig

Job = Callable[[], Awaitable[None]]


@dataclass(kw_only=True)
class AcceptedMessage:
    """One message a provider accepted: the sandbox's truth."""

    provider: str
    channel: str
    to: str
    from_: str
    body: str
    subject: str = ""
    provider_id: str = ""
    our_id: str | None = None
    plan: str | None = None
    step: str | None = None
    occurrence: int | None = None
    accepted_at: datetime
    accepted_wall_at: datetime
    reply_to: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def truth(self) -> dict[str, Any]:
        """The row of ``GET /_truth/messages``."""
        return {
            "provider": self.provider,
            "channel": self.channel,
            "to": self.to,
            "body": self.body,
            "accepted_at": iso(self.accepted_at),
            "accepted_wall_at": iso(self.accepted_wall_at),
            "plan": self.plan,
            "step": self.step,
            "occurrence": self.occurrence,
            "our_id": self.our_id,
        }


def iso(at: datetime) -> str:
    """ISO text in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Scheduler:
    """Runs jobs at wall-clock moments: one task and a heap, however many leads are waiting to answer."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Job]] = []
        self._counter = itertools.count()
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self.errors: list[str] = []

    def after(self, seconds: float, job: Job) -> None:
        """Run ``job`` in ``seconds`` of wall time."""
        heapq.heappush(self._heap, (time.monotonic() + max(0.0, seconds), next(self._counter), job))
        self._wake.set()

    @property
    def count_waiting(self) -> int:
        """Jobs not yet started."""
        return len(self._heap)

    async def run(self) -> None:
        """Serve until cancelled; an error of one job is kept for ``/_control/errors`` and harms no other."""
        while True:
            pause = self._heap[0][0] - time.monotonic() if self._heap else None
            if pause is None or pause > 0:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), timeout=pause)
                continue
            _, _, job = heapq.heappop(self._heap)
            task = asyncio.ensure_future(self._guarded(job))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _guarded(self, job: Job) -> None:
        try:
            await job()
        except httpx.HTTPError as error:
            self.errors.append(type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a fake's dice must not stop the world; shown under /_control/errors
            self.errors.append(repr(error))


@dataclass
class Faults:
    """Injected misbehaviour, as chances between 0 and 1 unless told otherwise; all zero at start."""

    chances: dict[str, float] = field(default_factory=dict[str, float])
    dice: random.Random = field(default_factory=lambda: random.Random(11))

    def strikes(self, name: str) -> bool:
        """Whether this fault happens now."""
        chance = self.chances.get(name, 0.0)
        return chance > 0 and self.dice.random() < chance


class Sandbox:
    """Shared state of one sandbox process."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.offset_seconds = config.starts_at.timestamp() - time.time()
        self.random = random.Random(config.seed)
        self.scheduler = Scheduler()
        self.faults = Faults()
        self.accepted: list[AcceptedMessage] = []
        self.listeners: list[Callable[[AcceptedMessage], None]] = []
        self.http = httpx.AsyncClient(timeout=15, limits=httpx.Limits(max_connections=20))

    def now(self) -> datetime:
        """Simulated now."""
        return datetime.fromtimestamp(time.time() + self.offset_seconds, UTC)

    def wall(self) -> datetime:
        """The wall clock."""
        return datetime.fromtimestamp(time.time(), UTC)

    def accept(self, message: AcceptedMessage) -> None:
        """Enter a message in the book and tell the population."""
        self.accepted.append(message)
        for listener in self.listeners:
            listener(message)
