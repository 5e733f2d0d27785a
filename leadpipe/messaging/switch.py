"""The sending switch: stop, resume and status, for all processes at once.

What lives here: the row ``controls['sending']`` and what it means. What does not: the settings' sending mode
(``settings.Sending``), which no running system changes; whose number somebody names (``stopped_numbers``).

Every claim reads the row in its own transaction, so a stop is obeyed by each worker within one batch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.messaging import breaker, email_pauses
from leadpipe.messaging.email_pauses import Rate
from leadpipe.messaging.protocol import Event, Move, State, write

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

KEY = "sending"


_READ = text("select key, value, changed_at from ledger.controls where key = any(:keys)")
_MADE = text("insert into ledger.controls (key, changed_at) values (:key, :now) on conflict (key) do nothing")
_LOCKED = text("select 1 from ledger.controls where key = :key for update")


@dataclass(frozen=True, kw_only=True)
class Switch:
    """What is stopped: everything, or some plans, channels and receivers; and which marketing email rests by itself.

    Attributes:
        contact_points: ids of the addresses that nothing goes to; the addresses themselves are not kept here.
    """

    is_stopped: bool = False
    plans: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    contact_points: tuple[int, ...] = ()
    reason: str = ""
    changed_at: datetime | None = None
    email_pauses: tuple[Rate, ...] = ()

    @property
    def is_on(self) -> bool:
        """Whether nothing is stopped by hand."""
        return not (self.is_stopped or self.plans or self.channels or self.contact_points)

    def stops(self, *, plan: str, channel: str, contact_point_id: int) -> bool:
        """Whether a message of this plan and channel to this address must stay."""
        return (
            self.is_stopped or plan in self.plans or channel in self.channels or contact_point_id in self.contact_points
        )


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """What a resume did."""

    count_expired: int
    count_waiting: int


def read(connection: Connection) -> Switch:
    """The switch as it stands; never set means nothing is stopped."""
    rows = {row.key: row for row in connection.execute(_READ, {"keys": [KEY, email_pauses.KEY]})}
    rates = email_pauses.from_json(rows[email_pauses.KEY].value) if email_pauses.KEY in rows else {}
    paused = tuple(rate for _, rate in sorted(rates.items()) if rate.is_paused)
    row = rows.get(KEY)
    if row is None:
        return Switch(email_pauses=paused)
    return Switch(
        is_stopped=bool(row.value.get("is_stopped")),
        plans=tuple(row.value.get("plans", ())),
        channels=tuple(row.value.get("channels", ())),
        contact_points=tuple(int(point) for point in row.value.get("contact_points", ())),
        reason=str(row.value.get("reason", "")),
        changed_at=row.changed_at,
        email_pauses=paused,
    )


def stop(
    engine: Engine,
    *,
    now: datetime,
    reason: str,
    plans: Sequence[str] = (),
    channels: Sequence[str] = (),
    contact_points: Sequence[int] = (),
) -> Switch:
    """Stop all sending, or only the plans, channels and receivers named; those add to what is stopped already."""
    with engine.begin() as connection:
        before = _read_locked(connection, now)
        everything = not plans and not channels and not contact_points
        after = Switch(
            is_stopped=before.is_stopped or everything,
            plans=tuple(sorted({*before.plans, *plans})),
            channels=tuple(sorted({*before.channels, *channels})),
            contact_points=tuple(sorted({*before.contact_points, *contact_points})),
            reason=reason,
            changed_at=now,
            email_pauses=before.email_pauses,
        )
        _write(connection, after, now)
        detail = {
            "stopped": True,
            "plans": list(plans),
            "channels": list(channels),
            "contact_points": list(contact_points),
        }
        acts.record(connection, kind="sending", now=now, detail=detail)
    return after


def resume(engine: Engine, *, now: datetime, stale_after: timedelta) -> Resumed:
    """Let everything go again; what became stale meanwhile expires in the same transaction, so nothing floods.

    Providers that rest after failures are tried at once.
    """
    with engine.begin() as connection:
        breaker.forget(connection, now=now)
        count = expire_stale(connection, now=now, stale_after=stale_after)
        _write(connection, Switch(changed_at=now), now)
        acts.record(connection, kind="sending", now=now, detail={"stopped": False})
        waiting = connection.execute(
            text("select count(*) from ledger.messages where state in ('queued', 'held')")
        ).scalar_one()
    return Resumed(count_expired=count, count_waiting=int(waiting))


def resume_some(
    engine: Engine,
    *,
    now: datetime,
    plans: Sequence[str] = (),
    channels: Sequence[str] = (),
    contact_points: Sequence[int] = (),
) -> bool:
    """Let what was stopped by name go again, all else stays as it is; False when none of it was stopped.

    What is stale by then expires at its claim.
    """
    with engine.begin() as connection:
        before = _read_locked(connection, now)
        after = replace(
            before,
            plans=tuple(name for name in before.plans if name not in plans),
            channels=tuple(name for name in before.channels if name not in channels),
            contact_points=tuple(point for point in before.contact_points if point not in contact_points),
        )
        if after == before:
            return False
        _write(connection, after, now)
        detail = {
            "stopped": False,
            "plans": sorted({*before.plans} - {*after.plans}),
            "channels": sorted({*before.channels} - {*after.channels}),
            "contact_points": sorted({*before.contact_points} - {*after.contact_points}),
        }
        acts.record(connection, kind="sending", now=now, detail=detail)
    return True


def _read_locked(connection: Connection, now: datetime) -> Switch:
    """The switch, which nobody else changes before this transaction ends: of two stops at once none is lost."""
    connection.execute(_MADE, {"key": KEY, "now": now})
    connection.execute(_LOCKED, {"key": KEY})
    return read(connection)


def _write(connection: Connection, switch: Switch, now: datetime) -> None:
    value = {
        "is_stopped": switch.is_stopped,
        "plans": list(switch.plans),
        "channels": list(switch.channels),
        "contact_points": list(switch.contact_points),
        "reason": switch.reason,
    }
    connection.execute(
        text(
            "insert into ledger.controls (key, value, changed_at) values (:key, cast(:value as jsonb), :now) "
            "on conflict (key) do update set value = excluded.value, changed_at = excluded.changed_at"
        ),
        {"key": KEY, "value": json.dumps(value), "now": now},
    )


# Since when a message could have gone: a hold is no delay of ours, so age counts from its end. A provider that takes
# nothing is one, whatever it holds: then age counts from the first try.
GOES_SINCE = """
    coalesce(
      case when m.code like 'not_sent%' then (select min(a.started_at) from ledger.attempts a where a.message_id = m.id)
      end, greatest(m.due_at, coalesce(m.not_before_at, m.due_at)))
"""
# `expires_at` counts whatever holds.
IS_STALE = f"(m.expires_at <= :now or {GOES_SINCE} <= :stale_before)"


def expire_stale(connection: Connection, *, now: datetime, stale_after: timedelta) -> int:
    """Expire every queued, held or reviewed message whose time has gone; returns how many."""
    rows = connection.execute(
        text(
            "select m.id::text as id, m.state from ledger.messages m "  # noqa: S608 - a fixed condition
            f"where m.state in ('queued', 'held', 'review') and {IS_STALE} order by m.id for no key update skip locked"
        ),
        {"now": now, "stale_before": now - stale_after},
    ).all()
    moves = [
        (State(row.state), Move(message_id=row.id, event=Event.EXPIRE, to=State.EXPIRED, code="stale")) for row in rows
    ]
    write(connection, moves, at=now)
    return len(moves)
