"""The nightly sweep: every id of the CRM is walked once.

What lives here: when there is something to compare with, and what is read whole beside it. What does not: the walk
itself (``crm.sweep``), what changed since the last pass (``work.poll``).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from leadpipe.crm import sweep as id_sweep
from leadpipe.crm import tables, watermark
from leadpipe.crm.sweep import Swept
from leadpipe.crm.sync import Sync

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime


def sweep(runtime: Runtime) -> Swept:
    """The nightly pass over every id: deletes, Trash, merges, and records whose later changes show nowhere else.

    Before the first sync there is nothing to compare with, and it does nothing.

    Raises:
        TransientError: the CRM does not answer; run it again.
    """
    now = runtime.clock.now()
    if watermark.read(runtime.engine, "fub_people") is None:
        return Swept()
    swept = sweep_ids(runtime, now=now)
    Sync(runtime.keeper).whole((tables.TASKS, tables.APPOINTMENTS), now=now)
    return swept


def sweep_ids(runtime: Runtime, *, now: datetime) -> Swept:
    """Compare the ids the CRM has with those we have, and do what follows."""
    return id_sweep.sweep(crm=runtime.crm, lake=runtime.lake, engine=runtime.engine, now=now, settings=runtime.settings)
