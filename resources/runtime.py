"""The running system's parts as one Dagster resource.

What lives here: one runtime a process, built from the environment when first used. What does not: any rule.
"""

from __future__ import annotations

from functools import cache

import dagster as dg

from leadpipe.runtime import Runtime, open_runtime


@cache
def _from_environment() -> Runtime:
    return open_runtime(env_file=None)


class LeadpipeResource(dg.ConfigurableResource[None]):
    """Ledger, lake, clock, clients. Loads without secrets; the environment is read when a run first asks."""

    @classmethod
    def of(cls, runtime: Runtime) -> LeadpipeResource:
        """A resource around a runtime that exists already, for tests.

        A class of its own, because Dagster makes the resource anew for every run and keeps nothing but its fields.
        """
        given = runtime

        class Given(cls):
            @property
            def runtime(self) -> Runtime:
                return given

        return Given()

    @property
    def runtime(self) -> Runtime:
        """The parts of this process."""
        return _from_environment()
