"""The outer wall of the gateway: how much a request may carry, and what an error may tell.

What lives here: two ASGI middlewares. What does not: any route.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from leadpipe.errors import TransientError
from leadpipe.gateway.reports import is_ledger_gone

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)
# SNS carries at most 256 KB; FUB's largest notification is a few KB.
MAX_BODY_BYTES = 1_000_000
RETRY_AFTER_SECONDS = 5


class BodyLimit:
    """Answers 413 to a body over the limit, whether the length was announced or not."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self._max_bytes:
            await JSONResponse({"error": "body too large"}, 413)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise HTTPException(413, "body too large")
            return message

        await self._app(scope, counted, send)


class Guard:
    """Turns every error into an answer that tells nothing: 503 when the ledger is gone, else 500.

    It stands inside Starlette's own error middleware, which would log a traceback with a person's words in it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def sending(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the last wall; what it hides is logged by its class
            if is_started:
                log.error("an answer broke off: %s", type(error).__name__)  # noqa: TRY400 - the text may quote a body
                return
            await _answer(error)(scope, receive, send)


def _answer(error: Exception) -> JSONResponse:
    if is_ledger_gone(error) or isinstance(error, TransientError):
        log.warning("not available: %s", type(error).__name__)
        return JSONResponse({"error": "not available"}, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "nowhere"
    log.error("a request failed: %s at %s", type(error).__name__, where)
    return JSONResponse({"error": "internal error"}, 500)
