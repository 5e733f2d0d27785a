"""People, addresses and intents of the messaging tests, written to a real ledger, and a provider that can be told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.drain import Budget, DrainReport, drain
from leadpipe.messaging.enqueue import Enqueued, enqueue
from leadpipe.messaging.intent import Intent
from leadpipe.settings import Sending, Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

NAMESPACE = UUID("00000000-0000-0000-0000-00000000aaaa")
LICENCE = "https://demo-realty.example/iabs"
SMS_BODY = (
    "Hi, this is the automated assistant for Demo Realty. Still looking to buy? Reply STOP to opt out. " + LICENCE
)
EMAIL_BODY = (
    "Hi, are you still looking to buy?\n\nThis is the automated assistant.\n\n"
    f"Demo Realty, 1 Example Street, Austin, TX 78701\n{LICENCE}\n"
    "Unsubscribe: %%unsubscribe_url%%\n"
)


@dataclass(frozen=True, kw_only=True)
class Lead:
    """A person with one email and one phone."""

    person_id: int
    email_id: int
    phone_id: int
    email: str
    phone: str

    def point(self, channel: str) -> int:
        return self.email_id if channel == "email" else self.phone_id


AddLead = Callable[..., Lead]
MakeIntent = Callable[..., Intent]
Put = Callable[..., Enqueued]
Rows = Callable[[str], Sequence[Any]]
Go = Callable[..., DrainReport]


@pytest.fixture
def live_settings(settings: Settings) -> Settings:
    """Settings that let lawful messages leave, to fakes that the tests hand in."""
    return settings.model_copy(
        update={
            "sending": Sending.LIVE,
            "a2p_campaign_id": "CM-test",
            "twilio_account_sid": "AC00000000000000000000000000000001",
            "sms_number": "+15125550100",
            "sms_disabled_states": (),
        }
    )


@pytest.fixture
def add_lead(ledger_engine: Engine, clock: FixedClock) -> AddLead:
    """A function that stores a person of Austin, Texas; ``pewc`` adds written consent to texts."""

    def add(
        person_id: int, *, pewc: bool = False, asked_at: datetime | None = None, email: str = "", phone: str = "",
        place: dict[str, str] | None = None,
    ) -> Lead:  # fmt: skip
        now = clock.now()
        email = email or f"lead{person_id}@example.com"
        phone = phone or f"+1512555{person_id:04d}"
        with ledger_engine.begin() as connection:
            connection.execute(
                text(
                    "insert into ledger.people (person_id, first_name, stage, place, crm_created_at, crm_updated_at, "
                    "first_seen_at, refreshed_at) values (:id, 'Ana', 'Lead', cast(:place as jsonb), :now, :now, :now, "
                    ":now)"
                ),
                {
                    "id": person_id,
                    "now": now,
                    "place": _json(place if place is not None else {"zip": "78701", "city": "Austin", "state": "TX"}),
                },
            )
            ids: dict[str, int] = {}
            for kind, address in (("email", email), ("phone", phone)):
                ids[kind] = connection.execute(
                    text(
                        "insert into ledger.contact_points (kind, address, created_at) values (:kind, :address, :now) "
                        "on conflict (kind, address) do update set kind = excluded.kind returning id"
                    ),
                    {"kind": kind, "address": address, "now": now},
                ).scalar_one()
                connection.execute(
                    text("insert into ledger.person_contact_points (person_id, contact_point_id) values (:id, :point)"),
                    {"id": person_id, "point": ids[kind]},
                )
            if asked_at is not None:
                connection.execute(
                    text(
                        "insert into ledger.inquiries (event_id, person_id, type, occurred_at, first_seen_at) "
                        "values (:event, :id, 'Property Inquiry', :at, :now)"
                    ),
                    {"event": person_id * 10, "id": person_id, "at": asked_at, "now": now},
                )
                _consent(connection, person_id, "inquiry", asked_at, now, {})
            if pewc:
                proof = {
                    "signer": "Ana",
                    "number": "as given",
                    "seller": "ours",
                    "disclosure": "full text",
                    "ip": "192.0.2.1",
                }
                _consent(connection, person_id, "pewc", now - timedelta(days=20), now, proof)
        return Lead(person_id=person_id, email_id=ids["email"], phone_id=ids["phone"], email=email, phone=phone)

    return add


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


def _consent(
    connection: Any, person_id: int, level: str, at: datetime, now: datetime, evidence: dict[str, str]
) -> None:
    connection.execute(
        text(
            "insert into ledger.consents (person_id, channel, level, seller, source, evidence, at, dedupe_key, "
            "recorded_at) values (:id, 'sms', :level, 'ours', 'web_form', cast(:evidence as jsonb), :at, :key, :now)"
        ),
        {
            "id": person_id,
            "level": level,
            "at": at,
            "now": now,
            "evidence": _json(evidence),
            "key": f"{level}:{person_id}:{at}",
        },
    )


@pytest.fixture
def intent(clock: FixedClock) -> MakeIntent:
    """A function that makes an intent to a lead, due now."""

    def make(lead: Lead, channel: str = "email", **more: Any) -> Intent:
        values: dict[str, Any] = {
            "person_id": lead.person_id,
            "contact_point_id": lead.point(channel),
            "enrolment_id": None,
            "plan": "reactivation",
            "plan_version": "1",
            "step": "first",
            "occurrence": 1,
            "channel": channel,
            "purpose": "marketing",
            "subject": "Still looking?" if channel == "email" else "",
            "body": EMAIL_BODY if channel == "email" else SMS_BODY,
            "due_at": clock.now(),
        } | more
        name = "/".join(str(values[key]) for key in ("person_id", "contact_point_id", "plan", "step", "occurrence"))
        return Intent(id=str(uuid5(NAMESPACE, name)), **values)

    return make


@pytest.fixture
def put(ledger_engine: Engine, live_settings: Settings, clock: FixedClock) -> Put:
    """A function that enqueues intents; keywords change settings."""

    def put(*intents: Intent, run_key: str = "r", **changes: Any) -> Enqueued:
        changed = live_settings.model_copy(update=changes)
        return enqueue(ledger_engine, intents, clock=clock, settings=changed, run_key=run_key)

    return put


@pytest.fixture
def rows(ledger_engine: Engine) -> Rows:
    """A function that reads a table of the ledger, oldest row first."""

    def read(table: str) -> Sequence[Any]:
        order = "created_at, person_id" if table == "messages" else "id"
        with ledger_engine.connect() as connection:
            return connection.execute(text(f"select * from ledger.{table} order by {order}")).all()

    return read


@dataclass
class FakeChannel:
    """A provider at the channel seam: answers what it is told to, counts calls, can be held up."""

    provider: str = "twilio"
    results: dict[str, SendResult] = field(default_factory=dict[str, SendResult])
    default: SendResult | None = None
    requests: list[SendRequest] = field(default_factory=list[SendRequest])
    before: Callable[[SendRequest], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, request: SendRequest) -> SendResult:
        if self.before is not None:
            self.before(request)
        with self._lock:
            self.requests.append(request)
        told = self.results.get(request.message_id) or self.default
        return told or SendResult.accepted(f"{self.provider}-{request.message_id}")


@pytest.fixture
def channels() -> dict[str, FakeChannel]:
    """Fakes of every channel."""
    return {"email": FakeChannel("ses"), "sms": FakeChannel("twilio"), "whatsapp": FakeChannel("twilio")}


@pytest.fixture
def go(ledger_engine: Engine, live_settings: Settings, clock: FixedClock, channels: dict[str, FakeChannel]) -> Go:
    """A function that sends what is due; keywords change settings."""

    def run(*, only: Sequence[str] | None = None, count: int = 100, **changes: Any) -> DrainReport:
        return drain(
            engine=ledger_engine,
            channels=channels,
            settings=live_settings.model_copy(update=changes),
            clock=clock,
            budget=Budget(max_messages=count, max_seconds=30),
            only_message_ids=only,
        )

    return run


@pytest.fixture
def calls(channels: dict[str, FakeChannel]) -> Callable[[], list[SendRequest]]:
    """A function that lists every call to a provider so far, channel by channel."""
    return lambda: [request for channel in channels.values() for request in channel.requests]


@pytest.fixture
def hear(ledger_engine: Engine, clock: FixedClock) -> Callable[..., int]:
    """A function that stores an inbound message nobody has read yet."""

    def store(lead: Lead, channel: str = "sms", *, person_id: int | None = 0, is_read: bool = False) -> int:
        with ledger_engine.begin() as connection:
            return connection.execute(
                text(
                    "insert into ledger.inbound_messages (channel, provider_id, contact_point_id, person_id, body, "
                    "received_at, read_at) values (:channel, gen_random_uuid()::text, :point, :person, 'Hi', :now, "
                    ":read_at) returning id"
                ),
                {
                    "channel": channel,
                    "point": lead.point(channel),
                    "person": lead.person_id if person_id == 0 else person_id,
                    "now": clock.now(),
                    "read_at": clock.now() if is_read else None,
                },
            ).scalar_one()

    return store
