"""The campaigns' passes: what was planned becomes messages, new homes become alerts.

What lives here: the order. What does not: planning (the queue's asset does it), the plans (``outreach``), sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from leadpipe.messaging.enqueue import Enqueued, enqueue
from leadpipe.outreach import enqueue_planned
from leadpipe.outreach.property_alerts import plan_property_alerts

if TYPE_CHECKING:
    from leadpipe.outreach.planner import Planned
    from leadpipe.runtime import Runtime


def plan_cohorts(runtime: Runtime, *, cohorts: Sequence[date] | None = None) -> Planned:
    """Plan the nightly plans for these cohorts, or for everyone; nobody is messaged."""
    from leadpipe.outreach.planner import plan

    return plan(runtime.engine, runtime.lake, settings=runtime.settings, clock=runtime.clock, cohorts=cohorts)


def enqueue_cohorts(runtime: Runtime, *, run_key: str, cohorts: Sequence[date] | None = None) -> Enqueued:
    """Make messages of what was planned within a day; running it again changes nothing."""
    return enqueue_planned.enqueue_planned(
        runtime.engine,
        runtime.lake,
        settings=runtime.settings,
        clock=runtime.clock,
        run_key=run_key,
        cohorts=cohorts,
    )


def alert_about_homes(runtime: Runtime, *, run_key: str) -> Enqueued:
    """Tell people of new homes that fit what they said, once a week at most."""
    intents = plan_property_alerts(runtime.engine, runtime.lake, settings=runtime.settings, clock=runtime.clock)
    return enqueue(runtime.engine, intents, clock=runtime.clock, settings=runtime.settings, run_key=run_key)
