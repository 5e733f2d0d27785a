"""The definitions load in a fresh interpreter with nothing set, stay light, and name what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assets.dbt_specs import load_manifest
from leadpipe.errors import ConfigurationError
from leadpipe.settings import Settings

ROOT = Path(__file__).parents[2]
# Every run starts a process that loads the definitions; these cost it from 0.1 s to 2 s and up to 90 MB each.
HEAVY = (
    "pandas", "sklearn", "duckdb", "dagster_dbt", "dbt.cli", "dagster_aws", "boto3", "twilio", "openai", "fastapi",
    "pyarrow", "numpy",
)  # fmt: skip
LOAD = f"""
import json, sys
from leadpipe.definitions import defs
import dagster as dg
dg.Definitions.validate_loadable(defs)
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def test_definitions_load_in_a_fresh_interpreter_with_no_environment_and_nothing_heavy(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LOAD],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(found.stdout) == []
    assert list(tmp_path.iterdir()) == []
    assert "Warning" not in found.stderr


def test_a_missing_manifest_names_the_make_target(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"manifest.json; run `make manifest`"):
        load_manifest(tmp_path / "manifest.json")


def test_the_teams_zone_comes_from_the_settings(settings: Settings) -> None:
    from leadpipe.definitions import build_defs

    changed = settings.model_copy(update={"team_timezone": "America/Denver"})
    schedules = {schedule.name: schedule for schedule in build_defs(changed).get_repository_def().schedule_defs}
    assert schedules["nightly_plans"].execution_timezone == "America/Denver"


def test_every_job_runs_in_one_process_and_has_a_slot() -> None:
    from leadpipe.definitions import defs

    jobs = [job for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")]
    assert {job.executor_def.name for job in jobs} == {"in_process"}
    assert [job.name for job in jobs if "leadpipe/slot" not in job.tags] == []


def test_jobs_that_answer_people_share_their_slot_with_nobody_and_use_no_pool() -> None:
    from leadpipe.definitions import defs

    jobs = {job.name: job for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")}
    for name in ("first_touch", "read_replies", "send_due"):
        sharing = [job.name for job in jobs.values() if job.tags["leadpipe/slot"] == jobs[name].tags["leadpipe/slot"]]
        assert sharing == [name]
        assert all(not node.definition.pool for node in jobs[name].nodes)
    priorities = [int(jobs[name].tags["dagster/priority"]) for name in ("first_touch", "read_replies", "send_due")]
    others = [int(job.tags["dagster/priority"]) for job in jobs.values()]
    assert sorted(others, reverse=True)[:3] == priorities


@pytest.mark.parametrize(
    "command",
    [
        ("dagster", "definitions", "validate", "-w", "workspace.yaml"),
        ("dg", "check", "defs"),
        ("dg", "list", "defs", "--json"),
    ],
    ids=" ".join,
)
def test_dagsters_own_commands_accept_the_project(command: tuple[str, ...], tmp_path: Path) -> None:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [str(program), *command[1:]],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "--json" in command:
        listed = json.loads(done.stdout)
        assert {"first_touch", "refresh_marts"} <= {job["name"] for job in listed["jobs"]}
