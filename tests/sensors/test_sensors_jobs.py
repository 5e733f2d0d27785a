"""Jobs: each op hands its work to the domain and reports it; failures are told, history is pruned."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine
from dagster import DagsterRunStatus
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.crm import watermark
from leadpipe.messaging.enqueue import Enqueued
from leadpipe.runtime import Runtime
from leadpipe.work.first_touch import FirstTouch
from leadpipe.work.history import HistoryRead
from leadpipe.work.send_due import Sent
from resources.runtime import LeadpipeResource
from sensors.failures import failed_runs
from sensors.first_day import AFTER_FIRST_POLL, first_day
from sensors.first_touch import first_touch
from sensors.housekeeping import KEEP, KEEP_OFTEN, OFTEN, delete_runs, old_runs, prune_dbt
from sensors.lake import marts_are_old
from sensors.market import property_alerts
from sensors.polling import history_job, poll_job, unread_history
from sensors.replies import read_replies
from sensors.scoring import scores_are_new, tell_scores
from sensors.sending import schedules, send_due


@pytest.fixture
def run(leadpipe: LeadpipeResource) -> Callable[..., dg.ExecuteInProcessResult]:
    def execute(job: dg.JobDefinition, **config: Any) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(run_config=config or None, resources={"leadpipe": leadpipe})

    return execute


def reported(result: dg.ExecuteInProcessResult, kind: str) -> dict[str, Any]:
    (event,) = [event for event in result.all_events if event.event_type_value == kind]
    data = event.event_specific_data
    found = data.asset_observation if kind == "ASSET_OBSERVATION" else data.materialization
    return {"key": found.asset_key.to_user_string()} | {name: value.value for name, value in found.metadata.items()}


def test_first_touch_lingers_by_the_setting_and_observes_without_materializing(
    run: Any, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    lingered: list[float] = []

    def answer(_: Runtime, *, linger_seconds: float) -> FirstTouch:
        lingered.append(linger_seconds)
        return FirstTouch(count_people=2, states=Counter(accepted=2), failures=["FUB: HTTP 503"])

    monkeypatch.setattr("leadpipe.work.first_touch.answer_new_leads", answer)
    result = run(first_touch)
    run(first_touch, ops={"answer_new_leads": {"config": {"linger_seconds": 3}}})

    assert lingered == [runtime.settings.linger_seconds, 3]
    seen = reported(result, "ASSET_OBSERVATION")
    assert (seen["key"], seen["people"], seen["messages_accepted"]) == ("outreach/messages", 2, 2)
    assert not [event for event in result.all_events if event.event_type_value == "ASSET_MATERIALIZATION"]


def test_a_history_that_is_not_read_starts_its_job_which_reports_the_raw_tables(
    run: Any, runtime: Runtime, leadpipe: LeadpipeResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask() -> Any:
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(instance=instance, resources={"leadpipe": leadpipe})
            return unread_history(context)

    assert isinstance(ask(), dg.SkipReason)
    watermark.put_place(runtime.engine, "fub_events_history", 7, None, now=runtime.clock.now())
    watermark.put_place(runtime.engine, "fub_notes_history", 0, None, now=runtime.clock.now())
    assert ask().tags == {"leadpipe/waiting": "1"}
    read = HistoryRead(count_by_table={"raw.fub__events": 6}, failures=["notes: FUB: HTTP 503"])
    monkeypatch.setattr("leadpipe.work.history.read_history", lambda _, *, seconds: read)
    monkeypatch.setattr("leadpipe.store.row_counts.row_counts", lambda *_: {"raw.fub__events": 9})
    told = reported(run(history_job), "ASSET_MATERIALIZATION")
    assert (told["key"], told["rows_written"], told["dagster/row_count"]) == ("raw/fub__events", 6, 9)


def test_sending_reports_the_messages_it_sent(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadpipe.work.send_due.send_due", lambda *_, **__: Sent(states=Counter(accepted=5)))
    sent = reported(run(send_due), "ASSET_MATERIALIZATION")
    assert (sent["key"], sent["messages_accepted"]) == ("outreach/messages", 5)


def test_every_five_minutes_a_run_looks_without_lingering(runtime: Runtime, tmp_path: Path) -> None:
    (schedule,) = schedules(runtime.settings)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, dg.build_schedule_context(instance) as context:
        asked = schedule(context)
        assert asked.run_config["ops"]["send_due_messages"]["config"] == {"linger_seconds": 0}
        instance.create_run_for_job(job_def=send_due, status=DagsterRunStatus.STARTED)
        assert isinstance(schedule(context), dg.SkipReason)


def test_replies_are_read_and_observed_on_the_conversation_queue(run: Any) -> None:
    seen = reported(run(read_replies, ops={"answer_replies": {"config": {"linger_seconds": 0}}}), "ASSET_OBSERVATION")
    assert (seen["key"], seen["turns"]) == ("conversation/queue", 0)


def test_property_alerts_are_enqueued_under_the_runs_own_key(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    def alert(_: Runtime, *, run_key: str) -> Enqueued:
        keys.append(run_key)
        return Enqueued(count_by_state={"queued": 3})

    monkeypatch.setattr("leadpipe.work.reactivation.alert_about_homes", alert)
    result = run(property_alerts)
    assert keys == [result.run_id]
    assert reported(result, "ASSET_OBSERVATION")["new"] == 3


def test_scores_are_told_to_the_crm_after_a_scoring_and_within_its_budget(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []
    monkeypatch.setattr("leadpipe.scoring.publish.journal_changed", lambda *_, limit, **__: limits.append(limit) or 7)
    assert reported(run(tell_scores), "ASSET_OBSERVATION")["journalled"] == 7
    assert limits == [2_000]
    assert [job.name for job in scores_are_new.jobs] == ["tell_scores"]


class Broken(Exception):
    """Carries what must not be told."""


@dg.op
def fall() -> None:
    raise Broken("lead1@example.com could not be reached")


@dg.job
def falling() -> None:
    fall()


def test_a_failed_run_is_told_once_an_hour_with_no_contents(
    runtime: Runtime, leadpipe: LeadpipeResource, instance: dg.DagsterInstance, clock: FixedClock
) -> None:
    for _ in range(3):
        result = falling.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources={"leadpipe": leadpipe},
        ).for_run_failure()
        failed_runs(context)
        clock.advance(timedelta(minutes=35))
    with runtime.engine.connect() as connection:
        alerts = connection.execute(text("select title, body from ledger.alerts order by id")).all()
    assert [alert.title for alert in alerts] == ["Dagster: a run of falling failed"] * 2
    assert "fall: Broken" in alerts[0].body
    assert "example.com" not in " ".join(alert.body for alert in alerts)


NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def test_old_runs_go_with_their_logs_and_young_or_running_ones_stay(instance: dg.DagsterInstance) -> None:
    def add(job: dg.JobDefinition, status: DagsterRunStatus, age: timedelta) -> str:
        with time_machine.travel(NOW - age, tick=False):
            run = instance.create_run_for_job(job_def=job, status=status)
        folder = Path(instance.storage_directory()) / run.run_id / "compute_logs"
        folder.mkdir(parents=True)
        return run.run_id

    hour = timedelta(hours=1)
    old = add(falling, DagsterRunStatus.FAILURE, KEEP + hour)
    often = add(first_touch, DagsterRunStatus.SUCCESS, KEEP_OFTEN + hour)
    kept = {
        add(falling, DagsterRunStatus.SUCCESS, KEEP - hour),
        add(first_touch, DagsterRunStatus.FAILURE, KEEP_OFTEN + hour),
        add(first_touch, DagsterRunStatus.SUCCESS, KEEP_OFTEN - hour),
        add(falling, DagsterRunStatus.STARTED, KEEP + hour),
    }
    found = old_runs(instance, now=NOW)
    assert set(found) == {old, often}
    assert delete_runs(instance, found) == 2
    assert {run.run_id for run in instance.get_runs()} == kept
    assert {path.name for path in Path(instance.storage_directory()).iterdir()} >= kept
    assert not (Path(instance.storage_directory()) / old).exists()
    assert old_runs(instance, now=NOW) == []


def test_what_dbt_left_and_no_longer_touches_is_pruned(tmp_path: Path) -> None:
    for name in ("old", "young"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    (tmp_path / "old.log").write_text("")
    for name in ("old", "old.log"):
        os.utime(tmp_path / name, (0, 0))
    assert prune_dbt(tmp_path, before=NOW) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["young"]
    assert prune_dbt(tmp_path / "missing", before=NOW) == 0


def test_every_job_named_frequent_exists() -> None:
    from leadpipe.definitions import defs

    assert set(OFTEN) <= {job.name for job in defs.get_repository_def().get_all_jobs()}


def test_the_first_day_starts_what_never_ran_one_by_one_after_the_first_poll(
    instance: dg.DagsterInstance, runtime: Runtime, ask: Any, add_run: Any
) -> None:
    from leadpipe.definitions import defs

    assert isinstance(ask(first_day), dg.SkipReason)
    polled = add_run(poll_job, DagsterRunStatus.STARTED)
    instance.report_dagster_event(
        dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=poll_job.name), polled.run_id
    )
    assert isinstance(ask(first_day), dg.SkipReason)
    with time_machine.travel(datetime.now(UTC) + AFTER_FIRST_POLL * 2, tick=False):
        for name in ("refresh_market", "score_leads", "refresh_listings"):
            assert ask(first_day).job_name == name
            add_run(defs.resolve_job_def(name), DagsterRunStatus.FAILURE)
        assert isinstance(ask(first_day), dg.SkipReason), "no spend file, and no marts to publish yet"
        runtime.settings = runtime.settings.model_copy(update={"spend_csv": Path("spend.csv")})
        assert ask(first_day).job_name == "read_spend"
        add_run(defs.resolve_job_def("read_spend"), DagsterRunStatus.SUCCESS)
        add_run(defs.resolve_job_def("refresh_marts"), DagsterRunStatus.SUCCESS)
        assert ask(first_day).job_name == "publish_marts"
        add_run(defs.resolve_job_def("publish_marts"), DagsterRunStatus.SUCCESS)
        assert isinstance(ask(first_day), dg.SkipReason)


def test_the_marts_are_rebuilt_at_once_and_then_as_often_as_the_setting_says(
    runtime: Runtime, ask: Any, add_run: Any
) -> None:
    from leadpipe.definitions import defs

    runtime.settings = runtime.settings.model_copy(update={"marts_every_minutes": 4})
    assert isinstance(ask(marts_are_old), dg.RunRequest)
    add_run(defs.resolve_job_def("refresh_marts"), DagsterRunStatus.SUCCESS)
    assert isinstance(ask(marts_are_old), dg.SkipReason)
    for minutes, wanted in ((3, dg.SkipReason), (5, dg.RunRequest)):
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes), tick=False):
            assert isinstance(ask(marts_are_old), wanted)


def test_a_build_of_the_marts_that_takes_long_is_not_doubled(ask: Any, add_run: Any) -> None:
    from leadpipe.definitions import defs

    add_run(defs.resolve_job_def("refresh_marts"), DagsterRunStatus.STARTED)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=False):
        assert isinstance(ask(marts_are_old), dg.SkipReason)
