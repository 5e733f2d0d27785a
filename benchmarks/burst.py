"""A burst of new leads through the whole running system: ``python -m benchmarks burst --json``.

What lives here: the figure of many leads arriving within seconds, each answered for the first time. What does not: the
system and its people, which are the demo's own.

A demo's world is brought up in a temporary home; the CRM's limits, its webhooks, the daemon, the runs and the providers
are all as in the demo. First touch is by the sandbox's account: from the lead's creation to a provider's acceptance;
``email`` counts those whose first touch was one.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmarks.world import running_world
from leadpipe.cli import truth
from leadpipe.sandbox.fub.limits import LIMITS

if TYPE_CHECKING:
    from leadpipe.cli.demo_world import World

LONGEST_SECONDS = 180.0
LOOK_EVERY_SECONDS = 2.0


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when the figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks burst", description=__doc__)
    parser.add_argument("--leads", type=int, default=1_000, help="new leads of the burst")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long they take to arrive")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    options = parser.parse_args(arguments)
    with running_world(aged=0, has_caps=False) as world:
        world.sandbox.set_limits(dict(LIMITS))
        result = _burst(world, leads=options.leads, seconds=options.seconds)
    print(json.dumps(result) if options.json else _in_words(result))
    touch = result["first_touch_seconds"]
    is_met = touch["max"] is not None and touch["max"] <= 60 and touch["p50"] <= 20
    return 0 if is_met and not result["duplicates"] else 1


def _burst(world: World, *, leads: int, seconds: float) -> dict[str, Any]:
    world.sandbox.populate(new=leads, seconds=seconds)
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        time.sleep(LOOK_EVERY_SECONDS)
        rows = world.sandbox.leads()
        messages = world.sandbox.messages()
        touches = truth.first_touches(rows, messages)
        arrived = sum(1 for row in rows if row["is_new"])
        missing = sum(1 for value in touches.values() if math.isinf(value))
        print(f"{arrived} arrived, {len(touches) - missing} answered", file=sys.stderr)
        if (arrived >= leads and not missing) or time.monotonic() > deadline:
            break
    values = list(touches.values())
    return {
        "leads": arrived,
        "contactable": len(touches),
        "never_touched": missing,
        "by_channel": _first_channels(messages),
        "duplicates": truth.count_duplicates(messages),
        "first_touch_seconds": {
            name: truth.percentile(values, share)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1))
        },
    }


def _first_channels(messages: list[dict[str, Any]]) -> dict[str, int]:
    """First messages to each receiver, by channel."""
    first: dict[str, dict[str, Any]] = {}
    for message in sorted(messages, key=lambda row: row["accepted_wall_at"]):
        first.setdefault(truth.contact_key(message["to"]), message)
    return dict(Counter(message["channel"] for message in first.values()))


def _in_words(result: dict[str, Any]) -> str:
    touch = result["first_touch_seconds"]
    return (
        f"{result['leads']} leads, {result['contactable']} contactable, {result['never_touched']} not answered: "
        f"p50 {touch['p50']} s, p95 {touch['p95']} s, p99 {touch['p99']} s, max {touch['max']} s; "
        f"{result['duplicates']} duplicates"
    )


if __name__ == "__main__":
    sys.exit(main())
