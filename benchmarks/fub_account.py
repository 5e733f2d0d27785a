"""A sandbox account of a given size: ``python -m benchmarks.fub_account --port P --people N --events M``.

What lives here: its people and their events, from one seed. What does not: what is measured on it (``sync``).
"""

from __future__ import annotations

import argparse
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from leadpipe.sandbox.app import create_app, run
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.fub.people import stamp
from leadpipe.sandbox.population.cast import Cast

if TYPE_CHECKING:
    from leadpipe.sandbox.fub.store import FubStore

SEED = 7
FIRST_PERSON = 10_001
KINDS = ("Property Inquiry", "Viewed Property", "Registration")


def main() -> None:
    """Fill an account and serve it until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fub_account", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--window", type=float, default=10.0)
    options = parser.parse_args()
    config = SandboxConfig(base_url=f"http://127.0.0.1:{options.port}", fub_window_seconds=options.window)
    app = create_app(config)
    fill(app.state.world.store, people=options.people, events=options.events)
    run(app, port=options.port)


def fill(store: FubStore, *, people: int, events: int) -> None:
    """Add people who came over the last three years, then their events, newest last."""
    cast, dice, now = Cast(SEED), random.Random(SEED), store.now()
    for number in range(people):
        at = now - timedelta(days=1_000 * (1 - number / people) + 30)
        fields = cast.draw(now).fields | {"assignedUserId": 2 + number % 3}
        store.people.create(fields, at=at, is_quiet=True)
    for number in range(events):
        at = now - timedelta(days=1_000 * (1 - number / events) + 20)
        kind = dice.choice(KINDS)
        home = None
        if kind != "Registration":
            home = {"street": f"{number} Oak St", "city": "Austin", "state": "TX", "code": "78704",
                    "price": dice.randrange(180, 900) * 1_000, "mlsNumber": f"MLS{number}", "bedrooms": 3,
                    "type": "Residential"}  # fmt: skip
        person = {"id": FIRST_PERSON + dice.randrange(people)}
        body = {"source": "Website", "type": kind, "person": person, "property": home, "occurredAt": stamp(at)}
        who, _ = store.add_event(body, at=at, is_quiet=True)
        who.shown["lastActivity"] = stamp(at)


if __name__ == "__main__":
    main()
