"""A sandbox over HTTP, the runtime that reads it, and what the tests ask of both."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import text

from leadpipe.clock import set_offset
from leadpipe.crm import landing
from leadpipe.crm.sync import Sync
from leadpipe.outreach.golive import record_go_live
from leadpipe.runtime import Runtime
from leadpipe.sandbox.app import create_app as create_sandbox
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.environment import sandbox_environment
from leadpipe.sandbox.world import World
from leadpipe.settings import Settings
from leadpipe.work import first_touch, poll
from tests.gateway.serving import free_socket, served, url_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.store.lake import Lake

EMAIL = [{"value": "ana1@example.com"}]
_PASSAGE = (
    "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, step, opened_at, next_due_at) "
    "values (:id, 'reactivation', '1', 1, 'ask', :at, :at) returning id"
)
_HELD = """
insert into ledger.messages (id, person_id, contact_point_id, enrolment_id, plan, step, occurrence, channel, purpose,
  body, state, due_at, not_before_at, created_at, changed_at)
select gen_random_uuid(), :id, contact_point_id, :passage, 'reactivation', 'ask', 1, 'email', 'marketing', 'words',
  'held', :at, :until, :at, :at
from ledger.person_contact_points where person_id = :id order by rank limit 1 returning id::text
"""


@pytest.fixture
def world(settings: Settings) -> Generator[World]:
    """A sandbox that serves; what it lets nobody do over HTTP is done to it directly."""
    del settings  # clears the environment first
    bound = free_socket()
    app = create_sandbox(SandboxConfig(base_url=url_of(bound), pace=0.1))
    with served(app, bound):
        yield app.state.world


@pytest.fixture
def sandbox_settings(settings: Settings, world: World) -> Settings:
    """Settings that reach the sandbox and nothing else."""
    values = {
        name.removeprefix("LEADPIPE_").lower(): value
        for name, value in sandbox_environment(world.sandbox.config).items()
    }
    kept = {name: getattr(settings, name) for name in ("home", "database_url", "lake_path")}
    return Settings(**kept | values)


@pytest.fixture
def runtime(sandbox_settings: Settings, lake: Lake, ledger_engine: Engine, world: World) -> Generator[Runtime]:
    """The running system's parts over the sandbox, at the sandbox's time; tables of the lake come as rows land."""
    set_offset(ledger_engine, timedelta(seconds=world.sandbox.offset_seconds))
    made = Runtime(sandbox_settings)
    made.__dict__["lake"] = lake
    with ledger_engine.begin() as connection:
        record_go_live(connection, world.sandbox.now() - timedelta(hours=1))
    yield made
    made.close()


@dataclass
class Account:
    """The team's hands in the CRM: what agents and lead sources do there, over HTTP."""

    http: httpx.Client
    base: str

    def add(self, **fields: Any) -> int:
        """A person typed in by an agent."""
        return self._call("POST", "people", fields)["id"]

    def inquire(self, *, kind: str = "Property Inquiry", **person: Any) -> int:
        """A portal posts an inquiry; returns the person's id."""
        body = {"source": "Website", "system": "portal", "type": kind, "message": "Is it open?", "person": person}
        return self._call("POST", "events", body)["id"]

    def change(self, person_id: int, **fields: Any) -> None:
        self._call("PUT", f"people/{person_id}", fields)

    def updated_at(self, person_id: int) -> str:
        return self._call("GET", f"people/{person_id}", None)["updated"]

    def delete(self, person_id: int) -> None:
        self._call("DELETE", f"people/{person_id}", None)

    def merge(self, winner: int, *losers: int) -> None:
        self.control("merge", winner=winner, losers=list(losers))

    def control(self, name: str, **body: Any) -> Any:
        answer = self.http.post(f"{self.base}/_control/{name}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def _call(self, method: str, path: str, body: Any) -> Any:
        answer = self.http.request(method, f"{self.base}/fub/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else {}


@pytest.fixture
def account(world: World) -> Generator[Account]:
    config = world.sandbox.config
    headers = {"X-System": config.fub_system, "X-System-Key": config.fub_system_key}
    with httpx.Client(auth=(config.fub_api_key, ""), headers=headers, timeout=10) as http:
        yield Account(http, config.base_url)


@dataclass
class Asking:
    """Short questions to ledger and lake."""

    runtime: Runtime

    def ledger(self, query: str, **values: Any) -> list[Any]:
        with self.runtime.engine.connect() as connection:
            return list(connection.execute(text(query), values))

    def one(self, query: str, **values: Any) -> Any:
        return self.ledger(query, **values)[0][0]

    def person(self, person_id: int) -> Any:
        return self.ledger("select * from ledger.people where person_id = :id", id=person_id)[0]

    def points(self, person_id: int) -> dict[str, str | None]:
        """Addresses of a person and why each is detached."""
        found = self.ledger(
            "select address, detached_reason from ledger.person_contact_points "
            "join ledger.contact_points on contact_point_id = id where person_id = :id order by rank, id",
            id=person_id,
        )
        return {row.address: row.detached_reason for row in found}

    @property
    def now(self) -> datetime:
        return self.runtime.clock.now()

    def lake(self, query: str) -> list[Any]:
        with self.runtime.lake.connect() as connection:
            return connection.execute(query).fetchall()


def held_message(ask: Asking, person_id: int) -> str:
    """A message of the person's open passage that waits for the morning; returns its id."""
    values = {"id": person_id, "at": ask.now - timedelta(minutes=1), "until": ask.now + timedelta(hours=9)}
    with ask.runtime.engine.begin() as connection:
        passage = connection.execute(text(_PASSAGE), values).scalar_one()
        return connection.execute(text(_HELD), values | {"passage": passage}).scalar_one()


@pytest.fixture
def ask(runtime: Runtime) -> Asking:
    return Asking(runtime)


@pytest.fixture
def sync(runtime: Runtime) -> Sync:
    return Sync(runtime.keeper)


@pytest.fixture
def without_small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users, stages, pipelines and deals are read in the test of the first pass; landing them takes half a second."""
    monkeypatch.setattr(poll, "SMALL", ())


@pytest.fixture
def lands() -> None:
    """This test looks at the lake."""


@pytest.fixture
def without_lake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ledger alone is looked at, nothing lands: opening the lake is a third of a second of work each time."""
    if "lands" not in request.fixturenames:
        monkeypatch.setattr(landing, "land_all", lambda *_, **__: [])


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The people whom a pass hands to the first touch, which itself is not under test here."""
    seen: list[int] = []
    monkeypatch.setattr(first_touch, "answer", lambda _runtime, taken, *_: seen.extend(taken.person_ids))
    return seen
