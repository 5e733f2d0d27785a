"""Scores in the lake, reasons in words, and what of it reaches the CRM and the agent."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from leadpipe.clock import FixedClock
from leadpipe.crm.custom_fields import PRIORITY_FIELD, REASON_FIELD, SCORE_FIELD
from leadpipe.crm.landing import land
from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.crm.tables import USERS
from leadpipe.crm.writeback_journal import WriteBack, journal
from leadpipe.scoring.features import FEATURES, NAMES
from leadpipe.scoring.prior import contributions
from leadpipe.scoring.publish import journal_changed
from leadpipe.scoring.reasons import sentence, three_reasons
from leadpipe.scoring.score import latest_scores, problems, score
from leadpipe.scoring.tables import LEAD_SCORES, LEAD_SCORES_SCHEMA
from leadpipe.settings import Settings
from leadpipe.store.bootstrap import create_tables
from leadpipe.store.lake import Lake
from leadpipe.store.mirror import mirror


@pytest.fixture
def home_settings(settings: Settings, tmp_path: Any) -> Settings:
    return settings.model_copy(update={"home": tmp_path})


def store(engine: Engine, clock: FixedClock, person_id: int, *, age: timedelta = timedelta(hours=1)) -> None:
    person = read_person(
        {
            "id": person_id, "created": (clock.now() - age).isoformat(), "updated": clock.now().isoformat(),
            "firstName": "Ana", "lastName": "Example", "stage": "Lead", "source": "Zillow", "assignedUserId": 7,
            "emails": [{"value": f"lead{person_id}@example.com"}],
        }
    )  # fmt: skip
    upsert_people(engine, [person], now=clock.now())


def answer(engine: Engine, clock: FixedClock, person_id: int, key: str, value: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.qualifications (person_id, key, value, sentence, at) values (:p, :k, :v, '', :at)"
            ),
            {"p": person_id, "k": key, "v": value, "at": clock.now()},
        )


def write_scores(lake: Lake, at: Any, rows: dict[int, tuple[float, str, str]]) -> None:
    import pyarrow as pa

    lake.append(
        LEAD_SCORES,
        pa.Table.from_pylist(
            [
                {
                    "person_id": person_id, "score_pct": pct, "priority_band": band, "reason_1": reason,
                    "reason_2": "No reply so far", "reason_3": "Price unknown", "model_version": "m-1",
                    "is_prior": False, "features": "{}", "scored_at": at,
                }
                for person_id, (pct, band, reason) in rows.items()
            ],
            schema=LEAD_SCORES_SCHEMA,
        ),
    )  # fmt: skip


def rows_of(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(sql)).all())


def test_an_answer_scores_its_lead_again_at_once_and_higher(
    lake: Lake, ledger_engine: Engine, home_settings: Settings, clock: FixedClock
) -> None:
    create_tables(lake)
    for person_id in (1, 2):
        store(ledger_engine, clock, person_id)
    mirror(ledger_engine, lake, now=clock.now())
    first = score(ledger_engine, lake, home_settings, now=clock.now())
    before = {row["person_id"]: row for row in latest_scores(lake).to_pylist()}

    clock.advance(timedelta(minutes=5))
    answer(ledger_engine, clock, 1, "timeline_months", "2")
    again = score(ledger_engine, lake, home_settings, now=clock.now(), person_ids=[1, 99])
    after = {row["person_id"]: row for row in latest_scores(lake).to_pylist()}

    assert (first.count_scored, again.count_scored) == (2, 1)
    assert after[1]["score_pct"] > before[1]["score_pct"]
    assert after[1]["reason_1"] == "Wants to move within 3 months (raises the score)"
    assert after[2] == before[2]
    assert json.loads(after[1]["features"])["timeline_months"] == 2
    assert list(json.loads(after[1]["features"])) == list(NAMES)
    assert problems(lake) == {}


def test_scores_lacking_people_or_out_of_range_are_found(lake: Lake, ledger_engine: Engine, clock: FixedClock) -> None:
    create_tables(lake)
    store(ledger_engine, clock, 1)
    mirror(ledger_engine, lake, now=clock.now())
    assert problems(lake) == {"never_scored": 1}

    write_scores(lake, clock.now(), {1: (101.0, "high", "x")})
    write_scores(lake, clock.now(), {1: (1.0, "low", "x")})
    assert problems(lake) == {"out_of_range": 1, "scored_twice": 1}


def test_people_who_came_while_everyone_was_scored_are_not_missed(
    lake: Lake, ledger_engine: Engine, clock: FixedClock
) -> None:
    create_tables(lake)
    write_scores(lake, clock.now(), {1: (50.0, "medium", "x")})
    clock.advance(timedelta(minutes=-1))
    store(ledger_engine, clock, 2)
    mirror(ledger_engine, lake, now=clock.now())
    assert problems(lake) == {}

    clock.advance(timedelta(minutes=-10))
    store(ledger_engine, clock, 3)
    mirror(ledger_engine, lake, now=clock.now())
    assert problems(lake) == {"never_scored": 1}


@given(
    name=st.sampled_from([feature.name for feature in FEATURES if feature.is_number]),
    number=st.floats(min_value=0, max_value=5_000_000),
)
@hypothesis_settings(max_examples=100)
def test_every_number_has_words(name: str, number: float) -> None:
    bounded = 1 + number % 7 if name == "arrival_weekday" else number % 24 if name == "arrival_hour" else number
    words = sentence(name, bounded)
    assert words[0].isupper()
    assert "nan" not in words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("source", "zillow", "Came through Zillow"),
        ("source", "realtor.com", "Came through realtor.com"),
        ("source", "unknown", "Source unknown"),
        ("hours_since_reply", 3.0, "Replied within a day"),
        ("hours_since_reply", float("nan"), "Has never replied"),
        ("hours_since_inquiry", 720.0, "Asked over a month ago"),
        ("count_replies", 4.0, "Several replies"),
        ("price_usd", 412_000.0, "Price around $400,000"),
        ("timeline_months", 2.0, "Wants to move within 3 months"),
        ("side", "both", "Wants to buy and sell"),
        ("arrival_weekday", 6.0, "Came in on a Saturday"),
    ],
)
def test_a_reason_reads_as_a_sentence(name: str, value: Any, words: str) -> None:
    assert sentence(name, value) == words


def test_three_different_reasons_strongest_first_and_steady_from_hour_to_hour() -> None:
    import pandas as pd

    row = {feature.name: float("nan") if feature.is_number else "unknown" for feature in FEATURES}
    row |= {"source": "referral", "count_replies": 2.0, "count_inquiries": 1.0, "count_views": 0.0, "has_budget": 0.0,
            "has_place": 0.0, "arrival_hour": 9.0, "arrival_weekday": 1.0, "age_hours": 30.0}  # fmt: skip
    frame = pd.DataFrame([row | {"hours_since_inquiry": hours} for hours in (30.0, 31.0)])

    reasons = list(zip(*three_reasons(frame, contributions(frame)), strict=True))

    assert reasons[0] == reasons[1]
    assert reasons[0][0] == "Several replies (raises the score)"
    assert reasons[0][1] == "Came through Referral (raises the score)"
    assert len(set(reasons[0])) == 3


def test_only_a_changed_band_or_first_reason_is_written_back_best_first(
    lake: Lake, ledger_engine: Engine, settings: Settings, clock: FixedClock
) -> None:
    create_tables(lake)
    land(lake, USERS, [{"id": 7, "name": "Ada Agent"}], landed_by="poll", now=clock.now())
    for person_id in (1, 2, 3):
        store(ledger_engine, clock, person_id)
    write_scores(
        lake,
        clock.now(),
        {1: (3.0, "medium", "a"), 2: (9.0, "high", "b"), 3: (1.0, "low", "c"), 77: (50.0, "high", "d")},
    )

    def publish(limit: int = 10) -> int:
        return journal_changed(ledger_engine, lake, settings, now=clock.now(), limit=limit)

    assert publish(limit=1) == 1
    assert publish() == 2
    assert publish() == 0
    written = rows_of(
        ledger_engine, "select person_id, payload from ledger.writebacks where kind = 'fields' order by priority, id"
    )
    assert [row.person_id for row in written] == [2, 1, 3]
    assert written[0].payload == {SCORE_FIELD: 9.0, REASON_FIELD: "b", PRIORITY_FIELD: "high"}

    clock.advance(timedelta(hours=1))
    write_scores(lake, clock.now(), {1: (3.9, "medium", "a"), 2: (12.0, "high", "e"), 3: (1.0, "low", "c")})
    assert publish() == 1
    clock.advance(timedelta(hours=1))
    write_scores(lake, clock.now(), {1: (7.0, "high", "a")})
    assert publish() == 1

    alerts = rows_of(ledger_engine, "select person_id, kind, body from ledger.alerts order by id")
    assert [(row.person_id, row.kind) for row in alerts] == [(2, "high_score"), (1, "high_score")]
    assert "assigned to Ada Agent (7)" in alerts[0].body
    tasks = rows_of(ledger_engine, "select person_id, payload from ledger.writebacks where kind = 'task' order by id")
    assert [(row.person_id, row.payload["assignedUserId"], row.payload["name"]) for row in tasks] == [
        (2, 7, "High priority now (9%): b"),
        (1, 7, "High priority now (7%): a"),
    ], "once a rise, not once a scoring"
    assert "example.com" not in alerts[0].body


def test_the_first_scoring_of_an_old_lead_alerts_nobody(
    lake: Lake, ledger_engine: Engine, settings: Settings, clock: FixedClock
) -> None:
    create_tables(lake)
    store(ledger_engine, clock, 1, age=timedelta(days=400))
    write_scores(lake, clock.now(), {1: (9.0, "high", "a")})

    assert journal_changed(ledger_engine, lake, settings, now=clock.now(), limit=10) == 1
    assert rows_of(ledger_engine, "select 1 from ledger.alerts") == []


def test_other_fields_still_waiting_are_carried_along_and_a_score_travels_with_a_newer_write_of_others(
    lake: Lake, ledger_engine: Engine, settings: Settings, clock: FixedClock
) -> None:
    create_tables(lake)
    store(ledger_engine, clock, 1)
    other = WriteBack(person_id=1, kind="fields", marker="other-1", payload={"customTimeline": "3 months"})
    with ledger_engine.begin() as connection:
        journal(connection, [other], now=clock.now())
    write_scores(lake, clock.now(), {1: (3.0, "medium", "a")})

    assert journal_changed(ledger_engine, lake, settings, now=clock.now(), limit=10) == 1
    pending = rows_of(ledger_engine, "select payload from ledger.writebacks where state = 'pending'")
    assert [row.payload for row in pending] == [
        {"customTimeline": "3 months", SCORE_FIELD: 3.0, REASON_FIELD: "a", PRIORITY_FIELD: "medium"}
    ]

    # Somebody else's newer fields supersede the write before it left: the score goes with theirs, once.
    clock.advance(timedelta(hours=1))
    newer = WriteBack(person_id=1, kind="fields", marker="other-2", payload={"customTimeline": "6 months"})
    with ledger_engine.begin() as connection:
        journal(connection, [newer], now=clock.now())
    write_scores(lake, clock.now(), {1: (3.0, "medium", "a")})
    assert journal_changed(ledger_engine, lake, settings, now=clock.now(), limit=10) == 0
    pending = rows_of(ledger_engine, "select payload from ledger.writebacks where state = 'pending'")
    assert [row.payload for row in pending] == [
        {"customTimeline": "6 months", SCORE_FIELD: 3.0, REASON_FIELD: "a", PRIORITY_FIELD: "medium"}
    ]


def test_a_hundred_thousand_leads_are_scored_once_each(
    lake: Lake, ledger_engine: Engine, home_settings: Settings, clock: FixedClock
) -> None:
    create_tables(lake)
    with lake.connect() as connection:
        connection.execute(
            """
            insert into raw.ledger__people by name
            select i as person_id, timestamptz '2026-03-01' - i * interval 11 minute as crm_created_at, i as xid
            from range(100000) r(i);
            insert into raw.fub__people by name
            select i as person_id, timestamptz '2026-03-01' as landed_at, false as is_deleted,
              ['Zillow', 'Referral', 'Open House'][1 + i % 3] as source, 'Lead' as stage, 100000.0 + i as price_usd
            from range(100000) r(i);
            insert into raw.fub__events by name
            select i as event_id, i % 100000 as person_id, 'Property Inquiry' as type, '{}' as payload,
              false as is_deleted, timestamptz '2026-03-01' as landed_at,
              timestamptz '2026-03-01' - i * interval 3 minute as occurred_at
            from range(150000) r(i);
            """
        )
    done = score(ledger_engine, lake, home_settings, now=clock.now())

    assert done.count_scored == 100_000
    assert np.isclose(sum(done.count_by_band.values()), 100_000)
