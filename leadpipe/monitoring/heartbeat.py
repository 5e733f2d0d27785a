"""Signs of life: each service writes a row every ten seconds, and one when it stops on purpose.

What lives here: writing, pruning, and the two ways a process keeps beating. What does not: what the rows add up to
(``uptime``), who is a service (its own command calls this).

Times are the machine's: a jump of a simulated calendar is no outage. A beat that cannot be written is a beat missed:
a service that does not reach the ledger is of no use to anybody.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from leadpipe.clock import WallClock
from leadpipe.errors import LeadpipeError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock

log = logging.getLogger(__name__)
GATEWAY, DAGSTER, SEND_WORKER = "gateway", "dagster", "send-worker"
EVERY_SECONDS = 10.0
# Long enough to add up yesterday after a day without anybody who adds; a service silent for so long was given up.
KEEP = timedelta(days=3)
UP, STOPPED = "up", "stopped"

_BEAT = text(
    "insert into ledger.heartbeats (service, instance, state, detail, beat_at) "
    "values (:service, :instance, :state, cast(:detail as jsonb), :now)"
)


def instance() -> str:
    """A name for this process: host and process id, so that several on one host never meet."""
    return f"{socket.gethostname()}:{os.getpid()}"


def beat(
    engine: Engine,
    service: str,
    *,
    now: datetime,
    state: str = UP,
    detail: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> None:
    """Write one sign of life.

    Args:
        engine: the ledger.
        service: which service this process is.
        now: the machine's time.
        state: ``up``, or ``stopped`` when it ends on purpose: what follows is no outage.
        detail: small facts about the process; ids and figures only.
        name: of the process; None names this one.
    """
    row = {"service": service, "instance": name or instance(), "state": state, "now": now}
    with engine.begin() as connection:
        connection.execute(_BEAT, row | {"detail": json.dumps(dict(detail or {}))})


def prune(connection: Connection, *, now: datetime) -> int:
    """Delete signs of life that are older than is needed; returns how many."""
    return connection.execute(
        text("delete from ledger.heartbeats where beat_at < :before"), {"before": now - KEEP}
    ).rowcount


class Pulse:
    """One process's signs of life. A failed one is logged, and the next is tried when it is due."""

    def __init__(self, engine: Callable[[], Engine], service: str, *, clock: Clock | None = None) -> None:
        # Asked for at the first beat: a gateway that starts before its database does serve, and answers 503.
        self._engine, self._service, self._clock = engine, service, clock or WallClock()
        self._started_at = self._clock.now()

    def beat(self, state: str = UP) -> bool:
        """Write one; False when the ledger does not take it."""
        now = self._clock.now()
        detail = {"rss_bytes": _rss_bytes(), "started_at": self._started_at.isoformat()}
        try:
            beat(self._engine(), self._service, now=now, state=state, detail=detail)
        except (SQLAlchemyError, LeadpipeError) as error:
            log.warning("no sign of life could be written: %s", type(error).__name__)
            return False
        return True

    @contextmanager
    def in_thread(self, every_seconds: float = EVERY_SECONDS) -> Generator[None]:
        """Beat from a thread of its own while the block runs, however long one of its calls takes."""
        stopped = threading.Event()

        def keep_beating() -> None:
            self.beat()
            while not stopped.wait(every_seconds):
                self.beat()

        thread = threading.Thread(target=keep_beating, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join(timeout=5)
            self.beat(STOPPED)

    @asynccontextmanager
    async def in_loop(self, every_seconds: float = EVERY_SECONDS) -> AsyncGenerator[None]:
        """Beat from the event loop while the block runs: a loop that is stuck, and answers nobody, gives no sign."""

        async def keep_beating() -> None:
            while True:
                await asyncio.to_thread(self.beat)
                await asyncio.sleep(every_seconds)

        task = asyncio.create_task(keep_beating())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.to_thread(self.beat, STOPPED)


def _rss_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
