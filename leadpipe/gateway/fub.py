"""Follow Up Boss calls: checked, stored, answered; thought about later.

What lives here: the route of the CRM's webhooks. What does not: reading what a notification names (``crm.intake``).
Facts: FUB sheet 6.3 to 6.5. Never answers 406 or 410: FUB would delete the hook.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

from leadpipe.gateway.reports import Report
from leadpipe.gateway.signatures import is_from_fub
from leadpipe.store import quarantine
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from starlette.requests import Request

    from leadpipe.gateway.commit import GroupCommit
    from leadpipe.runtime import Runtime

SOURCE = "fub"
MAX_KEPT_BYTES = 64_000
MAX_NAME = 200


class Unreadable(ValueError):  # noqa: N818 - reads as the state it names
    """A body that is no notification; the text says why, without quoting it."""


def route(runtime: Runtime, commits: GroupCommit) -> Route:
    """``POST /fub/{token}``.

    A bulk change in the CRM comes as thousands of notifications. Starlette's plain route costs half of FastAPI's, which
    would look for parameters and models that are not there.
    """
    settings = runtime.settings
    keys = (settings.fub_system_key.get_secret_value(), settings.fub_system_key_old.get_secret_value())
    token_expected = settings.fub_webhook_token.get_secret_value()

    def keep_aside(body: bytes, reason: str) -> None:
        record = SetAside(
            source="fub_webhook",
            record_key=hashlib.sha256(body).hexdigest()[:32],
            reason=reason,
            raw=body[:MAX_KEPT_BYTES],
        )
        with runtime.engine.begin() as connection:
            quarantine.store(connection, [record], now=runtime.clock.now())

    stored = JSONResponse({"status": "stored"})

    async def fub(request: Request) -> JSONResponse:
        """One notification of Follow Up Boss."""
        token = str(request.path_params["token"])
        if not token_expected or not hmac.compare_digest(token.encode(), token_expected.encode()):
            return JSONResponse({"error": "not found"}, 404)
        body = await request.body()
        is_signed = is_from_fub(body, request.headers.get("FUB-Signature"), keys)
        try:
            report = read(body)
        except Unreadable as error:
            if is_signed or is_cut_short(body):
                reason = str(error) if is_signed else f"{error}; the signature does not fit, as of a body cut short"
                await run_in_threadpool(keep_aside, body, reason)
                return JSONResponse({"error": f"unreadable: {error}"}, 400)
            return JSONResponse({"error": "bad signature"}, 401)
        if not is_signed:
            return JSONResponse({"error": "bad signature"}, 401)
        await commits.store(report)
        return stored

    return Route("/fub/{token}", fub, methods=["POST"])


def read(body: bytes) -> Report:
    """The notification as it is stored.

    Raises:
        Unreadable: no JSON object (or list of one, sheet 9.15) with an event and an id.
    """
    try:
        parsed: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("no JSON") from None
    if isinstance(parsed, list) and len(parsed) == 1:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        raise Unreadable("no JSON object")
    names: dict[str, str] = {}
    for name in ("event", "eventId"):
        value = parsed.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable():
            raise Unreadable(f"no usable {name}")
        names[name] = value
    return Report(source=SOURCE, kind=names["event"], dedupe_key=names["eventId"], body=body)


def is_cut_short(body: bytes) -> bool:
    """Whether this is the beginning of a notification whose end is missing; its signature can then fit no more."""
    words = body.decode(errors="replace").strip()
    if not words.startswith(("{", "[")):
        return False
    try:
        json.loads(words)
    except json.JSONDecodeError as error:
        return error.pos >= len(words) or not words.endswith(("}", "]"))
    except RecursionError:
        return False
    return False
