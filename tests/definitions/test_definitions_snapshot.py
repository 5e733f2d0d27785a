"""The whole graph as a text: a renamed asset, a lost dependency or a moved schedule shows as a diff to be read.

``UPDATE_SNAPSHOT=1 pytest tests/definitions/test_definitions_snapshot.py`` writes it anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from leadpipe.definitions import build_defs
from leadpipe.settings import Settings

SNAPSHOT = Path(__file__).with_name("snapshot.yaml")
UPDATE = os.environ.get("UPDATE_SNAPSHOT")
# dbt's own manifest holds its models' dependencies; here their names are enough.
DBT_GROUPS = ("staging", "intermediate", "conversation", "marts")


def picture(settings: Settings) -> dict[str, Any]:
    defs = build_defs(settings)
    graph = defs.resolve_asset_graph()
    repository = defs.get_repository_def()
    assets: dict[str, Any] = {}
    for spec in defs.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        if spec.group_name in DBT_GROUPS:
            assets.setdefault(f"dbt {spec.group_name}", []).append(spec.key.path[-1])
            continue
        assets[name] = {
            "group": spec.group_name,
            "kinds": " ".join(sorted(spec.kinds)),
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps if not _is_mart(dep.asset_key.path)),
            "checks": sorted(key.name for key in graph.asset_check_keys if key.asset_key == spec.key),
        }
    jobs = {
        job.name: {
            "slot": job.tags["leadpipe/slot"],
            "priority": int(job.tags["dagster/priority"]),
            "nice": int(job.tags["leadpipe/nice"]),
            "steps": len(job.graph.node_defs),
        }
        for job in repository.get_all_jobs()
        if not job.name.startswith("__")
    }
    sensors = {
        each.name: f"{', '.join(target.job_name for target in each.targets) or 'no run'} "
        f"every {each.minimum_interval_seconds} s"
        for each in repository.sensor_defs
    }
    schedules = {
        schedule.name: f"{schedule.job_name} {schedule.cron_schedule}" for schedule in repository.schedule_defs
    }
    for names in assets.values():
        if isinstance(names, list):
            names.sort()
    return {"assets": assets, "jobs": jobs, "sensors": sensors, "schedules": schedules}


def _is_mart(path: Any) -> bool:
    return path[0] == "marts"


def test_the_graph_is_as_it_was(settings: Settings) -> None:
    found = yaml.safe_dump(picture(settings), sort_keys=True, width=120)
    if UPDATE:
        SNAPSHOT.write_text(found)
        pytest.fail("the snapshot was written anew; run the test again without UPDATE_SNAPSHOT")
    assert found == SNAPSHOT.read_text(), "read the difference; when it is meant, run with UPDATE_SNAPSHOT=1"
