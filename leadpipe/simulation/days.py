"""Some days of the house, played through by the real code on a copy: planning at night, steps, the gate, sending.

What lives here: the order of a day and providers that take everything. What does not: the copy (``snapshot``), what is
counted of it (``figures``). Nothing comes in from outside: nobody asks, answers, refuses or acts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.market.facts import MarketFacts
from leadpipe.messaging import caps
from leadpipe.messaging.cases import REFUSALS
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.drain import Budget, drain
from leadpipe.messaging.enqueue import enqueue
from leadpipe.outreach.advance import advance
from leadpipe.outreach.enqueue_planned import enqueue_planned
from leadpipe.outreach.pausing import take_up_again
from leadpipe.outreach.planner import plan
from leadpipe.settings import Sending

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.settings import Settings
    from leadpipe.simulation.memory_lake import MemoryLake

# When the nightly run plans, in the team's own time (``sensors.reactivation``).
PLANS_AT = time(3)
# What falls due within a minute leaves at its end, so that a message belongs to the hour it fell due in.
TICK = timedelta(minutes=1)
_AFTER = timedelta(seconds=1)
ALL = 1_000_000
_NEXT = text(
    """
    select least(
      (select min(next_due_at) from ledger.enrolments where state = 'open' and next_due_at > :now),
      (select min(coalesce(not_before_at, due_at)) from ledger.messages
        where state in ('queued', 'held') and coalesce(not_before_at, due_at) > :now))
    """
)
# A cap has room again when an attempt of the last hour or day grows older than that.
_ROOM = text(
    """
    select least(
      (select min(started_at) + interval '1 hour' from ledger.attempts where started_at > :now - interval '1 hour'),
      (select min(started_at) + interval '1 day' from ledger.attempts where started_at > :now - interval '1 day'))
    """
)
_POLLED = text("update ledger.watermarks set value = cast(:value as jsonb), changed_at = :now where source = :source")
_OVERDUE = text(
    "select count(*) from ledger.messages where state = 'queued' and coalesce(not_before_at, due_at) <= :now"
)


@dataclass(kw_only=True)
class Taking:
    """A provider that takes every message and forgets it."""

    provider: str

    def send(self, request: SendRequest) -> SendResult:
        """Accepted."""
        return SendResult.accepted(f"simulated-{request.message_id}")


@dataclass(kw_only=True)
class Played:
    """What happened beside the ledger: caps that were full, by name, with the moment each was first."""

    caps_hit: dict[str, datetime] = field(default_factory=dict[str, datetime])


def settings_for(settings: Settings, database_url: str, home: Path) -> Settings:
    """The house's own settings on the copy, with a home of its own; sending goes, to nobody."""
    # A database of our own and providers of our own: nothing named here is reached.
    own = {"database_url": database_url, "home": home, "sending": Sending.LIVE}
    return settings.model_copy(update=own | {"failpoints": None, "chaos_without": ()})


def play(
    engine: Engine,
    lake: MemoryLake,
    *,
    settings: Settings,
    begin: datetime,
    end: datetime,
    tell: Callable[[str], None] = lambda _: None,
) -> Played:
    """Work off everything that falls due from ``begin`` to ``end``, and plan every night between.

    Args:
        engine: the copy; what happens is found there.
        lake: scores and market, and the queue that planning writes.
        settings: from ``settings_for``.
        begin: the moment the copy stands at.
        end: the last moment that is worked off.
        tell: hears of every day that is over.
    """
    house = _House(engine, lake, settings, FixedClock(begin))
    to_come = iter(nights(begin, end, settings.team_timezone))
    night = next(to_come, None)
    take_up_again(engine, settings=settings, clock=house.clock)
    house.clock.advance(_AFTER)
    house.work()
    while (at := house.next_at(night)) is not None and at <= end:
        if night is not None and at >= night:
            house.clock.advance(night - house.now)
            house.plan()
            tell(f"planned {night:%Y-%m-%d}")
            night = next(to_come, None)
            house.clock.advance(_AFTER)
        else:
            house.clock.advance(_next_minute(at) - house.now)
        house.work()
    return house.played


def _next_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) + TICK


def nights(begin: datetime, end: datetime, zone: str) -> list[datetime]:
    """The moments at which the nightly run plans, after ``begin`` and up to ``end``."""
    first = begin.astimezone(ZoneInfo(zone)).date()
    days = [first + timedelta(days=number) for number in range((end - begin).days + 3)]
    found = [datetime.combine(day, PLANS_AT, ZoneInfo(zone)).astimezone(begin.tzinfo) for day in days]
    return [night for night in found if begin < night <= end]


def refusals_polled(engine: Engine, now: datetime) -> None:
    """The poll of the CRM's refusals has been and found none, as far as a copy that follows the CRM knows (C45)."""
    values = {"source": REFUSALS, "now": now, "value": json.dumps({"at": now.isoformat()})}
    with engine.begin() as connection:
        connection.execute(_POLLED, values)


class _House:
    """The copy with its own clock; every method is one pass of the real code."""

    def __init__(self, engine: Engine, lake: MemoryLake, settings: Settings, clock: FixedClock) -> None:
        self._engine, self._lake, self._settings, self.clock = engine, lake, settings, clock
        self._market = MarketFacts(lake)
        self._channels = {
            "email": Taking(provider="ses"),
            "sms": Taking(provider=settings.sms_provider),
            **({"whatsapp": Taking(provider="twilio_whatsapp")} if settings.whatsapp_number else {}),
        }
        self.played = Played()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def next_at(self, night: datetime | None) -> datetime | None:
        """When something falls due next: a step, a message, the night's planning, or room under a cap."""
        with self._engine.connect() as connection:
            found = connection.execute(_NEXT, {"now": self.now}).scalar()
            is_behind = bool(connection.execute(_OVERDUE, {"now": self.now}).scalar_one())
            has_room = connection.execute(_ROOM, {"now": self.now}).scalar() if is_behind else None
        wanted = [found, night, has_room]
        return min((at for at in wanted if at is not None), default=None)

    def plan(self) -> None:
        """What the nightly job does."""
        plan(self._engine, self._lake, settings=self._settings, clock=self.clock)
        enqueue_planned(self._engine, self._lake, settings=self._settings, clock=self.clock, run_key="simulated")

    def work(self) -> None:
        """What one pass of the sending job does; the poll of the CRM's refusals goes on and finds none."""
        refusals_polled(self._engine, self.now)
        while True:
            done = advance(self._engine, settings=self._settings, clock=self.clock, market=self._market)
            if done.intents:
                enqueue(self._engine, done.intents, clock=self.clock, settings=self._settings, run_key="send_due")
            if done.count_passages <= done.count_waiting:
                break
        report = drain(
            engine=self._engine,
            channels=self._channels,
            settings=self._settings,
            clock=self.clock,
            budget=Budget(max_messages=ALL, max_seconds=3_600),
        )
        with self._engine.connect() as connection:
            if report.stopped_by in {"cap_hour", "cap_day"}:
                self.played.caps_hit.setdefault(report.stopped_by, self.now)
            if connection.execute(_OVERDUE, {"now": self.now}).scalar_one():
                self._note_caps(connection)

    def _note_caps(self, connection: Connection) -> None:
        """Which caps keep due messages back: by number and by plan; the hour's and the day's the drain names."""
        room = caps.left(connection, self._settings, now=self.now)
        if room.sms <= 0:
            self.played.caps_hit.setdefault("cap_per_number_per_day", self.now)
        for name in room.full_plans:
            self.played.caps_hit.setdefault(f"cap_per_plan_per_day:{name}", self.now)
