"""The marts' figures, against what one works out by hand from the invented team."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from leadpipe.conversation import queue
from tests.dbt.seeding import Seeded
from tests.dbt.team import (
    ADA,
    ANN,
    ANN_ASKED,
    BEN,
    BO,
    CY,
    DEE,
    EVE,
    FLO,
    GUS,
    GUS_ASKED_AGAIN,
    HAL,
    at,
    message_id,
)


def figures(seeded: Seeded, table: str, keys: str, *columns: str) -> dict[Any, tuple[Any, ...]]:
    """The named columns by key, a key of one column as itself."""
    names = keys.split()
    rows = seeded.rows(f"select {', '.join([*names, *columns])} from {table}")
    found = {tuple(row[name] for name in names): tuple(row[column] for column in columns) for row in rows}
    assert len(found) == len(rows), f"{table}: {keys} name no single row"
    return {key[0] if len(key) == 1 else key: value for key, value in found.items()}


def test_leads_are_the_people_the_crm_has_now_after_its_merges(seeded: Seeded) -> None:
    assert set(figures(seeded, "marts.leads", "person_id")) == {ANN, BEN, CY, DEE, EVE, GUS}
    found = figures(
        seeded, "marts.leads", "person_id",
        "stage", "count_messages", "count_replies", "count_inquiries", "is_contactable", "no_message_reason",
    )  # fmt: skip
    assert found[ANN] == ("Lead", 1, 1, 1, True, None)
    assert found[BEN] == ("Lead", 1, 0, 1, True, None)
    assert found[CY] == ("Closed", 0, 0, 0, True, "not_new")
    assert found[DEE] == ("Lead", 2, 1, 0, True, None), "the message to Flo counts as Dee's"
    assert found[EVE] == ("Lead", 0, 0, 0, False, "no_contact_point")
    assert found[GUS] == ("Nurture", 2, 1, 2, True, None), "an out-of-office answer is no reply"


def test_a_lead_has_the_score_in_force_and_shows_where_it_must_not_be_reached(seeded: Seeded) -> None:
    scores = figures(seeded, "marts.leads", "person_id", "score_pct", "priority_band", "score_reason")
    assert scores[ANN] == (80.0, "high", "asked about one home")
    assert scores[BEN] == (35.0, "medium", "looked at five homes")
    assert scores[GUS] == (None, None, None)
    suppressed = figures(
        seeded, "marts.leads", "person_id", "is_email_suppressed", "is_sms_suppressed", "is_whatsapp_suppressed"
    )
    assert suppressed[BEN] == (True, False, False)
    assert suppressed[DEE] == (False, True, True)
    assert suppressed[ANN] == (False, False, False)
    times = figures(seeded, "marts.leads", "person_id", "first_touch_at", "last_message_at", "cohort_month")
    assert times[DEE] == (at("2026-02-02T16:00:00"), at("16:30:00"), date(2025, 11, 1))


def test_communications_hold_every_word_once_whoever_said_it(seeded: Seeded) -> None:
    rows = seeded.rows(
        "select person_id, direction, channel, author, count(*) as n from marts.communications group by all"
    )
    found = {(row["person_id"], row["direction"], row["channel"], row["author"]): row["n"] for row in rows}
    assert found == {
        (ANN, "out", "email", "leadpipe"): 1,
        (ANN, "in", "email", "lead"): 1,
        (ANN, "out", "call", "agent"): 1,
        (ANN, "out", "note", "agent"): 1,
        (BEN, "out", "email", "leadpipe"): 1,
        (BEN, "out", "sms", "agent"): 1,
        (CY, "out", "call", "agent"): 1,
        (CY, "in", "call", "lead"): 1,
        (DEE, "out", "sms", "leadpipe"): 1,
        (DEE, "out", "email", "leadpipe"): 1,
        (DEE, "in", "sms", "lead"): 2,
        (GUS, "out", "email", "leadpipe"): 2,
        (GUS, "in", "email", "lead"): 1,
    }


def test_the_funnel_counts_leads_by_stage_and_source(seeded: Seeded) -> None:
    columns = (
        "count_leads", "count_contactable", "count_touched", "count_replied", "count_positive",
        "count_with_appointment", "count_closed", "count_opted_out",
    )  # fmt: skip
    assert figures(seeded, "marts.funnel", "stage source", *columns) == {
        ("Lead", "Zillow"): (3, 2, 2, 1, 1, 1, 0, 1),
        ("Closed", "Google"): (1, 1, 0, 0, 0, 0, 1, 0),
        ("Lead", "Google"): (1, 1, 1, 1, 0, 0, 0, 1),
        ("Nurture", "Referral"): (1, 1, 1, 1, 0, 0, 0, 0),
    }


def test_a_source_is_measured_by_spend_and_by_the_commission_of_its_deals(seeded: Seeded) -> None:
    columns = ("count_leads", "count_deals", "spend_usd", "commission_usd", "spend_per_lead_usd", "roi")
    assert figures(seeded, "marts.source_roi", "source month", *columns) == {
        ("Google", date(2025, 11, 1)): (2, 1, 1_000.0, 9_000.0, 500.0, 8.0),
        ("Referral", date(2025, 12, 1)): (1, 0, None, 0.0, None, None),
        ("Zillow", date(2026, 3, 1)): (3, 0, 600.0, 0.0, 200.0, -1.0),
        ("Billboard", date(2026, 3, 1)): (0, 0, 200.0, 0.0, None, -1.0),
    }


def test_a_plan_is_measured_by_step_and_template(seeded: Seeded) -> None:
    columns = (
        "count_messages", "count_accepted", "count_delivered", "count_failed", "count_replied", "count_positive",
        "count_opted_out", "count_waiting", "count_blocked", "count_ended",
    )  # fmt: skip
    assert figures(seeded, "marts.plan_performance", "plan step template", *columns) == {
        ("new_lead", "welcome_email", "welcome_email"): (4, 4, 3, 1, 2, 1, 0, 0, 0, 0),
        ("new_lead", "welcome_sms", "welcome_sms"): (2, 0, 0, 0, 0, 0, 0, 1, 0, 1),
        ("reactivation", "ask", "still_looking_sms"): (2, 1, 1, 0, 1, 0, 1, 0, 1, 0),
        ("reactivation", "ask", "still_looking_email"): (1, 1, 1, 0, 0, 0, 0, 0, 0, 0),
        ("reactivation", "offer", "offer_sms"): (1, 0, 0, 0, 0, 0, 0, 0, 1, 0),
    }
    rates = figures(seeded, "marts.plan_performance", "template", "reply_rate", "opt_out_rate", "median_reply_seconds")
    assert rates["welcome_email"] == (0.5, 0.0, (296 + 1193) / 2)
    assert rates["still_looking_sms"] == (1.0, 1.0, 60.0)
    assert rates["welcome_sms"] == (None, None, None)


def test_speed_to_lead_is_measured_for_each_time_a_new_lead_asked(seeded: Seeded) -> None:
    columns = ("first_touch_seconds", "is_within_5_minutes", "channel", "no_message_reason", "is_contactable")
    assert figures(seeded, "marts.speed_to_lead", "person_id inquiry_number", *columns) == {
        (ANN, 1): (4.0, True, "email", None, True),
        (BEN, 1): (400.0, False, "email", None, True),
        (EVE, 1): (None, False, None, "no_contact_point", False),
        (GUS, 1): (10.0, True, "email", None, True),
        (GUS, 2): (7.0, True, "email", None, True),
    }


def test_deliverability_is_counted_by_day_channel_and_provider(seeded: Seeded) -> None:
    columns = ("count_handed_over", "count_accepted", "count_refused", "count_delivered", "count_bounced")
    assert figures(seeded, "marts.deliverability", "day channel provider", *columns) == {
        (date(2026, 3, 2), "email", "ses"): (3, 3, 0, 2, 1),
        (date(2026, 2, 2), "email", "ses"): (1, 1, 0, 1, 0),
        (date(2025, 12, 1), "email", "ses"): (1, 1, 0, 1, 0),
        (date(2026, 3, 2), "sms", "twilio"): (2, 1, 1, 1, 0),
    }
    rates = figures(seeded, "marts.deliverability", "day channel", "delivered_rate", "bounce_rate")
    assert rates[date(2026, 3, 2), "email"] == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_agents_are_shown_with_what_they_did_and_what_was_handed_to_them(seeded: Seeded) -> None:
    columns = (
        "agent", "count_calls", "count_texts", "count_notes", "count_leads", "count_handoffs",
        "count_handoffs_closed", "count_alerts", "handoff_wait_seconds",
    )  # fmt: skip
    assert figures(seeded, "marts.agent_activity", "user_id day", *columns) == {
        (ADA, date(2026, 3, 2)): ("Ada Agent", 1, 0, 1, 1, 1, 0, 2, None),
        (BO, date(2026, 3, 2)): ("Bo Broker", 0, 0, 0, 0, 1, 1, 1, 600.0),
        (None, date(2026, 3, 2)): ("nobody assigned", 0, 1, 0, 1, 0, 0, 0, None),
        (99, date(2026, 3, 2)): ("user 99", 1, 0, 0, 1, 0, 0, 0, None),
    }, "three in the morning of the third in UTC is the second in Chicago"


def test_messages_and_models_cost_what_their_prices_say(seeded: Seeded) -> None:
    columns = ("count_units", "count_segments", "count_tokens", "cost_usd")
    assert figures(seeded, "marts.daily_costs", "day category item", *columns) == {
        (date(2026, 3, 2), "message", "email"): (3, None, None, pytest.approx(0.0003)),
        (date(2026, 2, 2), "message", "email"): (1, None, None, pytest.approx(0.0001)),
        (date(2025, 12, 1), "message", "email"): (1, None, None, pytest.approx(0.0001)),
        (date(2026, 3, 2), "message", "sms"): (1, 1, None, pytest.approx(0.0108)),
        (date(2026, 3, 2), "model", "gpt-5-mini:read"): (1, None, 1_100, pytest.approx(0.0005)),
        (date(2026, 3, 2), "model", "gpt-5-mini:draft"): (1, None, 700, pytest.approx(0.001)),
    }


def test_a_message_is_joined_to_its_template_step_score_event_verdict_and_consent(seeded: Seeded) -> None:
    found = figures(
        seeded, "marts.message_lineage", "message_id",
        "person_id", "plan", "step", "template", "score_pct", "event_id", "event_type", "last_verdict", "last_rule",
        "consent_id", "consent_level", "count_attempts",
    )  # fmt: skip
    assert len(found) == 10
    assert found[message_id(1)] == (
        ANN, "new_lead", "welcome_email", "welcome_email", 80.0, ANN_ASKED, "Property Inquiry", "ALLOW", None, 1,
        "inquiry", 1,
    )  # fmt: skip
    assert found[message_id(5)] == (
        DEE, "reactivation", "ask", "still_looking_sms", None, None, None, "ALLOW", None, 2, "express", 1,
    )  # fmt: skip
    assert found[message_id(8)][5:7] == (GUS_ASKED_AGAIN, "General Inquiry")
    assert found[message_id(9)][7:] == ("BLOCK", "C1", None, None, 0)
    assert found[message_id(6)][0] == DEE, "Flo was merged into Dee"
    assert found[message_id(3)][-1] == 2, "the first call never left"


def test_past_states_of_leads_and_messages_are_rows(seeded: Seeded) -> None:
    states = seeded.rows(
        "select person_id, stage, is_deleted, valid_from, valid_to from marts.lead_history "
        "where person_id in (?, ?, ?) order by person_id, valid_from", CY, FLO, HAL,
    )  # fmt: skip
    before, then = at("2026-03-01T12:00:00"), at("20:00:00")
    assert [tuple(row.values()) for row in states] == [
        (CY, "Lead", False, before, then),
        (CY, "Closed", False, then, None),
        (FLO, "Lead", False, before, then),
        (FLO, "Lead", True, then, None),
        (HAL, "Lead", False, before, then),
        (HAL, "Lead", True, then, None),
    ]
    story = seeded.rows(
        "select state, valid_from from marts.message_history where message_id = ? order by valid_from, valid_to",
        message_id(3),
    )
    assert [row["state"] for row in story] == ["queued", "sending", "accepted", "bounced"]


def test_the_conversation_queue_shows_who_awaits_what_since_when(seeded: Seeded) -> None:
    columns = ("awaits", "reason", "agent", "count_unread", "count_alerts", "since_at")
    assert figures(seeded, "conversation.queue", "person_id", *columns) == {
        ANN: ("agent", "interested", "Ada Agent", 0, 2, at("15:05:00")),
        BEN: ("nobody", "human_acted", "Bo Broker", 0, 0, at("16:00:00")),
        CY: ("lead", "resumed", None, 0, 0, at("2026-02-20T12:00:00")),
        GUS: ("assistant", "", None, 1, 0, at("16:20:00")),
    }


def test_the_lakes_queue_and_the_ledgers_say_the_same(seeded: Seeded) -> None:
    now = at("21:00:00")
    of_the_ledger = {row["person_id"]: {**row} for row in queue.rows(seeded.engine, now=now)}
    shared = [name for name in queue.SCHEMA.names if name != "as_of"]
    of_the_lake = {row["person_id"]: row for row in seeded.rows(f"select {', '.join(shared)} from conversation.queue")}
    assert of_the_ledger
    assert {key: {name: row[name] for name in shared} for key, row in of_the_ledger.items()} == of_the_lake


def test_kpis_are_measured_by_day_and_judged_over_their_window(seeded: Seeded) -> None:
    columns = ("day_count_part", "day_count_whole", "value", "is_met", "is_complete")
    found = figures(seeded, "marts.kpis", "kpi day", *columns)
    day = date(2026, 3, 2)
    assert found["delivered", day] == (3, 4, 0.75, None, False), "four messages are too few to say"
    assert found["errors", day] == (1, 6, pytest.approx(1 / 6), None, True), "Ben's first call was not sent"
    assert found["first_touch", day] == (2, 3, 400.0, False, True), "Ben waited too long, Eve has a stated reason"
    assert found["response", day] == (3, 4, 0.75, None, False)
    assert found["response", date(2025, 12, 1)] == (0, 1, 0.0, None, True), "an out-of-office answer is no reply"
    assert found["conversion", day] == (0, 3, 0.0, None, False)
    assert found["services_up", day] == (172_700, 172_800, pytest.approx(86_300 / 86_400), False, True)
    worst = seeded.rows("select subject, count_whole from marts.kpis where kpi = 'services_up'")
    assert worst == [{"subject": "dagster", "count_whole": 86_400}]


def test_nobody_of_the_team_starves(seeded: Seeded) -> None:
    assert seeded.rows("from marts.starving_leads") == []
