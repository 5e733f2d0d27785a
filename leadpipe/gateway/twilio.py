"""Twilio calls: delivery statuses and what leads write by SMS and WhatsApp.

What lives here: the two routes, and what their forms mean to messaging and conversation. What does not: moving a
message (``messaging.callbacks``), reading an opt-out (``conversation.inbound``). Facts: messaging sheet section 2.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MultiDict

from leadpipe.errors import BadRecord
from leadpipe.gateway import reports
from leadpipe.gateway.reports import Context, Report
from leadpipe.gateway.signatures import is_from_twilio

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.runtime import Runtime

STATUS = "twilio_status"
INBOUND = "twilio_inbound"
# Silence: Twilio itself sends the one confirmation of an opt-out (design section 5).
_SILENCE = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
_MAX_ID = 100


def router(runtime: Runtime) -> APIRouter:
    """``POST /twilio/status`` and ``POST /twilio/inbound``."""
    routes = APIRouter()
    settings = runtime.settings
    base = settings.public_base_url.rstrip("/")
    auth_token = settings.twilio_auth_token.get_secret_value()

    async def checked_form(request: Request) -> tuple[bytes, MultiDict] | None:
        """The form, or None when the signature does not fit; behind a proxy only our setting knows the public URL."""
        body = await request.body()
        fields = MultiDict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, separator="&"))
        query = request.scope["query_string"].decode("latin-1")
        url = f"{base}{request.url.path}" + (f"?{query}" if query else "")
        is_theirs = is_from_twilio(url, fields, request.headers.get("X-Twilio-Signature"), auth_token)
        return (body, fields) if is_theirs else None

    async def take(report: Report) -> str:
        def run() -> str:
            context = Context(settings=settings, now=runtime.clock.now())
            return reports.take(runtime.engine, report, EFFECTS[report.source], context)

        return await run_in_threadpool(run)

    @routes.post("/twilio/status")
    async def status(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """One delivery status of a message of ours."""
        form = await checked_form(request)
        if form is None:
            return JSONResponse({"error": "bad signature"}, 401)
        body, fields = form
        sid, state = fields.get("MessageSid", ""), fields.get("MessageStatus", "")
        if not _is_id(sid) or not _is_id(state):
            return JSONResponse({"error": "unreadable: no MessageSid or MessageStatus"}, 400)
        headers = {"query": request.scope["query_string"].decode("latin-1")}
        code = fields.get("ErrorCode", "")
        key = f"{sid}:{state}:{code if code.isdigit() and len(code) < _MAX_ID else ''}"
        await take(Report(source=STATUS, kind=state, dedupe_key=key, body=body, headers=headers))
        return Response(status_code=204)

    @routes.post("/twilio/inbound")
    async def inbound(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """One SMS or WhatsApp message from a lead."""
        form = await checked_form(request)
        if form is None:
            return JSONResponse({"error": "bad signature"}, 401)
        body, fields = form
        sid = fields.get("MessageSid", "")
        if not _is_id(sid) or not fields.get("From"):
            return JSONResponse({"error": "unreadable: no MessageSid or From"}, 400)
        await take(inbound_report(sid, fields["From"], body))
        return Response(_SILENCE, media_type="text/xml")

    return routes


def inbound_report(sid: str, sender: str, body: bytes) -> Report:
    """A lead's message as it is stored, told by the webhook or found by the poller; both share the key."""
    kind = "whatsapp" if sender.startswith("whatsapp:") else "sms"
    return Report(source=INBOUND, kind=kind, dedupe_key=sid, body=body)


def _is_id(value: str) -> bool:
    return 0 < len(value) <= _MAX_ID and value.isprintable()


def apply_status(connection: Connection, report: Report, context: Context) -> str:
    """Move the message the status speaks of; our own id stands in the callback's query."""
    from leadpipe.messaging.callbacks import TwilioStatus, apply_twilio_status

    fields = _fields(report)
    query = parse_qs(report.headers.get("query", ""))
    code = fields.get("ErrorCode", "")
    status = TwilioStatus(
        message_id=query.get("mid", [""])[0],
        sid=fields["MessageSid"],
        status=fields["MessageStatus"],
        error_code=int(code) if code.isdigit() else None,
    )
    return apply_twilio_status(connection, status, now=context.now).result


def apply_inbound(connection: Connection, report: Report, context: Context) -> str:
    """Store what the lead wrote, with the opt-out in it, if any."""
    from leadpipe.conversation.inbound import Inbound, store_inbound
    from leadpipe.leads.identity import normalise_phone

    fields = _fields(report)
    sender = normalise_phone(fields["From"].removeprefix("whatsapp:"))
    if sender.reason:
        # Short codes and alphanumeric senders write too; none of them is a lead.
        return f"sender is no phone number ({sender.reason})"
    words = fields.get("Body", "")
    stored = store_inbound(
        connection,
        Inbound(
            channel=report.kind,
            provider_id=fields["MessageSid"],
            address=sender.address,
            to_address=fields.get("To", ""),
            body=words,
            full_body=words + _extras(fields),
            received_at=reports.happened_at(report, fields.get("SentAt"), now=context.now),
        ),
        settings=context.settings,
        now=context.now,
    )
    return getattr(stored, "result", None) or "stored"


def _extras(fields: dict[str, str]) -> str:
    """What came beside the words, so that nothing a lead sent is lost: the addresses of their pictures."""
    urls = [fields[f"MediaUrl{n}"] for n in range(_count(fields)) if fields.get(f"MediaUrl{n}")]
    return "".join(f"\n[media: {url}]" for url in urls)


def _count(fields: dict[str, str]) -> int:
    value = fields.get("NumMedia", "0")
    return min(int(value), 20) if value.isdigit() else 0


def _fields(report: Report) -> dict[str, str]:
    if report.body[:1] == b"{":
        # Found by the poller: the message's JSON, in the form the webhook would have had.
        row: dict[str, Any] = json.loads(report.body)
        found = {"MessageSid": row["sid"], "From": row["from"], "To": row["to"] or "", "Body": row["body"] or ""}
        # A webhook says nothing of its moment, and comes within seconds; the list is read when it did not come.
        found["SentAt"] = row.get("at") or ""
    else:
        found = dict(parse_qsl(report.body.decode(errors="replace"), keep_blank_values=True))
    if not found:
        raise BadRecord("a Twilio report without fields")
    # NUL is the one character that PostgreSQL's text cannot hold.
    return {name: value.replace("\x00", "") for name, value in found.items()}


EFFECTS: dict[str, reports.Effect] = {STATUS: apply_status, INBOUND: apply_inbound}
