"""Who is sending: a worker's sign of life, and what becomes of messages whose worker died.

What lives here: the advisory lock that a worker holds while it lives, and moving a dead worker's messages to
``unknown``. What does not: the sending loop (``drain``).

A lock held by a database session is exact where an age is a guess: it is free the moment the process is gone, however
slow its provider was, and a jump of the clock kills nobody.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from leadpipe.messaging import failpoints
from leadpipe.messaging.protocol import Event, Move, State, write

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# First half of the advisory lock's key, so that worker numbers meet no other lock.
_LOCK_CLASS = 7_305


@dataclass(frozen=True, kw_only=True)
class Life:
    """A worker that lives; its messages carry ``name``.

    Attributes:
        connection: the session that holds its locks.
        guard: whoever speaks on the connection holds it; loop and calls share the session.
    """

    name: str
    connection: Connection
    guard: threading.Lock = field(default_factory=threading.Lock)

    def is_seen(self) -> bool:
        """Whether the lock still stands: a restart of PostgreSQL ends every session and with it every sign of life."""
        with self.guard:
            if not self.connection.invalidated:
                with suppress(DBAPIError):
                    self.connection.execute(text("select 1"))
            return not self.connection.invalidated


@contextmanager
def sign_of_life(engine: Engine) -> Generator[Life]:
    """Hold a worker's lock on a connection of its own, under a name of host, process and lock number."""
    number = secrets.randbelow(2**31)
    # A session lock outlives transactions; autocommit keeps the session idle, not idle in a transaction.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("select pg_advisory_lock(:class, :number)"), {"class": _LOCK_CLASS, "number": number})
        try:
            yield Life(name=f"{socket.gethostname()}:{os.getpid()}:{number}", connection=connection)
        finally:
            # A pooled connection keeps its session, and the session its locks.
            connection.invalidate()


def recover(engine: Engine, *, now: datetime) -> int:
    """Move messages whose worker is dead from ``sending`` to ``unknown``; returns how many. They are never re-sent."""
    with engine.begin() as connection:
        workers = connection.execute(
            text("select distinct worker from ledger.messages where state = 'sending'")
        ).scalars()
        dead = [worker for worker in workers if _is_dead(connection, worker)]
        if not dead:
            return 0
        rows = connection.execute(
            text(
                "select id::text as id from ledger.messages where state = 'sending' and "
                "(worker = any(:dead) or worker is null) order by id for no key update skip locked"
            ),
            {"dead": [worker for worker in dead if worker]},
        ).scalars()
        ids = list(rows)
        moves = [
            (State.SENDING, Move(message_id=i, event=Event.RECOVER, to=State.UNKNOWN, code="worker_died")) for i in ids
        ]
        write(connection, moves, at=now)
        connection.execute(
            text(
                "update ledger.attempts set ended_at = :now, outcome = 'unknown', code = 'worker_died' "
                "where message_id = any(cast(:ids as uuid[])) and outcome is null"
            ),
            {"now": now, "ids": ids},
        )
        failpoints.hit("recover.before_commit")
    return len(ids)


def _is_dead(connection: Connection, worker: str | None) -> bool:
    number = (worker or "").rpartition(":")[2]
    if not number.isdigit():
        return True
    return bool(
        connection.execute(
            text("select pg_try_advisory_xact_lock(:class, :number)"), {"class": _LOCK_CLASS, "number": int(number)}
        ).scalar_one()
    )
