"""Features: only what was known at the moment, and only what is allowed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from leadpipe.clock import FixedClock
from leadpipe.scoring.features import NAMES, feature_frame, moments_of
from leadpipe.scoring.labels import HORIZON, MOMENTS, training_rows
from leadpipe.scoring.predict import PriorModel
from leadpipe.scoring.prior import PRIOR_VERSION
from leadpipe.scoring.score import scored_rows
from leadpipe.store.lake import Lake

ZONE = "America/Chicago"


def features_of(lake: Lake, person_id: int, at: datetime) -> dict[str, Any]:
    frame = feature_frame(lake, moments_of([person_id], at), timezone=ZONE)
    assert len(frame) == 1
    return frame[list(NAMES)].iloc[0].to_dict()


def test_features_tell_what_happened_up_to_the_moment(history: Any, lake: Lake, clock: FixedClock) -> None:
    created = clock.now() - timedelta(days=3)
    history.person(1, created, source=" Zillow ", price_usd=400_000.0, stage="Lead")
    history.event(1, created + timedelta(seconds=5), property_price_usd=450_000.0)
    history.event(1, created + timedelta(hours=1), kind="Viewed Property")
    history.reply(1, created + timedelta(days=1))
    history.said(1, created + timedelta(days=1), "timeline_months", "3")
    history.said(1, created + timedelta(days=1), "side", "selling")
    history.said(1, created + timedelta(days=1), "budget_high_usd", "$500,000")
    history.flush()

    found = features_of(lake, 1, clock.now())

    assert found["source"] == "zillow"
    assert (found["lead_type"], found["stage"], found["side"]) == ("buyer", "lead", "sell")
    assert found["inquiry_type"] == "property inquiry"
    assert (found["count_inquiries"], found["count_views"], found["count_replies"]) == (1, 1, 1)
    assert found["hours_since_reply"] == pytest.approx(48)
    assert (found["timeline_months"], found["price_usd"], found["has_budget"]) == (3, 500_000, 1)
    assert found["age_hours"] == pytest.approx(72)
    # Saturday, 28 February 2026, ten in Chicago.
    assert (found["arrival_hour"], found["arrival_weekday"]) == (10, 6)


def test_nothing_that_came_after_the_moment_changes_a_feature(history: Any, lake: Lake, clock: FixedClock) -> None:
    created = clock.now() - timedelta(days=60)
    moment = created + timedelta(days=1)
    history.person(1, created, stage="Lead", price_usd=300_000.0)
    history.event(1, created, property_price_usd=310_000.0)
    history.flush()
    before = features_of(lake, 1, moment)

    later = moment + timedelta(seconds=1)
    history.version(1, later, source="Referral", type="Seller", stage="Closed", price_usd=900_000.0)
    history.event(1, later, kind="Seller Inquiry", property_price_usd=900_000.0)
    history.event(1, later, kind="Viewed Property")
    history.reply(1, later)
    history.said(1, later, "timeline_months", "1")
    history.said(1, later, "zip", "78701")
    history.said(1, later, "side", "sell")
    history.appointment(1, later)
    history.deal(1, later)
    history.add("raw.ledger__human_actions", person_id=1, at=later)
    history.add("raw.ledger__messages", person_id=1, accepted_at=later)
    history.add("raw.fub__calls", call_id=1, person_id=1, crm_created_at=later, is_incoming=True, landed_at=later)
    history.add("raw.fub__text_messages", text_message_id=1, person_id=1, sent_at=later, is_incoming=True,
                is_external=False, landed_at=later)  # fmt: skip
    history.flush()

    after = features_of(lake, 1, moment)
    pd.testing.assert_series_equal(pd.Series(after), pd.Series(before))
    # And the same facts do count once their time has come, so the comparison above can fail.
    now = features_of(lake, 1, later)
    changed = {name for name in NAMES if now[name] != before[name] and now[name] == now[name]}
    assert changed >= {
        "source", "lead_type", "stage", "inquiry_type", "side", "price_usd", "count_inquiries", "count_views",
        "count_replies", "hours_since_inquiry", "hours_since_reply", "hours_since_touch", "timeline_months",
        "has_place",
    }  # fmt: skip


def test_the_stage_of_an_imported_lead_is_unknown_at_its_past_moments(
    history: Any, lake: Lake, clock: FixedClock
) -> None:
    """The import shows today's stage, which is often the outcome."""
    created = clock.now() - timedelta(days=200)
    history.person(1, created, landed_at=clock.now(), stage="Closed", source="Referral")
    history.flush()

    found = features_of(lake, 1, created + timedelta(days=1))

    assert found["stage"] == "unknown"
    assert found["source"] == "referral"


def test_no_feature_is_derived_from_a_name_an_address_or_who_lives_where() -> None:
    forbidden = ("name", "zip", "city", "state", "street", "email", "phone", "language", "tag", "school", "zhvi")
    parts = {part for name in NAMES for part in name.split("_")}
    assert not parts & set(forbidden)


@pytest.mark.parametrize(
    ("first", "last"),
    [("Lakisha", "Washington"), ("José", "García"), ("Wei", "Chen"), ("Mohammed", "Ali")],
)
def test_the_same_lead_under_another_name_scores_the_same(
    history: Any, lake: Lake, clock: FixedClock, first: str, last: str
) -> None:
    created = clock.now() - timedelta(days=2)
    for person_id, (given, family) in enumerate([("Emily", "Walsh"), (first, last)], start=1):
        history.add("raw.ledger__people", person_id=person_id, crm_created_at=created, first_name=given,
                    last_name=family, custom='{"customLanguage": "es"}' if person_id == 2 else "{}",
                    place=f'{{"zip": "7870{person_id}"}}')  # fmt: skip
        history.version(person_id, created, source="Zillow", first_name=given, last_name=family,
                        email=f"{given}@example.com", zip=f"7870{person_id}")  # fmt: skip
        history.event(person_id, created)
    history.flush()

    frame = feature_frame(lake, moments_of([1, 2], clock.now()), timezone=ZONE)
    rows = scored_rows(frame, PriorModel(), now=clock.now()).drop_columns(["person_id"]).to_pylist()

    assert rows[0] == rows[1]
    assert rows[0]["model_version"] == PRIOR_VERSION


def test_a_lead_whose_ninety_days_are_not_over_teaches_nothing(history: Any, lake: Lake, clock: FixedClock) -> None:
    history.person(1, clock.now() - HORIZON)
    history.person(2, clock.now() - HORIZON + timedelta(seconds=1))
    history.appointment(2, clock.now() - timedelta(days=10))
    history.flush()

    rows = training_rows(lake, now=clock.now(), timezone=ZONE)

    assert set(rows["person_id"]) == {1}
    assert list(rows["moment"]) == list(MOMENTS)


def test_the_label_is_an_appointment_or_a_deal_within_ninety_days_of_creation(
    history: Any, lake: Lake, clock: FixedClock
) -> None:
    created = clock.now() - timedelta(days=400)
    cases = {
        1: ("appointment", timedelta(days=89)), 2: ("appointment", timedelta(days=91)),
        3: ("deal", timedelta(days=40)), 4: (None, timedelta(0)), 5: ("deleted deal", timedelta(days=40)),
    }  # fmt: skip
    for person_id, (kind, after) in cases.items():
        history.person(person_id, created)
        if kind == "appointment":
            history.appointment(person_id, created + after)
        elif kind is not None:
            history.deal(person_id, created + after, status="Deleted" if "deleted" in kind else "Active")
    history.flush()

    rows = training_rows(lake, now=clock.now(), timezone=ZONE)
    labels = rows[rows["moment"] == "arrival"].set_index("person_id")["label"].to_dict()

    assert labels == {1: 1, 2: 0, 3: 1, 4: 0, 5: 0}


def test_moments_after_the_outcome_are_left_out(history: Any, lake: Lake, clock: FixedClock) -> None:
    created = clock.now() - timedelta(days=400)
    history.person(1, created)
    history.appointment(1, created + timedelta(days=3))
    history.flush()

    rows = training_rows(lake, now=clock.now(), timezone=ZONE)

    assert list(rows["moment"]) == ["arrival", "day_1"]
    assert (rows["moment_at"] < created + timedelta(days=3)).all()
