"""What signs of life add up to: seconds a service was to run and seconds it did, by day.

What lives here: the counting. What does not: writing signs (``heartbeat``), the target (``dbt``'s ``kpis``).

A service is to run from its first sign on, until it says that it stops. Several processes are one service: it runs
while any of them gives signs. A silence of up to ``SLACK_SECONDS`` is jitter; a longer one is an outage, from one
interval after the last sign to the next. So outages under half a minute are not seen, and none is seen too long.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.monitoring.heartbeat import EVERY_SECONDS, STOPPED

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Two signs may be lost and the third be late: a busy machine, a restart of PostgreSQL that takes seconds.
SLACK_SECONDS = 3.5 * EVERY_SECONDS
# Yesterday's last silence ends today, so both are counted anew.
DAYS_COUNTED = 2

_COUNT = text(
    """
    with signs as (
      select service, state, beat_at, coalesce(lead(beat_at) over signs_of_service, :now) as next_at
      from ledger.heartbeats where beat_at <= :now
      window signs_of_service as (partition by service order by beat_at, id)
    ), silences as (
      select service, beat_at, next_at,
        case when next_at - beat_at <= :slack then next_at else beat_at + cast(:every as interval) end as up_to
      from signs where state <> :stopped and next_at > beat_at
    ), days as (
      select day, day::timestamp at time zone :zone as starts_at, (day + 1)::timestamp at time zone :zone as ends_at
      from generate_series(
        cast(cast(:now as timestamptz) at time zone :zone as date) - (:days - 1),
        cast(cast(:now as timestamptz) at time zone :zone as date), interval '1 day') as series (moment),
        lateral (select moment::date as day) as dated
    ), parts as (
      select s.service, d.day,
        greatest(0, extract(epoch from least(s.next_at, d.ends_at) - greatest(s.beat_at, d.starts_at))) as expected,
        greatest(0, extract(epoch from least(s.up_to, d.ends_at) - greatest(s.beat_at, d.starts_at))) as up
      from silences s join days d on s.next_at > d.starts_at and s.beat_at < d.ends_at
    )
    insert into ledger.service_days
      (service, day, seconds_expected, seconds_up, outages, longest_outage_seconds, counted_at)
    select service, day, sum(expected), sum(up), count(*) filter (where expected > up), max(expected - up), :counted_at
    from parts group by service, day
    on conflict (service, day) do update set
      seconds_expected = excluded.seconds_expected, seconds_up = excluded.seconds_up, outages = excluded.outages,
      longest_outage_seconds = excluded.longest_outage_seconds, counted_at = excluded.counted_at
    where (service_days.seconds_expected, service_days.seconds_up)
      is distinct from (excluded.seconds_expected, excluded.seconds_up)
    """
)


def count_days(connection: Connection, *, now: datetime, counted_at: datetime, zone: str) -> int:
    """Count today and yesterday anew; returns how many rows of ``ledger.service_days`` changed.

    Args:
        connection: the ledger, in a transaction.
        now: the machine's time, as in the signs of life.
        counted_at: the ledger's time, which may be a simulated one.
        zone: the team's, in which a day begins.
    """
    return connection.execute(
        _COUNT,
        {
            "now": now,
            "counted_at": counted_at,
            "zone": zone,
            "days": DAYS_COUNTED,
            "slack": timedelta(seconds=SLACK_SECONDS),
            "every": timedelta(seconds=EVERY_SECONDS),
            "stopped": STOPPED,
        },
    ).rowcount
