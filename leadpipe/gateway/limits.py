"""The outer wall of the gateway: how much and how often anybody may send, and what an error may tell.

What lives here: two ASGI middlewares. What does not: who a caller is (``callers``), counting (``rates``), any route.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from leadpipe.errors import TransientError
from leadpipe.gateway.callers import Caller, address_of, caller_of
from leadpipe.gateway.rates import Window
from leadpipe.gateway.reports import is_ledger_gone

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from leadpipe.settings import Settings

log = logging.getLogger(__name__)
RETRY_AFTER_SECONDS = 5
# What is not read to its end cannot be followed by another request on the same connection.
_CLOSE = {"Connection": "close"}
# Follow Up Boss deletes a webhook that is answered so (FUB sheet 6.5).
_NEVER = frozenset({406, 410})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the team's settings allow; 0 is no limit of a rate."""

    max_body_bytes: int = 1_000_000
    body_seconds: float = 10.0
    calls_per_second: int = 0
    refusals_per_minute: int = 0

    @staticmethod
    def of(settings: Settings) -> Limits:
        """The limits in the settings."""
        return Limits(
            max_body_bytes=settings.gateway_max_body_bytes,
            body_seconds=settings.gateway_body_seconds,
            calls_per_second=settings.gateway_calls_per_second,
            refusals_per_minute=settings.gateway_refusals_per_minute,
        )


class Intake:
    """Refuses what is too large (413), too slow (408) or too often (429), before it costs anything.

    Two counts. A caller's genuine calls a second: what is over it comes again. An address's refused calls a minute
    (unknown path, wrong signature): after that it is not even listened to. Where the address is not known, everybody
    shares one count: then genuine calls still pass, and only refused ones learn nothing but 429.
    """

    def __init__(self, app: ASGIApp, limits: Limits | None = None) -> None:
        self._app = app
        self._limits = limits or Limits()
        self._calls = Window(self._limits.calls_per_second, 1.0)
        self._refusals = Window(self._limits.refusals_per_minute, 60.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller, address = caller_of(scope["path"]), address_of(scope)
        if address and self._refusals.is_full(address):
            await _too_many(429, self._refusals)(scope, receive, send)
        elif caller.is_limited and self._calls.is_full(caller.name):
            await _too_many(caller.comes_again_status, self._calls)(scope, receive, send)
        else:
            await self._serve(caller, address, scope, receive, send)

    async def _serve(self, caller: Caller, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        max_bytes = min(caller.max_bytes, self._limits.max_body_bytes)
        watched = _Watched(self, caller, address, scope, receive, send)
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if announced.isdigit() and int(announced) > max_bytes:
            await JSONResponse({"error": "body too large"}, 413, _CLOSE)(scope, receive, watched)
            return
        await self._app(scope, _Body(receive, caller, max_bytes, self._limits.body_seconds), watched)

    def note(self, caller: Caller, address: str, status: int) -> Window | None:
        """Count an answer; the window of refusals when this address has had its share of it."""
        if not 400 <= status < 500:
            if caller.is_limited:
                self._calls.add(caller.name)
            return None
        is_full = self._refusals.is_full(address)
        self._refusals.add(address)
        return self._refusals if is_full else None


class _Body:
    """A request's body, read no further than the limit and waited for no longer than the time."""

    def __init__(self, receive: Receive, caller: Caller, max_bytes: int, seconds: float) -> None:
        self._receive, self._caller, self._left = receive, caller, max_bytes
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._is_whole = False

    async def __call__(self) -> Message:
        """The next message from the caller."""
        if self._is_whole:
            # What still comes is the caller hanging up.
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            status = 408 if self._caller.comes_again_status == 429 else self._caller.comes_again_status
            raise HTTPException(status, "body too slow", _CLOSE) from None
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, "body too large", _CLOSE)
        self._is_whole = not message.get("more_body", False)
        return message


class _Watched:
    """The answer on its way out: counted, and replaced where it may not be given."""

    def __init__(
        self, intake: Intake, caller: Caller, address: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._intake, self._caller, self._address = intake, caller, address
        self._scope, self._receive, self._send = scope, receive, send
        self._is_replaced = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on."""
        if self._is_replaced:
            return
        if message["type"] == "http.response.start":
            full = self._intake.note(self._caller, self._address, message["status"])
            if full is not None:
                self._is_replaced = True
                await _too_many(429, full)(self._scope, self._receive, self._send)
                return
            if message["status"] in _NEVER:
                message = {**message, "status": 400}
        await self._send(message)


def _too_many(status: int, window: Window) -> JSONResponse:
    headers = {"Retry-After": str(window.seconds_left()), **_CLOSE}
    return JSONResponse({"error": "too many requests"}, status, headers)


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
