"""What an answer may draw on: the person, our last words, where an answer goes, the turn's number.

What lives here: one read of the ledger before a turn is decided. What does not: deciding (``decision``) and answering
(``drafting``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.conversation import match
from leadpipe.conversation.effects import PLAN, next_number
from leadpipe.conversation.turn import Turn
from leadpipe.outreach.facts import Known, know, people

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

# A hint at STOP at least every thirty days (C28); a day of margin.
HINT_EVERY = timedelta(days=29)


@dataclass(frozen=True, kw_only=True)
class Background:
    """What an answer may draw on, read before anything is decided.

    Attributes:
        before: our last message to the person, in the words they saw.
        plan: the plan that brought them to write, empty if none did.
        paused_by: why automation is paused, empty if it is not.
        contact_point_id: where an answer goes; None when no address of the person is left for that.
        has_hint: a text must say how to stop.
        asked_at: when they asked about the home whose facts we hold.
        number: the turn's.
    """

    known: Known | None
    before: str = ""
    plan: str = ""
    paused_by: str = ""
    is_with_agent: bool = False
    contact_point_id: int | None = None
    in_reply_to: str = ""
    our_subject: str = ""
    has_hint: bool = False
    asked_at: datetime | None = None
    number: int = 1


_LAST = text(
    """
    select m.id::text as id, m.body, m.subject, m.plan, m.provider_id, m.channel
    from ledger.messages m
    where m.person_id = :person and m.accepted_at is not null
    order by m.id = cast(:answered as uuid) desc, m.accepted_at desc limit 1
    """
)


def gather(connection: Connection, turn: Turn, settings: Settings, *, now: datetime) -> Background:
    """Everything an answer to this turn needs to know, in one read."""
    if turn.person_id is None:
        return Background(known=None)
    row = people(connection, [turn.person_id], now=now).get(turn.person_id)
    if row is None:
        return Background(known=None)
    answered = next((m.in_reply_to for m in reversed(turn.messages) if m.in_reply_to), None)
    last = connection.execute(_LAST, {"person": turn.person_id, "answered": answered}).one_or_none()
    number = _number_given(connection, turn)
    return Background(
        known=know(row),
        before=_shown(last.body) if last else "",
        plan=last.plan if last else "",
        paused_by=row.automation_paused_reason or "" if row.automation_paused_at else "",
        is_with_agent=_is_with_agent(connection, turn.person_id),
        contact_point_id=_address(connection, turn),
        in_reply_to=_reference(last, settings) if turn.newest.channel == "email" and last else "",
        our_subject=last.subject if last else "",
        has_hint=_is_hint_due(connection, turn, now),
        asked_at=_asked_at(connection, row.event_id),
        number=number if number is not None else next_number(connection, turn),
    )


def _asked_at(connection: Connection, event_id: int | None) -> datetime | None:
    query = text("select occurred_at from ledger.inquiries where event_id = :id")
    return connection.execute(query, {"id": event_id}).scalar()


def _number_given(connection: Connection, turn: Turn) -> int | None:
    """The number a run that died has given this very turn, so that its answers are not enqueued twice."""
    return connection.execute(
        text(
            "select occurrence from ledger.messages where person_id = :person and plan = :plan "
            "and evidence -> 'inbound_ids' = cast(:ids as jsonb) order by created_at limit 1"
        ),
        {"person": turn.person_id, "plan": PLAN, "ids": str(turn.ids)},
    ).scalar()


def _is_with_agent(connection: Connection, person_id: int) -> bool:
    found = connection.execute(
        text("select 1 from ledger.handoffs where person_id = :id and closed_at is null"), {"id": person_id}
    )
    return found.scalar() is not None


def _address(connection: Connection, turn: Turn) -> int | None:
    """The address they wrote from when it is theirs; else, for the same channel, the one our message went to."""
    assert turn.person_id is not None
    own = match.points_of(connection, turn.person_id)
    kind = "email" if turn.newest.channel == "email" else "phone"
    if turn.newest.contact_point_id in own:
        return turn.newest.contact_point_id
    for message in reversed(turn.messages):
        answered = match.our_message(connection, message.in_reply_to)
        if answered is not None and own.get(answered.contact_point_id) == kind:
            return answered.contact_point_id
    return None


def _is_hint_due(connection: Connection, turn: Turn, now: datetime) -> bool:
    found = connection.execute(
        text(
            "select 1 from ledger.messages where contact_point_id = :point and channel = 'sms' "
            "and accepted_at > :since and body like '%STOP%' limit 1"
        ),
        {"point": turn.newest.contact_point_id, "since": now - HINT_EVERY},
    )
    return found.scalar() is None


def _reference(last: Any, settings: Settings) -> str:
    """The Message-ID of our mail as SES wrote it, so that mail programs show one conversation."""
    if last.channel != "email" or not last.provider_id:
        return ""
    host = "email" if settings.aws_region == "us-east-1" else settings.aws_region
    return f"<{last.provider_id}@{host}.amazonses.com>"


def _shown(body: str) -> str:
    """Our last words: of an email its first paragraphs, without the tail that every email carries."""
    return "\n".join(body.split("\n\n")[:3])[:400]
