"""Looking a message up at the provider that may have it.

What lives here: Twilio's listing and which of its rows is ours. What does not: when to look and what follows
(``reconcile``). SES and SNS offer no such call: SES tells by its events, SNS not at all (messaging sheet 7).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.errors import TransientError

if TYPE_CHECKING:
    from twilio.rest import Client

# Twilio's clock and ours differ a little; an older row belongs to an earlier message.
BEFORE_ATTEMPT = timedelta(seconds=60)
# Twilio may store a WhatsApp template without its rendered words; such a row is known by nearness alone.
TEMPLATE_WITHIN = timedelta(minutes=10)
PAGE_SIZE = 50
MAX_ROWS = 200


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An attempt whose outcome is not known."""

    channel: str
    to: str
    body: str
    attempted_at: datetime


@dataclass(frozen=True, kw_only=True)
class Row:
    """One message at Twilio, reduced to what tells whose it is."""

    sid: str
    status: str
    error_code: int | None
    body: str
    direction: str
    created_at: datetime


def twilio_rows(client: Client, wanted: Wanted) -> list[Row]:
    """Twilio's rows to this receiver since shortly before the attempt, newest first.

    An empty list proves nothing: new messages can be missing for minutes, at times for hours (sheet 1.3).

    Raises:
        TransientError: the list could not be read.
    """
    to = f"whatsapp:{wanted.to}" if wanted.channel == "whatsapp" else wanted.to
    since = wanted.attempted_at - BEFORE_ATTEMPT
    rows: list[Row] = []
    try:
        for message in client.messages.stream(to=to, page_size=PAGE_SIZE, limit=MAX_ROWS):
            row = _row(message)
            if row.created_at < since:
                break
            rows.append(row)
    except Exception as error:
        raise TransientError(
            f"Twilio's message list could not be read ({type(error).__name__}); tried later"
        ) from error
    return rows


def twilio_status(client: Client, sid: str) -> Row:
    """One message's present state at Twilio.

    Raises:
        TransientError: it could not be read.
    """
    try:
        return _row(client.messages(sid).fetch())
    except Exception as error:
        raise TransientError(f"a message could not be read at Twilio ({type(error).__name__}); tried later") from error


def ours_among(rows: Collection[Row], wanted: Wanted, *, bound_sids: Collection[str]) -> Row | None:
    """The row of this attempt, or None. Rows bound to other messages are not ours, and other words are not ours either.

    Words are compared without regard to white space, which carriers and templates change. A WhatsApp template says the
    very words that were recorded, so it is known by them like any text; only a row that holds no words of its own can
    be ours by nearness, when it is the only one. A row that failed counts only when no other fits: Twilio lists refused
    creates as failed too.
    """
    near = [
        row
        for row in rows
        if row.direction == "outbound-api"
        and row.sid not in bound_sids
        and row.created_at >= wanted.attempted_at - BEFORE_ATTEMPT
    ]
    same = [row for row in near if row.body.split() == wanted.body.split()]
    if not same and wanted.channel == "whatsapp":
        close = [
            row for row in near if _is_wordless(row.body) and row.created_at <= wanted.attempted_at + TEMPLATE_WITHIN
        ]
        same = close if len(close) == 1 else []
    same.sort(key=lambda row: (row.status == "failed", row.created_at))
    return same[0] if same else None


def _is_wordless(body: str) -> bool:
    """Nothing, or a template's words with their places still open."""
    return not body.strip() or "{{1}}" in body


def _row(message: Any) -> Row:
    created = message.date_created
    if not isinstance(created, datetime):
        raise TransientError("Twilio listed a message without a creation time")
    return Row(
        sid=str(message.sid),
        status=str(message.status),
        error_code=int(message.error_code) if message.error_code else None,
        body=str(message.body or ""),
        direction=str(message.direction),
        created_at=created if created.tzinfo else created.replace(tzinfo=UTC),
    )
