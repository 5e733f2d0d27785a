"""People, messages and inbound messages of the conversation tests, written as the running system writes them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, text

from leadpipe.clock import FixedClock
from leadpipe.conversation.inbound import Inbound, StoredInbound, store_inbound
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.store.tables.sending import messages
from leadpipe.work import replies
from leadpipe.work.replies import Replies

if TYPE_CHECKING:
    from sqlalchemy import Engine

AddPerson = Callable[..., int]
Say = Callable[..., StoredInbound]
Write = Callable[..., str]
Rows = Callable[..., list[dict[str, Any]]]
ReadReplies = Callable[..., Replies]
PHONE, EMAIL = "+15125550101", "ana1@example.com"
WORDS = "Demo Realty, the automated assistant: are you still looking to buy? Reply STOP to opt out."


@pytest.fixture
def add_person(ledger_engine: Engine, clock: FixedClock) -> AddPerson:
    """A function that stores one person with a phone and an email; keywords are FUB's own keys."""

    def add(person_id: int = 1, **payload: Any) -> int:
        person = read_person(
            {
                "id": person_id,
                "created": (clock.now() - timedelta(days=200)).isoformat(),
                "updated": clock.now().isoformat(),
                "firstName": "Ana",
                "lastName": "Example",
                "stage": "Lead",
                "source": "Website",
                "assignedTo": "Bo Lee",
                "assignedUserId": 7,
                "emails": [{"value": f"ana{person_id}@example.com", "isPrimary": 1}],
                "phones": [{"value": f"+151255501{person_id:02d}", "isPrimary": 1}],
                "addresses": [{"city": "Denver", "state": "CO", "code": "80202", "country": "US"}],
            }
            | payload
        )
        upsert_people(ledger_engine, [person], now=clock.now())
        return person_id

    return add


def _point(engine: Engine, person_id: int, kind: str) -> int:
    query = text(
        "select c.id from ledger.contact_points c join ledger.person_contact_points o on o.contact_point_id = c.id "
        "where o.person_id = :person and c.kind = :kind order by o.rank limit 1"
    )
    with engine.connect() as connection:
        return connection.execute(query, {"person": person_id, "kind": kind}).scalar_one()


@pytest.fixture
def write(ledger_engine: Engine, clock: FixedClock) -> Write:
    """A function that leaves one of our messages in the ledger, as sending or planning left it; returns its id."""
    steps = itertools.count(1)

    def leave(
        person_id: int = 1, *, state: str = "queued", channel: str = "sms", plan: str = "reactivation", **more: Any
    ) -> str:
        message_id = str(uuid.uuid4())
        went_out = state in {"accepted", "sent", "delivered"}
        values = {
            "id": message_id,
            "person_id": person_id,
            "contact_point_id": _point(ledger_engine, person_id, "email" if channel == "email" else "phone"),
            "enrolment_id": more.get("enrolment_id"),
            "plan": plan,
            "step": f"step{next(steps)}",
            "occurrence": 1,
            "channel": channel,
            "purpose": more.get("purpose", "marketing"),
            "subject": "Still looking?" if channel == "email" else "",
            "body": more.get("body", WORDS),
            "state": state,
            "due_at": clock.now(),
            "created_at": clock.now(),
            "changed_at": clock.now(),
            "accepted_at": clock.now() if went_out else None,
            "provider": "ses" if channel == "email" else "twilio",
            "provider_id": f"provider-{message_id}" if went_out else None,
        }
        with ledger_engine.begin() as connection:
            # A message in the middle of its life; the ledger lets none be born there.
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(insert(messages).values(**values))
        return message_id

    return leave


@pytest.fixture
def say(ledger_engine: Engine, settings: Settings, clock: FixedClock) -> Say:
    """A function by which a lead writes to us, as the gateway stores it."""
    numbers = itertools.count(1)

    def speak(body: str, *, channel: str = "sms", address: str | None = None, **more: Any) -> StoredInbound:
        inbound = Inbound(
            channel=channel,
            provider_id=more.pop("provider_id", f"in-{next(numbers)}"),
            address=address or (EMAIL if channel == "email" else PHONE),
            body=body,
            received_at=more.pop("at", clock.now()),
            **more,
        )
        with ledger_engine.begin() as connection:
            return store_inbound(connection, inbound, settings=settings, now=clock.now())

    return speak


class NoMarket:
    """Market facts of a house without any."""

    def for_zips(self, zips: Any) -> dict[str, Any]:
        """None for any ZIP code."""
        return {}


@pytest.fixture
def runtime(ledger_engine: Engine, settings: Settings, clock: FixedClock) -> Callable[..., Runtime]:
    """A function that builds a runtime on this test's ledger; keywords change settings."""

    def build(**changes: Any) -> Runtime:
        built = Runtime(settings.model_copy(update={"a2p_campaign_id": "C1"} | changes))
        built.__dict__.update(engine=ledger_engine, clock=clock, market_facts=NoMarket())
        return built

    return build


@pytest.fixture
def read_replies(
    runtime: Callable[..., Runtime], clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Replies]:
    """A function that lets turns settle and runs one reply pass; whom it would score again is left alone."""
    monkeypatch.setattr(replies._Desk, "rescore", lambda self, at_once: None)

    def run(**changes: Any) -> Replies:
        clock.advance(timedelta(seconds=3))
        return replies.answer_replies(runtime(**changes), linger_seconds=0)

    return run


@pytest.fixture
def rows(ledger_engine: Engine) -> Rows:
    """A function that reads rows of the ledger."""

    def read(query: str, **values: Any) -> list[dict[str, Any]]:
        with ledger_engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    return read
