"""Runs as processes of the code server, noticed when they die with it.

What lives here: the one class that ``dagster.yaml`` names. What does not: starting a run's process (Dagster's default
launcher), what follows from a failed run (run monitoring and run retries).

The code server reports a run whose process dies. When the code server itself is killed, its runs die too and nobody
reports them: they would stand as started and keep their slot until their longest time is over, a quarter of an hour for
answering new leads and an hour for the poll.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from dagster import DagsterRun
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClassData, deserialize_value

# A code server that restarts is back within this; one that has moved to another port never is.
ANSWERS_WITHIN_SECONDS = 60.0
TIMEOUT_SECONDS = 5


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, which can tell whether the code server still has a run's process."""

    def __init__(
        self, inst_data: ConfigurableClassData | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(inst_data)
        self._monotonic = monotonic
        self._silent_since: dict[str, float] = {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """As Dagster builds it from ``dagster.yaml``."""
        del config_value
        return cls(inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes: run monitoring asks about every started run."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Failed when the code server that started the run does not know it, or has not answered for a minute."""
        from dagster._core.errors import DagsterUserCodeUnreachableError

        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:  # it has just ended
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=TIMEOUT_SECONDS)
        except DagsterUserCodeUnreachableError:
            return self._silent(run.run_id)
        self._silent_since.pop(run.run_id, None)
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the code server that started it was restarted")

    def _silent(self, run_id: str) -> CheckRunHealthResult:
        now = self._monotonic()
        if now - self._silent_since.setdefault(run_id, now) < ANSWERS_WITHIN_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._silent_since.pop(run_id)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the code server that started it is gone")
