"""After the last kill: what is under way comes to its end, within a bound.

What lives here: the passes that are left, and the jumps of the calendar that let patience run out. What does not: what
a pass does (``leadpipe.work``), judging the result (``verdict``).

The driver does the passes itself, in the order the runs would; the workers go on sending beside it.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from leadpipe.chaos import jobs
from leadpipe.errors import LeadpipeError
from leadpipe.messaging import switch
from leadpipe.messaging.reconcile import reconcile
from leadpipe.sandbox.control import jump_all

if TYPE_CHECKING:
    from leadpipe.chaos.world import ChaosWorld
    from leadpipe.cli.system import Tell

# Leases of dead runs and the CRM's first retries; the second look at a list and later retries; the gap between two
# messages to one person.
JUMPS = (timedelta(minutes=3), timedelta(minutes=17), timedelta(minutes=61))
# Longer than every provider's patience; nothing is sent any more.
LAST_JUMP = timedelta(hours=25)
PASS_PAUSE_SECONDS = 0.3
# After a jump the sandbox holds its posts for a moment.
AFTER_JUMP_SECONDS = 2.0

_UNDER_WAY = text(
    """
    select
      (select count(*) from ledger.messages
       where state in ('queued', 'held') and coalesce(not_before_at, due_at) <= :now) as due,
      (select count(*) from ledger.messages where state = 'sending') as sending,
      (select count(*) from ledger.inbound_messages
       where read_at is null and (lease_expires_at is null or lease_expires_at < :now)) as unread,
      (select count(*) from ledger.inbox
       where state = 'new' and (lease_expires_at is null or lease_expires_at < :now)) as notices
    """
)
_UNKNOWN = text("select count(*) from ledger.messages where state in ('sending', 'unknown')")


def settle(world: ChaosWorld, *, bound_seconds: float, stop: threading.Event, tell: Tell) -> list[str]:
    """Work everything off; returns what was not over within the bound, in words."""
    deadline = time.monotonic() + bound_seconds
    left = _work_off(world, deadline, stop)
    for jump in JUMPS:
        if stop.is_set() or time.monotonic() > deadline:
            break
        tell(f"the calendar moves on by {jump}")
        jump_all(world.sandbox, world.runtime.engine, jump)
        stop.wait(AFTER_JUMP_SECONDS)
        left = _work_off(world, deadline, stop)
    switch.stop(world.runtime.engine, now=world.runtime.clock.now(), reason="the chaos run is over")
    tell(f"sending is stopped; the calendar moves on by {LAST_JUMP}")
    jump_all(world.sandbox, world.runtime.engine, LAST_JUMP)
    unknown = _decide_unknown(world, deadline, stop)
    if unknown:
        left.append(f"{unknown} messages are still unknown")
    jobs.mirror_once(world.runtime)
    return left


def _work_off(world: ChaosWorld, deadline: float, stop: threading.Event) -> list[str]:
    """Passes until nothing is due, or the bound is reached."""
    left = ["everything"]
    while left and time.monotonic() < deadline and not stop.is_set():
        try:
            jobs.work_once(world.runtime)
            jobs.poll_once(world.runtime)
            left = _under_way(world)
        except (DBAPIError, LeadpipeError) as error:
            left = [f"a pass failed: {type(error).__name__}"]
        if left:
            stop.wait(PASS_PAUSE_SECONDS)
    return left


def _under_way(world: ChaosWorld) -> list[str]:
    with world.runtime.engine.connect() as connection:
        row = connection.execute(_UNDER_WAY, {"now": world.runtime.clock.now()}).mappings().one()
    return [f"{count} {name}" for name, count in row.items() if count]


def _decide_unknown(world: ChaosWorld, deadline: float, stop: threading.Event) -> int:
    runtime = world.runtime
    while True:
        reconcile(engine=runtime.engine, settings=runtime.settings, clock=runtime.clock)
        with runtime.engine.connect() as connection:
            count = int(connection.execute(_UNKNOWN).scalar_one())
        if not count or time.monotonic() > deadline or stop.wait(PASS_PAUSE_SECONDS):
            return count
