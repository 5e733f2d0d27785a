"""Many callers of one HTTP server, as light as they can be: ``benchmarks.gateway`` sends its webhooks by them.

What lives here: keep-alive connections that write requests made beforehand and read only the status, in a closed loop
or at an even pace. What does not: what the requests say. A caller costs some hundredths of a millisecond a request, so
that on two cores the server is what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

OK = b"HTTP/1.1 200"


@dataclass(kw_only=True)
class Heard:
    """What came back.

    Attributes:
        answered: the numbers of the requests that were answered with 200.
        latency_ms: of each of them, from when it was to be sent.
        count_other: answers that were no 200.
        seconds: from the first request to the last answer.
    """

    answered: list[int] = field(default_factory=list[int])
    latency_ms: list[float] = field(default_factory=list[float])
    count_other: int = 0
    seconds: float = 0.0

    def percentile(self, share: float) -> float:
        """The latency that ``share`` of the answers did not exceed, in milliseconds."""
        ranked = sorted(self.latency_ms)
        return round(ranked[min(len(ranked) - 1, int(share * len(ranked)))], 1) if ranked else 0.0


class _Line(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self._buffer = b""
        self._number, self._due_at = -1, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, number: int, due_at: float) -> None:
        self._number, self._due_at = number, due_at
        self._transport.write(self._crowd.requests[number])

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        is_ok, self._buffer = self._buffer.startswith(OK), b""
        self._crowd.heard_of(self, self._number, self._due_at, is_ok=is_ok)

    def connection_lost(self, _: Exception | None) -> None:
        self._crowd.lost(self)


class _Crowd:
    """All lines of one phase."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.requests = requests
        self.heard = Heard()
        self.is_over = asyncio.Event()
        self.free: list[_Line] = []
        self.late: list[tuple[int, float]] = []
        self.is_closed_loop = False
        self.count_open = 0
        self._next: Iterator[int] = iter(range(len(requests)))

    def next_number(self) -> int | None:
        return next(self._next, None)

    def heard_of(self, line: _Line, number: int, due_at: float, *, is_ok: bool) -> None:
        now = time.perf_counter()
        if is_ok:
            self.heard.answered.append(number)
            self.heard.latency_ms.append((now - due_at) * 1000)
        else:
            self.heard.count_other += 1
        if len(self.heard.answered) + self.heard.count_other == len(self.requests):
            self.is_over.set()
        elif self.late:
            line.ask(*self.late.pop(0))
        elif self.is_closed_loop and (following := self.next_number()) is not None:
            line.ask(following, now)
        else:
            self.free.append(line)

    def lost(self, line: _Line) -> None:
        # The server ends a line that was idle for some seconds, as at half the load most are.
        if line in self.free:
            self.free.remove(line)
        self.count_open -= 1
        if self.count_open == 0:
            self.is_over.set()


async def closed_loop(requests: Sequence[bytes], *, port: int, lines: int) -> Heard:
    """Send them all over so many connections, each waiting for its answer; ends early when the server is gone."""
    crowd = await _crowd(requests, port, lines)
    crowd.is_closed_loop = True
    begun = time.perf_counter()
    for line in list(crowd.free):
        if (number := crowd.next_number()) is not None:
            crowd.free.remove(line)
            line.ask(number, time.perf_counter())
    await crowd.is_over.wait()
    crowd.heard.seconds = time.perf_counter() - begun
    return crowd.heard


async def at_pace(requests: Sequence[bytes], *, port: int, lines: int, per_second: float) -> Heard:
    """Send them at an even pace; one that finds no free line waits, and its wait counts."""
    crowd = await _crowd(requests, port, lines)
    begun = time.perf_counter()
    while (number := crowd.next_number()) is not None:
        due_at = begun + number / per_second
        if (ahead := due_at - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        if crowd.free:
            crowd.free.pop().ask(number, due_at)
        else:
            crowd.late.append((number, due_at))
    await crowd.is_over.wait()
    crowd.heard.seconds = time.perf_counter() - begun
    return crowd.heard


async def _crowd(requests: Sequence[bytes], port: int, lines: int) -> _Crowd:
    crowd = _Crowd(requests)
    loop = asyncio.get_running_loop()
    for _ in range(lines):
        _, line = await loop.create_connection(lambda: _Line(crowd), "127.0.0.1", port)
        crowd.free.append(line)
        crowd.count_open += 1
    return crowd
