"""The sandbox as one web application: every provider by path, the truth and the controls.

What lives here: serving a world. What does not: any provider's rules. Started by ``leadpipe sandbox`` or, in tests,
with ``uvicorn leadpipe.sandbox.app:create_app --factory``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.cut import Cuttable
from leadpipe.sandbox.world import World


class SandboxApp:
    """The application; ``state.world`` is the world it serves.

    A bare router: an error of the sandbox's own is uvicorn's to report, and a route may cut its connection.
    """

    def __init__(self, world: World, population: dict[str, Any] | None) -> None:
        self.state = SimpleNamespace(world=world)
        self._population = population
        self._runner: asyncio.Task[None] | None = None
        self._app = Cuttable(Router(routes=world.routes(), lifespan=self._lifespan, redirect_slashes=False))

    @asynccontextmanager
    async def _lifespan(self, _: Any) -> AsyncGenerator[None]:
        await self.open()
        yield
        await self.close()

    async def open(self) -> None:
        """Let time begin: jobs run from here on, and the population that was asked for is loaded."""
        world: World = self.state.world
        self._runner = asyncio.create_task(world.sandbox.scheduler.run())
        if self._population:
            await world.arrivals.start(**self._population)

    async def close(self) -> None:
        """End it."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        await self.state.world.sandbox.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self._app(scope, receive, send)


def create_app(config: SandboxConfig | None = None, *, population: dict[str, Any] | None = None) -> SandboxApp:
    """A sandbox; ``population`` starts by itself, as if posted to ``/_control/population``."""
    return SandboxApp(World(config or SandboxConfig()), population)


def run(app: SandboxApp, *, host: str = "127.0.0.1", port: int = 8800) -> None:
    """Serve until interrupted."""
    import gc

    import uvicorn

    # A hundred thousand people are millions of objects that live as long as the process; looking through them for
    # garbage with the default thresholds took a third of the time of loading them.
    gc.set_threshold(100_000, 50, 100)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=3)
