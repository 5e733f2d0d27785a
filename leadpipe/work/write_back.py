"""The write-back pass: journalled notes, tasks, tags, fields and stages reach Follow Up Boss.

What lives here: how long a pass goes on. What does not: the journal (``crm.writeback_journal``), what is
safe to repeat (``crm.writeback``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from leadpipe.crm.writeback import Written, carry_out
from leadpipe.messaging import right

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

MAX_SECONDS = 45.0


def write_back(runtime: Runtime, *, max_seconds: float = MAX_SECONDS) -> Written:
    """Carry out what waits, best first, until nothing is due or the time is used; the rest waits and is counted.

    Without the right to send nothing is written, and ``stopped_by`` says why.
    """
    begun = time.monotonic()
    done = failed = retry = 0
    while True:
        with runtime.engine.connect() as connection:
            standing = right.standing(connection, runtime.settings)
        if not standing.may_send:
            return Written(
                count_done=done, count_failed=failed, count_retry=retry, count_waiting=0, stopped_by=standing.why
            )
        part = carry_out(engine=runtime.engine, crm=runtime.crm, clock=runtime.clock, worker=runtime.worker)
        done, failed, retry = done + part.count_done, failed + part.count_failed, retry + part.count_retry
        is_idle = part.count_done + part.count_failed == 0
        if is_idle or part.stopped_by or time.monotonic() - begun >= max_seconds:
            return Written(
                count_done=done,
                count_failed=failed,
                count_retry=retry,
                count_waiting=part.count_waiting,
                stopped_by=part.stopped_by,
            )
