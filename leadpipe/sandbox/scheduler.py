"""When things happen in the sandbox: one heap by the wall clock, one by the simulated calendar.

What lives here: jobs and their moments. What does not: what a job does.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import inspect
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable

Job = Callable[[], Awaitable[object] | None]
KEPT_ERRORS = 200


class Scheduler:
    """Runs jobs at their moments: one task, however many people are about to answer.

    ``after`` counts seconds of the wall clock (a person's thinking, a carrier's receipt); ``after_simulated`` counts
    seconds of the calendar (a provider's retry in half an hour), which a jump of the clock makes pass at once.
    """

    def __init__(self, simulated: Callable[[], float]) -> None:
        self._simulated = simulated
        self._wall: list[tuple[float, int, Job]] = []
        self._calendar: list[tuple[float, int, Job]] = []
        self._counter = itertools.count()
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self.errors: deque[str] = deque(maxlen=KEPT_ERRORS)
        """What jobs died of; one job's error harms no other, and ``GET /_control/errors`` shows it."""

    def after(self, seconds: float, job: Job) -> None:
        """Run ``job`` in ``seconds`` of wall time."""
        heapq.heappush(self._wall, (time.monotonic() + max(0.0, seconds), next(self._counter), job))
        self._wake.set()

    def after_simulated(self, seconds: float, job: Job) -> None:
        """Run ``job`` in ``seconds`` of simulated time."""
        heapq.heappush(self._calendar, (self._simulated() + max(0.0, seconds), next(self._counter), job))
        self._wake.set()

    def clock_moved(self) -> None:
        """The calendar jumped: look again at what is due."""
        self._wake.set()

    @property
    def count_waiting(self) -> int:
        """Jobs not yet started."""
        return len(self._wall) + len(self._calendar)

    @property
    def count_running(self) -> int:
        """Jobs under way."""
        return len(self._running)

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            job, pause = self._next()
            if job is not None:
                self._start(job)
                continue
            self._wake.clear()
            # Not `wait_for`: before Python 3.12 it may swallow a cancellation that comes with the wake-up.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def close(self) -> None:
        """Cancel the jobs under way."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _next(self) -> tuple[Job | None, float | None]:
        """The job that is due, or how long until one is (None: until somebody wakes us)."""
        pauses: list[float] = []
        for heap, now in ((self._wall, time.monotonic()), (self._calendar, self._simulated())):
            if heap and heap[0][0] <= now:
                return heapq.heappop(heap)[2], None
            if heap:
                pauses.append(heap[0][0] - now)
        return None, min(pauses, default=None)

    def _start(self, job: Job) -> None:
        try:
            result = job()
        except Exception as error:  # noqa: BLE001 - the world goes on; what broke is shown under /_control/errors
            self.errors.append(repr(error))
            return
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(self._guarded(result))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _guarded(self, result: Awaitable[object]) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001 - as above
            self.errors.append(repr(error))
