"""A lead's message as it arrives: stored, and obeyed at once where its words leave no doubt.

What lives here: the one transaction of the gateway that stores a message and applies STOP and its relatives, START,
HELP and "wrong number". What does not: reading free words (``reading``, later, by a run), parsing what the provider
posted (``gateway``).

Order of locks: contact points, the person, then messages. The claim takes the same lock on the contact point, so a STOP
and a send have an order and nothing goes out after it (design section 5). Every other message stays unread, which holds
all messages to that person until it has been read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.conversation import effects, match
from leadpipe.conversation.classify import Reading, reading_of
from leadpipe.conversation.decision import decide
from leadpipe.conversation.optout import Words, is_yes, read_words
from leadpipe.conversation.redact import redact
from leadpipe.conversation.turn import InboundMessage, Turn
from leadpipe.messaging import failpoints, suppression

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

_NOTHING_TO_DO = Reading(intent="other", suppress=False, sentiment="neutral", confidence=1.0, reader="keyword")
# Twilio answers HELP on SMS by itself (messaging sheet 2.5); elsewhere it is a message like any other.
_ANSWERED_BY_CARRIER = frozenset({"sms"})


@dataclass(frozen=True, kw_only=True)
class Inbound:
    """One message from outside.

    Attributes:
        provider_id: the provider's id of the message; the same one is stored once.
        address: the sender, normalised: lower-cased email or E.164.
        to_address: where it was sent.
        body: the newest words, quoted text cut off.
        full_body: all of it.
        in_reply_to: our message id, when the mail or its address names one.
        is_auto_reply: a machine wrote it; it is kept and holds nothing.
    """

    channel: str
    provider_id: str
    address: str
    to_address: str = ""
    subject: str = ""
    body: str
    full_body: str = ""
    in_reply_to: str | None = None
    is_auto_reply: bool = False
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredInbound:
    """What became of it.

    Attributes:
        inbound_id: the row.
        person_id: whose, None for a stranger.
        result: ``unread`` (a reader is next), ``repeated``, ``auto_reply``, ``help``, ``start``, ``opt_out``,
            ``wrong_number`` or ``complaint``.
    """

    inbound_id: int
    contact_point_id: int
    person_id: int | None
    result: str


def store_inbound(connection: Connection, inbound: Inbound, *, settings: Settings, now: datetime) -> StoredInbound:
    """Store one message once and apply what its words certainly say, in the caller's transaction.

    What looks like a social security number is taken out before anything is kept (C35).

    Args:
        connection: in the gateway's transaction, which answers the provider after its commit.
        inbound: the message.
        settings: plans and team.
        now: when leadpipe learnt of it.
    """
    point_id = match.contact_point_id(connection, inbound.channel, inbound.address, now=now)
    answered = match.our_message(connection, inbound.in_reply_to)
    person_id = match.owner(connection, point_id, answered)
    points = {point_id} | ({answered.contact_point_id} if answered else set())
    if person_id is not None:
        points |= match.points_of(connection, person_id).keys()
    suppression.lock_point(connection, points)
    inbound_id = _insert(connection, inbound, point_id, person_id, answered.id if answered else None)
    if inbound_id is None:
        found = connection.execute(
            text("select id from ledger.inbound_messages where channel = :channel and provider_id = :id"),
            {"channel": inbound.channel, "id": inbound.provider_id},
        ).scalar_one()
        return StoredInbound(inbound_id=found, contact_point_id=point_id, person_id=person_id, result="repeated")
    failpoints.hit("inbound.stored")
    if person_id is not None and not inbound.is_auto_reply:
        connection.execute(
            text("update ledger.people set last_two_way_at = greatest(last_two_way_at, :at) where person_id = :person"),
            {"at": inbound.received_at, "person": person_id},
        )
    message = InboundMessage(
        id=inbound_id,
        channel=inbound.channel,
        contact_point_id=point_id,
        subject=inbound.subject,
        body=redact(inbound.body),
        in_reply_to=answered.id if answered else None,
        received_at=inbound.received_at,
    )
    turn = Turn(person_id=person_id, messages=(message,))
    result = _obey(connection, turn, inbound, settings, now)
    return StoredInbound(inbound_id=inbound_id, contact_point_id=point_id, person_id=person_id, result=result)


def _obey(connection: Connection, turn: Turn, inbound: Inbound, settings: Settings, now: datetime) -> str:
    """Do what the words certainly say; returns the result."""
    words = read_words(inbound.body)
    if words is not None and words.is_certain and words.kind in {"stop", "wrong_number", "complaint"}:
        return _refuse(connection, turn, words, settings, now)
    if inbound.is_auto_reply:
        effects.mark_read(connection, turn, _NOTHING_TO_DO, now=now)
        return "auto_reply"
    channel, point_id = turn.newest.channel, turn.newest.contact_point_id
    is_start = words is not None and words.kind == "start"
    if is_start or is_yes(inbound.body):
        is_lifted = suppression.lift(
            connection,
            contact_point_id=point_id,
            channel=channel,
            at=inbound.received_at,
            now=now,
            person_id=turn.person_id,
            inbound_id=turn.id,
        )
        if is_start:
            effects.mark_read(connection, turn, _NOTHING_TO_DO, now=now)
        return "start" if is_start or is_lifted else "unread"
    if words is not None and words.kind == "help" and channel in _ANSWERED_BY_CARRIER:
        effects.mark_read(connection, turn, _NOTHING_TO_DO, now=now)
        return "help"
    return "unread"


def _refuse(connection: Connection, turn: Turn, words: Words, settings: Settings, now: datetime) -> str:
    reading = reading_of(words, turn.text)
    decision = decide(reading, turn.text)
    effects.conclude(connection, turn, reading, decision, words=words, settings=settings, now=now)
    return reading.intent


def _insert(
    connection: Connection, inbound: Inbound, point_id: int, person_id: int | None, in_reply_to: str | None
) -> int | None:
    """The new row's id; None when the provider told of this message before."""
    return connection.execute(
        text(
            "insert into ledger.inbound_messages (channel, provider_id, contact_point_id, person_id, in_reply_to, "
            "to_address, subject, body, full_body, received_at, is_auto_reply) values (:channel, :provider_id, :point, "
            ":person, cast(:in_reply_to as uuid), :to_address, :subject, :body, :full_body, :at, :is_auto) "
            "on conflict (channel, provider_id) do nothing returning id"
        ),
        {
            "channel": inbound.channel,
            "provider_id": inbound.provider_id,
            "point": point_id,
            "person": person_id,
            "in_reply_to": in_reply_to,
            "to_address": inbound.to_address,
            "subject": redact(inbound.subject),
            "body": redact(inbound.body),
            "full_body": redact(inbound.full_body or inbound.body),
            "at": inbound.received_at,
            "is_auto": inbound.is_auto_reply,
        },
    ).scalar()
