"""The running system's parts as one Dagster resource.

What lives here: one runtime a process, built from the environment when first used. What does not: any rule.
"""

from __future__ import annotations

import atexit
import os
from functools import cache
from multiprocessing import parent_process

import dagster as dg

from leadpipe.runtime import Runtime, open_runtime
from leadpipe.store.house_settings import refuse_other_settings

# How far a run steps back for others on a busy machine, as `nice` counts it; the jobs that answer people say 0.
NICE_TAG = "leadpipe/nice"
DEFAULT_NICE = 10


@cache
def _from_environment() -> Runtime:
    runtime = open_runtime(env_file=None)
    # `dg launch` in another shell brings that shell's settings, or none, and would judge by them.
    refuse_other_settings(runtime.settings)
    if parent_process() is not None:
        # The process of one run, which comes back to the lake for every batch; it ends with the run.
        open_lake = runtime.lake.keep_open()
        open_lake.__enter__()
        atexit.register(open_lake.__exit__, None, None, None)
    return runtime


class LeadpipeResource(dg.ConfigurableResource[None]):
    """Ledger, lake, clock, clients. Loads without secrets; the environment is read when a run first asks."""

    @classmethod
    def of(cls, runtime: Runtime) -> LeadpipeResource:
        """A resource around a runtime that exists already, for tests.

        A class of its own, because Dagster makes the resource anew for every run and keeps nothing but its fields.
        """
        given = runtime

        class Given(cls):
            """The class around this one runtime."""

            @property
            def runtime(self) -> Runtime:
                return given

        return Given()

    @property
    def runtime(self) -> Runtime:
        """The parts of this process."""
        return _from_environment()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Step back in a run that nobody waits for: planning and dbt must not slow an answer on a small machine.

        Only in a process of its own, which every run of Dagster's has; a test's or a command's stays as it is.
        """
        if context.run is not None and parent_process() is not None:
            os.nice(max(0, int(context.run.tags.get(NICE_TAG, DEFAULT_NICE)) - os.nice(0)))
