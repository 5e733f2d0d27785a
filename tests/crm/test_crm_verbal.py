"""Refusals that agents note in the CRM: obeyed from notes, calls, texts and tags, each once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.crm import intake, landing, verbal
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.messaging import suppression
from leadpipe.runtime import Runtime
from leadpipe.sandbox.world import World
from leadpipe.settings import Settings
from leadpipe.work import poll
from tests.crm.conftest import Account, Asking

if TYPE_CHECKING:
    from sqlalchemy import Engine

Row = dict[str, Any]
Take = Callable[..., int]


def _person(clock: FixedClock, **more: Any) -> Row:
    return {
        "id": 1, "created": "2026-01-01T00:00:00Z", "updated": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "emails": [{"value": "ana@example.com"}], "phones": [{"value": "512-555-0101"}], **more,
    }  # fmt: skip


@pytest.fixture
def ana(ledger_engine: Engine, clock: FixedClock) -> None:
    """Person 1, inside a plan, with an email and a phone."""
    upsert_people(ledger_engine, [read_person(_person(clock))], now=clock.now() - timedelta(days=1))
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, opened_at, next_due_at) "
                "values (1, 'reactivation', '1', 1, :now, :now)"
            ),
            {"now": clock.now()},
        )


@pytest.fixture
def take(ana: None, ledger_engine: Engine, settings: Settings, clock: FixedClock) -> Take:
    """A function that brings one record of a collection, an hour old unless said otherwise."""

    def take(collection: str, **fields: Any) -> int:
        created = clock.now() - timedelta(hours=fields.pop("hours", 1))
        row = {
            "id": 7,
            "personId": 1,
            "createdById": 5,
            "userId": 5,
            "created": f"{created:%Y-%m-%dT%H:%M:%SZ}",
            **fields,
        }
        return verbal.store_activities(ledger_engine, {collection: [row]}, settings=settings, now=clock.now())

    return take


def _suppressed(engine: Engine) -> list[tuple[str, str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select c.kind, s.channel, s.source from ledger.suppressions s "
                "join ledger.contact_points c on c.id = s.contact_point_id order by s.id"
            )
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


def _one(engine: Engine, query: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(query)).scalar_one()


@pytest.mark.parametrize(
    ("collection", "fields", "found"),
    [
        ("notes", {"body": "Asked to be removed"}, [("email", "all", "agent_note"), ("phone", "all", "agent_note")]),
        ("notes", {"body": "Said to stop emailing"}, [("email", "email", "agent_note")]),
        (
            "calls",
            {"note": "don't text him", "isIncoming": True},
            [("phone", "sms", "agent_call"), ("phone", "whatsapp", "agent_call")],
        ),
        (
            "textMessages",
            {"message": "STOP", "isIncoming": True},
            [("phone", "sms", "crm_text"), ("phone", "whatsapp", "crm_text")],
        ),
        (
            "textMessages",
            {"message": "leave me alone", "isIncoming": True},
            [("email", "all", "crm_text"), ("phone", "all", "crm_text")],
        ),
        ("textMessages", {"message": "Reply STOP to opt out", "isIncoming": False}, []),
        ("notes", {"body": "DNC", "systemName": "leadpipe"}, []),
        ("notes", {"body": "DNC", "isExternal": True}, []),
        ("notes", {"body": "Call her on Monday"}, []),
        ("notes", {"body": None}, []),
        ("notes", {"body": "DNC", "personId": 99}, []),
        ("notes", {"body": "DNC", "personId": None}, []),
    ],
)
def test_a_record_ends_the_contact_that_its_words_name(
    take: Take, ledger_engine: Engine, collection: str, fields: Row, found: list[tuple[str, str, str]]
) -> None:
    take(collection, **fields)
    assert sorted(_suppressed(ledger_engine)) == sorted(found)


def test_it_counts_from_when_the_agent_wrote_it_ends_plans_and_tells_the_team_once(
    take: Take, ledger_engine: Engine, clock: FixedClock
) -> None:
    assert take("notes", body="wants to be taken off the list") == 2
    assert _one(ledger_engine, "select min(at) from ledger.suppressions") == clock.now() - timedelta(hours=1)
    assert _one(ledger_engine, "select state || ':' || end_reason from ledger.enrolments") == "ended:opt_out"
    alert = _one(ledger_engine, "select title || ' ' || body from ledger.alerts")
    assert "A note says that lead 1 wants no contact" in alert
    assert "record 7" in alert
    assert take("notes", body="wants to be taken off the list") == 0
    assert _one(ledger_engine, "select count(*) from ledger.alerts") == 1


def test_reading_it_again_does_not_undo_a_start(take: Take, ledger_engine: Engine, clock: FixedClock) -> None:
    take("notes", body="said no more texts")
    point = _one(ledger_engine, "select id from ledger.contact_points where kind = 'phone'")
    with ledger_engine.begin() as connection:
        assert suppression.lift(connection, contact_point_id=point, channel="sms", at=clock.now(), now=clock.now())
    take("notes", body="said no more texts")
    with ledger_engine.connect() as connection:
        assert set(suppression.active(connection, [point])[point]) == {"whatsapp"}
    take("notes", id=8, body="DNC", hours=0)
    with ledger_engine.connect() as connection:
        assert set(suppression.active(connection, [point])[point]) == {"email", "sms", "whatsapp"}


def test_a_note_of_years_ago_is_obeyed_and_nobody_is_told(take: Take, ledger_engine: Engine) -> None:
    take("notes", body="DNC", hours=24 * 900)
    assert len(_suppressed(ledger_engine)) == 2
    assert _one(ledger_engine, "select count(*) from ledger.alerts") == 0


def test_a_tag_is_obeyed_once_also_for_an_address_that_comes_later(
    ana: None, ledger_engine: Engine, settings: Settings, clock: FixedClock
) -> None:
    def see(**more: Any) -> int:
        person = read_person(_person(clock, **more))
        upsert_people(ledger_engine, [person], now=clock.now())
        return verbal.store_tags(ledger_engine, [person], settings=settings, now=clock.now())

    assert see(tags=["VIP"]) == 0
    assert see(tags=["VIP", "no-texts"]) == 1
    assert see(tags=["no-texts"]) == 0
    assert see(tags=["no-texts"], phones=[{"value": "512-555-0101"}, {"value": "512-555-0102"}]) == 1
    assert {(kind, source) for kind, _, source in _suppressed(ledger_engine)} == {("phone", "agent_tag")}


def test_whatever_reads_the_crm_brings_them(
    ledger_engine: Engine, settings: Settings, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "land_all", lambda *_, **__: [])
    note = {
        "id": 7,
        "personId": 1,
        "createdById": 5,
        "created": "2026-03-03T15:00:00Z",
        "body": "asked not to be called",
    }
    intake.store(
        [_person(clock, tags=["Do Not Email"])], [], {"notes": [note]},
        lake=None, engine=ledger_engine, now=clock.now(), landed_by="webhook", settings=settings,  # type: ignore[arg-type]
    )  # fmt: skip
    assert sorted(_suppressed(ledger_engine)) == [
        ("email", "email", "agent_tag"),
        ("phone", "sms", "agent_note"),
        ("phone", "whatsapp", "agent_note"),
    ]


def test_a_poll_finds_what_an_agent_noted_corrected_or_tagged(
    runtime: Runtime, world: World, account: Account, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "SMALL", ())
    ana, ben = (
        account.add(firstName=name, emails=[{"value": f"{name}@example.com"}], phones=[{"value": f"512-555-010{n}"}])
        for n, name in enumerate(("ana", "ben"), start=1)
    )
    poll.poll(runtime, channels={})
    by_agent = {"createdById": 3, "systemName": "Follow Up Boss", "isExternal": False}
    world.store.add("notes", {"personId": ana, "body": "Spoke today. Asked to be taken off our list.", **by_agent})
    note = world.store.add("notes", {"personId": ben, "body": "Left a message.", **by_agent})
    poll.poll(runtime, channels={})
    assert ask.ledger("select person_id, channel, source from ledger.suppressions order by id") == [
        (ana, "all", "agent_note"),
        (ana, "all", "agent_note"),
    ]
    world.sandbox.offset_seconds += 240
    world.store.change("notes", note, {"body": "Left a message. He called back: stop texting, so do not text."})
    account.change(ben, tags=["Do Not Email"])
    poll.poll(runtime, channels={})
    found = ask.ledger("select channel, source from ledger.suppressions where person_id = :id order by 1, 2", id=ben)
    assert found == [("email", "agent_tag"), ("sms", "agent_note"), ("whatsapp", "agent_note")]
