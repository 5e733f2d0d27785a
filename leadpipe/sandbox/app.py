"""The sandbox as one web application: every provider by path, the truth and the controls.

What lives here: assembly. What does not: any provider's rules. Started by ``leadpipe sandbox`` or, in tests, with
``uvicorn leadpipe.sandbox.app:create_app --factory``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

from leadpipe.sandbox.aws import AwsApi
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.fub import FubApi
from leadpipe.sandbox.fub_store import FubStore
from leadpipe.sandbox.fub_webhooks import WebhookSender
from leadpipe.sandbox.market import MarketApi
from leadpipe.sandbox.openai_fake import OpenAiApi
from leadpipe.sandbox.population import Population
from leadpipe.sandbox.state import Sandbox
from leadpipe.sandbox.twilio import TwilioApi

Row = dict[str, Any]


class World:
    """One sandbox with all its providers and the people who live in it."""

    def __init__(self, config: SandboxConfig) -> None:
        self.sandbox = Sandbox(config)
        self.store = FubStore(self.sandbox.now)
        self.webhooks = WebhookSender(self.sandbox, self.store)
        self.fub = FubApi(self.sandbox, self.store)
        self.twilio = TwilioApi(self.sandbox)
        self.aws = AwsApi(self.sandbox)
        self.population = Population(self.sandbox, self.store, self.twilio, self.aws)


def create_app(config: SandboxConfig | None = None, *, population: Row | None = None) -> FastAPI:
    """The application; its ``state.world`` is the ``World``. ``population`` starts by itself, as if posted."""
    world = World(config or SandboxConfig())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        runner = asyncio.create_task(world.sandbox.scheduler.run())
        if population:
            world.population.start(**population)
        yield
        runner.cancel()
        await world.sandbox.http.aclose()

    app = FastAPI(title="leadpipe sandbox", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.world = world
    for router in (
        world.fub.router(),
        world.twilio.router(),
        world.aws.router(),
        OpenAiApi(world.sandbox).router(),
        MarketApi(world.sandbox).router(),
    ):
        app.include_router(router)
    _add_truth(app, world)
    _add_controls(app, world)
    return app


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def _add_truth(app: FastAPI, world: World) -> None:
    @app.get("/_truth/messages")
    async def messages() -> Response:  # pyright: ignore[reportUnusedFunction]
        return _json([message.truth() for message in world.sandbox.accepted])

    @app.get("/_truth/leads")
    async def leads() -> Response:  # pyright: ignore[reportUnusedFunction]
        return _json(world.population.truth())

    @app.get("/_truth/webhooks")
    async def webhooks() -> Response:  # pyright: ignore[reportUnusedFunction]
        return _json(list(world.webhooks.answered))

    @app.get("/_truth/summary")
    async def summary() -> Response:  # pyright: ignore[reportUnusedFunction]
        return _json(
            {
                "people": len(world.store.people),
                "messages": len(world.sandbox.accepted),
                "leads_new": world.population.count_arrived,
                "waiting_jobs": world.sandbox.scheduler.count_waiting,
                "rate_limited": world.fub.windows.count_refused,
            }
        )


def _add_controls(app: FastAPI, world: World) -> None:
    sandbox = world.sandbox

    @app.get("/_control/clock")
    async def clock() -> Response:  # pyright: ignore[reportUnusedFunction]
        return _json({"now": sandbox.now().isoformat(), "offset_seconds": sandbox.offset_seconds})

    @app.post("/_control/clock")
    async def set_clock(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        body: Row = await request.json()
        if "offset_seconds" in body:
            sandbox.offset_seconds = float(body["offset_seconds"])
        sandbox.offset_seconds += float(body.get("jump_seconds", 0))
        return _json({"now": sandbox.now().isoformat(), "offset_seconds": sandbox.offset_seconds})

    @app.get("/_control/faults")
    async def faults() -> Response:  # pyright: ignore[reportUnusedFunction]
        return _json(sandbox.faults.chances)

    @app.post("/_control/faults")
    async def set_faults(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        sandbox.faults.chances = {name: float(chance) for name, chance in (await request.json()).items()}
        return _json(sandbox.faults.chances)

    @app.post("/_control/limits")
    async def set_limits(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        world.fub.windows.limits |= await request.json()
        return _json(world.fub.windows.limits)

    @app.post("/_control/population")
    async def populate(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        body: Row = await request.json()
        return _json(world.population.start(**body))

    @app.post("/_control/inbound")
    async def inbound(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        body: Row = await request.json()
        taken = await world.population.say(body["channel"], body["from"], body["body"])
        return _json({"taken": taken})

    @app.post("/_control/merge")
    async def merge(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        body: Row = await request.json()
        world.store.merge(int(body["winner"]), [int(loser) for loser in body["losers"]])
        return _json({})

    @app.post("/_control/config")
    async def configure(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        body: Row = await request.json()
        for name, value in body.items():
            setattr(sandbox.config, name, value)
        return _json(sandbox.config.model_dump(mode="json", include=set(body)))

    @app.get("/_control/errors")
    async def errors() -> Response:  # pyright: ignore[reportUnusedFunction]
        return _json(sandbox.scheduler.errors[-50:])


def run(app: FastAPI, *, host: str = "127.0.0.1", port: int = 8800) -> None:
    """Serve until interrupted."""
    import uvicorn

    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)
