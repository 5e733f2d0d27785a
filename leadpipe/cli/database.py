"""The database of a supervised system: the first thing up, the last thing down, brought back when it dies.

What lives here: ownership of the embedded server while a supervisor runs. What does not: the server itself
(``store.server``).
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from leadpipe.errors import LeadpipeError
from leadpipe.store.server import EmbeddedServer

if TYPE_CHECKING:
    from leadpipe.cli.supervisor import Supervisor
    from leadpipe.settings import Settings

log = structlog.get_logger()
WATCH_SECONDS = 2.0


@contextmanager
def database(settings: Settings, supervisor: Supervisor, *, watch_seconds: float = WATCH_SECONDS) -> Generator[str]:
    """The database's URL for the block; at its end the services stop first, then the server if this block started it.

    A server of the team's own (LEADPIPE_DATABASE_URL) is neither watched nor stopped.
    """
    if settings.database_url:
        yield settings.database_url
        return
    server = EmbeddedServer(settings.home)
    was_running = server.status().is_running
    url = server.ensure_running()
    over = threading.Event()
    # A thread of its own: a start waits for locks and recovery, and the other services are watched meanwhile.
    guard = threading.Thread(target=_keep_alive, args=(server, over, watch_seconds), daemon=True, name="database-guard")
    guard.start()
    try:
        yield url
    finally:
        over.set()
        supervisor.stop()
        if not was_running:
            server.stop()


def _keep_alive(server: EmbeddedServer, over: threading.Event, watch_seconds: float) -> None:
    while not over.wait(watch_seconds):
        try:
            if not server.status().is_running and not over.is_set():
                log.warning("PostgreSQL is gone; starting it again", log=str(server.log_path))
                server.ensure_running()
        except LeadpipeError as error:
            log.error("PostgreSQL does not come back", reason=str(error))  # noqa: TRY400 - the reason is the message
