"""Cutting a connection without an answer: what a client sees when a provider dies after it took a message.

What lives here: the wrapper that does it. What does not: when (``faults``).
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send


class CutConnection(Exception):  # noqa: N818 - an outcome of a request, not an error of ours
    """Raised by a route: close the connection, answer nothing."""


class Cuttable:
    """Lets routes cut their connection; everything else passes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or cut."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except CutConnection:
            # ASGI has no word for it. Uvicorn's own request cycle is behind `send`, and its transport can be aborted.
            cycle: Any = getattr(send, "__self__", None)
            transport = getattr(cycle, "transport", None)
            if transport is None:
                raise
            transport.abort()
            await asyncio.sleep(0.05)
