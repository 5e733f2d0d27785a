"""The running system's parts as one Dagster resource.

What lives here: one runtime a process, built from the environment when first used. What does not: any rule.
"""

from __future__ import annotations

from functools import cache

import dagster as dg
from pydantic import PrivateAttr

from leadpipe.runtime import Runtime, open_runtime


@cache
def _from_environment() -> Runtime:
    return open_runtime(env_file=None)


class LeadpipeResource(dg.ConfigurableResource[None]):
    """Ledger, lake, clock, clients. Loads without secrets; the environment is read when a run first asks."""

    _given: Runtime | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, runtime: Runtime) -> LeadpipeResource:
        """A resource around a runtime that exists already, for tests."""
        resource = cls()
        resource._given = runtime
        return resource

    @property
    def runtime(self) -> Runtime:
        """The parts of this process."""
        return self._given or _from_environment()
