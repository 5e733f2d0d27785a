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
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from leadpipe.cli import truth
from leadpipe.cli.database import database
from leadpipe.cli.demo import FOREIGN, enter_demo_world
from leadpipe.cli.demo_world import World
from leadpipe.cli.services import free_port
from leadpipe.cli.supervisor import stop_signals, supervising
from leadpipe.cli.system import Ports, System
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.settings import load_settings

LONGEST_SECONDS = 180.0
LOOK_EVERY_SECONDS = 2.0


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when the figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks burst", description=__doc__)
    parser.add_argument("--leads", type=int, default=1_000, help="new leads of the burst")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long they take to arrive")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    parser.add_argument("--keep", action="store_true", help="leave the home where it is, to read its logs")
    options = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="leadpipe-bench-", dir="/tmp"))
    home.chmod(0o755)
    try:
        result = _measure(home, leads=options.leads, seconds=options.seconds)
    finally:
        if options.keep:
            print(f"the home is {home}", file=sys.stderr)
        else:
            shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(result) if options.json else _in_words(result))
    touch = result["first_touch_seconds"]
    is_met = touch["max"] is not None and touch["max"] <= 60 and touch["p50"] <= 20
    return 0 if is_met and not result["duplicates"] else 1


def _measure(home: Path, *, leads: int, seconds: float) -> dict[str, Any]:
    with stop_signals() as stop, supervising(home) as supervisor:
        ports = Ports(gateway=free_port(), dagster=free_port(), code_server=free_port())
        config = SandboxConfig(
            base_url=f"http://127.0.0.1:{free_port()}", gateway_url=f"http://127.0.0.1:{ports.gateway}"
        )
        enter_demo_world(home, config, ports)
        settings = load_settings(env_file=None)
        with database(settings, supervisor) as url:
            system = System(settings=settings, supervisor=supervisor, database_url=url, ports=ports, without=FOREIGN)
            world = World(system=system, config=config)
            with world.closing():
                world.set_up(aged=0, stop=stop, tell=lambda words: print(words, file=sys.stderr))
                time.sleep(5)
                return _burst(world, leads=leads, seconds=seconds)


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
