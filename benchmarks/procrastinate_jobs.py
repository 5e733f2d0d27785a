"""The other side of ``benchmarks.send``: the same HTTP request as a procrastinate job, run by its own worker.

What lives here: putting jobs into the queue and working them off. It runs in a private environment
(``procrastinate.txt``) and imports nothing of leadpipe: ``python procrastinate_jobs.py put|work DSN ...``. It is given
what helps it: one keep-alive session, uvloop, no polling, jobs deferred in bulk before the clock starts.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiohttp
import procrastinate
import uvloop

SCHEMA = "procrastinate"
BODY = (
    "Hi Ana, this is the automated assistant for Demo Realty. Still looking to buy? Reply STOP to opt out. "
    "https://demo-realty.example/iabs"
)


def app_of(dsn: str, connections: int) -> procrastinate.App:
    """An app on its own schema of the database."""
    options = {"options": f"-c search_path={SCHEMA}"}
    connector = procrastinate.PsycopgConnector(conninfo=dsn, kwargs=options, min_size=connections, max_size=connections)
    return procrastinate.App(connector=connector)


def declare(app: procrastinate.App, session: aiohttp.ClientSession | None, url: str) -> Any:
    """The one task: what a Twilio create is on the wire."""

    @app.task(name="send")
    async def send(to: str, body: str) -> str:
        assert session is not None
        form = {"To": to, "From": "+15125550100", "Body": body, "StatusCallback": "https://hooks.example/twilio/status"}
        async with session.post(url, data=form, auth=aiohttp.BasicAuth("AC", "t")) as answer:
            taken = await answer.json()
            return str(taken["sid"])

    return send


async def put(dsn: str, count: int) -> None:
    """Make the schema anew and defer the jobs."""
    import psycopg

    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(f"drop schema if exists {SCHEMA} cascade")
        await connection.execute(f"create schema {SCHEMA}")
    app = app_of(dsn, 1)
    send = declare(app, None, "")
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for start in range(0, count, 500):
            jobs = [{"to": f"+1512{n:07d}", "body": BODY} for n in range(start, min(start + 500, count))]
            await send.batch_defer_async(*jobs)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(f"analyze {SCHEMA}.procrastinate_jobs")


async def work(dsn: str, url: str, concurrency: int) -> None:
    """Work off what is there once a line arrives, and end."""
    app = app_of(dsn, min(concurrency, 20))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session, app.open_async():
        declare(app, session, url)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await app.run_worker_async(
            concurrency=concurrency, wait=False, listen_notify=False, install_signal_handlers=False
        )


if __name__ == "__main__":
    role, dsn, *rest = sys.argv[1:]
    uvloop.run(put(dsn, int(rest[0])) if role == "put" else work(dsn, rest[0], int(rest[1])))
