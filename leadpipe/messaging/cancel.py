"""Cancelling what waits for people who should get nothing more.

What lives here: many people at once. What does not: one contact point, person or enrolment
(``protocol.cancel_waiting``), ending their plans (``outreach.enrol``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.messaging.protocol import WAITING, Cancelled, Event, Move, State, write

if TYPE_CHECKING:
    from sqlalchemy import Connection

_WAITING = text(
    "select id::text, state, person_id, plan from ledger.messages "
    "where person_id = any(:people) and state = any(:waiting) order by id for no key update"
)


def cancel_for_people(connection: Connection, person_ids: Iterable[int], *, code: str, at: datetime) -> list[Cancelled]:
    """Cancel everything queued, held or under review for these people; what is with the sender already stays.

    ``code`` is the reason each message keeps: ``merged``, ``human_acted``, ``reply`` ...
    """
    people = sorted(set(person_ids))
    if not people:
        return []
    waiting = [str(state) for state in sorted(WAITING)]
    rows = connection.execute(_WAITING, {"people": people, "waiting": waiting}).all()
    moves = [
        (State(row.state), Move(message_id=row.id, event=Event.CANCEL, to=State.CANCELLED, code=code)) for row in rows
    ]
    write(connection, moves, at=at)
    return [Cancelled(message_id=row.id, person_id=row.person_id, plan=row.plan) for row in rows]
