"""The watching pass: signs of life are added up, targets and rates are judged, and people are told what is off.

What lives here: the order and the words of the alerts. What does not: any figure or rule (``monitoring``), delivering
an alert (``work.alerts``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from leadpipe.clock import WallClock
from leadpipe.messaging.alerts import raise_alert
from leadpipe.monitoring import heartbeat, revocations, starving, targets, uptime
from leadpipe.monitoring.judged import Judged, judge
from leadpipe.monitoring.revocations import Late, Revocations
from leadpipe.privacy import requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from leadpipe.privacy.requests import Request
    from leadpipe.runtime import Runtime

# A request about one's own data is told again from so many days before its last one.
REQUEST_DUE_DAYS = 7
_KEEP = text(
    "insert into ledger.controls (key, value, changed_at) values ('kpis', cast(:value as jsonb), :now) "
    "on conflict (key) do update set value = excluded.value, changed_at = excluded.changed_at"
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """One thing a person should know; ``cause`` keeps it from being told twice a day."""

    cause: str
    title: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What one pass saw, and the causes of the alerts that are new."""

    judged: Judged
    revocations: Revocations
    count_days: int
    count_pruned: int
    alerts: tuple[str, ...]

    def as_metadata(self) -> dict[str, Any]:
        """For Dagster; figures and words only."""
        return {
            **self.judged.as_metadata(),
            "refusals": self.revocations.words,
            "refusals_waiting": len(self.revocations.waiting),
            "service_days_counted": self.count_days,
            "heartbeats_pruned": self.count_pruned,
            "alerts": ", ".join(self.alerts) or "none",
        }


def watch(runtime: Runtime) -> Watched:
    """Count the days of the services, judge what the marts hold, and raise one alert per cause and day."""
    now, wall = runtime.clock.now(), WallClock().now()
    with runtime.engine.begin() as connection:
        count_days = uptime.count_days(connection, now=wall, counted_at=now, zone=runtime.settings.team_timezone)
        count_pruned = heartbeat.prune(connection, now=wall)
    judged, zone = judge(runtime.lake, runtime.settings, now=now), ZoneInfo(runtime.settings.team_timezone)
    with runtime.engine.begin() as connection:
        obeyed = revocations.measure(connection, now=now, zone=runtime.settings.team_timezone)
        connection.execute(_KEEP, {"value": targets.as_control(judged.kpis), "now": now})
        new = [
            told.cause
            for told in (
                *worth_telling(judged),
                *too_slow(obeyed, today=now.astimezone(zone).date()),
                *soon_due(requests.open_requests(connection), today=now.astimezone(zone).date()),
            )
            if raise_alert(
                connection,
                kind=told.cause.partition(":")[0],
                dedupe_key=f"{told.cause}:{now:%Y-%m-%d}",
                title=told.title,
                body=told.body,
                now=now,
            )
        ]
    return Watched(
        judged=judged, revocations=obeyed, count_days=count_days, count_pruned=count_pruned, alerts=tuple(new)
    )


def worth_telling(judged: Judged) -> Iterator[Told]:
    """The alerts that this state of things gives: targets missed, rates that changed, leads forgotten."""
    for name, kpi in judged.kpis.items():
        if kpi.is_met is False:
            yield Told(
                cause=f"kpi_missed:{name}",
                title=f"Target missed: {name.replace('_', ' ')}",
                body=f"{kpi.words}. {kpi.definition} Day by day: {targets.TABLE}.",
            )
    for name, rate in judged.rates.items():
        if rate.is_anomaly:
            yield Told(
                cause=f"rate_changed:{name}",
                title=f"The {name} rate changed",
                body=f"{rate.words}. Day by day: {targets.TABLE}.",
            )
    hungry = judged.starving
    if hungry.count:
        ids = ", ".join(str(each) for each in hungry.first_ids)
        yield Told(
            cause="starving_leads",
            title=f"{hungry.count} leads get no touch, and nothing says why",
            body=f"{hungry.words}. People who wait longest: {ids}. All of them: {starving.TABLE}.",
        )


def soon_due(found: Sequence[Request], *, today: date) -> Iterator[Told]:
    """The alerts of requests about a person's own data whose last day is near or over (C33)."""
    for each in found:
        days = (each.done_by - today).days
        if days <= REQUEST_DUE_DAYS:
            when = f"is due in {days} days" if days >= 0 else f"is {-days} days over the law's last day"
            yield Told(
                cause=f"privacy_due:{each.id}",
                title=f"A request of person {each.person_id} {when}",
                body=f"They asked on {each.received_at:%Y-%m-%d} ({each.kind}); it must be done by {each.done_by}: "
                f"`{each.command}`.",
            )


def too_slow(found: Revocations, *, today: date) -> Iterator[Told]:
    """The alerts of the revocation clock (C7): refusals that took minutes, and words that may hold one."""
    if found.late:
        slowest, newest = found.late[0], max(each.id for each in found.late)
        yield Told(
            cause=f"refusal_slow:{newest}",
            title=f"{len(found.late)} refusals took over {found.alert_minutes} minutes{_overdue(slowest, today)}",
            body=f"{found.words}. The slowest: suppression {slowest.id} of person {slowest.person_id} "
            f"({slowest.source}), said {slowest.at:%Y-%m-%d %H:%M} UTC; {_law(slowest)}. What was sent to them "
            f"meanwhile: `leadpipe explain {slowest.person_id}`.",
        )
    if found.waiting:
        oldest = found.waiting[0]
        what = "notice in the inbox" if oldest.what == "notice" else "inbound message"
        yield Told(
            cause=f"refusal_unread:{oldest.what}:{oldest.id}",
            title=f"{len(found.waiting)} messages of leads are unread{_overdue(oldest, today)}",
            body=f"Any of them may be a refusal; nothing goes to their senders meanwhile. The oldest is {what} "
            f"{oldest.id}, {oldest.seconds / 60:.0f} minutes old; {_law(oldest)}. See the replies job in Dagster, and "
            "`leadpipe inbox list`.",
        )


def _law(late: Late) -> str:
    return f"the law's last day to obey a refusal of then is {late.last_day}"


def _overdue(late: Late, today: date) -> str:
    return ", one past the law's last day" if today > late.last_day else ""
