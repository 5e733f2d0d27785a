"""The web application that the outside world calls, assembled.

What lives here: which routes there are and what stands around them. What does not: any route's rule (one module a
caller beside this one). It serves on loopback; a proxy with TLS stands in front (``docs/follow-up-boss.md``).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from leadpipe.gateway import fub, metrics, ses, twilio, unsubscribe
from leadpipe.gateway.commit import GroupCommit
from leadpipe.gateway.limits import Guard, Intake, Limits
from leadpipe.gateway.sns import SnsVerifier
from leadpipe.monitoring import heartbeat

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from leadpipe.gateway.sns import Fetch
    from leadpipe.runtime import Runtime

# Bodies under way are held in memory; what is over it is answered 503.
MAX_CONNECTIONS = 1_000


def create_app(runtime: Runtime, *, fetch: Fetch | None = None, has_pulse: bool = False) -> FastAPI:
    """The gateway over a runtime; without a pulse it opens nothing until the first request.

    Args:
        runtime: settings, ledger and clock.
        fetch: gets a certificate of SNS; None asks SNS itself.
        has_pulse: whether it gives signs of life while it serves.
    """

    @asynccontextmanager
    async def alive(_: FastAPI) -> AsyncGenerator[None]:
        async with heartbeat.Pulse(lambda: runtime.engine, heartbeat.GATEWAY).in_loop():
            yield

    app = FastAPI(
        title="leadpipe gateway", docs_url=None, redoc_url=None, openapi_url=None, lifespan=alive if has_pulse else None
    )
    measured = metrics.GatewayMetrics(runtime)
    app.add_middleware(Intake, limits=Limits.of(runtime.settings))
    app.add_middleware(Guard)
    app.add_middleware(metrics.Measured, metrics=measured)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse({"error": str(error.detail).lower()}, error.status_code, error.headers)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        """Whether a notification could be stored right now."""

        def ask() -> None:
            with runtime.engine.connect() as connection:
                connection.execute(text("select 1"))

        await run_in_threadpool(ask)
        return JSONResponse({"status": "ok"})

    notices = fub.route(runtime, GroupCommit(runtime))
    measured.know(notices)
    app.router.routes.append(notices)
    app.include_router(twilio.router(runtime))
    app.include_router(ses.router(runtime, SnsVerifier(runtime.settings, fetch=fetch)))
    app.include_router(unsubscribe.router(runtime))
    app.include_router(metrics.router(runtime, measured))
    return app


def serve(runtime: Runtime, *, host: str = "127.0.0.1", port: int | None = None) -> None:
    """Serve until interrupted; paths carry tokens, so nothing is written about single requests.

    The audit log is sealed here too: of all processes this one always runs, and no run or worker waits for it.
    """
    import uvicorn

    from leadpipe.audit.seal import Sealer

    sealer = Sealer(runtime.engine, clock=runtime.clock)
    sealer.start()
    try:
        uvicorn.run(
            create_app(runtime, has_pulse=True),
            host=host,
            port=port or runtime.settings.gateway_port,
            log_level="warning",
            access_log=False,
            server_header=False,
            # Who calls is what a trusted proxy says; the address that signatures are checked for is a setting.
            forwarded_allow_ips=list(runtime.settings.gateway_trusted_proxies),
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=75,
        )
    finally:
        sealer.stop()
