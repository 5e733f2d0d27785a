"""Safeguards of the send protocol that a test may take away, to show that ``leadpipe chaos`` would notice.

What lives here: claiming without the commit before the call, and without locks. What does not: the safeguards
themselves (``claim``, ``batch``). The setting ``chaos_without`` is refused outside a chaos run.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from leadpipe.messaging.protocol import lock_states

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.messaging.batch import Claim
    from leadpipe.messaging.protocol import Move, State
    from leadpipe.settings import Settings

ATTEMPT_COMMIT, ROW_LOCK = "attempt_commit", "row_lock"
NAMES = (ATTEMPT_COMMIT, ROW_LOCK)
_LOCKS = ("for no key update of c skip locked", "for no key update of m skip locked")

_uncommitted: list[Connection] = []
_guard = threading.Lock()


@contextmanager
def claiming(engine: Engine, settings: Settings, found: Claim) -> Generator[Connection]:
    """The claim's transaction: committed at its end, or only with the outcomes when that safeguard is off."""
    if ATTEMPT_COMMIT not in settings.chaos_without:
        with engine.begin() as connection:
            yield connection
        return
    connection = engine.connect()
    try:
        yield connection
        if found.claimed:
            with _guard:
                _uncommitted.append(connection)
            return
        connection.commit()
    except BaseException:
        connection.close()
        raise
    connection.close()


def commit_late() -> None:
    """Commit the claims that were left open; none is while the safeguards are in place."""
    if not _uncommitted:
        return
    with _guard:
        left, _uncommitted[:] = _uncommitted[:], []
    for connection in left:
        connection.commit()
        connection.close()


def locking(sql: str, settings: Settings) -> str:
    """The claim's statement, without its row locks when that safeguard is off."""
    if ROW_LOCK in settings.chaos_without:
        for lock in _LOCKS:
            sql = sql.replace(lock, "")
    return sql


def unguarded(
    connection: Connection, moves: Sequence[tuple[State, Move]], settings: Settings
) -> Sequence[tuple[State, Move]]:
    """The moves as they are; without row locks only those whose message another claim has not moved meanwhile.

    The others are left out here and called all the same: that is what a claim without locks would do.
    """
    if ROW_LOCK not in settings.chaos_without:
        return moves
    states = lock_states(connection, (move.message_id for _, move in moves))
    return [(before, move) for before, move in moves if states.get(move.message_id) is before]
