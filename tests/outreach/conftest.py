"""People of the outreach tests, written to the ledger as the CRM's intake writes them, and a team that sends.

``World`` plans, enqueues, advances and sends through the real code; only the providers are fakes that accept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.crm.inquiries import Inquiry, store_inquiries
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.market.tables import MARKET_TREND_SCHEMA
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.drain import Budget, drain
from leadpipe.messaging.enqueue import Enqueued, enqueue
from leadpipe.messaging.intent import Intent
from leadpipe.outreach import events
from leadpipe.outreach.advance import Advanced, advance
from leadpipe.outreach.enqueue_planned import enqueue_planned
from leadpipe.outreach.golive import record_go_live
from leadpipe.outreach.pausing import take_up_again
from leadpipe.outreach.planner import Planned, plan
from leadpipe.outreach.queue import QUEUE_SCHEMA
from leadpipe.scoring.tables import LEAD_SCORES_SCHEMA
from leadpipe.settings import Sending, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from leadpipe.store.lake import Lake

AddPerson = Callable[..., int]
Ask = Callable[..., None]


@pytest.fixture
def add_person(ledger_engine: Engine, clock: FixedClock) -> AddPerson:
    """A function that stores one person; keywords are FUB's own keys, ``age`` is the time since creation.

    Their numbers were looked up today and are still theirs (C19).
    """

    def add(person_id: int, *, age: timedelta = timedelta(minutes=1), **payload: Any) -> int:
        person = read_person(
            {
                "id": person_id,
                "created": (clock.now() - age).isoformat(),
                "updated": clock.now().isoformat(),
                "firstName": "Ana",
                "lastName": "Example",
                "stage": "Lead",
                "source": "Website",
                "assignedTo": "Bo Lee",
                "assignedUserId": 7,
                "emails": [{"value": f"lead{person_id}@example.com", "isPrimary": 1}],
                "phones": [{"value": f"+1512555{person_id % 100:02d}{person_id % 90 + 10:02d}", "isPrimary": 1}],
                "addresses": [{"city": "Austin", "state": "TX", "code": "78701", "country": "US"}],
            }
            | payload
        )
        upsert_people(ledger_engine, [person], now=clock.now())
        with ledger_engine.begin() as connection:
            connection.execute(
                text(
                    "insert into ledger.number_checks (contact_point_id, list, result, checked_at, recorded_at) "
                    "select c.id, 'reassigned', 'no', cast(:now as date), :now from ledger.contact_points c "
                    "join ledger.person_contact_points o on o.contact_point_id = c.id "
                    "where o.person_id = :person and c.kind = 'phone' on conflict do nothing"
                ),
                {"person": person_id, "now": clock.now()},
            )
        return person_id

    return add


@pytest.fixture
def ask(ledger_engine: Engine, clock: FixedClock) -> Ask:
    """A function that stores one inquiry of a person."""

    def ask(person_id: int, event_id: int, *, at: datetime | None = None, **home: Any) -> None:
        inquiry = Inquiry(
            event_id=event_id,
            person_id=person_id,
            type="Property Inquiry",
            source="Website",
            message="Is it still for sale?",
            property={"street": "12 Oak St", "city": "Austin", "state": "TX", "zip": "78702"} | home,
            occurred_at=at or clock.now(),
        )
        store_inquiries(ledger_engine, [inquiry], now=clock.now())

    return ask


@pytest.fixture
def live(ledger_engine: Engine, clock: FixedClock) -> datetime:
    """The team went live three days ago."""
    at = clock.now() - timedelta(days=3)
    with ledger_engine.begin() as connection:
        record_go_live(connection, at)
    return at


@pytest.fixture
def team(settings: Settings) -> Settings:
    """A team that may send everything lawful, without caps, to providers that are fakes."""
    return settings.model_copy(
        update={
            "sending": Sending.LIVE,
            "fub_api_key": SecretStr("an-api-key-of-the-tests"),
            "fub_webhook_token": SecretStr("a-token-of-the-tests"),
            "public_base_url": "https://hooks.demo-realty.example",
            "a2p_campaign_id": "CM-test",
            "twilio_account_sid": "AC00000000000000000000000000000001",
            "sms_number": "+15125550100",
            "whatsapp_number": "whatsapp:+15125550100",
            "whatsapp_template_sid": "HX00000000000000000000000000000001",
            "sms_disabled_states": (),
            **dict.fromkeys(("cap_per_hour", "cap_per_day", "cap_per_number_per_day", "cap_per_plan_per_day"), 10**6),
        }
    )


@dataclass
class Accepting:
    """A provider that takes every message."""

    provider: str
    requests: list[SendRequest] = field(default_factory=list[SendRequest])

    def send(self, request: SendRequest) -> SendResult:
        self.requests.append(request)
        return SendResult.accepted(f"{self.provider}-{request.message_id}")


@dataclass
class Market:
    """Market facts that tests set."""

    facts: dict[str, tuple[float, date]] = field(default_factory=dict[str, tuple[float, date]])

    def for_zips(self, zips: Iterable[str]) -> dict[str, tuple[float, date]]:
        return {code: self.facts[code] for code in zips if code in self.facts}


@dataclass
class World:
    """One team with its ledger, its clock and its providers; every method is one call of the code under test."""

    engine: Engine
    settings: Settings
    clock: FixedClock
    a_lake: Lake | None = None
    market: Market = field(default_factory=Market)
    channels: dict[str, Accepting] = field(
        default_factory=lambda: {
            "email": Accepting("ses"),
            "sms": Accepting("twilio"),
            "whatsapp": Accepting("twilio_wa"),
        }
    )

    @property
    def lake(self) -> Lake:
        assert self.a_lake is not None, "ask for planning_world"
        return self.a_lake

    def plan(self, *cohorts: date) -> Planned:
        return plan(self.engine, self.lake, settings=self.settings, clock=self.clock, cohorts=list(cohorts) or None)

    def enqueue_planned(self, *cohorts: date) -> Enqueued:
        return enqueue_planned(
            self.engine,
            self.lake,
            settings=self.settings,
            clock=self.clock,
            run_key="test-run",
            cohorts=list(cohorts) or None,
        )

    def queue(self) -> list[dict[str, Any]]:
        return self.lake.query("select * from outreach.queue order by person_id, plan").to_pylist()

    def outcomes(self) -> dict[int, tuple[str, str | None]]:
        return {row["person_id"]: (row["outcome"], row["code"]) for row in self.queue()}

    def advance(self) -> Advanced:
        return advance(self.engine, settings=self.settings, clock=self.clock, market=self.market)

    def take_up_again(self) -> int:
        return take_up_again(self.engine, settings=self.settings, clock=self.clock)

    def enqueue(self, intents: list[Intent]) -> Enqueued:
        return enqueue(self.engine, intents, clock=self.clock, settings=self.settings, run_key="test-run")

    def send(self) -> dict[str, int]:
        report = drain(
            engine=self.engine,
            channels=self.channels,
            settings=self.settings,
            clock=self.clock,
            budget=Budget(max_messages=10_000, max_seconds=60),
        )
        return report.counts

    def work(self) -> None:
        """What one pass of the sending job does."""
        self.enqueue(self.advance().intents)
        self.send()

    def note(self, person_id: int, event: str) -> events.Noted:
        with self.engine.begin() as connection:
            return events.note(connection, person_id, event, settings=self.settings, now=self.clock.now())

    def next_at(self) -> datetime | None:
        """The next moment at which anything falls due."""
        (found,) = self.sql(
            "select least((select min(next_due_at) from ledger.enrolments where state = 'open'), "
            "(select min(coalesce(not_before_at, due_at)) from ledger.messages where state in ('queued', 'held')))"
        )
        return found[0]

    def run_until(self, end: datetime) -> None:
        """Work at every moment something falls due, until ``end``."""
        while (at := self.next_at()) is not None and at <= end:
            self.clock.advance(max(at - self.clock.now(), timedelta(0)) + timedelta(seconds=1))
            self.work()
        self.clock.advance(max(end - self.clock.now(), timedelta(0)))

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def sent(self) -> list[tuple[int, str, str]]:
        """(person, plan, step) of what the providers accepted, in order."""
        rows = self.sql(
            "select person_id, plan, step from ledger.messages where accepted_at is not null order by accepted_at, id"
        )
        return [(int(row[0]), str(row[1]), str(row[2])) for row in rows]

    def passages(self, person_id: int) -> list[tuple[str, int, str, str | None, str | None]]:
        rows = self.sql(
            "select plan, occurrence, state, step, end_reason from ledger.enrolments where person_id = :id order by id",
            id=person_id,
        )
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


@pytest.fixture
def world(ledger_engine: Engine, team: Settings, clock: FixedClock) -> World:
    """A team without a lake."""
    return World(ledger_engine, team, clock)


@pytest.fixture
def planning_world(ledger_engine: Engine, lake: Lake, team: Settings, clock: FixedClock) -> World:
    """A team with the tables of the lake that planning reads and writes."""
    schemas = {
        "outreach.queue": QUEUE_SCHEMA,
        "scoring.lead_scores": LEAD_SCORES_SCHEMA,
        "enrichment.market_trend": MARKET_TREND_SCHEMA,
    }
    with lake.write("set-up") as connection:
        for name, schema in schemas.items():
            connection.register("empty", schema.empty_table())
            connection.execute(f"create table {name} as from empty")
            connection.unregister("empty")
    return World(ledger_engine, team, clock, lake)


PEWC = {
    "customConsentSms": "pewc",
    "customConsentText": "I agree that Demo Realty may text me, also automatically; not a condition.",
    "customConsentAt": "2025-06-01T10:00:00Z",
    "customConsentIp": "192.0.2.44",
}


def plans_folder(folder: Path, **files: str) -> Path:
    """A folder with these plan files beside the built-in ones."""
    from leadpipe.outreach.plan import builtin_folder

    folder.mkdir(exist_ok=True)
    for path in builtin_folder().glob("*.yaml"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    for name, words in files.items():
        (folder / f"{name}.yaml").write_text(words, encoding="utf-8")
    return folder
