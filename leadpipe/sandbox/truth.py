"""``/_truth``: what really happened, for comparison with what leadpipe believes.

What lives here: reads. What does not: changing anything (``controls``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from leadpipe.sandbox.world import World


# What leadpipe keeps a copy of, beside people and the small tables.
LANDED = frozenset("events notes calls textMessages tasks appointments deals".split())


def truth_routes(world: World) -> list[Route]:
    """Messages, leads, the CRM's records, answered webhooks, and figures for a live view."""

    async def messages(request: Request) -> Response:
        del request
        return _json([message.truth() for message in world.sandbox.accepted])

    async def leads(request: Request) -> Response:
        del request
        return _json(world.population.truth())

    async def webhooks(request: Request) -> Response:
        """Ids of the CRM's events whose notification was answered with success: nothing of them may be lost."""
        del request
        return _json(list(world.webhooks.answered))

    async def crm(request: Request) -> Response:
        """Every record of the CRM by collection, whole, straight from the store: no page or key stands between."""
        del request
        store = world.store
        people = [store.people.show(person, "allFields") for person in store.people.all.rows.values()]
        small = {name: list(store.small[name].values()) for name in ("users", "stages", "pipelines")}
        rows = {name: list(records.rows.values()) for name, records in store.rows.items() if name in LANDED}
        return _json({"people": people, **small, **rows})

    async def summary(request: Request) -> Response:
        del request
        sandbox = world.sandbox
        return _json(
            world.population.counts()
            | {"messages": len(sandbox.accepted), "messages_by_channel": dict(sandbox.count_by_channel),
               "waiting_jobs": sandbox.scheduler.count_waiting, "running_jobs": sandbox.scheduler.count_running,
               "rate_limited": world.fub.windows.count_refused, "too_early": world.fub.windows.count_early,
               "requests": world.fub.windows.count_all, "webhooks_delivered": world.webhooks.count_delivered,
               "openai_calls": world.openai.count, "errors": len(sandbox.scheduler.errors)}
        )  # fmt: skip

    pairs = (("messages", messages), ("leads", leads), ("webhooks", webhooks), ("summary", summary), ("crm", crm))
    return [Route(f"/_truth/{name}", endpoint, methods=["GET"]) for name, endpoint in pairs]


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
