"""``GET /metrics``: the system's figures, for a Prometheus that knows the token.

What lives here: who may read them, and counting the gateway's own requests. What does not: the ledger's figures
(``monitoring.collector``); send workers have no port of their own, what they do is in the ledger.

The gateway stands behind a proxy that the whole world reaches, so the figures are not there without
``LEADPIPE_METRICS_TOKEN``. Requests are counted by the route's pattern, never by the path: paths carry tokens.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool

from leadpipe.monitoring.collector import LedgerCollector

if TYPE_CHECKING:
    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from leadpipe.runtime import Runtime

# A webhook is answered within milliseconds of its commit; providers give up after 10 to 15 s.
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class GatewayMetrics:
    """One process's registry: its requests, itself, and the ledger's figures."""

    def __init__(self, runtime: Runtime) -> None:
        self.registry = CollectorRegistry()
        for own in (ProcessCollector, PlatformCollector, GCCollector):
            own(registry=self.registry)
        self.registry.register(LedgerCollector(runtime))
        self._seconds = Histogram(
            "leadpipe_gateway_request_seconds",
            "From a request's arrival at this process to the end of its answer, which comes after the commit.",
            ("route", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._children: dict[tuple[str, str], Histogram] = {}
        self._patterns: dict[object, str] = {}

    def know(self, route: Route) -> None:
        """Remember the pattern of a plain route: FastAPI tells the route of its own ones only."""
        self._patterns[route.endpoint] = route.path

    def pattern_of(self, scope: Scope) -> str:
        """The pattern of the route that served this request; ``other`` when none did."""
        return getattr(scope.get("route"), "path", None) or self._patterns.get(scope.get("endpoint"), "other")

    def note(self, route: str, status: str, seconds: float) -> None:
        """Count and time one request."""
        child = self._children.get((route, status))
        if child is None:
            # Kept, since looking a child up in the library costs more than the rest together.
            child = self._children[route, status] = self._seconds.labels(route, status)
        child.observe(seconds)


class Measured:
    """Counts and times every request; stands outside of everything else."""

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # What broke off before an answer began.
        status = "none"

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        begun = time.perf_counter()
        try:
            await self._app(scope, receive, sending)
        finally:
            self._metrics.note(self._metrics.pattern_of(scope), status, time.perf_counter() - begun)


def router(runtime: Runtime, metrics: GatewayMetrics) -> APIRouter:
    """``GET /metrics``."""
    routes = APIRouter()
    token = runtime.settings.metrics_token.get_secret_value()

    @routes.get("/metrics")
    async def figures(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Every figure, in the format that the scraper asks for."""
        if not token:
            return JSONResponse({"error": "not found"}, 404)
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return JSONResponse({"error": "bad token"}, 401, {"WWW-Authenticate": "Bearer"})
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(await run_in_threadpool(encode, metrics.registry), headers={"Content-Type": content_type})

    return routes
