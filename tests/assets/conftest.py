"""A runtime on this test's ledger and lake, and its Dagster resource."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from leadpipe.clock import FixedClock
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.store.bootstrap import create_tables
from leadpipe.store.lake import Lake
from resources.runtime import LeadpipeResource


@pytest.fixture
def runtime(settings: Settings, lake: Lake, clock: FixedClock) -> Generator[Runtime]:
    create_tables(lake)
    runtime = Runtime(settings)
    runtime.__dict__["clock"] = clock
    yield runtime
    runtime.close()


@pytest.fixture
def leadpipe(runtime: Runtime) -> LeadpipeResource:
    return LeadpipeResource.of(runtime)
