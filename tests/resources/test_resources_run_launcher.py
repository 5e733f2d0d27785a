"""A run whose code server is gone is noticed; one that lives, or whose server is just restarting, is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import WorkerStatus
from dagster._grpc.types import CanCancelExecutionResult
from dagster._serdes import serialize_value

from leadpipe.cli.dagster_home import instance_config
from leadpipe.settings import Settings
from resources.run_launcher import ANSWERS_WITHIN_SECONDS, WatchedRunLauncher

RUN = dg.DagsterRun(job_name="probe", run_id="00000000-0000-4000-8000-000000000001")


@dataclass
class CodeServer:
    """Answers as told; None is silence."""

    has_run: bool | None

    def can_cancel_execution(self, request: Any, timeout: int) -> str:
        assert request.run_id == RUN.run_id
        if self.has_run is None:
            raise DagsterUserCodeUnreachableError("no answer")
        return serialize_value(CanCancelExecutionResult(can_cancel=self.has_run))


@pytest.fixture
def at() -> dict[str, float]:
    """The time, in seconds."""
    return {"now": 1000.0}


@pytest.fixture
def launcher_of(at: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> Callable[[CodeServer | None], Any]:
    """A function that makes a launcher beside a code server."""

    def make(server: CodeServer | None) -> WatchedRunLauncher:
        launcher = WatchedRunLauncher(monotonic=lambda: at["now"])
        monkeypatch.setattr(launcher, "_get_grpc_client_for_termination", lambda run_id: server)
        return launcher

    return make


def test_a_run_that_its_code_server_has_or_that_has_just_ended_is_well(launcher_of: Callable[..., Any]) -> None:
    assert launcher_of(CodeServer(True)).check_run_worker_health(RUN).status is WorkerStatus.RUNNING
    assert launcher_of(None).check_run_worker_health(RUN).status is WorkerStatus.RUNNING


def test_a_run_that_died_with_its_code_server_is_noticed_when_another_answers(launcher_of: Callable[..., Any]) -> None:
    found = launcher_of(CodeServer(False)).check_run_worker_health(RUN)
    assert (found.status, found.msg) == (WorkerStatus.FAILED, "the code server that started it was restarted")


def test_a_silent_code_server_has_a_minute_to_come_back(launcher_of: Callable[..., Any], at: dict[str, float]) -> None:
    server = CodeServer(None)
    launcher = launcher_of(server)
    assert launcher.check_run_worker_health(RUN).status is WorkerStatus.RUNNING
    server.has_run = True
    at["now"] += ANSWERS_WITHIN_SECONDS
    assert launcher.check_run_worker_health(RUN).status is WorkerStatus.RUNNING
    server.has_run = None
    for passed, status in ((0.0, WorkerStatus.RUNNING), (ANSWERS_WITHIN_SECONDS, WorkerStatus.FAILED)):
        at["now"] += passed
        assert launcher.check_run_worker_health(RUN).status is status


def test_every_installation_uses_it(settings: Settings) -> None:
    named = instance_config(settings)["run_launcher"]
    assert (named["module"], named["class"]) == (WatchedRunLauncher.__module__, WatchedRunLauncher.__name__)
    assert WatchedRunLauncher().supports_check_run_worker_health
