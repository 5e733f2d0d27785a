"""The only source of now: the wall clock plus one offset kept in the ledger.

What lives here: the ``Clock`` protocol, the clock of a running system and a clock that tests hold still.
What does not: business days and windows (``policy.hours``), formatting.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Engine

# How long a process trusts the offset it read. A jump is a rare act of a person or of the demo's driver; half a
# second keeps the reading off the hot path and every process within a second of the others.
OFFSET_TTL_SECONDS = 0.5


class Clock(Protocol):
    """Tells now, always aware and in UTC."""

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        ...


class FixedClock:
    """A clock that stands still until told otherwise; for tests, replays and simulations."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs an aware time")
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        """The time it was set to."""
        return self._at

    def advance(self, delta: timedelta) -> None:
        """Move on by ``delta``."""
        self._at += delta


class WallClock:
    """The machine's clock, for commands that run without a ledger."""

    def now(self) -> datetime:
        """The wall clock, UTC."""
        return datetime.now(UTC)


class _Moved:
    """When this process last moved a clock itself, which it is to see at once.

    A chaos run whose first sync still read the former offset went live months after its calendar and welcomed nobody.
    """

    at = float("-inf")


class LedgerClock:
    """Wall clock plus the offset in ``ledger.clock``, read at most twice a second.

    An unreadable ledger raises: a guessed time could break quiet hours.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._offset = timedelta(0)
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Simulated now, aware, UTC."""
        if self._is_old():
            # One thread reads it anew while the others wait: forty at once would empty the pool of connections.
            with self._lock:
                if self._is_old():
                    began_at = time.monotonic()
                    self._offset = read_offset(self._engine)
                    self._read_at = began_at
        return datetime.now(UTC) + self._offset

    def _is_old(self) -> bool:
        return self._read_at <= _Moved.at or time.monotonic() - self._read_at > OFFSET_TTL_SECONDS


def read_offset(engine: Engine) -> timedelta:
    """The offset kept in the ledger; zero when none was ever set."""
    from sqlalchemy import select

    from leadpipe.store.tables.running import clock

    with engine.connect() as connection:
        seconds = connection.execute(select(clock.c.offset_seconds)).scalar()
    return timedelta(seconds=float(seconds or 0.0))


def set_offset(engine: Engine, offset: timedelta) -> None:
    """Move every process of this ledger to wall clock plus ``offset``: this one at once, others within a second."""
    from sqlalchemy.dialects.postgresql import insert

    from leadpipe.store.tables.running import clock

    seconds = offset.total_seconds()
    statement = insert(clock).values(id=1, offset_seconds=seconds)
    with engine.begin() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"offset_seconds": seconds}))
    _Moved.at = time.monotonic()
