"""What a person decides about single messages: release or reject what waits, say what became of what is unsure.

What lives here: listing messages for a person, and the four moves a person makes. What does not: the gate's rules (a
release is judged like any other message), printing (``cli.messages``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.errors import Rejected
from leadpipe.messaging import gate
from leadpipe.messaging.cases import subject_of
from leadpipe.messaging.protocol import Event, Move, State, write

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row

    from leadpipe.settings import Settings

_EXPIRED = text(
    "select id::text as id from ledger.messages where state = 'review' and expires_at <= :now "
    "order by id for no key update skip locked"
)
_ONE = text(
    """
    select m.id::text as id, m.state, m.code, m.person_id, m.contact_point_id, m.plan, m.step, m.channel, m.purpose,
      m.subject, m.body, m.evidence -> 'variables' as variables, m.is_model_written, m.due_at, m.expires_at
    from ledger.messages m where m.id = cast(:id as uuid) for no key update
    """
)
_LIST = """
    select id::text as id, state, code, person_id, plan, step, occurrence, channel, purpose, subject, body,
      segments, is_model_written, due_at, not_before_at, expires_at, changed_at
    from ledger.messages where state = any(:states) order by priority, changed_at, id limit :limit
"""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One message as a person sees it; the receiver is named by the CRM's person id, never by an address."""

    id: str
    state: str
    code: str | None
    person_id: int
    plan: str
    step: str
    occurrence: int
    channel: str
    purpose: str
    subject: str
    body: str
    segments: int
    is_model_written: bool
    due_at: datetime
    not_before_at: datetime | None
    expires_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Where a person's decision brought the message, and why there."""

    message_id: str
    state: State
    code: str | None = None
    until: datetime | None = None


def list_messages(connection: Connection, *, state: str | None = None, limit: int = 100) -> list[Listed]:
    """Messages in one state, or everything that waits for a person (review, unknown, parked); best priority first."""
    states = [state] if state else [str(State.REVIEW), str(State.UNKNOWN), str(State.PARKED)]
    rows = connection.execute(text(_LIST), {"states": states, "limit": limit})
    return [Listed(**row) for row in rows.mappings()]


def release(engine: Engine, message_id: str, *, by: str, now: datetime, settings: Settings) -> Decided:
    """Let a message under review go, if the gate still lets it: it is judged again, now.

    The release answers what was waiting for a person; a block stands, hours and caps still hold the message.

    Raises:
        Rejected: no such message, or it is not under review; nothing was written.
    """
    with engine.begin() as connection:
        row = _locked(connection, message_id, {State.REVIEW})
        if row.expires_at is not None and row.expires_at <= now:
            return _moved(connection, row, Event.EXPIRE, State.EXPIRED, "stale", by, now)
        subject = subject_of(row, judged_for=row.due_at if row.due_at > now else None)
        [verdict] = gate.judge(connection, [subject], now=now, settings=settings)
        gate.record(connection, [subject], [verdict], moment="release", now=now, settings=settings)
        state, code, until = gate.state_for(verdict, row.id, is_released=True)
        if state is State.HELD and until is not None:
            until = max(until, row.due_at)
        return _moved(connection, row, Event.RELEASE, state, code, by, now, until=until)


def reject(engine: Engine, message_id: str, *, by: str, now: datetime, reason: str = "rejected") -> Decided:
    """Cancel a message under review.

    Raises:
        Rejected: no such message, or it is not under review.
    """
    with engine.begin() as connection:
        row = _locked(connection, message_id, {State.REVIEW})
        return _moved(connection, row, Event.REJECT, State.CANCELLED, reason or "rejected", by, now)


def resolve(engine: Engine, message_id: str, *, was_sent: bool, by: str, now: datetime) -> Decided:
    """Say what became of a message whose call gave no answer; it is never sent again either way.

    Raises:
        Rejected: no such message, or it is neither unknown nor parked.
    """
    with engine.begin() as connection:
        row = _locked(connection, message_id, {State.UNKNOWN, State.PARKED})
        to = State.ACCEPTED if was_sent else State.REFUSED
        return _moved(connection, row, Event.RESOLVE, to, "resolved_sent" if was_sent else "resolved_not_sent", by, now)


def expire_reviews(connection: Connection, *, now: datetime) -> int:
    """Expire what nobody released in its time; returns how many."""
    ids = list(connection.execute(_EXPIRED, {"now": now}).scalars())
    moves = [
        (State.REVIEW, Move(message_id=message_id, event=Event.EXPIRE, to=State.EXPIRED, code="not_released"))
        for message_id in ids
    ]
    write(connection, moves, at=now)
    return len(ids)


def _locked(connection: Connection, message_id: str, states: set[State]) -> Row[Any]:
    from uuid import UUID

    wanted = " or ".join(sorted(str(state) for state in states))
    try:
        row = connection.execute(_ONE, {"id": str(UUID(message_id))}).one_or_none()
    except ValueError:
        raise Rejected(f"{message_id!r} is no message id; take one from `leadpipe messages list`") from None
    if row is None:
        raise Rejected(f"there is no message {message_id}; take an id from `leadpipe messages list`")
    if State(row.state) not in states:
        raise Rejected(f"message {message_id} is {row.state}, not {wanted}; nothing was changed", code=row.state)
    return row


def _moved(
    connection: Connection,
    row: Row[Any],
    event: Event,
    to: State,
    code: str | None,
    by: str,
    now: datetime,
    *,
    until: datetime | None = None,
) -> Decided:
    made = Move(message_id=row.id, event=event, to=to, code=code, not_before_at=until, detail={"by": by})
    write(connection, [(State(row.state), made)], at=now)
    return Decided(message_id=row.id, state=to, code=code, until=until)
