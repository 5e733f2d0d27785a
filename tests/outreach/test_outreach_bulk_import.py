"""People of a bulk import are not welcomed; a burst of real leads is, whatever reaches us first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.crm.inquiries import Inquiry, store_inquiries
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.messaging.intent import Intent
from leadpipe.outreach.bulk_import import Arrival, judge
from leadpipe.outreach.first_touch import plan_new_leads
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.usefixtures("live")
NOW = datetime.fromisoformat("2026-03-03T16:00:00+00:00")
Arrive = Callable[..., list[int]]
Outcomes = Callable[[], list[str | None]]


@pytest.mark.parametrize(
    ("created_via", "count", "age_seconds", "verdict"),
    [
        ("API", 1, 1, ""),
        ("Email Parsing", 1, 1, ""),
        ("", 1, 1, ""),
        ("Import", 1, 1, "bulk_import"),
        ("CSV Upload", 1, 1, "bulk_import"),
        ("bulk import", 1, 86_000, "bulk_import"),
        ("API", 5, 1, ""),
        ("API", 6, 1, "forming"),
        ("API", 6, 119, "forming"),
        ("API", 6, 120, ""),
        ("API", 25, 120, ""),
        ("API", 26, 1, "bulk_import"),
        ("API", 26, 120, "bulk_import"),
    ],
)
def test_the_rule(created_via: str, count: int, age_seconds: int, verdict: str) -> None:
    came = NOW - timedelta(seconds=age_seconds)
    arrival = Arrival(person_id=1, crm_created_at=came, created_via=created_via, outcome="", count_together=count)
    assert judge(arrival, most=25, now=NOW) == verdict


@pytest.fixture
def arrive(ledger_engine: Engine, clock: FixedClock) -> Arrive:
    """A function that stores people created at these seconds before now; returns their ids."""

    def store(ages: Sequence[float], *, first_id: int = 1, **payload: Any) -> list[int]:
        ids = list(range(first_id, first_id + len(ages)))
        people = [
            read_person(
                {
                    "id": person_id,
                    "created": (clock.now() - timedelta(seconds=age)).isoformat(),
                    "updated": clock.now().isoformat(),
                    "createdVia": "API",
                    "firstName": "Ana",
                    "stage": "Lead",
                    "emails": [{"value": f"lead{person_id}@example.com"}],
                }
                | payload
            )
            for person_id, age in zip(ids, ages, strict=True)
        ]
        upsert_people(ledger_engine, people, now=clock.now())
        return ids

    return store


@pytest.fixture
def inquire(ledger_engine: Engine, clock: FixedClock) -> Callable[..., None]:
    def store(*person_ids: int, at: datetime | None = None) -> None:
        found = [
            Inquiry(
                event_id=1_000 + number, person_id=number, type="General Inquiry", source="Website", message="",
                property={}, occurred_at=at or clock.now(),
            )
            for number in person_ids
        ]  # fmt: skip
        store_inquiries(ledger_engine, found, now=clock.now())

    return store


@pytest.fixture
def welcome(ledger_engine: Engine, settings: Settings, clock: FixedClock) -> Callable[..., list[Intent]]:
    def run(person_ids: Sequence[int], **changes: Any) -> list[Intent]:
        return plan_new_leads(
            ledger_engine,
            person_ids,
            listings_by_person={},
            market_facts={},
            settings=settings.model_copy(update=changes),
            clock=clock,
        )

    return run


@pytest.fixture
def outcomes(ledger_engine: Engine) -> Outcomes:
    def ask() -> list[str | None]:
        with ledger_engine.connect() as connection:
            rows = connection.execute(text("select outcome from ledger.people order by person_id"))
            return list(rows.scalars())

    return ask


def test_an_import_is_stated_once_on_everyone_and_welcomes_nobody(
    arrive: Arrive, welcome: Any, outcomes: Outcomes, ledger_engine: Engine
) -> None:
    ids = arrive([n / 5 for n in range(26)])
    assert welcome(ids) == []
    assert welcome(ids[:3]) == []
    assert outcomes() == ["bulk_import"] * 26
    with ledger_engine.connect() as connection:
        assert connection.execute(text("select count(*) from ledger.decisions")).scalar() == 26
        assert connection.execute(text("select count(*) from ledger.people where is_new_lead")).scalar() == 0


def test_as_many_as_the_setting_allows_are_no_import(arrive: Arrive, welcome: Any, outcomes: Outcomes) -> None:
    assert len(welcome(arrive([150.0] * 25))) == 25
    assert outcomes() == ["enrolled"] * 25


@pytest.mark.parametrize(("gap", "count"), [(60, 0), (61, 8)])
def test_people_are_together_within_a_minute_wherever_the_clocks_minute_ends(
    arrive: Arrive, welcome: Any, gap: int, count: int
) -> None:
    ids = arrive([200.0] * 4 + [200.0 + gap] * 4)
    assert len(welcome(ids, import_people_per_minute=7)) == count


def test_the_team_may_ask_for_its_imports_to_be_welcomed(arrive: Arrive, welcome: Any) -> None:
    ids = arrive([1.0] * 8, createdVia="Import")
    assert len(welcome(ids, welcome_imports=True, import_people_per_minute=1)) == 8


def test_one_whose_record_says_import_is_imported_unless_they_ask(
    arrive: Arrive, inquire: Any, welcome: Any, outcomes: Outcomes
) -> None:
    ids = arrive([5.0, 5.0], createdVia="Import")
    inquire(2)
    assert [intent.person_id for intent in welcome(ids)] == [2]
    assert outcomes() == ["bulk_import", "enrolled"]


def test_a_burst_of_leads_is_answered_whole_when_their_inquiries_are_known(
    arrive: Arrive, inquire: Any, welcome: Any
) -> None:
    ids = arrive([n / 10 for n in range(100)])
    inquire(*ids)
    assert len(welcome(ids)) == 100


def test_a_burst_of_leads_is_answered_whole_when_the_people_come_before_their_inquiries(
    arrive: Arrive, inquire: Any, welcome: Any, outcomes: Outcomes
) -> None:
    ids = arrive([n / 10 for n in range(40)])
    assert welcome(ids) == []
    inquire(*ids)
    assert len(welcome(ids)) == 40
    assert outcomes() == ["enrolled"] * 40


def test_the_head_of_a_crowd_waits_until_it_shows_what_it_is(
    arrive: Arrive, welcome: Any, outcomes: Outcomes, clock: FixedClock
) -> None:
    ids = arrive([1.0] * 6)
    assert welcome(ids) == []
    assert outcomes() == [None] * 6
    clock.advance(timedelta(minutes=2))
    assert len(welcome(ids)) == 6


def test_the_head_of_an_import_is_imported_when_the_rest_has_come(
    arrive: Arrive, welcome: Any, outcomes: Outcomes, clock: FixedClock
) -> None:
    head = arrive([1.0] * 6)
    welcome(head)
    clock.advance(timedelta(seconds=30))
    welcome(arrive([0.0] * 20, first_id=7))
    clock.advance(timedelta(minutes=2))
    assert welcome(head) == []
    assert outcomes() == ["bulk_import"] * 26


def test_an_inquiry_ends_nobody_elses_import(
    arrive: Arrive, inquire: Any, welcome: Any, outcomes: Outcomes, clock: FixedClock
) -> None:
    ids = arrive([1.0] * 26)
    welcome(ids)
    inquire(1)
    assert [intent.person_id for intent in welcome(ids)] == [1]
    assert outcomes() == ["enrolled"] + ["bulk_import"] * 25
    clock.advance(timedelta(hours=25))
    assert welcome(ids[1:3]) == []
    assert outcomes()[1:3] == ["bulk_import"] * 2


def test_history_that_comes_along_is_no_inquiry_and_has_its_outcome(
    arrive: Arrive, inquire: Any, welcome: Any, ledger_engine: Engine, clock: FixedClock
) -> None:
    ids = arrive([1.0] * 26)
    inquire(*ids, at=clock.now() - timedelta(days=40))
    assert welcome(ids) == []
    with ledger_engine.connect() as connection:
        found = connection.execute(text("select distinct outcome from ledger.inquiries")).scalars().all()
    assert found == ["bulk_import"]
