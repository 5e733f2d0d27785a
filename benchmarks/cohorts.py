"""Cohorts backfilled twice on the running system: ``python -m benchmarks cohorts --aged 2000 --json``.

What lives here: a count of what a backfill, a second one and a nightly run in between do to the outside, by the
sandbox's own account. What does not: the system (``leadpipe.cli.demo_world``), what a duplicate is (``cli.truth``).

A demo's world is brought up with aged people and no new ones. A year of cohorts is backfilled twice by the real daemon:
the providers must have accepted nothing. Then the queue is enqueued with all caps lifted, a nightly run plans and
enqueues once more, the calendar turns to the next morning and what is due goes out; another nightly run follows. Every
planned person must then have one accepted message of the planned step, or one that ended or waits with a reason; nobody
may have two, and the nightly runs must have begun no second passage for anyone. What follows in the same passage (the
next step of a plan) is counted apart: ``send_due`` makes it in its time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.world import running_world
from leadpipe.cli import truth
from leadpipe.cli.demo_script import ENQUEUE_JOB, JUMP, NIGHTLY_JOB, QUEUE_ASSET, cohorts_before
from leadpipe.sandbox.control import jump_all

if TYPE_CHECKING:
    from leadpipe.cli.demo_world import World

LONGEST_SECONDS = 900
# The plan spreads a morning's messages over two hours.
SPREAD = timedelta(hours=2, minutes=30)
PLAN = "reactivation"
_MESSAGES = "select count(*) from ledger.messages where plan = 'reactivation'"
# Grain: one row a person of the queue: passages, how often a provider took the message of the first step, and why not.
_OUTCOMES = """
    with first as (
      select person_id, enrolment_id, (array_agg(step order by created_at, id))[1] as step
      from ledger.messages where plan = :plan and person_id = any(cast(:ids as bigint[])) group by 1, 2
    )
    select p.person_id, count(m.id) as messages,
      (select count(*) from ledger.enrolments e where e.person_id = p.person_id and e.plan = :plan) as passages,
      (select count(*) from ledger.messages n where n.person_id = p.person_id and n.plan = :plan) - count(m.id)
        as next_steps,
      count(m.id) filter (where m.accepted_at is not null) as accepted,
      count(m.id) filter (
        where m.accepted_at is null and (m.code is not null or m.not_before_at is not null)) as reasoned,
      count(m.id) filter (where m.state = 'queued' and m.due_at > :now) as later,
      exists (select 1 from ledger.decisions d where d.person_id = p.person_id and d.plan = :plan
        and coalesce(d.code, '') <> '') as is_explained
    from unnest(cast(:ids as bigint[])) as p (person_id)
    left join first f on f.person_id = p.person_id
    left join ledger.messages m on m.person_id = p.person_id and m.plan = :plan and m.step = f.step
      and m.enrolment_id is not distinct from f.enrolment_id
    group by 1
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when anything went out that should not, or did not and nobody says why."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cohorts", description=__doc__)
    parser.add_argument("--aged", type=int, default=2_000, help="aged people there from the start")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    options = parser.parse_args(arguments)
    with running_world(aged=options.aged, has_caps=False) as world:
        result = {"aged": options.aged} | _run(world)
    print(json.dumps(result) if options.json else _in_words(result))
    wrong = ("accepted_by_backfills", "added_by_nightly", "more_than_one", "unexplained", "duplicates")
    return 1 if any(result[name] for name in wrong) or not result["accepted"] else 0


def _run(world: World) -> dict[str, Any]:
    cohorts = cohorts_before(world.runtime.clock.now().date())
    planned_twice: list[int] = []
    for number in (1, 2):
        backfill = world.dagster.launch_backfill([QUEUE_ASSET], cohorts, title=f"a year of cohorts, {number}")
        _until("COMPLETED_SUCCESS", lambda backfill=backfill: world.dagster.backfill_status(backfill))
        planned_twice.append(len(_planned(world)))
        print(f"backfill {number} is over", file=sys.stderr)
    accepted_by_backfills = len(world.sandbox.messages()) + _count(world)
    planned = _planned(world)
    _job(world, ENQUEUE_JOB)
    enqueued, before = _count(world), _passages(_rows(world, planned))
    # The nightly run takes everyone, not only the twelve cohorts; those that were planned are looked at again.
    _job(world, NIGHTLY_JOB)
    jump_all(world.sandbox, world.runtime.engine, JUMP)
    _settled(world, planned)
    jump_all(world.sandbox, world.runtime.engine, SPREAD)
    _settled(world, planned)
    _job(world, NIGHTLY_JOB)
    rows = _settled(world, planned)
    states = Counter(
        "accepted" if row.accepted == 1 else "more than one" if row.accepted > 1 else _why(row) for row in rows
    )
    return {
        "cohorts": len(cohorts),
        "planned": len(planned),
        "planned_by_each_backfill": planned_twice,
        "accepted_by_backfills": accepted_by_backfills,
        "enqueued": enqueued,
        "added_by_nightly": _passages(rows) - before,
        "next_steps": sum(row.next_steps for row in rows),
        "accepted": states["accepted"],
        "ended_or_held_with_a_reason": states["reason"],
        "due_later": states["later"],
        "more_than_one": states["more than one"],
        "unexplained": states["unexplained"],
        "duplicates": truth.count_duplicates(world.sandbox.messages()),
    }


def _passages(rows: list[Any]) -> int:
    return sum(row.passages for row in rows)


def _why(row: Any) -> str:
    if row.later:
        return "later"
    return "reason" if row.reasoned or row.is_explained else "unexplained"


def _settled(world: World, planned: list[int]) -> list[Any]:
    """The outcomes once nothing has moved for 20 s."""
    deadline, rows = time.monotonic() + LONGEST_SECONDS, _rows(world, planned)
    while time.monotonic() < deadline:
        time.sleep(20)
        again = _rows(world, planned)
        if sum(row.accepted for row in again) == sum(row.accepted for row in rows):
            return again
        rows = again
    sys.exit(f"messages were still leaving after {LONGEST_SECONDS} s")


def _planned(world: World) -> list[int]:
    rows = world.runtime.lake.query("select person_id from outreach.queue where outcome = 'planned' order by 1")
    return rows["person_id"].to_pylist()


def _rows(world: World, ids: list[int]) -> list[Any]:
    from sqlalchemy import text

    values = {"ids": ids, "plan": PLAN, "now": world.runtime.clock.now()}
    with world.runtime.engine.connect() as connection:
        return list(connection.execute(text(_OUTCOMES), values))


def _count(world: World) -> int:
    from sqlalchemy import text

    with world.runtime.engine.connect() as connection:
        return int(connection.execute(text(_MESSAGES)).scalar_one())


def _job(world: World, name: str) -> None:
    run = world.dagster.launch_job(name)
    _until("SUCCESS", lambda: world.dagster.status_of(run))
    print(f"{name} is over", file=sys.stderr)


def _until(wanted: str, status: Callable[[], str]) -> None:
    begun = time.monotonic()
    while (found := status()) != wanted:
        if found in {"FAILED", "FAILURE", "COMPLETED_FAILED", "CANCELED"}:
            sys.exit(f"it ended as {found}")
        if time.monotonic() - begun > LONGEST_SECONDS:
            sys.exit(f"it was still {found} after {LONGEST_SECONDS} s")
        time.sleep(0.5)


def _in_words(result: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in result.items())


if __name__ == "__main__":
    sys.exit(main())
