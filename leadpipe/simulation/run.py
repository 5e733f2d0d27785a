"""One simulation from beginning to end: copy, play, count, drop the copy.

What lives here: the order. What does not: any of the parts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from leadpipe.errors import ConfigurationError
from leadpipe.messaging import switch
from leadpipe.messaging.take_over import take_first
from leadpipe.outreach.plan import load_plans
from leadpipe.simulation import days, figures, memory_lake, snapshot
from leadpipe.store import ledger

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings

# A clock that differs from now by less is now: what was recorded meanwhile belongs to the snapshot.
_NOW = timedelta(seconds=5)


def simulate(
    runtime: Runtime,
    plan: str,
    *,
    as_of: datetime | None,
    count_days: int,
    tell: Callable[[str], None] = lambda _: None,
) -> figures.Simulated:
    """What ``plan`` would do in the days from ``as_of`` on; ledger and lake are only read and nobody is messaged.

    All plans are played, since they share people, caps and gaps between messages; the result is about one.

    Args:
        runtime: of the house; ledger and lake are each read in one snapshot.
        plan: the plan's name.
        as_of: where the days begin, past or future; None is now.
        count_days: how many.
        tell: hears of what takes time.

    Raises:
        ConfigurationError: there is no such plan, or a file is wrong, or no database may be created for the copy.
    """
    settings, now = runtime.settings, runtime.clock.now()
    begin = as_of or now
    plans = load_plans(settings.plans_path)
    if plan not in plans:
        raise ConfigurationError(f"no plan '{plan}'; there are {', '.join(sorted(plans))}")
    with runtime.engine.connect() as connection:
        stopped = switch.read(connection)
    notes = list(_notes(plan, is_paused=plans[plan].is_paused, stopped=stopped, is_rewound=begin < now - _NOW))
    tell("copying the ledger")
    end = begin + timedelta(days=count_days)
    with TemporaryDirectory(prefix="leadpipe-simulation-") as folder:

        def own(url: str) -> Settings:
            return days.settings_for(settings, url, Path(folder))

        def take_right(url: str) -> None:
            empty = ledger.connect(url)
            try:
                take_first(empty, own(url), now=begin)
            finally:
                empty.dispose()

        rewound_to = begin if begin < now - _NOW else None
        with snapshot.copied(runtime.database_url, at=rewound_to, first=take_right) as url:
            lake = memory_lake.filled(runtime.lake, at=begin, home=Path(folder))
            engine = ledger.connect(url)
            try:
                tell("playing the days")
                played = days.play(engine, lake, settings=own(url), begin=begin, end=end, tell=tell)
                with engine.connect() as connection:
                    return figures.read(
                        connection, plan, begin=begin, end=end, zone=settings.team_timezone, played=played, notes=notes
                    )
            finally:
                engine.dispose()
                lake.close()


def _notes(plan: str, *, is_paused: bool, stopped: switch.Switch, is_rewound: bool) -> list[str]:
    said = ["nothing comes in from outside: nobody asks, answers, refuses or acts"]
    if is_paused:
        said.append(f"plan {plan} is paused (is_paused: true), so it does nothing")
    if not stopped.is_on or stopped.email_pauses:
        said.append("sending is stopped now (leadpipe sending status); the simulation goes on as if it were not")
    if is_rewound:
        said.append("stage, addresses and merges are those of now, they keep no history")
    return said
