"""The sandbox's providers over real HTTP, for the tests that cross a wire."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from leadpipe.sandbox.app import create_app


@dataclass(frozen=True)
class Served:
    """A running sandbox."""

    url: str
    world: Any

    def faults(self, **chances: float) -> None:
        """Misbehave from now on; no names: behave again."""
        httpx.post(f"{self.url}/_control/faults", json=chances).raise_for_status()


@contextmanager
def serving() -> Generator[Served]:
    """A sandbox on a free port, in a thread of this process."""
    app = create_app()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        # An answer that hangs on purpose is not waited for.
        config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the sandbox did not start")
            time.sleep(0.02)
        try:
            yield Served(f"http://127.0.0.1:{bound.getsockname()[1]}", app.state.world)
        finally:
            server.should_exit = True
            thread.join(10)
