"""What the providers post to us: webhooks, callbacks, notifications.

What lives here: the HTTP of it, and the pause around a jump of the clock. What does not: signatures, retries and what
an answer means (each provider's own code).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

# As many as a busy account's webhooks come at once; more would only queue in the gateway of one small machine.
CONCURRENT = 16


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: the status, or 0 and whether a connection was made at all."""

    status: int = 0
    is_connected: bool = True

    @property
    def is_success(self) -> bool:
        """Any 2xx."""
        return 200 <= self.status < 300


class Delivery:
    """Posts to the gateway, a few at a time; nothing leaves while the clock is being moved."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(CONCURRENT)
        self._open = asyncio.Event()
        self._open.set()
        self.count_under_way = 0

    async def close(self) -> None:
        """Release the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, body: bytes | str, headers: Mapping[str, str], *, timeout: float) -> Answer:
        """One POST, redirects not followed; never raises for what the other side does."""
        return await self._send("POST", url, body, headers, timeout)

    async def get(self, url: str, *, timeout: float = 10.0) -> Answer:
        """One GET, as a link scanner makes it."""
        return await self._send("GET", url, None, {}, timeout)

    async def _send(
        self, method: str, url: str, body: bytes | str | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        await self._open.wait()
        async with self._slots:
            self.count_under_way += 1
            try:
                wait = aiohttp.ClientTimeout(total=timeout)
                async with self._http().request(
                    method, url, data=body, headers=headers, timeout=wait, allow_redirects=False
                ) as response:
                    await response.read()
                    return Answer(status=response.status)
            except aiohttp.ClientConnectorError:
                return Answer(is_connected=False)
            except (aiohttp.ClientError, TimeoutError, OSError):
                return Answer()
            finally:
                self.count_under_way -= 1

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Vendors send no cookies and keep connections open.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONCURRENT, keepalive_timeout=15),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    @asynccontextmanager
    async def paused(self, *, drain_seconds: float = 2.0) -> AsyncGenerator[None]:
        """Hold what has not left and wait a moment for what has; ``resume`` opens the door again."""
        self._open.clear()
        for _ in range(int(drain_seconds / 0.02)):
            if not self.count_under_way:
                break
            await asyncio.sleep(0.02)
        yield

    def resume(self) -> None:
        """Let deliveries leave again."""
        self._open.set()
