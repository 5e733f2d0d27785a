"""What providers report about a message after they took it: Twilio's statuses and SES's events.

What lives here: finding the message, the state a report stands for, and the suppressions that follow. What does not:
checking signatures and storing the raw report (``gateway``), replies (``receive``).

Reports repeat, come late and out of order. Our message id travels with each (messaging sheet 7), so that a report
binds a message whose call never gave an answer; the table of moves keeps an early stage from undoing a late one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.messaging import failpoints, suppression
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.channels.codes import Kind, twilio_meaning
from leadpipe.messaging.outcomes import apply_code
from leadpipe.messaging.protocol import NEEDS_REASON, Event, Move, State, move_where_legal

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

# Three soft bounces in fourteen days end an address for us (C25).
SOFT_BOUNCES = 3
SOFT_BOUNCE_WINDOW = timedelta(days=14)

_TWILIO_STATES = {
    "accepted": State.ACCEPTED,
    "scheduled": State.ACCEPTED,
    "queued": State.ACCEPTED,
    "sending": State.ACCEPTED,
    "sent": State.SENT,
    "delivered": State.DELIVERED,
    "partially_delivered": State.DELIVERED,
    "read": State.DELIVERED,
    "undelivered": State.UNDELIVERED,
    # Never left Twilio, so nothing reached the person (sheet 1.8).
    "failed": State.REFUSED,
    "canceled": State.REFUSED,
}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What a report did: ``moved``, ``repeated`` (nothing new), ``unmatched`` (not one of our messages)."""

    result: str
    message_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class TwilioStatus:
    """One status report; ``message_id`` is ours, from the callback's query."""

    message_id: str
    sid: str
    status: str
    error_code: int | None = None


def apply_twilio_status(
    connection: Connection, report: TwilioStatus, *, now: datetime, event: Event = Event.CALLBACK
) -> Applied:
    """Move the message to what Twilio says; a failure's code may also suppress or detach the number.

    ``event`` is RECONCILE for what we looked up ourselves.
    """
    to = _TWILIO_STATES.get(report.status)
    message = _find(connection, report.message_id, "twilio", report.sid)
    if message is None or to is None:
        return Applied(result="unmatched")
    # A failure without a code of its own still says why the message ended.
    code = str(report.error_code) if report.error_code else report.status if to in NEEDS_REASON else None
    if report.error_code:
        suppression.lock_point(connection, [message.contact_point_id])
    applied = _apply(connection, message, to, code, report.sid, {"status": report.status}, now, event)
    if report.error_code and applied.result == "moved":
        apply_code(connection, message.contact_point_id, message.channel, code, now=now)
        if twilio_meaning(report.error_code).kind in {Kind.PERSON, Kind.ALERT}:
            raise_alert(
                connection,
                kind="provider_reports",
                dedupe_key=f"provider_reports:{message.channel}:{code}:{now:%Y-%m-%d}",
                title=f"{message.channel}: messages fail with code {code}",
                body=f"Message {message.id} and maybe others. See Twilio's page on error {code}; then look at "
                f"`leadpipe messages list --state undelivered`.",
                now=now,
            )
    return applied


def _find(connection: Connection, message_id: str, provider: str, provider_id: str) -> Row[Any] | None:
    """The message by our id, else by the provider's; ours wins, because it is known before the provider's is."""
    columns = "id::text as id, state, contact_point_id, person_id, channel, provider_id, accepted_at"
    if _UUID.fullmatch(message_id):
        found = connection.execute(
            text(f"select {columns} from ledger.messages where id = cast(:id as uuid)"),  # noqa: S608 - fixed columns
            {"id": message_id},
        ).one_or_none()
        if found is not None:
            return found
    return connection.execute(
        text(f"select {columns} from ledger.messages where provider = :provider and provider_id = :id"),  # noqa: S608 - fixed columns
        {"provider": provider, "id": provider_id},
    ).one_or_none()


def _apply(
    connection: Connection,
    message: Row[Any],
    to: State,
    code: str | None,
    provider_id: str,
    detail: Mapping[str, Any],
    now: datetime,
    event: Event = Event.CALLBACK,
) -> Applied:
    if message.provider_id and message.provider_id != provider_id:
        # The one thing the protocol must never allow; if a provider shows it, a person must know.
        raise_alert(
            connection,
            kind="accepted_twice",
            dedupe_key=f"accepted_twice:{message.id}:{provider_id}",
            title="A provider holds two messages for one of ours",
            body=f"Message {message.id} is bound to {message.provider_id} and a report names {provider_id}. "
            "Look both up in the provider's log; if both went out, tell us how it came about.",
            now=now,
            person_id=message.person_id,
        )
        return Applied(result="unmatched", message_id=message.id)
    refused = move_where_legal(
        connection,
        [
            Move(
                message_id=message.id,
                event=event,
                to=to,
                code=code,
                provider_id=provider_id,
                detail=detail,
            )
        ],
        at=now,
    )
    if not refused:
        failpoints.hit("callback.moved")
    return Applied(result="repeated" if refused else "moved", message_id=message.id)


@dataclass(frozen=True, kw_only=True)
class SesEvent:
    """One event of a configuration set, reduced to what it means for us."""

    kind: str
    message_id: str
    provider_id: str
    detail: Mapping[str, Any]

    @staticmethod
    def read(event: Mapping[str, Any]) -> SesEvent:
        """From the event's JSON.

        Raises:
            KeyError, TypeError: not an SES event.
        """
        mail = event["mail"]
        tags = mail.get("tags") or {}
        kind = str(event.get("eventType") or event["notificationType"])
        detail = event.get(kind[0].lower() + kind[1:].replace(" ", "")) or {}
        if kind == "Rendering Failure":
            detail = event.get("failure") or {}
        return SesEvent(
            kind=kind,
            message_id=str((tags.get("leadpipe_mid") or [""])[0]),
            provider_id=str(mail["messageId"]),
            detail=detail,
        )


def apply_ses_event(connection: Connection, event: SesEvent, *, now: datetime) -> Applied:
    """Move the message to what SES says; a hard bounce or a complaint suppresses the address (C25)."""
    message = _find(connection, event.message_id, "ses", event.provider_id)
    if message is None:
        return Applied(result="unmatched")
    to, code = _ses_state(event)
    if to is None:
        return Applied(result="repeated", message_id=message.id)
    if to in {State.BOUNCED, State.COMPLAINED, State.UNDELIVERED}:
        suppression.lock_point(connection, [message.contact_point_id])
    applied = _apply(connection, message, to, code, event.provider_id, {"event": event.kind}, now)
    source = ""
    if to is State.BOUNCED:
        source = "bounce"
    elif to is State.COMPLAINED:
        source = "complaint"
    elif to is State.UNDELIVERED and _count_soft_bounces(connection, message.contact_point_id, now) >= SOFT_BOUNCES:
        source = "soft_bounces"
    # Also when the state could not move (a bounce after a complaint): the address is dead either way.
    if source:
        suppression.suppress(
            connection,
            contact_point_id=message.contact_point_id,
            channels=("email",),
            source=source,
            at=now,
            now=now,
            person_id=message.person_id,
            evidence={"message_id": message.id, "code": code},
        )
    return applied


def _ses_state(event: SesEvent) -> tuple[State | None, str | None]:
    """The state an event stands for; None for events that say nothing about the message's way (opens, delays)."""
    detail = event.detail
    simple = {"Send": State.SENT, "Delivery": State.DELIVERED, "Reject": State.REFUSED}
    if event.kind == "Bounce":
        code = f"{detail.get('bounceType', '')}/{detail.get('bounceSubType', '')}"
        return (State.BOUNCED if detail.get("bounceType") == "Permanent" else State.UNDELIVERED), code
    if event.kind == "Complaint":
        feedback = detail.get("complaintFeedbackType")
        return (None, None) if feedback == "not-spam" else (State.COMPLAINED, str(feedback or "complaint"))
    if event.kind == "Rendering Failure":
        return State.REFUSED, "rendering_failure"
    return simple.get(event.kind), "rejected" if event.kind == "Reject" else None


def _count_soft_bounces(connection: Connection, contact_point_id: int, now: datetime) -> int:
    return int(
        connection.execute(
            text(
                "select count(*) from ledger.message_events e join ledger.messages m on m.id = e.message_id "
                "where m.contact_point_id = :point and m.channel = 'email' and e.to_state = 'undelivered' "
                "and e.at > :since"
            ),
            {"point": contact_point_id, "since": now - SOFT_BOUNCE_WINDOW},
        ).scalar_one()
    )
