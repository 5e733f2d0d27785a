"""``/_control``: the clock, the population, faults, fates, limits, scripted words and acts.

What lives here: the routes by which a test or a demo moves the world. What does not: how it moves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from leadpipe.sandbox.world import World

Row = dict[str, Any]
Endpoint = Callable[[Row], Awaitable[Any]]


def control_routes(world: World) -> list[Route]:
    """One route a control; each takes and answers JSON, and says what is wrong with a bad body (400)."""
    controls = Controls(world)
    pairs: list[tuple[str, str, Endpoint]] = [
        ("GET", "clock", controls.clock), ("POST", "clock", controls.set_clock), ("GET", "faults", controls.faults),
        ("POST", "faults", controls.set_faults), ("GET", "outcomes", controls.outcomes),
        ("POST", "outcomes", controls.set_outcomes), ("POST", "limits", controls.set_limits),
        ("POST", "population", controls.populate), ("POST", "inbound", controls.inbound),
        ("POST", "act", controls.act), ("POST", "merge", controls.merge), ("POST", "config", controls.configure),
        ("GET", "errors", controls.errors),
    ]  # fmt: skip
    return [Route(f"/_control/{name}", _served(endpoint), methods=[method]) for method, name, endpoint in pairs]


def _served(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            body: Any = orjson.loads(await request.body() or b"{}")
            if not isinstance(body, dict):
                raise TypeError("the body is no JSON object")
            answer = await endpoint(body)
        except (ValueError, TypeError, KeyError, ValidationError) as error:
            return Response(orjson.dumps({"error": str(error)}), 400, media_type="application/json")
        return Response(orjson.dumps(answer), media_type="application/json")

    return serve


class Controls:
    """What each control does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sandbox = world.sandbox

    async def clock(self, body: Row) -> Row:
        """Simulated now and the offset that leadpipe's ledger should have."""
        del body
        return {"now": self._sandbox.now().isoformat(), "offset_seconds": self._sandbox.offset_seconds}

    async def set_clock(self, body: Row) -> Row:
        """``{"jump_seconds": 86400}`` or ``{"offset_seconds": ...}``."""
        offset = body.get("offset_seconds")
        await self._sandbox.move_clock(
            jump_seconds=float(body.get("jump_seconds", 0)), offset_seconds=None if offset is None else float(offset)
        )
        return await self.clock({})

    async def faults(self, body: Row) -> Row:
        """What is set, what struck, and every fault there is."""
        del body
        return self._sandbox.faults.as_json()

    async def set_faults(self, body: Row) -> Row:
        """Replace the faults."""
        self._sandbox.faults.replace(body)
        return self._sandbox.faults.as_json()["set"]

    async def outcomes(self, body: Row) -> Row:
        """The scripted fates."""
        del body
        return self._world.outcomes.as_json()

    async def set_outcomes(self, body: Row) -> Row:
        """Replace the scripted fates."""
        self._world.outcomes.replace(body)
        return self._world.outcomes.as_json()

    async def set_limits(self, body: Row) -> Row:
        """Change Follow Up Boss's limits by context; ``{"events": 1000}`` makes a big first sync bearable."""
        limits = {name: int(value) for name, value in body.items()}
        self._world.fub.windows.limits |= limits
        self._world.fub.windows.without_system |= limits
        return self._world.fub.windows.limits

    async def populate(self, body: Row) -> Row:
        """Start people: ``{"new": 300, "aged": 5000, "seconds": 240}``, or ``per_second`` for the window."""
        return await self._world.arrivals.start(**body)

    async def inbound(self, body: Row) -> Row:
        """Somebody writes: ``{"channel": "sms", "from": "+1...", "body": "STOP", "intent": "opt_out"}``."""
        intent = body.get("intent", "scripted")
        return {"taken": await self._world.population.say(body["channel"], body["from"], body["body"], intent)}

    async def act(self, body: Row) -> Row:
        """An agent acts: ``{"person_id": 10001, "what": "call"}``."""
        return {"done": self._world.agents.act(body["what"], int(body["person_id"]))}

    async def merge(self, body: Row) -> Row:
        """An agent merges people: ``{"winner": 10001, "losers": [10002]}``."""
        self._world.store.merge(int(body["winner"]), [int(loser) for loser in body["losers"]])
        return {}

    async def configure(self, body: Row) -> Row:
        """Change the sandbox's settings while it runs."""
        for name, value in body.items():
            setattr(self._sandbox.config, name, value)
        return self._sandbox.config.model_dump(mode="json", include=set(body))

    async def errors(self, body: Row) -> list[str]:
        """What jobs of the sandbox itself died of; empty when all is well."""
        del body
        return list(self._sandbox.scheduler.errors)
