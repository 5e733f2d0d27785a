"""First touch beside heavy work: ``python -m benchmarks first_touch --aged 100000 --json``.

What lives here: the figure of new leads answered while a year of cohorts is backfilled and a reactivation of everyone
is planned and enqueued. What does not: the system and its people, which are the demo's own.

A demo's world is brought up in a temporary home with the given number of aged people, read through the CRM's API as at
any team's first sync. Then leads arrive at an even pace while the backfill and, after it, the nightly job run; both
must end well. First touch is by the sandbox's account: from the lead's creation to a provider's acceptance. Caps are
the defaults, so what was enqueued leaves as slowly as at a real team's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.world import running_world
from leadpipe.cli import truth
from leadpipe.cli.demo_script import NIGHTLY_JOB, QUEUE_ASSET, cohorts_before

if TYPE_CHECKING:
    from leadpipe.cli.demo_world import World

LONGEST_SECONDS = 1_800
QUIET_SECONDS = 75


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when the figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks first_touch", description=__doc__)
    parser.add_argument("--aged", type=int, default=100_000, help="aged people there from the start")
    parser.add_argument("--per-minute", type=float, default=20.0, help="new leads that arrive each minute")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    options = parser.parse_args(arguments)
    with running_world(aged=options.aged, has_caps=True) as world:
        result = {"aged": options.aged} | _beside_the_night(world, per_minute=options.per_minute)
    print(json.dumps(result) if options.json else _in_words(result))
    p99 = result["first_touch_seconds"]["p99"]
    return 0 if p99 is not None and p99 <= 60 else 1


def _beside_the_night(world: World, *, per_minute: float) -> dict[str, Any]:
    arriving = _Arrivals(world, per_minute)
    cohorts = cohorts_before(world.runtime.clock.now().date())
    backfill = world.dagster.launch_backfill([QUEUE_ASSET], cohorts, title="a year of cohorts")
    seconds = {"backfill": arriving.until("COMPLETED_SUCCESS", lambda: world.dagster.backfill_status(backfill))}
    before = _count_reactivations(world)
    run = world.dagster.launch_job(NIGHTLY_JOB)
    seconds["nightly"] = arriving.until("SUCCESS", lambda: world.dagster.status_of(run))
    time.sleep(QUIET_SECONDS)
    touches = list(truth.first_touches(world.sandbox.leads(), world.sandbox.messages()).values())
    planned = world.runtime.lake.query("select count(*) as n from outreach.queue where outcome = 'planned'")
    return {
        "leads": len(touches),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "planned": int(planned["n"][0].as_py()),
        "enqueued": _count_reactivations(world) - before,
        "first_touch_seconds": {
            name: truth.percentile(touches, share)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1))
        },
    }


class _Arrivals:
    """New leads at an even pace for as long as something else goes on."""

    def __init__(self, world: World, per_minute: float) -> None:
        self._world, self._every = world, 60.0 / per_minute

    def until(self, wanted: str, status: Callable[[], str]) -> float:
        """Let people arrive until the status is the wanted one; returns how long that took."""
        begun = next_at = time.monotonic()
        while (found := status()) != wanted:
            if found in {"FAILED", "FAILURE", "COMPLETED_FAILED", "CANCELED"}:
                sys.exit(f"it ended as {found}")
            if time.monotonic() - begun > LONGEST_SECONDS:
                sys.exit(f"it was still {found} after {LONGEST_SECONDS} s")
            if time.monotonic() >= next_at:
                self._world.sandbox.populate(new=1, seconds=self._every)
                next_at += self._every
            time.sleep(0.5)
        return time.monotonic() - begun


def _count_reactivations(world: World) -> int:
    from sqlalchemy import text

    with world.runtime.engine.connect() as connection:
        sql = text("select count(*) from ledger.messages where plan = 'reactivation'")
        return int(connection.execute(sql).scalar_one())


def _in_words(result: dict[str, Any]) -> str:
    touch, seconds = result["first_touch_seconds"], result["seconds"]
    return (
        f"{result['leads']} leads answered beside a backfill ({seconds['backfill']} s) and a nightly run over "
        f"{result['aged']} aged ({seconds['nightly']} s; {result['planned']} planned, {result['enqueued']} enqueued): "
        f"p50 {touch['p50']} s, p95 {touch['p95']} s, p99 {touch['p99']} s, max {touch['max']} s"
    )


if __name__ == "__main__":
    sys.exit(main())
