"""A row that a batch cannot take affects only itself.

What lives here: telling one row's fault from everybody's, trying the rows of a failed claim one by one, and putting the
one that fails before a person. What does not: a case that no rule can read (``gate`` blocks it), a request that cannot
be built (``drain`` refuses it), an outcome that cannot be written (``outcomes``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from leadpipe.errors import LeadpipeError
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.batch import Claim
from leadpipe.messaging.protocol import Event, IllegalMove, Move, State, lock_states, write

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Unclaimable(Exception):  # noqa: N818 - never leaves the claim
    """A batch was rolled back by what may be the fault of one of its rows; the cause is the error.

    Attributes:
        ids: the batch.
    """

    def __init__(self, ids: Sequence[str], error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.ids = ids
        self.error = error


def is_of_one_row(error: Exception) -> bool:
    """Whether one row may be the cause; a ledger that is away, a wrong setting or an older schema is everybody's."""
    import psycopg
    from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

    if isinstance(error, (SQLAlchemyError, psycopg.Error)):
        return isinstance(error, (DataError, IntegrityError, psycopg.DataError, psycopg.IntegrityError))
    return not isinstance(error, (LeadpipeError, OSError, MemoryError)) or isinstance(error, IllegalMove)


def claim_apart(engine: Engine, ids: Sequence[str], claim_one: Callable[[str], Claim], *, now: datetime) -> Claim:
    """Claim these one by one; who fails alone waits for a person, who is told.

    Raises:
        Exception: each of several failed, so the fault is no row's but ours; nothing was moved.
    """
    from sqlalchemy.exc import SQLAlchemyError

    found, failed = Claim(), dict[str, Exception]()
    for message_id in ids:
        try:
            one = claim_one(message_id)
        except Unclaimable as unclaimable:
            failed[message_id] = unclaimable.error
        except SQLAlchemyError:
            # What is claimed must be called now; the rest is due at the next claim as before.
            if not found.claimed:
                raise
            return found
        else:
            found.claimed += one.claimed
            for state, count in one.counts.items():
                found.counts[state] = found.counts.get(state, 0) + count
            found.stopped_by = one.stopped_by
    if len(failed) == len(ids) > 1:
        raise next(iter(failed.values()))
    for message_id, error in failed.items():
        try:
            _set_aside(engine, message_id, error, now)
        except SQLAlchemyError:
            if not found.claimed:
                raise
            return found
        found.counts[State.REVIEW] = found.counts.get(State.REVIEW, 0) + 1
    return found


def _set_aside(engine: Engine, message_id: str, error: Exception, now: datetime) -> None:
    code = f"unclaimable_{type(error).__name__}"
    with engine.begin() as connection:
        before = lock_states(connection, [message_id]).get(message_id)
        if before is None or before not in {State.QUEUED, State.HELD}:
            return
        write(
            connection, [(before, Move(message_id=message_id, event=Event.CLAIM, to=State.REVIEW, code=code))], at=now
        )
        raise_alert(
            connection,
            kind="unclaimable",
            dedupe_key=f"unclaimable:{message_id}:{now:%Y-%m-%d}",
            title="A message could not be made ready and waits for you",
            body=f"Message {message_id} ({code}); the others go on. Something stored with it cannot be read, which is "
            "a fault of leadpipe or of whoever wrote it. Once it is put right: `leadpipe messages release ID`, else "
            "`leadpipe messages reject ID`.",
            now=now,
        )
