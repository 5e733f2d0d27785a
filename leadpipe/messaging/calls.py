"""The calls of one drain: each attempt's one call, begun at once, and what came of it, handed back in groups.

What lives here: a thread for a call that blocks, one event loop for all that pool their connections, how many are under
way. What does not: which messages are called (``claim``), whether one still may be (``last_look``), how
(``channels``), what an answer means (``outcomes``).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Self

from leadpipe.messaging import failpoints, outcomes
from leadpipe.messaging.batch import Claimed
from leadpipe.messaging.channels.base import Channel, PooledChannel, SendPooled, SendResult
from leadpipe.messaging.outcomes import Called

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from leadpipe.messaging.last_look import LastLook

# How long a result waits for those that come with it: one commit for all costs less than each its own.
GATHER_SECONDS = 0.01
# No pooled call lasts longer, however slowly its provider answers. One timer for all that begin together: a timer for
# each costs a twentieth of a sender's processor time.
LONGEST_CALL_SECONDS = 18.0


class Calls:
    """The calls under way, begun by one thread and taken over by another.

    A call is under way until its outcome is written (``settle``). Use it inside ``with``; nothing of it raises for what
    a call or its provider did.

    ``look`` is asked before each call; what it bars is certainly unsent.
    """

    def __init__(
        self,
        *,
        channels: Mapping[str, Channel],
        concurrency: int,
        look: LastLook,
    ) -> None:
        self._channels = channels
        self._concurrency = concurrency
        self._look = look
        # None: no more calls will be begun.
        self._done: SimpleQueue[Called | None] = SimpleQueue()
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        # Asked of each channel once: asking whether an object keeps a protocol costs as much as judging a message.
        self._pools = {name: one for name, one in channels.items() if isinstance(one, PooledChannel)}
        self._pooled: dict[str, SendPooled] = {}
        self._count_under_way = 0
        self._count_unheard = 0
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        self._threads = self._stack.enter_context(ThreadPoolExecutor(self._concurrency, "send"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def start(self, claimed: Sequence[Claimed], *, held_at: float) -> None:
        """Begin the call of each attempt; ``held_at`` is the monotonic moment before their addresses were taken."""
        with self._changed:
            self._count_under_way += len(claimed)
            self._count_unheard += len(claimed)
        pooled: list[tuple[SendPooled, Claimed]] = []
        for one in claimed:
            name = one.request.channel
            if name in self._pools:
                try:
                    pooled.append((self._pool_of(name), one))
                except Exception as error:  # noqa: BLE001 - no line out: certainly unsent, and nobody waits for it
                    self._done.put((one, SendResult.not_called(f"unopened_{type(error).__name__}")))
            else:
                self._threads.submit(self._call, self._channels[name], one, held_at)
        if pooled and self._portal is not None:
            self._portal.start_task_soon(self._call_all, pooled, held_at)

    def no_more(self) -> None:
        """Nothing will be begun any more: ``finished`` ends with the last call under way."""
        self._done.put(None)

    def finished(self) -> Iterator[list[Called]]:
        """Results as they come, those that come together in one group, until ``no_more`` and the last of them."""
        is_ending = False
        while not is_ending or self._count_unheard:
            found = [self._done.get()]
            if self._count_unheard > 1:
                time.sleep(GATHER_SECONDS)
            with suppress(Empty):
                while True:
                    found.append(self._done.get_nowait())
            is_ending = is_ending or None in found
            called = [one for one in found if one is not None]
            with self._changed:
                self._count_unheard -= len(called)
            if called:
                yield called

    def settle(self, count: int) -> None:
        """The outcomes of so many calls are written."""
        with self._changed:
            self._count_under_way -= count
            self._changed.notify_all()

    def wait_for_room(self, *, until: Callable[[], bool]) -> int:
        """Wait until half of the places are free, or ``until`` says so; returns how many are.

        Claims of half the places or more: a transaction a message would cost more than the call.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._count_under_way * 2 <= self._concurrency or until())
            return self._concurrency - self._count_under_way

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until this holds, looked at whenever outcomes were written."""
        with self._changed:
            self._changed.wait_for(holds)

    def wake(self) -> None:
        """Let whoever waits look again."""
        with self._changed:
            self._changed.notify_all()

    # one call

    def _call(self, channel: Channel, claimed: Claimed, held_at: float) -> None:
        try:
            if barred := self._look.bar(claimed, held_at):
                result = SendResult.not_called(barred)
            else:
                _about_to_call()
                result = channel.send(claimed.request)
                _answered()
        except Exception as error:  # noqa: BLE001 - a poison message must not take its batch along
            result = _unsendable(error)
        self._done.put((claimed, result))

    async def _call_all(self, calls: Sequence[tuple[SendPooled, Claimed]], held_at: float) -> None:
        tasks = [asyncio.create_task(self._call_pooled(send, claimed, held_at)) for send, claimed in calls]
        _, late = await asyncio.wait(tasks, timeout=LONGEST_CALL_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _call_pooled(self, send: SendPooled, claimed: Claimed, held_at: float) -> None:
        try:
            if self._look.is_late(held_at):
                barred = await asyncio.to_thread(self._look.bar, claimed, held_at)
            else:
                barred = self._look.bar(claimed, held_at)
            if barred:
                result = SendResult.not_called(barred)
            else:
                _about_to_call()
                result = await send(claimed.request)
                _answered()
        except asyncio.CancelledError:
            result = SendResult.unknown("too_long")
        except Exception as error:  # noqa: BLE001 - as above
            result = _unsendable(error)
        self._done.put((claimed, result))

    def _pool_of(self, name: str) -> SendPooled:
        """The channel's kept connections, opened at its first message and closed with the drain."""
        if name not in self._pooled:
            from anyio.from_thread import start_blocking_portal

            if self._portal is None:
                self._portal = self._stack.enter_context(start_blocking_portal("asyncio", {"use_uvloop": True}))
            opening = self._portal.wrap_async_context_manager(self._pools[name].pooled(self._concurrency))
            self._pooled[name] = self._stack.enter_context(opening)
        return self._pooled[name]


def _about_to_call() -> None:
    failpoints.hit("call.before")


def _answered() -> None:
    failpoints.hit("call.answered")


def _unsendable(error: Exception) -> SendResult:
    """Channels catch everything from the call on, so this came from building the request."""
    return replace(SendResult.refused(f"{outcomes.UNSENDABLE}{type(error).__name__}"), is_called=False)
