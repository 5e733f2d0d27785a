"""The figures for Prometheus: each says what it is called, from the ledger's state, and none names a person."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine

from leadpipe.clock import FixedClock, WallClock
from leadpipe.messaging import breaker, right
from leadpipe.messaging.channels.base import SendResult
from leadpipe.monitoring import heartbeat
from leadpipe.monitoring.collector import CACHED_SECONDS, DURATIONS, LedgerCollector
from leadpipe.monitoring.figures import FIGURES
from leadpipe.runtime import Runtime
from leadpipe.store.ledger_budget import LedgerBudget
from tests.monitoring.conftest import ANN, ANN_EVENT, EMAIL, Rows

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "operations.md"
LABELS = {figure.name: figure.labels for figure in FIGURES}
LABELS |= {name: labels for name, (_, labels) in DURATIONS.items()}
LABELS["leadpipe_gateway_request_seconds_count"] = ("route", "status")
Figures = dict[tuple[str, ...], float]


def exposed(collector: LedgerCollector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def read(runtime: Runtime) -> Figures:
    """Every sample by its name and its label values, in the labels' own order."""
    words = exposed(LedgerCollector(runtime))
    return {
        (sample.name, *(sample.labels[label] for label in LABELS[sample.name])): sample.value
        for family in text_string_to_metric_families(words)
        for sample in family.samples
    }


def test_an_empty_ledger_has_nothing_waiting_and_says_that_it_was_read(runtime: Runtime) -> None:
    found = read(runtime)
    assert found["leadpipe_ledger_up",] == 1
    assert found["leadpipe_message_age_seconds", "due"] == 0
    assert found["leadpipe_message_age_seconds", "unknown"] == 0
    assert found["leadpipe_inbox_age_seconds",] == 0
    assert found["leadpipe_first_touches",] == 0
    assert not [name for name in found if name[0] == "leadpipe_first_touch_seconds"]


def test_messages_are_counted_by_state_and_their_age_is_the_oldest_ones(runtime: Runtime, rows: Rows) -> None:
    rows.lead(created=rows.ago(days=100))
    rows.point()
    for age in (20, 90):
        rows.message("queued", age=500, due_age=age)
        rows.message("unknown", age=age)
    rows.message("held", age=500, due_age=-600)
    rows.message("delivered", age=5_000, due_age=9_000)
    found = read(runtime)
    assert found["leadpipe_messages", "queued", "email"] == 2
    assert found["leadpipe_messages", "held", "email"] == 1
    assert found["leadpipe_messages", "unknown", "email"] == 2
    assert found["leadpipe_message_age_seconds", "due"] == 90, "what is held until later is not due"
    assert found["leadpipe_message_age_seconds", "unknown"] == 90
    assert found["leadpipe_message_age_seconds", "parked"] == 0
    assert not [name for name in found if "delivered" in name and name[0] == "leadpipe_messages"]


def test_the_inbox_shows_what_waits_and_what_nobody_could_process(runtime: Runtime, rows: Rows) -> None:
    now = rows.now
    rows.notice("peopleCreated", [1], created=now, received=rows.ago(seconds=40), state="new")
    rows.notice("peopleCreated", [2], created=now, received=rows.ago(seconds=10), state="new")
    rows.notice("peopleCreated", [3], created=now, received=rows.ago(days=1), state="kept_aside")
    rows.notice("peopleCreated", [4], created=now, received=rows.ago(days=2))
    found = read(runtime)
    assert found["leadpipe_inbox_waiting", "fub"] == 2
    assert found["leadpipe_inbox_age_seconds",] == 40
    assert found["leadpipe_inbox_kept_aside", "fub"] == 1


def test_a_providers_errors_are_calls_without_a_clear_answer(runtime: Runtime, rows: Rows) -> None:
    rows.lead(created=rows.ago(days=100))
    rows.point()
    message = rows.message("accepted", age=10)
    for outcome, code in (("accepted", ""), ("refused", "21211"), ("unknown", "ReadTimeout"), ("not_sent", "20429"),
                          ("not_sent", "overtaken"), (None, "")):  # fmt: skip
        rows.attempt(message, outcome, age=60, code=code, provider="twilio")
    rows.attempt(message, "unknown", age=3_600, provider="twilio")
    found = read(runtime)
    assert found["leadpipe_provider_calls", "twilio", "not_sent"] == 2
    assert found["leadpipe_provider_calls", "twilio", "under_way"] == 1
    assert found["leadpipe_provider_calls", "twilio", "unknown"] == 1, "an hour ago is not lately"
    assert found["leadpipe_provider_error_ratio", "twilio"] == pytest.approx(2 / 5)


def test_webhook_lag_and_the_hops_of_a_first_touch_are_measured(
    runtime: Runtime, rows: Rows, clock: FixedClock
) -> None:
    asked = rows.ago(minutes=10)
    at = lambda seconds: asked + timedelta(seconds=seconds)  # noqa: E731 - one moment of ten minutes ago
    rows.lead(created=asked)  # read from the CRM after 3 s
    rows.point()
    rows.notice("peopleCreated", [ANN], created=asked, received=at(2))
    rows.notice("peopleCreated", [ANN], created=asked, received=at(9))  # repeated
    rows.notice("eventsCreated", [ANN_EVENT], created=at(1), received=at(5))
    rows.notice("junk", [], created=asked, received=at(6), body=b"not json")
    rows.run(
        "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, opened_at, context) "
        "values (:id, 'new_lead', '1', 1, :at, jsonb_build_object('event_id', cast(:event as int)))",
        id=ANN, at=at(3.5), event=ANN_EVENT,
    )  # fmt: skip
    first = rows.message("delivered", age=500, plan="new_lead", enrolment=1, accepted=at(6))
    second = rows.message("accepted", age=500, plan="new_lead", enrolment=1, accepted=at(300))
    for message in (first, second):
        rows.attempt(message, "accepted", age=300)
    for moment in (4, 5):
        rows.run(
            "insert into ledger.verdicts (message_id, moment, decision, pack_version, judged_at) "
            "values (cast(:id as uuid), 'enqueue', 'ALLOW', '1', :at)", id=first, at=at(moment),
        )  # fmt: skip
    rows.run(
        "insert into ledger.message_events (message_id, from_state, to_state, event, at) "
        "values (cast(:id as uuid), 'accepted', 'delivered', 'callback', :at)", id=first, at=at(10),
    )  # fmt: skip
    found = read(runtime)
    hops = {
        name[1]: value
        for name, value in found.items()
        if name[0] == "leadpipe_first_touch_seconds" and name[2] == "0.5"
    }
    assert hops == pytest.approx(
        {"receipt": 2, "read": 1, "plan": 0.5, "gate": 0.5, "accepted": 2, "delivered": 4, "total": 6}
    )
    assert found["leadpipe_first_touches",] == 1
    assert found["leadpipe_webhook_lag_seconds", "0.5"] == 4
    assert found["leadpipe_webhook_lag_seconds", "1.0"] == 9


def test_a_lead_that_no_webhook_told_of_has_no_receipt_and_is_measured_all_the_same(
    runtime: Runtime, rows: Rows
) -> None:
    asked = rows.ago(minutes=10)
    rows.lead(created=asked)
    rows.point()
    rows.run(
        "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, opened_at) "
        "values (:id, 'new_lead', '1', 1, :at)", id=ANN, at=asked + timedelta(seconds=60),
    )  # fmt: skip
    message = rows.message("accepted", age=9, plan="new_lead", enrolment=1, accepted=asked + timedelta(seconds=62))
    rows.attempt(message, "accepted", age=500)
    found = read(runtime)
    assert ("leadpipe_first_touch_seconds", "receipt", "0.5") not in found
    assert ("leadpipe_first_touch_seconds", "read", "0.5") not in found
    assert found["leadpipe_first_touch_seconds", "total", "0.95"] == 62


def test_the_rate_budget_shows_what_is_left_and_how_long_a_refusal_holds(runtime: Runtime, rows: Rows) -> None:
    budget = LedgerBudget(rows.engine, "fub", {"notes": 10, "global": 250, "free": None}, window_seconds=10.0)
    for _ in range(4):
        assert budget.take("notes", is_bulk=False).wait_seconds == 0
    found = read(runtime)
    assert found["leadpipe_rate_budget_left", "fub", "notes"] == 6
    assert found["leadpipe_rate_budget_left", "fub", "global"] == 250
    assert ("leadpipe_rate_budget_left", "fub", "free") not in found
    assert found["leadpipe_rate_blocked_seconds", "fub"] == 0
    rows.run("update ledger.rate_budgets set newest_slot = newest_slot - 200")
    assert read(runtime)["leadpipe_rate_budget_left", "fub", "notes"] == 10, "two windows later all of it is back"
    budget.block(60)
    found = read(runtime)
    assert found["leadpipe_rate_budget_left", "fub", "global"] == 0
    assert found["leadpipe_rate_blocked_seconds", "fub"] == pytest.approx(60, abs=5)


def test_a_provider_that_rests_and_the_right_to_send_are_shown(runtime: Runtime, rows: Rows) -> None:
    breakers = breaker.Breakers()
    for _ in range(breaker.FAILURES_TO_OPEN):
        breakers.note("twilio", SendResult.unknown("ReadTimeout"))
    breakers.exchange(rows.engine, now=rows.now)
    found = read(runtime)
    with rows.engine.connect() as connection:
        rests = breaker.resting(connection)["twilio"]
        may_send = right.standing(connection, runtime.settings).may_send
    assert found["leadpipe_provider_rests_seconds", "twilio"] == pytest.approx(rests, abs=1)
    assert found["leadpipe_right_to_send",] == may_send
    rows.run("delete from ledger.controls where key = 'right_to_send'")
    assert read(runtime)["leadpipe_right_to_send",] == 0, "a ledger in which nobody ever took it"


def test_leads_of_today_for_whom_nothing_was_decided_are_counted(runtime: Runtime, rows: Rows) -> None:
    rows.run("insert into ledger.controls values ('go_live', jsonb_build_object('at', cast(:at as text)), :now)",
             at=rows.ago(hours=5).isoformat())  # fmt: skip
    rows.lead(created=rows.ago(minutes=1), outcome=None, person=1)
    rows.lead(created=rows.ago(minutes=1), person=2)
    rows.lead(created=rows.ago(hours=6), outcome=None, person=3)  # before go-live
    assert read(runtime)["leadpipe_new_leads_unanswered",] == 1


def test_services_are_up_while_they_beat_down_when_they_fall_silent_and_gone_when_they_say_so(
    runtime: Runtime, rows: Rows
) -> None:
    wall = WallClock().now()
    for service, state, age in (("gateway", "up", 5), ("dagster", "up", 600), ("send-worker", "stopped", 5)):
        heartbeat.beat(
            rows.engine, service, now=wall - timedelta(seconds=age), state=state, name="host:7", detail={"rss_bytes": 9}
        )
    found = read(runtime)
    assert found["leadpipe_service_up", "gateway"] == 1
    assert found["leadpipe_service_up", "dagster"] == 0
    assert ("leadpipe_service_up", "send-worker") not in found
    assert found["leadpipe_heartbeat_age_seconds", "gateway", "host:7"] == pytest.approx(5, abs=3)
    assert found["leadpipe_process_resident_bytes", "gateway", "host:7"] == 9
    assert ("leadpipe_process_resident_bytes", "dagster", "host:7") not in found


def test_dagsters_daemons_are_there_once_dagster_has_its_tables(runtime: Runtime, rows: Rows) -> None:
    assert not [name for name in read(runtime) if name[0].startswith("leadpipe_daemon")]
    rows.run('create table dagster.daemon_heartbeats (daemon_type text, "timestamp" timestamp)')
    rows.run("insert into dagster.daemon_heartbeats values ('SENSOR', :at)",
             at=(WallClock().now() - timedelta(seconds=30)).replace(tzinfo=None))  # fmt: skip
    assert read(runtime)["leadpipe_daemon_heartbeat_age_seconds", "sensor"] == pytest.approx(30, abs=3)


def test_the_last_judgement_of_the_kpis_is_shown(runtime: Runtime, rows: Rows) -> None:
    judged = '{"delivered": {"value": 0.97, "is_met": false}, "response": {"value": 0.1, "is_met": null}}'
    rows.run("insert into ledger.controls values ('kpis', cast(:value as jsonb), :now)", value=judged)
    found = read(runtime)
    assert found["leadpipe_kpi", "delivered"] == 0.97
    assert found["leadpipe_kpi_met", "delivered"] == 0
    assert found["leadpipe_kpi", "response"] == 0.1
    assert ("leadpipe_kpi_met", "response") not in found


def test_a_ledger_that_cannot_be_read_gives_no_figure_rather_than_zeros(runtime: Runtime) -> None:
    runtime.__dict__["engine"] = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=1")
    assert read(runtime) == {("leadpipe_ledger_up",): 0}


def test_the_ledger_is_read_once_however_often_it_is_asked_for(runtime: Runtime, rows: Rows) -> None:
    seconds = [100.0]
    collector = LedgerCollector(runtime, monotonic=lambda: seconds[0])
    waiting = 'leadpipe_inbox_waiting{source="fub"} 1.0'
    assert waiting not in exposed(collector)
    rows.notice("peopleCreated", [1], created=rows.now, received=rows.now, state="new")
    assert waiting not in exposed(collector)
    seconds[0] += CACHED_SECONDS
    assert waiting in exposed(collector)


def test_no_label_and_no_value_names_a_person(runtime: Runtime, rows: Rows) -> None:
    rows.lead(created=rows.ago(minutes=2), outcome=None)
    rows.point()
    for state in ("queued", "unknown", "parked", "review"):
        rows.attempt(rows.message(state, age=60, due_age=60), "unknown", age=60, code="ReadTimeout")
    rows.notice("peopleCreated", [ANN], created=rows.now, received=rows.now, state="new")
    words = exposed(LedgerCollector(runtime))
    assert EMAIL not in words
    assert "Ann" not in words
    assert not re.search(rf"\b{ANN}\b(?!\.)", "\n".join(line for line in words.splitlines() if "{" in line))


def test_the_table_in_the_docs_has_every_figure_and_no_other() -> None:
    words = DOC.read_text()
    own = {"leadpipe_gateway_request_seconds"}
    named = set(re.findall(r"^\| `(leadpipe_\w+)", words, re.MULTILINE))
    assert named == {figure.name for figure in FIGURES} | set(DURATIONS) | own
    rows = [(figure.name, figure.labels, figure.meaning) for figure in FIGURES]
    rows += [(name, labels, meaning) for name, (meaning, labels) in DURATIONS.items()]
    for name, labels, meaning in rows:
        assert f"| `{name}` | {', '.join(labels)} | {meaning} |" in words


def test_the_alert_rules_ask_for_figures_that_there_are() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    every = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(every) >= 12
    for rule in every:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        for name, chosen in re.findall(r"(leadpipe_\w+)(?:\{([^}]*)\})?", rule["expr"]):
            assert name in LABELS, rule["alert"]
            assert set(re.findall(r"(\w+)=", chosen)) <= set(LABELS[name]), rule["alert"]
