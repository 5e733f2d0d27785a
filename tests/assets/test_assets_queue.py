"""The queue by cohort: planned twice the same, checked before anyone is messaged, never a message by itself."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from sqlalchemy import text

from assets import outreach
from leadpipe.cli.dagster_home import dagster_variables, write_dagster_home
from leadpipe.clock import FixedClock
from leadpipe.outreach.queue import QUEUE_SCHEMA
from leadpipe.runtime import Runtime
from resources.runtime import LeadpipeResource
from sensors.reactivation import enqueue_planned, nightly_reactivation

ROOT = Path(__file__).parents[2]
QUEUE = [outreach.queue, outreach.queue_is_sound]


def backfill(leadpipe: LeadpipeResource, first: str, last: str) -> dg.ExecuteInProcessResult:
    """One run over a range of cohorts, as the backfill daemon makes it for a single-run policy."""
    return dg.materialize(
        QUEUE,
        resources={"leadpipe": leadpipe},
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
    )


def rows(runtime: Runtime) -> list[dict[str, Any]]:
    return runtime.lake.query("select * from outreach.queue order by person_id, plan").to_pylist()


def count_messages(runtime: Runtime) -> int:
    with runtime.engine.connect() as connection:
        return connection.execute(text("select count(*) from ledger.messages")).scalar_one()


def test_a_cohort_planned_twice_has_the_same_rows_and_passes_its_checks(
    runtime: Runtime, leadpipe: LeadpipeResource, add_aged: Any
) -> None:
    add_aged(1, 2, days=200)
    add_aged(3, days=400)
    found = []
    for _ in range(2):
        result = backfill(leadpipe, "2025-08-01", "2025-08-01")
        assert result.success
        assert {check.check_name for check in result.get_asset_check_evaluations() if check.passed} == set(
            outreach.CHECKS.values()
        )
        found.append(rows(runtime))
    assert found[0] == found[1]
    assert {row["person_id"] for row in found[0]} == {1, 2}
    assert {row["outcome"] for row in found[0]} == {"planned"}
    (made,) = result.asset_materializations_for_node("outreach__queue")
    assert made.metadata["dagster/row_count"].value == 2
    assert made.metadata["outcome_planned"].value == 2


def test_a_year_of_cohorts_backfilled_twice_messages_nobody_and_changes_nothing(
    runtime: Runtime, leadpipe: LeadpipeResource, add_aged: Any
) -> None:
    for person_id in range(1, 13):
        add_aged(person_id, days=95 + 30 * person_id)
    found = []
    for _ in range(2):
        result = backfill(leadpipe, "2024-12-01", "2025-11-01")
        assert result.success
        assert len({event.partition for event in result.get_asset_materialization_events()}) == 12
        found.append(rows(runtime))
    assert found[0] == found[1]
    assert len(found[0]) == 12
    assert count_messages(runtime) == 0


def test_only_the_op_enqueues_and_each_row_once(runtime: Runtime, leadpipe: LeadpipeResource, add_aged: Any) -> None:
    add_aged(1, 2, 3)
    backfill(leadpipe, "2025-08-01", "2025-08-01")
    for _ in range(2):
        assert enqueue_planned.execute_in_process(resources={"leadpipe": leadpipe}).success
        assert count_messages(runtime) == 3
    backfill(leadpipe, "2025-08-01", "2025-08-01")
    assert nightly_reactivation.execute_in_process(resources={"leadpipe": leadpipe}).success
    assert count_messages(runtime) == 3


def test_the_nightly_run_plans_everyone_reports_every_cohort_and_enqueues(
    runtime: Runtime, leadpipe: LeadpipeResource, add_aged: Any
) -> None:
    add_aged(1, days=200)
    add_aged(2, days=300)
    result = nightly_reactivation.execute_in_process(resources={"leadpipe": leadpipe})
    assert result.success
    assert {event.partition for event in result.get_asset_materialization_events()} == {"2025-08-01", "2025-05-01"}
    assert all(check.passed for check in result.get_asset_check_evaluations())
    assert count_messages(runtime) == 2


GOOD = {
    "person_id": 1,
    "contact_point_id": 1,
    "plan": "reactivation",
    "step": "ask",
    "occurrence": 1,
    "channel": "email",
}
GOOD |= {"subject": "Hello", "body": "Still looking?", "reason": "aged", "outcome": "planned"}


# What is wrong with a row, and the row; each is of another person and address, so that counts tell them apart.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("planned_twice", {"person_id": 20}),
    ("", {"person_id": 20}),
    ("planned_twice", {"contact_point_id": 120}),
    ("", {"contact_point_id": 120}),
    ("wordless", {"body": "  "}),
    ("wordless", {"subject": ""}),
    ("untimely", {"due_at": timedelta(minutes=-1)}),
    ("untimely", {"due_at": None}),
    ("unexplained", {"reason": ""}),
    ("unexplained", {"outcome": "somehow"}),
    ("suppressed", {"contact_point_id": 7}),
    ("suppressed", {"contact_point_id": 8}),
    ("", {"contact_point_id": 9}),
    ("", {"contact_point_id": 10}),
]


def test_each_row_that_would_send_a_wrong_message_is_counted_by_its_own_check_and_no_other(
    runtime: Runtime, leadpipe: LeadpipeResource, clock: FixedClock
) -> None:
    _suppress(runtime, clock)
    store(
        runtime,
        clock,
        [{"person_id": number, "contact_point_id": 100 + number} | row for number, (_, row) in enumerate(CASES)],
    )
    wrong = Counter(outreach.CHECKS[problem] for problem, _ in CASES if problem)
    checks = list(outreach.queue_is_sound(leadpipe))
    assert {check.check_name: check.metadata["count"].value for check in checks} == wrong
    assert not any(check.passed for check in checks)


def test_an_unsound_queue_stops_the_night_before_anyone_is_messaged(
    runtime: Runtime, leadpipe: LeadpipeResource, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(runtime, clock, [{"body": ""}])
    monkeypatch.setattr("leadpipe.work.reactivation.plan_cohorts", lambda *_: NothingPlanned())
    result = nightly_reactivation.execute_in_process(resources={"leadpipe": leadpipe}, raise_on_error=False)
    assert [event.step_key for event in result.get_step_failure_events()] == ["plan_every_cohort"]
    assert result.get_step_success_events() == []
    assert count_messages(runtime) == 0


class NothingPlanned:
    """A planning that replaced no row."""

    cohorts = ()

    def as_metadata(self) -> dict[str, int]:
        return {}


def store(runtime: Runtime, clock: FixedClock, changed: list[dict[str, Any]]) -> None:
    now = clock.now()
    found = []
    for change in changed:
        row = GOOD | {"planned_at": now, "due_at": now} | change
        if isinstance(row["due_at"], timedelta):
            row["due_at"] = now + row["due_at"]
        found.append(row)
    runtime.lake.replace("outreach.queue", pa.Table.from_pylist(found, schema=QUEUE_SCHEMA))


def _suppress(runtime: Runtime, clock: FixedClock) -> None:
    """7: email off. 8: everything off. 9: off and on again. 10: only texts off, and email after the planning."""
    now = clock.now()
    before, later = now - timedelta(hours=1), now + timedelta(minutes=1)
    told = [
        (7, "email", "suppress", before),
        (8, "all", "suppress", before),
        (9, "all", "suppress", before - timedelta(hours=1)),
        (9, "email", "lift", before),
        (10, "sms", "suppress", before),
        (10, "email", "suppress", later),
    ]
    with runtime.engine.begin() as connection:
        for point in (1, 7, 8, 9, 10):
            connection.execute(
                text(
                    "insert into ledger.contact_points (id, kind, address, created_at) overriding system value "
                    "values (:id, 'email', :address, :now)"
                ),
                {"id": point, "address": f"point{point}@example.com", "now": now},
            )
        for point, channel, action, at in told:
            connection.execute(
                text(
                    "insert into ledger.suppressions (contact_point_id, channel, action, source, at, recorded_at) "
                    "values (:point, :channel, :action, 'test', :at, :at)"
                ),
                {"point": point, "channel": channel, "action": action, "at": at},
            )


def test_a_range_of_cohorts_is_backfilled_from_the_command_line(
    runtime: Runtime, add_aged: Any, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_aged(1, days=200)
    add_aged(2, days=300)
    settings = runtime.settings
    write_dagster_home(settings.model_copy(update={"home": tmp_path}))
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LEADPIPE_HOME": str(settings.home),
        "LEADPIPE_DATABASE_URL": database_url,
        "LEADPIPE_LAKE_PATH": settings.lake_url,
        **dagster_variables(tmp_path, database_url),
    }
    dg_command = str(Path(sys.executable).with_name("dg"))
    launch = [dg_command, "launch", "--assets", 'key:"outreach/queue"', "--partition-range", "2025-04-01...2025-09-01"]
    done = subprocess.run(launch, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    planned = [(row["person_id"], row["cohort"].isoformat()) for row in rows(runtime)]
    assert planned == [(1, "2025-08-01"), (2, "2025-05-01")]
    assert count_messages(runtime) == 0
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
