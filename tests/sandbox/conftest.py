"""A sandbox served over real HTTP for each test, and a gateway's place that records what is posted to it.

What lives here: the two servers and how a test waits. What does not: any expectation.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import uvicorn
from starlette.responses import Response

from leadpipe.crm.client import FubClient
from leadpipe.sandbox.app import create_app
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.control import SandboxControl
from leadpipe.sandbox.world import World


@dataclass(kw_only=True)
class Posted:
    """One request that arrived at the gateway's place."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as a form, blank values kept."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(kw_only=True)
class Catcher:
    """Stands where the gateway would: records, and answers what the test wants."""

    posted: list[Posted] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Statuses of the next answers; 200 when there are none."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.posted.append(
            Posted(method=scope["method"], path=scope["path"], query=scope["query_string"].decode(), headers=headers,
                   body=body)
        )  # fmt: skip
        status = self.statuses.pop(0) if self.statuses else 200
        await Response(b"", status)(scope, receive, send)

    def at(self, path: str) -> list[Posted]:
        """What arrived at this path."""
        return [each for each in self.posted if each.path == path]


class Switchboard:
    """Serves whichever application is plugged in; one server for all tests, a fresh sandbox for each."""

    def __init__(self) -> None:
        self.app: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.url = ""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.app(scope, receive, send)
            return
        await receive()
        self.loop = asyncio.get_running_loop()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def run(self, job: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine in the server's loop."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(job, self.loop).result(30)


@pytest.fixture(scope="session")
def boards() -> Generator[tuple[Switchboard, Switchboard]]:
    """Two servers on free loopback ports, in threads: the sandbox's and the gateway's."""
    pair = (Switchboard(), Switchboard())
    stops: list[tuple[uvicorn.Server, threading.Thread]] = []
    for board in pair:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(board, log_level="critical", access_log=False, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        board.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        stops.append((server, thread))
    wait_until(lambda: all(server.started for server, _ in stops))
    yield pair
    for server, thread in stops:
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


def wait_until(holds: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What ``holds`` returns as soon as it is true."""
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.01)
    return found


@dataclass(kw_only=True)
class Running:
    """A sandbox that runs, and everything a test needs to look at it."""

    url: str
    config: SandboxConfig
    world: World
    control: SandboxControl
    gateway: Catcher
    board: Switchboard
    http: httpx.Client
    clients: list[FubClient] = field(default_factory=list)

    def fub(self, key: str | None = None, *, has_system: bool = True) -> FubClient:
        """Our own client of its Follow Up Boss."""
        client = FubClient(
            base_url=f"{self.url}/fub/v1",
            api_key=key or self.config.fub_api_key,
            system=self.config.fub_system if has_system else "",
            system_key=self.config.fub_system_key if has_system else "",
            sleep=lambda seconds: None,
            transport=httpx.HTTPTransport(verify=False),  # loopback, no TLS; reading the roots takes 20 ms
        )
        self.clients.append(client)
        return client

    def raw(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request to Follow Up Boss without our client, as the owner's registered system unless told otherwise."""
        options.setdefault("auth", (self.config.fub_api_key, ""))
        system = {"X-System": self.config.fub_system, "X-System-Key": self.config.fub_system_key}
        options.setdefault("headers", system)
        return self.http.request(method, f"{self.url}/fub/v1/{path}", **options)

    def wait(self, holds: Callable[[], Any], seconds: float = 15.0) -> Any:
        """What ``holds`` returns as soon as it is true."""
        return wait_until(holds, seconds)

    def settle(self) -> None:
        """Wait until nothing is planned and nothing under way."""

        def is_quiet() -> bool:
            found = self.control.summary()
            return not found["waiting_jobs"] and not found["running_jobs"]

        self.wait(is_quiet)

    def call(self, name: str, **body: Any) -> Any:
        """One post to ``/_control/NAME``."""
        answer = self.http.post(f"{self.url}/_control/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def truth_of(self, person_id: int) -> dict[str, Any]:
        """One row of the truth about leads."""
        return next(row for row in self.control.leads() if row["person_id"] == person_id)


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def http() -> Generator[httpx.Client]:
    """One plain HTTP client for all tests; making one takes longer than most of them."""
    with httpx.Client(verify=False, timeout=20) as client:  # loopback, no TLS
        yield client


@pytest.fixture(scope="session")
def control(boards: tuple[Switchboard, Switchboard]) -> Generator[SandboxControl]:
    """The control client, of whichever sandbox is plugged in."""
    with SandboxControl(boards[0].url) as control:
        yield control


@pytest.fixture
def start(boards: tuple[Switchboard, Switchboard], http: httpx.Client, control: SandboxControl) -> Generator[Start]:
    """A function that starts a sandbox with these settings; it ends with the test, or when the next one starts."""
    board, gateway = boards
    begun: list[Running] = []

    def end() -> None:
        for running in begun:
            for client in running.clients:
                client.close()
        begun.clear()
        if board.app is not None:
            board.run(board.app.close())
            board.app = None

    def begin(population: dict[str, Any] | None = None, **settings: Any) -> Running:
        end()
        catcher = gateway.app = Catcher()
        config = SandboxConfig(
            **{"base_url": board.url, "gateway_url": gateway.url, "carrier_pace": 0.1, "pace": 0.02,
               "twilio_disorder": 0.0, "jump_hold_seconds": 0.05} | settings
        )  # fmt: skip
        app = create_app(config, population=population)
        board.run(app.open())
        board.app = app
        running = Running(
            url=board.url, config=config, world=app.state.world, control=control, gateway=catcher,
            board=board, http=http,
        )  # fmt: skip
        begun.append(running)
        return running

    yield begin
    end()


@pytest.fixture
def sandbox(start: Start) -> Running:
    """A sandbox with nobody in it."""
    return start()
