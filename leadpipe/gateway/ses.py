"""Amazon SES reports through SNS: sending events and the mail that leads write.

What lives here: the route, and what an SES notice means to messaging and conversation. What does not: whether it is
genuine (``sns``), MIME (``mail``), moving a message (``messaging.callbacks``). Facts: messaging sheet 4.5 to 4.7.
"""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool

from leadpipe.errors import BadRecord, Rejected, TransientError
from leadpipe.gateway import reports
from leadpipe.gateway.mail import Mail, read_mail
from leadpipe.gateway.reports import Context, Report
from leadpipe.gateway.sns import Envelope, SnsVerifier
from leadpipe.messaging.alerts import raise_alert
from leadpipe.store import quarantine
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.runtime import Runtime

log = logging.getLogger(__name__)
EVENT = "ses_event"
INBOUND = "ses_inbound"
Row = dict[str, Any]


def router(runtime: Runtime, verifier: SnsVerifier) -> APIRouter:
    """``POST /ses/events`` and ``POST /ses/inbound``; either takes whatever our topics carry."""
    routes = APIRouter()

    def take(body: bytes) -> JSONResponse:
        now = runtime.clock.now()
        try:
            envelope = verifier.verify(body, now=now)
            if envelope.kind == "SubscriptionConfirmation":
                verifier.confirm(envelope)
                return JSONResponse({"status": "confirmed"})
        except BadRecord as error:
            return JSONResponse({"error": f"unreadable: {error}"}, 400)
        except Rejected as error:
            log.warning("an SNS message is not believed: %s", error.code)
            # Which of our checks it failed is for us to know.
            return JSONResponse({"error": "bad signature"}, 401)
        context = Context(settings=runtime.settings, now=now)
        if envelope.kind == "UnsubscribeConfirmation":
            _tell_unsubscribed(runtime, envelope, context)
            return JSONResponse({"status": "noted"})
        try:
            report = read_notice(envelope)
        except BadRecord as error:
            _keep_aside(runtime, envelope, str(error), context)
            return JSONResponse({"error": f"unreadable: {error}"}, 400)
        return JSONResponse({"status": reports.take(runtime.engine, report, EFFECTS[report.source], context)})

    async def ses(request: Request) -> JSONResponse:
        """One SNS message of ours."""
        return await run_in_threadpool(take, await request.body())

    routes.add_api_route("/ses/events", ses, methods=["POST"], name="ses_events")
    routes.add_api_route("/ses/inbound", ses, methods=["POST"], name="ses_inbound")
    return routes


def _keep_aside(runtime: Runtime, envelope: Envelope, reason: str, context: Context) -> None:
    record = SetAside(source="ses_notice", record_key=envelope.message_id, reason=reason, raw=envelope.message.encode())
    with runtime.engine.begin() as connection:
        quarantine.store(connection, [record], now=context.now)


def _tell_unsubscribed(runtime: Runtime, envelope: Envelope, context: Context) -> None:
    with runtime.engine.begin() as connection:
        raise_alert(
            connection,
            kind="sns_unsubscribed",
            dedupe_key=f"sns_unsubscribed:{envelope.topic_arn}:{envelope.message_id}",
            title="An SNS topic no longer reports to us",
            body=f"{envelope.topic_arn} ended its subscription of our address: bounces, complaints and replies are "
            f"lost until it is subscribed again (docs/follow-up-boss.md).",
            now=context.now,
        )


def read_notice(envelope: Envelope) -> Report:
    """The SES notice in an envelope as it is stored; mail that lies in S3 is fetched first.

    Raises:
        BadRecord: not a notice of SES.
        TransientError: the mail in S3 cannot be had right now.
    """
    try:
        notice: Any = json.loads(envelope.message)
        mail = notice["mail"]
        kind = str(notice.get("eventType") or notice["notificationType"])
        provider_id = str(mail["messageId"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadRecord("no SES notice") from None
    headers = {"sns_message_id": envelope.message_id, "topic_arn": envelope.topic_arn}
    if kind != "Received":
        return Report(
            source=EVENT,
            kind=kind[:100],
            dedupe_key=envelope.message_id,
            body=envelope.message.encode(),
            headers=headers,
        )
    action = (notice.get("receipt") or {}).get("action") or {}
    if "content" not in notice and action.get("type") == "S3":
        notice["content"] = base64.b64encode(_from_s3(action)).decode()
        action["encoding"] = "BASE64"
    # SES's own id: two topics may tell of one mail.
    return Report(source=INBOUND, kind=kind, dedupe_key=provider_id, body=json.dumps(notice).encode(), headers=headers)


def _from_s3(action: Row) -> bytes:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        bucket, key = str(action["bucketName"]), str(action["objectKey"])
    except KeyError as error:
        raise BadRecord("an S3 action without bucket and key") from error
    try:
        client = boto3.session.Session().client("s3", config=Config(connect_timeout=3, read_timeout=8))
        return client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"the mail in S3 cannot be read: {type(error).__name__}") from error


def apply_event(connection: Connection, report: Report, context: Context) -> str:
    """Move the message the event speaks of; a hard bounce or a complaint suppresses the address."""
    from leadpipe.messaging.callbacks import SesEvent, apply_ses_event

    return apply_ses_event(connection, SesEvent.read(json.loads(report.body)), now=context.now).result


def apply_inbound(connection: Connection, report: Report, context: Context) -> str:
    """Store what the lead wrote, without the quoted part, with the opt-out in it, if any."""
    from leadpipe.conversation.inbound import Inbound, store_inbound
    from leadpipe.conversation.quoting import cut_quoted
    from leadpipe.leads.identity import normalise_email

    notice: Row = json.loads(report.body)
    receipt: Row = notice.get("receipt") or {}
    if (receipt.get("virusVerdict") or {}).get("status") == "FAIL":
        return "kept, not read: SES found a virus"
    recipients = [str(each) for each in receipt.get("recipients") or notice["mail"].get("destination") or []]
    try:
        mail = read_mail(_content(notice), recipients=recipients)
    except BadRecord as error:
        return f"kept, not read: {error}"
    sender = normalise_email(mail.sender)
    if sender.reason:
        return f"kept, not read: {sender.reason}"
    stored = store_inbound(
        connection,
        Inbound(
            channel="email",
            provider_id=report.dedupe_key,
            address=sender.address,
            to_address=recipients[0] if recipients else "",
            subject=mail.subject,
            body=_words(mail, cut_quoted(mail.text)),
            full_body=mail.text,
            in_reply_to=_answered(connection, mail),
            is_auto_reply=mail.is_automatic,
            received_at=reports.happened_at(report, notice["mail"].get("timestamp"), now=context.now),
        ),
        settings=context.settings,
        now=context.now,
    )
    return getattr(stored, "result", None) or "stored"


def _words(mail: Mail, newest: str) -> str:
    """The newest words; an empty mail, or one sent from our mailto link, speaks by its subject (RFC 2369)."""
    subject = mail.subject.strip()
    if subject.lower() in {"unsubscribe", "stop", "remove"}:
        return f"{subject}\n{newest}".strip()
    return newest or subject


def _content(notice: Row) -> bytes:
    content = str(notice.get("content") or "")
    action = (notice.get("receipt") or {}).get("action") or {}
    if str(action.get("encoding", "")).upper() == "BASE64":
        return base64.b64decode(content)
    return content.encode()


def _answered(connection: Connection, mail: Mail) -> str | None:
    """Our message this mail answers: by the plus address, else by the SES ids it refers to."""
    if mail.our_message_id:
        found = connection.execute(
            text("select id::text from ledger.messages where id = cast(:id as uuid)"), {"id": mail.our_message_id}
        ).scalar()
        if found:
            return str(found)
    if not mail.our_provider_ids:
        return None
    return connection.execute(
        text(
            "select id::text from ledger.messages where provider = 'ses' and provider_id = any(:ids) "
            "order by array_position(cast(:ids as text[]), provider_id) limit 1"
        ),
        {"ids": list(mail.our_provider_ids)},
    ).scalar()


EFFECTS: dict[str, reports.Effect] = {EVENT: apply_event, INBOUND: apply_inbound}
