"""The nightly audit of Follow Up Boss, on the running system.

What lives here: the audit with the running system's parts, and what follows from an act of the team that only it met.
What does not: comparing (``crm.audit``), writing anything to the CRM (``crm.written``, an op's).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadpipe.crm import audit as crm_audit
from leadpipe.crm import watermark
from leadpipe.crm.audit import Audited
from leadpipe.crm.compare import Sides

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime


def audit(runtime: Runtime) -> Audited:
    """Compare every side, heal what reading again heals, and fill ``ops.crm_audit``.

    Before the first sync there is nothing to compare with, and it does nothing.
    """
    from leadpipe.conversation.takeover import pause_for_people

    if watermark.read(runtime.engine, "fub_people") is None:
        return Audited()
    done = crm_audit.audit(sides(runtime))
    pause_for_people(runtime.engine, done.human_ids, settings=runtime.settings, now=runtime.clock.now())
    return done


def sides(runtime: Runtime) -> Sides:
    """What an audit compares, of the running system."""
    return Sides(
        crm=runtime.crm.in_bulk(),
        lake=runtime.lake,
        engine=runtime.engine,
        settings=runtime.settings,
        clock=runtime.clock,
    )
