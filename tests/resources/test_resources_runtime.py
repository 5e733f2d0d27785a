"""The runtime as a resource: given by a test, kept over runs; a run nobody waits for steps back in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from leadpipe.runtime import Runtime
from resources.runtime import LeadpipeResource
from sensors.slots import slot

# A run of Dagster's is a process spawned by the code server; this stands for both.
RUN = """
import json, multiprocessing, os, sys
import dagster as dg
from resources.runtime import LeadpipeResource


@dg.op
def look(leadpipe: LeadpipeResource) -> int:
    return os.nice(0)


@dg.job
def looking():
    look()


def run(tags):
    before = os.nice(0)
    done = looking.execute_in_process(tags=tags, resources={"leadpipe": LeadpipeResource()})
    return done.output_for_node("look") - before


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        print(json.dumps([pool.apply(run, (tags,)) for tags in json.loads(sys.argv[1])]))
"""


def test_a_given_runtime_is_the_one_that_runs_get(runtime_of: Any) -> None:
    given = runtime_of()
    seen: list[Runtime] = []

    @dg.asset
    def look(leadpipe: LeadpipeResource) -> None:
        seen.append(leadpipe.runtime)

    for _ in range(2):
        assert dg.materialize([look], resources={"leadpipe": LeadpipeResource.of(given)}).success
    assert seen == [given, given]


@pytest.fixture
def runtime_of(settings: Any) -> Any:
    return lambda: Runtime(settings)


def test_runs_step_back_by_their_tag_and_ad_hoc_ones_furthest(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(RUN)
    tags = [dict(slot("a", priority=100)), dict(slot("b", priority=10)), {}]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py"), json.dumps(tags)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, 5, 10]


def test_a_run_inside_a_test_leaves_its_process_as_it_is() -> None:
    before = os.nice(0)

    @dg.asset
    def look(leadpipe: LeadpipeResource) -> None:
        assert leadpipe is not None

    assert dg.materialize([look], resources={"leadpipe": LeadpipeResource()}).success
    assert os.nice(0) == before
