"""The watching pass: signs of life are added up, targets and rates are judged, and people are told what is off.

What lives here: the order and the words of the alerts. What does not: any figure or rule (``monitoring``), delivering
an alert (``work.alerts``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.clock import WallClock
from leadpipe.messaging.alerts import raise_alert
from leadpipe.monitoring import heartbeat, starving, targets, uptime
from leadpipe.monitoring.judged import Judged, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadpipe.runtime import Runtime

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
    count_days: int
    count_pruned: int
    alerts: tuple[str, ...]

    def as_metadata(self) -> dict[str, Any]:
        """For Dagster; figures and words only."""
        return {
            **self.judged.as_metadata(),
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
    judged = judge(runtime.lake, runtime.settings, now=now)
    with runtime.engine.begin() as connection:
        connection.execute(_KEEP, {"value": targets.as_control(judged.kpis), "now": now})
        new = [
            told.cause
            for told in worth_telling(judged)
            if raise_alert(
                connection,
                kind=told.cause.partition(":")[0],
                dedupe_key=f"{told.cause}:{now:%Y-%m-%d}",
                title=told.title,
                body=told.body,
                now=now,
            )
        ]
    return Watched(judged=judged, count_days=count_days, count_pruned=count_pruned, alerts=tuple(new))


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
