"""Calls under way: the addresses that senders are calling right now, and waiting until they are not.

What lives here: the lock on an address that a sender shares from its claim until its call has ended, and that whoever
writes a reply, a refusal, a takeover or a merge takes alone before they commit. What does not: the claim and the call
(``claim``, ``drain``), what is written (``suppression``, ``conversation``).

So the two have an order that the ledger decides: what was committed before a claim is seen by it, and whoever commits
after it waits until its calls have ended. No call begins after a refusal's commit. Nobody waits for an address that is
not being called, and while somebody waits for one no further call to it begins.

These are locks of the sender's session: a sender that dies lets go of them, and one whose session was ended makes no
call any more (``Hold.stands``).
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection

    from leadpipe.messaging.workers import Life

# First half of the advisory lock's key; the second is the contact point.
_LOCK_CLASS = 7_308
# A call that could not begin so soon after its lock was taken takes the lock anew and looks at everything again.
START_WITHIN_SECONDS = 1.0
# Whoever waits longer goes on: what began in time and could connect at all has left by then, answered or not.
CONNECT_WITHIN_SECONDS = 5.0
PATIENCE_SECONDS = START_WITHIN_SECONDS + CONNECT_WITHIN_SECONDS
# The server's table of locks is finite: who ends contact with many people does so in parts.
AT_ONCE = 200
_LOCK_TIMEOUT = "55P03"

_KEYS = "from unnest(cast(:points as bigint[])) as point"
_KEY = ":class, (point & 2147483647)::int"
_TAKE = text(f"select point, pg_try_advisory_lock_shared({_KEY}) as is_taken {_KEYS}")
_LET_GO = text(f"select pg_advisory_unlock_shared({_KEY}) {_KEYS}")
_BUSY = text(f"select point {_KEYS} where not pg_try_advisory_xact_lock({_KEY})")
_WAIT = text(f"select pg_advisory_xact_lock({_KEY}) {_KEYS}")
_SET_TIMEOUT = text("select set_config('lock_timeout', :value, true)")


class Hold:
    """What one sender holds; its loop and its calls share it."""

    def __init__(self, life: Life) -> None:
        self._connection = life.connection
        self._guard = life.guard

    def take(self, points: Sequence[int]) -> list[bool]:
        """Begin to hold these addresses, each as often as it is named; False where somebody waits for it or has it."""
        if not points:
            return []
        with self._guard:
            if self._connection.invalidated:
                return [False] * len(points)
            rows = self._connection.execute(_TAKE, {"class": _LOCK_CLASS, "points": list(points)}).all()
        # In the order asked for: a set-returning function keeps it, and each row takes its own lock.
        return [bool(row.is_taken) for row in rows]

    def let_go(self, points: Sequence[int]) -> None:
        """Hold these addresses once less; a session that has ended holds nothing any more. Never raises.

        The calls have been made: whatever became of the session, what they did must be written down.
        """
        with self._guard, suppress(SQLAlchemyError):
            if points and not self._connection.invalidated:
                self._connection.execute(_LET_GO, {"class": _LOCK_CLASS, "points": list(points)})

    def renew(self, point: int) -> bool:
        """Let whoever waits for the address go first; False when somebody did, and then it is held no more."""
        self.let_go([point])
        return self.take([point]) == [True]

    def stands(self) -> bool:
        """Whether the session lives, by its socket alone: the server closes it before it could give a lock away twice.

        Whoever is about to call asks; a question to the server would cost as much as the call's own bookkeeping.
        """
        with self._guard:
            if self._connection.invalidated:
                return False
            session = cast("psycopg.Connection[Any]", self._connection.connection.driver_connection)
            if session.closed:
                return False
            poll = select.poll()
            # No statement is under way: what can be read is the server's farewell.
            poll.register(session.fileno(), select.POLLIN)
            return not poll.poll(0)


def wait_until_ended(connection: Connection, points: Iterable[int]) -> None:
    """Return once no call to these addresses is under way; until the transaction ends none begins.

    Nearly always one short question. A call that takes longer than ``PATIENCE_SECONDS`` has left long before, and is
    waited for no longer.
    """
    wanted = sorted(set(points))
    if not wanted:
        return
    busy = connection.execute(_BUSY, {"class": _LOCK_CLASS, "points": wanted}).scalars().all()
    if busy:
        _wait(connection, busy)


def _wait(connection: Connection, busy: Sequence[int]) -> None:
    before = connection.execute(text("select current_setting('lock_timeout')")).scalar_one()
    try:
        with connection.begin_nested():
            connection.execute(_SET_TIMEOUT, {"value": f"{int(PATIENCE_SECONDS * 1000)}ms"})
            connection.execute(_WAIT, {"class": _LOCK_CLASS, "points": list(busy)})
            connection.execute(_SET_TIMEOUT, {"value": before})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != _LOCK_TIMEOUT:
            raise


_POINTS_OF = text("select contact_point_id from ledger.person_contact_points where person_id = any(:people)")


def wait_for_people(connection: Connection, person_ids: Iterable[int]) -> None:
    """The same for every address of these people."""
    people = sorted(set(person_ids))
    if people:
        wait_until_ended(connection, connection.execute(_POINTS_OF, {"people": people}).scalars())
