"""Warming up: how many aged addresses a day may get marketing email in the first weeks of a sending domain.

What lives here: the schedule's week, what is left of the day, and until when the others wait. What does not: caps of
any message (``caps``), the schedule (part ``warm_up`` of the policy pack).

Aged is an address whose owner has neither spoken with the team nor asked nor arrived within ``aged_after_days``: nobody
knows whether it still is theirs, and mailbox providers judge a domain by how many such it writes to (C23, C25). The
weeks count from the domain's first such email, which a row of ``ledger.controls`` remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.messaging import caps
from leadpipe.messaging.reputation import sending_domain
from leadpipe.policy.pack_file import load_pack

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from leadpipe.settings import Settings

CODE = "warm_up"
_PREFIX = "warm_up:"
_DAY = timedelta(days=1)
# What waits is spread over the next days, as many a day as may go, and no further ahead: the schedule grows.
LONGEST_DAYS = 7

# The same as the planner's ``last_contact_at``.
_IS_AGED = """
    greatest(p.last_two_way_at, p.crm_created_at) <= :aged_before and not exists (
      select 1 from ledger.inquiries i where i.person_id = p.person_id and i.occurred_at > :aged_before)
"""
_AGED = text(f"select p.person_id from ledger.people p where p.person_id = any(:people) and {_IS_AGED}")  # noqa: S608
_TAKEN = text(
    f"""
    select count(*) from ledger.attempts a join ledger.messages m on m.id = a.message_id
      join ledger.people p on p.person_id = m.person_id
    where a.started_at > :day and a.outcome is distinct from 'not_sent' and m.channel = 'email'
      and m.purpose = 'marketing' and {_IS_AGED}
    """  # noqa: S608 - a fixed condition
)
_BEGAN = text("select (value ->> 'at')::timestamptz from ledger.controls where key = :key")
# A ledger that sent before there was a schedule has begun when it did.
_BEGIN = text(
    """
    insert into ledger.controls (key, value, changed_at)
    select :key, jsonb_build_object('at', coalesce((
      select min(a.started_at) from ledger.attempts a join ledger.messages m on m.id = a.message_id
      where m.channel = 'email' and m.purpose = 'marketing' and a.outcome is distinct from 'not_sent'
        and not exists (select 1 from ledger.controls c where starts_with(c.key, 'warm_up:'))), :now)), :now
    on conflict (key) do nothing
    """
)
_WAITING = text("select count(*) from ledger.messages where state = 'held' and code = :code and not_before_at > :now")


class WarmUp:
    """What one claim may still send to aged addresses; asked only when it has marketing email."""

    def __init__(self, connection: Connection, settings: Settings, now: datetime) -> None:
        self._connection, self._settings, self._now = connection, settings, now
        self._per_day: int | None = None
        self._left = 0
        self._count_waiting: int | None = None
        self._aged: frozenset[int] | None = None

    def holds(self, row: Row[Any], rows: Sequence[Row[Any]]) -> datetime | None:
        """Until when the message waits; None when it may go, and then it is counted. ``rows`` are all of the claim."""
        if not self._settings.warm_up or row.channel != "email" or row.purpose != "marketing":
            return None
        if self._aged is None:
            self._look(rows)
        if self._per_day is None or row.person_id not in (self._aged or ()):
            return None
        if self._left > 0:
            self._left -= 1
            return None
        return self._until(self._per_day)

    def _look(self, rows: Sequence[Row[Any]]) -> None:
        names = {"aged_before": self._now - timedelta(days=self._settings.aged_after_days)}
        people = sorted({row.person_id for row in rows if row.channel == "email" and row.purpose == "marketing"})
        self._aged = frozenset(self._connection.execute(_AGED, {**names, "people": people}).scalars())
        if not self._aged or per_day(self._connection, self._settings, now=self._now, begins=False) is None:
            return
        # Claims of all senders take turns, so that together they cannot pass the day's number; before anything is
        # written, so that nobody holds what the one whose turn it is waits for.
        caps.take_turns(self._connection)
        self._per_day = per_day(self._connection, self._settings, now=self._now)
        taken = self._connection.execute(_TAKEN, {**names, "day": self._now - _DAY}).scalar_one()
        self._left = max(0, (self._per_day or 0) - int(taken))

    def _until(self, per_day: int) -> datetime:
        if self._count_waiting is None:
            found = self._connection.execute(_WAITING, {"code": CODE, "now": self._now}).scalar_one()
            self._count_waiting = int(found)
        days = 1 + min(self._count_waiting // max(per_day, 1), LONGEST_DAYS - 1)
        self._count_waiting += 1
        return self._now + days * _DAY


def per_day(connection: Connection, settings: Settings, *, now: datetime, begins: bool = True) -> int | None:
    """How many aged addresses may be written to today; None when the weeks are over or there is no schedule.

    The first question of a domain begins its first week, unless ``begins`` is False (for showing).
    """
    schedule = load_pack(now.date()).warm_up_per_day
    if not settings.warm_up or not schedule:
        return None
    key = _PREFIX + sending_domain(settings)
    began_at = connection.execute(_BEGAN, {"key": key}).scalar()
    if began_at is None and begins:
        connection.execute(_BEGIN, {"key": key, "now": now})
        began_at = connection.execute(_BEGAN, {"key": key}).scalar_one()
    week = max(0, (now - (began_at or now)).days // 7)
    return schedule[week] if week < len(schedule) else None
