"""The sending switch: stop, resume and status, for all processes at once.

What lives here: the row ``controls['sending']`` and what it means. What does not: the settings' sending mode
(``settings.Sending``), which no running system changes.

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


@dataclass(frozen=True, kw_only=True)
class Switch:
    """What is stopped: everything, or some plans and channels; and which marketing email rests by itself."""

    is_stopped: bool = False
    plans: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    reason: str = ""
    changed_at: datetime | None = None
    email_pauses: tuple[Rate, ...] = ()

    def stops(self, *, plan: str, channel: str) -> bool:
        """Whether a message of this plan and channel must stay."""
        return self.is_stopped or plan in self.plans or channel in self.channels


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
) -> Switch:
    """Stop all sending, or only the plans and channels named; those add to what is stopped already."""
    with engine.begin() as connection:
        before = read(connection)
        everything = not plans and not channels
        after = Switch(
            is_stopped=before.is_stopped or everything,
            plans=tuple(sorted({*before.plans, *plans})),
            channels=tuple(sorted({*before.channels, *channels})),
            reason=reason,
            changed_at=now,
            email_pauses=before.email_pauses,
        )
        _write(connection, after, now)
        detail = {"stopped": True, "plans": list(plans), "channels": list(channels)}
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


def resume_plan(engine: Engine, plan: str, *, now: datetime) -> bool:
    """Let one plan that was stopped by name go again; False when it was not. What is stale by then expires as ever."""
    with engine.begin() as connection:
        before = read(connection)
        if plan not in before.plans:
            return False
        plans = tuple(name for name in before.plans if name != plan)
        _write(connection, replace(before, plans=plans), now)
        acts.record(connection, kind="sending", now=now, detail={"stopped": False, "plans": [plan]})
    return True


def _write(connection: Connection, switch: Switch, now: datetime) -> None:
    value = {
        "is_stopped": switch.is_stopped,
        "plans": list(switch.plans),
        "channels": list(switch.channels),
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
