"""A small system with people in every table, over the real stores."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.crm import landing, tables
from leadpipe.crm.inquiries import read_inquiry, store_inquiries
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)


def person(person_id: int, first: str, last: str, email: str, phone: str, **more: Any) -> dict[str, Any]:
    """A record as Follow Up Boss tells it."""
    return {
        "id": person_id,
        "created": "2026-01-02T10:00:00Z",
        "updated": "2026-03-01T10:00:00Z",
        "firstName": first,
        "lastName": last,
        "stage": "Lead",
        "source": "Website",
        "assignedUserId": 3,
        "assignedTo": "Ann Agent",
        "tags": [],
        "emails": [{"value": email, "isPrimary": 1}],
        "phones": [{"value": phone, "isPrimary": 1}],
        "addresses": [{"street": "9 Quince Lane", "city": "Austin", "state": "TX", "code": "78701"}],
        **more,
    }


ADA = person(7, "Ada", "Quimby", "Ada.Quimby@Mail.example", "(512) 555-0107")
BOB = person(8, "Bob", "Rossi", "bob.rossi@mail.example", "(512) 555-0108")
WORDS = "We would love a porch that faces the old quarry pond, please"
ASKED = "Is the house by the quarry pond on Quince Lane still for sale?"


@dataclass
class Place:
    """The runtime and short questions to it."""

    runtime: Runtime

    def ledger(self, query: str, **values: Any) -> list[Any]:
        with self.runtime.engine.begin() as connection:
            return list(connection.execute(text(query), values))

    def run(self, statement: str, **values: Any) -> None:
        with self.runtime.engine.begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(text(statement), values)

    def lake(self, query: str) -> list[Any]:
        return self.runtime.lake.query(query).to_pylist()

    def poll(self, *people: dict[str, Any]) -> None:
        """What a pass over the CRM stores."""
        from leadpipe.crm import intake

        intake.store(
            list(people), [], {}, lake=self.runtime.lake, engine=self.runtime.engine, now=NOW, landed_by="poll"
        )


@pytest.fixture
def home(server_home: Path) -> Generator[Path]:
    """A home of this test's own, with the extensions of the session's."""
    folder = Path(tempfile.mkdtemp(prefix="leadpipe-privacy-", dir=server_home))
    (folder / "duckdb").symlink_to(server_home / "duckdb")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def place(settings: Settings, lake: Any, home: Path, clock: FixedClock) -> Generator[Place]:
    """Ada, who is to be erased, and Bob, who is not, with rows about both wherever there can be some."""
    from leadpipe.store import bootstrap, mirror

    runtime = Runtime(settings.model_copy(update={"home": home}))
    runtime.__dict__["lake"] = lake
    runtime.__dict__["clock"] = clock
    bootstrap.create_tables(lake)
    found = Place(runtime)
    upsert_people(runtime.engine, [read_person(ADA), read_person(BOB)], now=NOW)
    landing.land(lake, tables.PEOPLE, [ADA, BOB], landed_by="poll", now=NOW)
    landing.land(lake, tables.PEOPLE, [{**ADA, "stage": "Hot"}], landed_by="poll", now=NOW + timedelta(hours=1))
    events = [
        {"id": 70 + n, "personId": who, "type": "Property Inquiry", "source": "Website", "message": words,
         "created": "2026-03-01T09:00:00Z", "property": {"street": "12 Oak Street"}}
        for n, (who, words) in enumerate([(7, ASKED), (8, "Is it open on Sunday?")])
    ]  # fmt: skip
    landing.land(lake, tables.EVENTS, events, landed_by="poll", now=NOW)
    store_inquiries(runtime.engine, [each for row in events if (each := read_inquiry(row))], now=NOW)
    deals = [
        {"id": 1, "name": "Ada Quimby, 12 Oak Street", "people": [{"id": 7, "name": "Ada Quimby"}]},
        {
            "id": 2,
            "name": "Quimby and Rossi",
            "people": [{"id": 7, "name": "Ada Quimby"}, {"id": 8, "name": "Bob Rossi"}],
        },
    ]
    landing.land(lake, tables.DEALS, deals, landed_by="poll", now=NOW)
    for who, point, first in ((7, "ada.quimby@mail.example", "Ada"), (8, "bob.rossi@mail.example", "Bob")):
        _history(found, who, point, first)
    mirror.mirror(runtime.engine, lake, now=NOW)
    yield found
    runtime.close()


def _history(place: Place, who: int, address: str, first: str) -> None:
    point = place.ledger("select id from ledger.contact_points where address = :a", a=address)[0][0]
    enrolment = place.ledger(
        "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, opened_at) "
        "values (:who, 'new_lead', '1', 1, :now) returning id", who=who, now=NOW,
    )[0][0]  # fmt: skip
    message = f"00000000-0000-0000-0000-00000000000{who}"
    place.run(
        "insert into ledger.messages (id, person_id, contact_point_id, enrolment_id, plan, step, occurrence, channel, "
        "purpose, subject, body, evidence, state, due_at, created_at, changed_at) values (:id, :who, :point, "
        ":enrolment, 'new_lead', 'hello', 1, 'email', 'inquiry_response', 'Hello', :body, cast(:evidence as jsonb), "
        "'delivered', "
        ":now, :now, :now)",
        id=message, who=who, point=point, enrolment=enrolment, body=f"Hi {first}, about {address}", now=NOW,
        evidence=json.dumps({"variables": {"first_name": first, "email": address}}),
    )  # fmt: skip
    second = message[:-2] + f"1{who}"
    place.run(
        "insert into ledger.messages (id, person_id, contact_point_id, enrolment_id, plan, step, occurrence, channel, "
        "purpose, body, state, due_at, created_at, changed_at) values (:id, :who, :point, :enrolment, 'new_lead', "
        "'more', 1, 'email', 'marketing', :body, 'queued', :now, :now, :now)",
        id=second, who=who, point=point, enrolment=enrolment, body=f"Hi {first} again", now=NOW,
    )  # fmt: skip
    place.run(
        "insert into ledger.message_events (message_id, to_state, event, detail, at) values "
        "(:id, 'queued', 'enqueue', cast(:detail as jsonb), :now)",
        id=message, detail=json.dumps({"to": address}), now=NOW,
    )  # fmt: skip
    place.run(
        "insert into ledger.verdicts (message_id, moment, decision, pack_version, detail, judged_at) values "
        "(:id, 'enqueue', 'ALLOW', '1', cast(:detail as jsonb), :now)",
        id=message, detail=json.dumps({"place": [f"address of {address}"]}), now=NOW,
    )  # fmt: skip
    place.run(
        "insert into ledger.inbound_messages (channel, provider_id, contact_point_id, person_id, body, full_body, "
        "received_at, read_at) values ('email', :key, :point, :who, :words, :words, :now, :now)",
        key=f"in-{who}", point=point, who=who, words=f"{WORDS} ({first})" if who == 7 else "yes", now=NOW,
    )  # fmt: skip
    place.run(
        "insert into ledger.inbox (source, kind, dedupe_key, body, received_at, state, handled_at) values "
        "('ses_inbound', 'email', :key, :body, :now, 'handled', :now)",
        key=f"in-{who}", body=json.dumps({"from": address}).encode(), now=NOW,
    )  # fmt: skip
    place.run(
        "insert into ledger.qualifications (person_id, key, value, sentence, at) "
        "values (:who, 'zip', '78701', :words, :now)",
        who=who, words=f"I am {first} {address}", now=NOW,
    )  # fmt: skip
    place.run(
        "insert into ledger.writebacks (person_id, kind, marker, payload, state, created_at) values "
        "(:who, 'note', :marker, cast(:payload as jsonb), 'pending', :now)",
        who=who, marker=f"note:{who}", payload=json.dumps({"body": f"{address} wrote"}), now=NOW,
    )  # fmt: skip
    place.run(
        "insert into ledger.quarantine (source, record_key, reason, raw, at) values ('csv', :key, 'bad', :raw, :now)",
        key=f"line {who}", raw=f"{address};x".encode(), now=NOW,
    )  # fmt: skip
    place.runtime.lake.append_all(_scores(who, f"{first} looked often"))


def _scores(who: int, reason: str) -> dict[str, Any]:
    import pyarrow as pa

    from leadpipe.scoring.tables import LEAD_SCORES, LEAD_SCORES_SCHEMA

    row = {"person_id": who, "score_pct": 40.0, "reason_1": reason, "scored_at": NOW}
    return {LEAD_SCORES: pa.Table.from_pylist([row], schema=LEAD_SCORES_SCHEMA)}
