"""Why, why not and what if, counted over a home: ``python -m benchmarks decisions --home .leadpipe/demo --json``.

What lives here: three figures of one home that was set up and has run, e.g. a demo's. How many leads of its nightly
plannings have exactly one outcome with a reason; how many of all messages are made again identically; and how far the
messages of a simulated day lie from those that the same day then brings. What does not: deciding (``outreach``),
replaying (``explain``), simulating (``simulation``).

The first two only read. The third plays the day twice on copies of the ledger, by the simulation and by the passes that
the running system makes (``work``), so that the home itself is left as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.explain import record
from leadpipe.explain.replay import replay
from leadpipe.messaging.take_over import take_first
from leadpipe.runtime import Runtime
from leadpipe.setting_loading import load_settings
from leadpipe.settings import Settings
from leadpipe.simulation import days, memory_lake, snapshot
from leadpipe.simulation.run import simulate
from leadpipe.store import ledger
from leadpipe.work.reactivation import enqueue_cohorts, plan_cohorts
from leadpipe.work.send_due import send_due

PLAN = "reactivation"
STEP = timedelta(minutes=10)
_PLANNED = text(
    """
    with nightly as (
      select d.person_id, d.plan, d.outcome,
        cast(coalesce(m.evidence ->> 'planned_at', d.detail ->> 'planned_at') as timestamptz) as planned_at
      from ledger.decisions d left join ledger.messages m on m.id = d.message_id
    ), days as (
      select cast(planned_at at time zone :zone as date) as day, max(planned_at) as planned_at
      from nightly where planned_at is not null group by 1
    ), wanted as (
      select days.day, p.person_id from days
      join ledger.people p on p.first_seen_at < days.planned_at - interval '1 minute'
    ), found as (
      select cast(planned_at at time zone :zone as date) as day, person_id, count(distinct plan) as plans,
        count(*) as outcomes, count(*) filter (where outcome = '') as mute
      from nightly where planned_at is not null group by 1, 2
    )
    select count(*) as leads, count(*) filter (where f.outcomes = f.plans and f.mute = 0) as with_one_outcome,
      count(*) filter (where f.person_id is null) as without
    from wanted w left join found f using (day, person_id)
    """
)


def main(arguments: list[str] | None = None) -> int:
    """Count and print; 1 when a lead has no single outcome, a message is not identical or the days differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks decisions", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="a home that was set up and has run")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    parser.add_argument("--no-days", action="store_true", help="leave out the simulated and the actual day")
    options = parser.parse_args(arguments)
    runtime = Runtime(_settings(options.home))
    try:
        result = _outcomes(runtime) | _replays(runtime) | ({} if options.no_days else _days(runtime))
    finally:
        runtime.close()
    print(
        json.dumps(result)
        if options.json
        else "\n".join(f"{name.replace('_', ' ')}: {v}" for name, v in result.items())
    )
    is_good = not result["leads_without_one_outcome"] and not result["replays_not_identical"]
    return 0 if is_good and not result.get("days_differ_by") else 1


def _settings(home: Path) -> Settings:
    import os

    os.environ["LEADPIPE_HOME"] = str(home)
    return load_settings(env_file=None)


def _outcomes(runtime: Runtime) -> dict[str, Any]:
    with runtime.engine.connect() as connection:
        row = connection.execute(_PLANNED, {"zone": runtime.settings.team_timezone}).one()
    return {"leads_planned": row.leads, "leads_without_one_outcome": row.leads - row.with_one_outcome}


def _replays(runtime: Runtime) -> dict[str, Any]:
    begun = time.perf_counter()
    answers: Counter[str] = Counter()
    others: list[dict[str, Any]] = []
    with runtime.engine.connect() as connection:
        ids = list(connection.execute(text("select id::text from ledger.messages order by created_at")).scalars())
        for message_id in ids:
            done = replay(record.read(connection, message_id, by=runtime.clock.now()), settings=runtime.settings)
            answers[done.answer] += 1
            if done.answer != "identical" and len(others) < 3:
                others.append(done.as_json())
    if others:
        print(json.dumps(others, indent=1), file=sys.stderr)
    return {
        "messages": len(ids),
        "replays_identical": answers["identical"],
        "replays_not_identical": len(ids) - answers["identical"],
        "replay_ms_each": round(1000 * (time.perf_counter() - begun) / max(len(ids), 1), 1),
    }


def _days(runtime: Runtime) -> dict[str, Any]:
    begin = runtime.clock.now()
    runtime.__dict__["clock"] = FixedClock(begin)
    begun = time.perf_counter()
    simulated = Counter(send.key for send in simulate(runtime, PLAN, as_of=None, count_days=1).sends)
    seconds = time.perf_counter() - begun
    with TemporaryDirectory(prefix="leadpipe-bench-") as folder:
        home = Path(folder)

        def own(url: str) -> Settings:
            return days.settings_for(runtime.settings, url, home)

        def first(url: str) -> None:
            take_first(ledger.connect(url), own(url), now=begin)

        with snapshot.copied(runtime.database_url, at=None, first=first) as url:
            house = Runtime(own(url))
            house.__dict__["clock"] = clock = FixedClock(begin)
            house.__dict__["lake"] = memory_lake.filled(runtime.lake, at=begin, home=home)
            actual = _lived(house, clock, begin + timedelta(days=1))
            house.close()
    differ = sum(((simulated - actual) + (actual - simulated)).values())
    return {
        "simulated_sends": simulated.total(),
        "actual_sends": actual.total(),
        "days_differ_by": differ,
        "simulation_seconds": round(seconds, 1),
    }


def _lived(house: Runtime, clock: FixedClock, end: Any) -> Counter[Any]:
    """The day by the passes of the jobs: planned at night, sent every ten minutes."""
    begin = clock.now()
    channels: dict[str, Any] = {name: days.Taking(provider=name) for name in ("email", "sms", "whatsapp")}
    nights = days.nights(begin, end, house.settings.team_timezone)
    while True:
        while nights and clock.now() >= nights[0]:
            nights.pop(0)
            plan_cohorts(house)
            enqueue_cohorts(house, run_key="benchmark")
        days.refusals_polled(house.engine, clock.now())
        send_due(house, linger_seconds=0, channels=channels)
        if clock.now() >= end:
            break
        clock.advance(min(STEP, *(at - clock.now() for at in (end, *nights[:1]))))
    with house.engine.connect() as connection:
        rows = connection.execute(
            text(
                "select person_id, plan, step, occurrence, channel from ledger.messages "
                "where accepted_at > :begin and accepted_at <= :end and plan = :plan"
            ),
            {"begin": begin, "end": end, "plan": PLAN},
        )
        return Counter(tuple(row) for row in rows)


if __name__ == "__main__":
    sys.exit(main())
