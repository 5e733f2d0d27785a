"""A runtime on a real ledger whose clock stands still, and rows of every kind that a figure looks at."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from leadpipe.clock import FixedClock
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings

ANN, ANN_EVENT = 41, 901
EMAIL = "ann.example@example.com"


@pytest.fixture
def runtime(settings: Settings, ledger_engine: Engine, clock: FixedClock) -> Generator[Runtime]:
    made = Runtime(settings)
    made.__dict__["clock"] = clock
    yield made
    made.close()


@dataclass
class Rows:
    """Short ways to put rows into the ledger; times are given as an age before now."""

    engine: Engine
    now: datetime

    def run(self, statement: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            # Messages in the middle of their lives; the ledger lets none be born there.
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(text(statement), {"now": self.now, **values})

    def ago(self, **span: float) -> datetime:
        return self.now - timedelta(**span)

    def lead(self, *, created: datetime, outcome: str | None = "enrolled", person: int = ANN) -> None:
        self.run(
            "insert into ledger.people (person_id, first_name, crm_created_at, crm_updated_at, first_seen_at, "
            "refreshed_at, outcome, is_new_lead) values (:id, 'Ann', :at, :at, :seen, :at, :outcome, true)",
            id=person, at=created, seen=created + timedelta(seconds=3), outcome=outcome,
        )  # fmt: skip

    def point(self) -> None:
        self.run(
            "insert into ledger.contact_points (kind, address, created_at) values ('email', :email, :now)", email=EMAIL
        )

    def message(self, state: str, *, age: float, due_age: float = 0, plan: str = "reactivation", **more: Any) -> str:
        message_id = str(uuid.uuid4())
        values = {"enrolment": None, "accepted": None, "channel": "email"} | more
        self.run(
            "insert into ledger.messages (id, person_id, contact_point_id, enrolment_id, plan, step, occurrence, "
            "channel, purpose, body, state, due_at, created_at, changed_at, accepted_at) values (cast(:id as uuid), "
            f":person, 1, :enrolment, :plan, :id, 1, :channel, 'marketing', 'Words to {EMAIL}', :state, :due, "
            ":changed, :changed, :accepted)",
            id=message_id, person=ANN, plan=plan, state=state, due=self.ago(seconds=due_age),
            changed=self.ago(seconds=age), **values,
        )  # fmt: skip
        return message_id

    def attempt(
        self, message_id: str, outcome: str | None, *, age: float, code: str = "", provider: str = "ses"
    ) -> None:
        self.run(
            "insert into ledger.attempts (message_id, worker, provider, started_at, outcome, code) "
            "values (cast(:id as uuid), 'w', :provider, :at, :outcome, :code)",
            id=message_id, provider=provider, at=self.ago(seconds=age), outcome=outcome, code=code or None,
        )  # fmt: skip

    def notice(self, kind: str, ids: list[int], *, created: datetime, received: datetime, **more: Any) -> None:
        body = {"eventId": str(uuid.uuid4()), "eventCreated": created.isoformat(), "event": kind, "resourceIds": ids}
        values = {"source": "fub", "state": "handled", "body": json.dumps(body).encode()} | more
        self.run(
            "insert into ledger.inbox (source, kind, dedupe_key, body, received_at, state) "
            "values (:source, :kind, :key, :body, :at, :state)",
            kind=kind, key=str(uuid.uuid4()), at=received, **values,
        )  # fmt: skip


@pytest.fixture
def rows(ledger_engine: Engine, clock: FixedClock) -> Rows:
    return Rows(ledger_engine, clock.now())
