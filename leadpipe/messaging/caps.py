"""Caps on how many messages leave: an hour, a day, a plan, a sending number.

What lives here: counting attempts in rolling windows and what is left of each cap. What does not: frequency per
person (``policy``), which is law; a cap is a throttle, so a message over it stays queued and loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

# Near a cap the claims of all workers take turns; far from it a few batches at once cannot reach it.
NEAR = 1_000
# So far from every cap that no number of senders passes it between two counts.
FAR = 100 * NEAR
RECOUNT_SECONDS = 5.0
_LOCK_KEY = 7_305_112
# Answers to what a person just asked are not held back by a plan's daily share.
UNCAPPED_PURPOSES = ("inquiry_response", "conversation", "optout_confirmation")

_COUNT = text(
    """
    select m.plan, m.channel, m.purpose = any(:uncapped) as is_answer, count(*) as day,
      count(*) filter (where a.started_at > :hour) as hour
    from ledger.attempts a join ledger.messages m on m.id = a.message_id
    where a.started_at > :day and a.outcome is distinct from 'not_sent'
    group by 1, 2, 3
    """
)


@dataclass(kw_only=True)
class Room:
    """What may still leave now; ``take`` uses it up.

    Attributes:
        total: messages of any kind.
        sms: texts from our sending number.
        plans: by plan seen in the last day; others have the whole of ``plan_cap``.
    """

    total: int
    sms: int
    plan_cap: int
    plans: dict[str, int] = field(default_factory=dict[str, int])
    reason: str = ""

    @property
    def full_plans(self) -> list[str]:
        """Plans whose day is used up; their answers to people may still go."""
        return sorted(plan for plan, left in self.plans.items() if left <= 0)

    @property
    def least(self) -> int:
        """What the nearest cap leaves."""
        return min(self.total, self.sms, self.plan_cap, *self.plans.values())

    @property
    def is_near(self) -> bool:
        """Whether a few batches at once could pass a cap."""
        return self.least < NEAR

    def take(self, *, plan: str, channel: str, purpose: str) -> bool:
        """Use up room for one message; False when there is none."""
        is_answer = purpose in UNCAPPED_PURPOSES
        left = self.plans.get(plan, self.plan_cap)
        if self.total <= 0 or (channel == "sms" and self.sms <= 0) or (not is_answer and left <= 0):
            return False
        self.total -= 1
        self.sms -= channel == "sms"
        if not is_answer:
            self.plans[plan] = left - 1
        return True


class Counter:
    """Counts for one sender: exactly while a cap is near, now and then while all are far.

    With caps lifted, a day's attempts are many rows, and counting them for every batch would cost more than sending it.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._room: Room | None = None
        self._counted_at = 0.0

    def room(self, connection: Connection, settings: Settings, *, now: datetime) -> Room:
        """What the caps leave, as ``room`` says; far from them a count a few seconds old, less what was taken since."""
        is_fresh = self._monotonic() - self._counted_at < RECOUNT_SECONDS
        if self._room is None or not is_fresh or self._room.least < FAR:
            self._room = room(connection, settings, now=now)
            self._counted_at = self._monotonic()
        return self._room


def left(connection: Connection, settings: Settings, *, now: datetime) -> Room:
    """What the caps leave at this moment, for showing; a claim takes ``room``."""
    return _room(connection, settings, now)


def room(connection: Connection, settings: Settings, *, now: datetime) -> Room:
    """What the caps leave; near a cap this waits for other claims, so that together they cannot pass it."""
    found = _room(connection, settings, now)
    if found.is_near:
        take_turns(connection)
        found = _room(connection, settings, now)
    return found


def take_turns(connection: Connection) -> None:
    """Wait for the claims that count near a cap, and let later ones wait for this transaction."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def _room(connection: Connection, settings: Settings, now: datetime) -> Room:
    rows = connection.execute(
        _COUNT,
        {"uncapped": list(UNCAPPED_PURPOSES), "hour": now - timedelta(hours=1), "day": now - timedelta(days=1)},
    ).all()
    left_hour = settings.cap_per_hour - sum(row.hour for row in rows)
    left_day = settings.cap_per_day - sum(row.day for row in rows)
    plans: dict[str, int] = {}
    for row in rows:
        if not row.is_answer:
            plans[row.plan] = plans.get(row.plan, settings.cap_per_plan_per_day) - row.day
    return Room(
        total=max(0, min(left_hour, left_day)),
        sms=settings.cap_per_number_per_day - sum(row.day for row in rows if row.channel == "sms"),
        plan_cap=settings.cap_per_plan_per_day,
        plans=plans,
        reason="cap_hour" if left_hour <= left_day else "cap_day",
    )
