"""People whose automation is paused, plans that are paused, and going on afterwards.

What lives here: the passages that stop and those that go on. What does not: pausing a person (``conversation``), a plan
(its file's ``is_paused``), or the messages of paused plans (the claim leaves them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.outreach.plan import paused_plans

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import Clock
    from leadpipe.settings import Settings

_REOPEN = text(
    """
    update ledger.enrolments e set state = 'open', next_due_at = greatest(e.next_due_at, :now)
    from ledger.people p
    where e.state = 'paused' and p.person_id = e.person_id and p.automation_paused_at is null
      and e.plan <> all(:paused)
    """
)
_PAUSE_PLANS = text(
    "update ledger.enrolments set state = 'paused' where state = 'open' and next_due_at <= :now and plan = any(:paused)"
)


def take_up_again(engine: Engine, *, settings: Settings, clock: Clock) -> int:
    """Passages that waited for a paused plan or person go on, those of plans paused now stop; returns how many go on.

    What fell due meanwhile is due now, or at its own time of day when the step names one. A run asks once, at its
    beginning.
    """
    now, paused = clock.now(), list(paused_plans(settings.plans_path))
    with engine.begin() as connection:
        if paused:
            connection.execute(_PAUSE_PLANS, {"now": now, "paused": paused})
        return connection.execute(_REOPEN, {"now": now, "paused": paused}).rowcount
