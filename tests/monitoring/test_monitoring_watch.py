"""The watching pass: what the marts say is judged, shown as checks and told once a day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from assets import kpis as checks
from leadpipe.clock import FixedClock, WallClock
from leadpipe.monitoring import heartbeat
from leadpipe.monitoring.judged import judge
from leadpipe.runtime import Runtime
from leadpipe.store.lake import Lake
from leadpipe.work.watch import watch
from resources.runtime import LeadpipeResource
from sensors.watching import watch as watch_job

TODAY = date(2026, 3, 3)
KPI = {
    "subject": "", "unit": "share", "target_is": "above", "definition": "Of those, these.", "window_days": 7,
    "least_count": 20, "count_part": 90.0, "count_whole": 100.0, "value": 0.9, "target": 0.98, "day_count_part": 9.0,
    "day_count_whole": 10.0, "is_met": False, "is_complete": True, "day": TODAY,
}  # fmt: skip
SCHEMA = {
    "kpi": "varchar", "subject": "varchar", "unit": "varchar", "target_is": "varchar", "definition": "varchar",
    "window_days": "integer", "least_count": "integer", "count_part": "double", "count_whole": "double",
    "value": "double", "target": "double", "day_count_part": "double", "day_count_whole": "double", "is_met": "boolean",
    "is_complete": "boolean", "day": "date",
}  # fmt: skip


def fill(lake: Lake, kpis: list[dict[str, Any]], starving: list[tuple[int, str, int]]) -> None:
    """The two marts, as a build leaves them."""
    with lake.write("marts.kpis") as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in SCHEMA.items())
        connection.execute(f"create table marts.kpis ({columns})")
        for row in kpis:
            whole = KPI | row
            connection.execute(
                f"insert into marts.kpis ({', '.join(whole)}) values ({', '.join('?' * len(whole))})",
                list(whole.values()),
            )
        connection.execute(
            "create table marts.starving_leads (person_id bigint, what_is_known varchar, days_without_touch bigint)"
        )
        for row in starving:
            connection.execute("insert into marts.starving_leads values (?, ?, ?)", list(row))


def alerts(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {row[0]: f"{row[1]} | {row[2]}" for row in connection.execute(
            text("select dedupe_key, title, body from ledger.alerts order by id"))}  # fmt: skip


@pytest.fixture
def watched(runtime: Runtime, lake: Lake) -> Runtime:
    runtime.__dict__["lake"] = lake
    return runtime


def rates(rate: str, before: int, recent: int) -> list[dict[str, Any]]:
    """Five complete weeks of a hundred cases a day."""
    return [
        {"kpi": rate, "target": None, "target_is": "none", "is_met": None, "day": TODAY - timedelta(days=n),
         "day_count_part": float(recent if n < 7 else before), "day_count_whole": 100.0}
        for n in range(35)
    ]  # fmt: skip


def test_before_the_first_build_there_is_nothing_to_judge(watched: Runtime) -> None:
    seen = watch(watched)
    assert seen.alerts == ()
    assert seen.judged.kpis == {}
    assert all(result.passed for result in checks.results(seen.judged))


def test_what_is_off_is_told_once_a_day_with_its_figures(watched: Runtime, lake: Lake, clock: FixedClock) -> None:
    fill(
        lake,
        [
            {"kpi": "delivered"},
            {"kpi": "delivered", "day": TODAY - timedelta(days=1), "is_met": True},
            {"kpi": "errors", "value": 0.0, "is_met": True, "target": 0.01, "target_is": "below"},
            {"kpi": "first_touch", "unit": "seconds", "value": 412.0, "target": 300.0, "target_is": "below"},
            {"kpi": "services_up", "is_met": None, "subject": "gateway"},
            *rates("response", 10, 4),
            *rates("conversion", 10, 10),
        ],
        [(7, "never_planned", 31), (8, "passage_stands_still", 90), (9, "never_planned", 40)],
    )
    assert set(watch(watched).alerts) == {
        "kpi_missed:delivered",
        "kpi_missed:first_touch",
        "rate_changed:response",
        "starving_leads",
    }
    told = alerts(watched.engine)
    assert told["kpi_missed:delivered:2026-03-03"] == (
        "Target missed: delivered | 90.00%, wanted above 98.00%, 7 days to 2026-03-03. Of those, these. "
        "Day by day: marts.kpis."
    )
    assert "412 s, wanted below 300 s" in told["kpi_missed:first_touch:2026-03-03"]
    assert "4.0% (28 of 700) in the 7 days to 2026-03-03" in told["rate_changed:response:2026-03-03"]
    assert told["starving_leads:2026-03-03"] == (
        "3 leads get no touch, and nothing says why | 2 never planned, 1 passage stands still. "
        "People who wait longest: 8, 9, 7. All of them: marts.starving_leads."
    )
    assert watch(watched).alerts == ()
    clock.advance(timedelta(days=1))
    assert "starving_leads" in watch(watched).alerts


def test_an_old_figure_says_nothing_of_today(watched: Runtime, lake: Lake) -> None:
    fill(lake, [{"kpi": "delivered", "day": TODAY - timedelta(days=4)}], [])
    seen = watch(watched)
    assert seen.alerts == ()
    assert seen.judged.kpis["delivered"].words.startswith("nothing to measure")


def test_the_gateway_is_given_the_last_judgement(watched: Runtime, lake: Lake) -> None:
    fill(lake, [{"kpi": "delivered"}], [])
    watch(watched)
    with watched.engine.connect() as connection:
        kept = connection.execute(text("select value from ledger.controls where key = 'kpis'")).scalar_one()
    assert kept == {"delivered": {"value": 0.9, "is_met": False}}


def test_days_of_the_services_are_counted_and_old_signs_go(watched: Runtime) -> None:
    now = WallClock().now()
    for seconds in range(60, 0, -10):
        heartbeat.beat(watched.engine, "gateway", now=now - timedelta(seconds=seconds))
    heartbeat.beat(watched.engine, "gateway", now=now - timedelta(days=4))
    seen = watch(watched)
    assert seen.count_pruned == 1
    with watched.engine.connect() as connection:
        up = connection.execute(text("select sum(seconds_up) from ledger.service_days")).scalar_one()
    assert up >= 60


def test_a_check_a_target_passes_and_fails_with_its_severity(watched: Runtime, lake: Lake) -> None:
    fill(
        lake,
        [{"kpi": "delivered"}, {"kpi": "errors", "is_met": True}, *rates("response", 10, 4)],
        [(7, "never_planned", 31)],
    )
    found = {
        result.check_name: (result.passed, result.severity.value)
        for result in checks.results(judge(lake, watched.settings, now=watched.clock.now()))
    }
    assert found == {
        "delivered_is_as_wanted": (False, "ERROR"),
        "services_up_is_as_wanted": (True, "ERROR"),
        "errors_is_as_wanted": (True, "ERROR"),
        "first_touch_is_as_wanted": (True, "ERROR"),
        "response_is_as_usual": (False, "WARN"),
        "conversion_is_as_usual": (True, "WARN"),
        "nobody_starves": (False, "WARN"),
    }


def test_the_job_shows_its_judgement_as_checks_of_the_marts(watched: Runtime, lake: Lake) -> None:
    fill(lake, [{"kpi": "delivered"}], [])
    resource = LeadpipeResource.of(watched)
    done = watch_job.execute_in_process(resources={"leadpipe": resource})
    assert done.success, "a missed target is no failed run"
    seen = {e.check_name: e.passed for event in done.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"
            for e in [event.asset_check_evaluation_data]}  # fmt: skip
    assert set(seen) == {*checks.TARGETS, *checks.RATES, checks.NOBODY_STARVES}
    assert seen["delivered_is_as_wanted"] is False


def test_each_check_can_be_asked_for_by_itself(watched: Runtime, lake: Lake) -> None:
    fill(lake, [{"kpi": "delivered"}], [])
    defs = dg.Definitions(
        assets=[dg.AssetSpec(checks.KPIS), dg.AssetSpec(checks.STARVING)],
        asset_checks=[checks.the_system_does_well],
        resources={"leadpipe": LeadpipeResource.of(watched)},
        jobs=[dg.define_asset_job("ask", selection=dg.AssetSelection.checks(checks.the_system_does_well))],
    )
    done = defs.resolve_job_def("ask").execute_in_process()
    failed = [e.check_name for e in done.get_asset_check_evaluations() if not e.passed]
    assert failed == ["delivered_is_as_wanted"]
