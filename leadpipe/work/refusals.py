"""The CRM's own opt-outs, read and noted when.

What lives here: one reading. What does not: what an opt-out does (``crm.optouts``), who waits for a fresh reading
(``messaging.cases``), when one is due (``work.poll``, ``work.send_due``).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from leadpipe.crm import watermark
from leadpipe.messaging.cases import REFUSALS

if TYPE_CHECKING:
    from leadpipe.crm.sync import Sync
    from leadpipe.runtime import Runtime


def read_refusals(runtime: Runtime, sync: Sync, *, now: datetime) -> int:
    """Read the CRM's own opt-outs and note when that was; returns how many were new.

    Raises:
        LeadpipeError: the CRM did not answer; what waits for a fresh reading goes on waiting (C45).
    """
    count = sync.unsubscribes(now=now)
    watermark.write(runtime.engine, REFUSALS, now, now=now)
    return count
