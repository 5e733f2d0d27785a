"""The send protocol as data: states, events, allowed moves, and the one way to make a move.

What lives here: which state may follow which, and writing a move with its append-only event. What does not: why a
move is made (``claim``, ``outcomes``, ``callbacks``, ``suppression``, ``review``, ``reconcile``), the drawing for the
docs (``drawing``). No other module writes ``messages.state``, but ``entry`` the first one.

The database refuses what this table does not have, whoever asks (migration 0004). A change here needs a migration that
says the same; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import text

from leadpipe.errors import PermanentError

if TYPE_CHECKING:
    from sqlalchemy import Connection


class State(StrEnum):
    """Where a message stands (design section 5)."""

    QUEUED = "queued"
    HELD = "held"
    BLOCKED = "blocked"
    REVIEW = "review"
    SENDING = "sending"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    PARKED = "parked"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Event(StrEnum):
    """What moved it."""

    ENQUEUE = "enqueue"
    CLAIM = "claim"
    OUTCOME = "outcome"
    RECOVER = "recover"
    CALLBACK = "callback"
    RECONCILE = "reconcile"
    RELEASE = "release"
    REJECT = "reject"
    RESOLVE = "resolve"
    CANCEL = "cancel"
    EXPIRE = "expire"


# An event of the log that moves nothing: it says that we looked.
LOOKED_UP = "looked_up"

S, E = State, Event
# Nothing of these left the house yet, and nothing will while the row stands there.
WAITING = frozenset({S.QUEUED, S.HELD, S.REVIEW})
# A provider may have it; the row must not be called a second time.
UNSURE = frozenset({S.SENDING, S.UNKNOWN, S.PARKED})
# The provider has it or had it: what counts as a message to the person.
WENT_OUT = frozenset({S.ACCEPTED, S.SENT, S.DELIVERED, S.UNDELIVERED, S.BOUNCED, S.COMPLAINED})
TERMINAL = frozenset(
    {S.BLOCKED, S.DELIVERED, S.UNDELIVERED, S.BOUNCED, S.COMPLAINED, S.REFUSED, S.CANCELLED, S.EXPIRED}
)
# Whoever meets a message here asks why: it ended without having left, or a person must decide.
NEEDS_REASON = frozenset({S.BLOCKED, S.REVIEW, S.REFUSED, S.UNKNOWN, S.PARKED, S.CANCELLED, S.EXPIRED})

_JUDGED = frozenset({S.QUEUED, S.HELD, S.BLOCKED, S.REVIEW})
_FROM_PROVIDER = frozenset({S.ACCEPTED, S.SENT, S.DELIVERED, S.UNDELIVERED, S.BOUNCED, S.COMPLAINED})

# event -> state before (None: the row is new) -> states after. Providers repeat and reorder their callbacks: a report
# of an earlier stage than the one known is no move at all, and bounces and complaints override a delivery.
MOVES: Mapping[Event, Mapping[State | None, frozenset[State]]] = {
    E.ENQUEUE: {None: _JUDGED},
    E.CLAIM: dict.fromkeys((S.QUEUED, S.HELD), frozenset({S.SENDING, S.HELD, S.BLOCKED, S.REVIEW})),
    E.OUTCOME: {
        # held: certainly not sent, tried again later; cancelled: an opt-out came before the call was made.
        S.SENDING: frozenset({S.ACCEPTED, S.REFUSED, S.UNKNOWN, S.HELD, S.CANCELLED}),
        # Another process took the caller for dead while the call was under way. It was not, and it knows more: also
        # that its call certainly did nothing. What a person was asked about is not sent again all the same.
        S.UNKNOWN: frozenset({S.ACCEPTED, S.REFUSED, S.HELD}),
        S.PARKED: frozenset({S.ACCEPTED, S.REFUSED}),
    },
    E.RECOVER: {S.SENDING: frozenset({S.UNKNOWN})},
    E.CALLBACK: {
        S.SENDING: _FROM_PROVIDER | {S.REFUSED},
        S.UNKNOWN: _FROM_PROVIDER | {S.REFUSED},
        S.PARKED: _FROM_PROVIDER | {S.REFUSED},
        S.ACCEPTED: (_FROM_PROVIDER - {S.ACCEPTED}) | {S.REFUSED},
        S.SENT: _FROM_PROVIDER - {S.ACCEPTED, S.SENT},
        S.DELIVERED: frozenset({S.BOUNCED, S.COMPLAINED}),
        S.BOUNCED: frozenset({S.COMPLAINED}),
    },
    E.RECONCILE: {
        S.UNKNOWN: _FROM_PROVIDER | {S.REFUSED, S.PARKED},
        S.PARKED: _FROM_PROVIDER | {S.REFUSED},
        S.ACCEPTED: (_FROM_PROVIDER - {S.ACCEPTED}) | {S.REFUSED},
        S.SENT: _FROM_PROVIDER - {S.ACCEPTED, S.SENT},
    },
    E.RELEASE: {S.REVIEW: _JUDGED},
    E.REJECT: {S.REVIEW: frozenset({S.CANCELLED})},
    E.RESOLVE: dict.fromkeys((S.UNKNOWN, S.PARKED), frozenset({S.ACCEPTED, S.REFUSED})),
    E.CANCEL: dict.fromkeys(WAITING, frozenset({S.CANCELLED})),
    E.EXPIRE: dict.fromkeys(WAITING, frozenset({S.EXPIRED})),
}


class IllegalMove(PermanentError):  # noqa: N818 - reads as the thing it names
    """The state machine has no such move; nothing was written."""


def is_legal(event: Event, before: State | None, after: State) -> bool:
    """Whether the table of moves has this one."""
    return after in MOVES[event].get(before, frozenset())


# What the triggers of migration 0004 raise.
_REFUSED_MOVE = "LP001"


@contextmanager
def database_refusals() -> Generator[None]:
    """Raise what the database refuses as a move as ``IllegalMove``, in the database's words."""
    import psycopg
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(cause, psycopg.Error) or cause.sqlstate != _REFUSED_MOVE:
            raise
        raise IllegalMove(f"{cause.diag.message_primary}; nothing was written") from error


@dataclass(frozen=True, kw_only=True)
class Move:
    """One message's next state and why.

    Attributes:
        code: reason of the new state: rule code, provider code, cause; ``NEEDS_REASON`` says where one must be given.
        not_before_at: for ``held``: when to look again. None leaves what stands there.
        provider_id: the provider's id, once known; written once, never replaced.
        is_attempt: whether this counts as a try at the provider.
    """

    message_id: str
    event: Event
    to: State
    code: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])
    not_before_at: datetime | None = None
    provider: str | None = None
    provider_id: str | None = None
    worker: str | None = None
    is_attempt: bool = False


_LOCK = text(
    "select id::text, state from ledger.messages where id = any(cast(:ids as uuid[])) order by id for no key update"
)
_WRITE = text(
    """
    with wanted as (
      select * from jsonb_to_recordset(cast(:moves as jsonb)) as w (
        id uuid, before text, event text, after text, code text, detail jsonb, not_before_at timestamptz,
        provider text, provider_id text, worker text, is_attempt boolean)
    ), moved as (
      update ledger.messages m set
        state = w.after,
        code = w.code,
        changed_at = :at,
        not_before_at = case when w.after = 'held' then coalesce(w.not_before_at, m.not_before_at)
          else m.not_before_at end,
        provider = coalesce(w.provider, m.provider),
        provider_id = coalesce(m.provider_id, w.provider_id),
        worker = case when w.after = 'sending' then w.worker else m.worker end,
        attempts = m.attempts + w.is_attempt::int,
        accepted_at = case when m.accepted_at is null and w.after = any(:went_out) then :at else m.accepted_at end
      from wanted w
      where m.id = w.id and m.state = w.before
      returning m.id
    )
    insert into ledger.message_events (message_id, from_state, to_state, event, code, detail, at)
    select w.id, w.before, w.after, w.event, w.code, w.detail, :at from wanted w join moved using (id)
    returning message_id
    """
)


def lock_states(connection: Connection, message_ids: Iterable[str]) -> dict[str, State]:
    """Present states of these messages, their rows locked until the transaction ends; unknown ids are left out."""
    rows = connection.execute(_LOCK, {"ids": sorted(set(message_ids))})
    return {row[0]: State(row[1]) for row in rows}


def move(connection: Connection, moves: Sequence[Move], *, at: datetime) -> None:
    """Make the moves and append their events, all or none.

    At most one move per message. The prior states are read under row locks, so that two movers cannot both start from
    the same one.

    Raises:
        IllegalMove: a message is unknown, or the table has no such move; the message and both states are named.
    """
    refused = move_where_legal(connection, moves, at=at, is_strict=True)
    assert not refused


def move_where_legal(
    connection: Connection, moves: Sequence[Move], *, at: datetime, is_strict: bool = False
) -> list[Move]:
    """As ``move``, but what the table forbids is returned instead of raised: for late, repeated or reordered reports.

    Returns:
        The moves that were not made, in order.
    """
    if not moves:
        return []
    states = lock_states(connection, (m.message_id for m in moves))
    legal: list[Move] = []
    refused: list[Move] = []
    for wanted in moves:
        before = states.get(wanted.message_id)
        if before is not None and is_legal(wanted.event, before, wanted.to):
            legal.append(wanted)
        elif is_strict:
            raise IllegalMove(
                f"message {wanted.message_id}: event {wanted.event} does not lead from {before} to {wanted.to}; "
                f"reload the message and decide again"
            )
        else:
            refused.append(wanted)
    write(connection, [(states[m.message_id], m) for m in legal], at=at)
    return refused


def write(connection: Connection, moves: Sequence[tuple[State, Move]], *, at: datetime) -> None:
    """Make moves whose prior states the caller holds under row locks.

    Raises:
        IllegalMove: the table forbids one, or it lacks its reason, or a row was not in the state given.
    """
    if not moves:
        return
    for before, wanted in moves:
        if not is_legal(wanted.event, before, wanted.to):
            raise IllegalMove(f"message {wanted.message_id}: {wanted.event} does not lead from {before} to {wanted.to}")
        if wanted.to in NEEDS_REASON and not wanted.code:
            raise IllegalMove(f"message {wanted.message_id}: it may not become {wanted.to} without a reason")
    rows = [
        {
            "id": m.message_id,
            "before": before,
            "event": m.event,
            "after": m.to,
            "code": m.code,
            "detail": dict(m.detail),
            "not_before_at": m.not_before_at.isoformat() if m.not_before_at else None,
            "provider": m.provider,
            "provider_id": m.provider_id,
            "worker": m.worker,
            "is_attempt": m.is_attempt,
        }
        for before, m in moves
    ]
    with database_refusals():
        written = connection.execute(
            _WRITE,
            {
                "moves": orjson.dumps(rows, default=str).decode(),
                "at": at,
                "went_out": [str(s) for s in sorted(WENT_OUT)],
            },
        ).rowcount
    if written != len(moves):
        raise IllegalMove(f"{len(moves) - written} of {len(moves)} messages were not in the state they were read in")


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """A message that will not go, and who it was for."""

    message_id: str
    person_id: int
    plan: str


def cancel_waiting(
    connection: Connection,
    *,
    code: str,
    at: datetime,
    contact_point_id: int | None = None,
    person_id: int | None = None,
    enrolment_id: int | None = None,
    channels: Iterable[str] | None = None,
    detail: Mapping[str, Any] | None = None,
) -> list[Cancelled]:
    """Cancel everything queued, held or under review that matches every condition given (at least one must be).

    A message that is already with the sender stays: its call may have left.
    """
    conditions = {
        "contact_point_id = :contact_point_id": contact_point_id,
        "person_id = :person_id": person_id,
        "enrolment_id = :enrolment_id": enrolment_id,
        "channel = any(:channels)": list(channels) if channels is not None else None,
    }
    used = [condition for condition, value in conditions.items() if value is not None]
    if not used or used == ["channel = any(:channels)"]:
        raise ValueError("cancel_waiting needs a contact point, a person or an enrolment")
    rows = connection.execute(
        text(
            "select id::text, state, person_id, plan from ledger.messages "  # noqa: S608 - fixed conditions, bound values
            f"where state = any(:waiting) and {' and '.join(used)} order by id for no key update"
        ),
        {
            "waiting": [str(s) for s in WAITING],
            "contact_point_id": contact_point_id,
            "person_id": person_id,
            "enrolment_id": enrolment_id,
            "channels": list(channels) if channels is not None else None,
        },
    ).all()
    moves = [
        (State(row.state), Move(message_id=row.id, event=E.CANCEL, to=S.CANCELLED, code=code, detail=detail or {}))
        for row in rows
    ]
    write(connection, moves, at=at)
    return [Cancelled(message_id=row.id, person_id=row.person_id, plan=row.plan) for row in rows]
