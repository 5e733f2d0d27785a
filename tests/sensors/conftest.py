"""A runtime on this test's ledger, an instance in memory, runs of any state."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from sqlalchemy import Engine

from leadpipe.clock import FixedClock
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource

AddRun = Callable[..., dg.DagsterRun]
Ask = Callable[..., Any]


@pytest.fixture
def runtime(settings: Settings, ledger_engine: Engine, clock: FixedClock) -> Generator[Runtime]:
    del ledger_engine  # takes the right to send
    runtime = Runtime(settings)
    runtime.__dict__["clock"] = clock
    yield runtime
    runtime.close()


@pytest.fixture
def leadpipe(runtime: Runtime) -> LeadpipeResource:
    return LeadpipeResource.of(runtime)


@pytest.fixture
def instance() -> Generator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def add_run(instance: dg.DagsterInstance) -> AddRun:
    """A function that stores a run of a job in a state."""

    def add(job: dg.JobDefinition, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        location = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="leadpipe")
        repository = RemoteRepositoryOrigin(code_location_origin=location, repository_name="leadpipe")
        origin = RemoteJobOrigin(repository_origin=repository, job_name=job.name)
        code = JobPythonOrigin(job.name, RepositoryPythonOrigin("python", ModuleCodePointer("leadpipe", "defs")))
        return instance.create_run_for_job(job_def=job, status=status, remote_job_origin=origin, job_code_origin=code)

    return add


@pytest.fixture
def ask(instance: dg.DagsterInstance, leadpipe: LeadpipeResource) -> Ask:
    """A function that evaluates a sensor once."""

    def evaluate(sensor: dg.SensorDefinition) -> Any:
        context = dg.build_sensor_context(instance=instance, resources={"leadpipe": leadpipe})
        return sensor(context)

    return evaluate
