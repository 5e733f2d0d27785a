"""One turn of a lead: the messages of theirs that are read together.

What lives here: the shape, and taking waiting turns under a lease. What does not: reading (``reading``), effects
(``effects``).

Two replies in a row are one turn: a turn is taken when nothing more came for a moment. A lease that expires gives the
messages back, so a reader that dies loses nothing; nothing is written before the end, so nothing happens twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.conversation import match

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

LEASE = timedelta(seconds=90)
# People send a thought in two messages a breath apart; one who never stops writing is read all the same.
SETTLE = timedelta(seconds=2)
SETTLE_AT_MOST = timedelta(seconds=20)
# Leases are given out one transaction at a time, so that two readers never split a turn.
_LEASE_LOCK = 7_305_201


@dataclass(frozen=True, kw_only=True)
class InboundMessage:
    """One stored message of a lead."""

    id: int
    channel: str
    contact_point_id: int
    subject: str
    body: str
    in_reply_to: str | None
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Messages of one person, oldest first; never empty.

    Attributes:
        person_id: None for a stranger.
    """

    person_id: int | None
    messages: tuple[InboundMessage, ...]

    @property
    def newest(self) -> InboundMessage:
        """The message that decides channel and address of an answer."""
        return self.messages[-1]

    @property
    def id(self) -> int:
        """Names the turn in markers and keys: its newest message."""
        return self.newest.id

    @property
    def text(self) -> str:
        """All words of the turn, a message a line."""
        return "\n".join(message.body for message in self.messages if message.body).strip()

    @property
    def ids(self) -> list[int]:
        """Ids of its messages."""
        return [message.id for message in self.messages]


_READY = text(
    """
    select coalesce(person_id, -contact_point_id) as who
    from ledger.inbound_messages where read_at is null
    group by 1
    having bool_and(lease_expires_at is null or lease_expires_at < :now)
      and (max(received_at) <= :settled or min(received_at) <= :waited_enough)
    order by min(received_at), 1 limit :limit
    """
)
_TAKE = text(
    """
    update ledger.inbound_messages set lease_owner = :worker, lease_expires_at = :until
    where read_at is null and coalesce(person_id, -contact_point_id) = any(cast(:who as bigint[]))
    returning id, channel, contact_point_id, person_id, subject, body, in_reply_to::text, received_at
    """
)


def count_ready(connection: Connection, *, now: datetime) -> int:
    """Turns that wait for a reader; the sensor's question."""
    return len(connection.execute(_READY, _ready_values(now, limit=1_000)).all())


def take(engine: Engine, *, worker: str, now: datetime, limit: int) -> list[Turn]:
    """Lease up to ``limit`` turns, longest waiting first; no two workers get messages of the same person."""
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LEASE_LOCK})
        who = list(connection.execute(_READY, _ready_values(now, limit=limit)).scalars())
        if not who:
            return []
        rows = connection.execute(_TAKE, {"worker": worker, "until": now + LEASE, "who": who}).all()
        grouped: dict[int, list[InboundMessage]] = {}
        people: dict[int, int | None] = {}
        for row in sorted(rows, key=lambda row: (row.received_at, row.id)):
            key = row.person_id if row.person_id is not None else -row.contact_point_id
            people[key] = row.person_id
            grouped.setdefault(key, []).append(
                InboundMessage(
                    id=row.id,
                    channel=row.channel,
                    contact_point_id=row.contact_point_id,
                    subject=row.subject,
                    body=row.body,
                    in_reply_to=row.in_reply_to,
                    received_at=row.received_at,
                )
            )
        turns = [
            Turn(person_id=_person(connection, people[key], messages), messages=tuple(messages))
            for key, messages in grouped.items()
        ]
    return sorted(turns, key=lambda turn: (turn.messages[0].received_at, turn.id))


def give_back(engine: Engine, turn: Turn, *, worker: str, now: datetime, after: timedelta) -> None:
    """The turn could not be read now; it waits ``after`` and is taken again."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "update ledger.inbound_messages set lease_expires_at = :until "
                "where id = any(cast(:ids as bigint[])) and read_at is null and lease_owner = :worker"
            ),
            {"until": now + after, "ids": turn.ids, "worker": worker},
        )


def _person(connection: Connection, person_id: int | None, messages: list[InboundMessage]) -> int | None:
    """Who wrote, looked up again: the CRM may have told of the person, or merged them, since the message came."""
    if person_id is None:
        return match.owner(connection, messages[-1].contact_point_id, None)
    return match.canonical(connection, person_id)


def _ready_values(now: datetime, *, limit: int) -> dict[str, object]:
    return {"now": now, "settled": now - SETTLE, "waited_enough": now - SETTLE_AT_MOST, "limit": limit}
