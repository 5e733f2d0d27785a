"""One chaos run from an empty home to its verdict.

What lives here: the order. What does not: any of its parts, the command line (``cli.chaos``).
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.chaos.kills import Kills
from leadpipe.chaos.load import Load
from leadpipe.chaos.script import count_by_kind
from leadpipe.chaos.settling import settle
from leadpipe.chaos.verdict import Verdict, all_hits, compare
from leadpipe.errors import LeadpipeError
from leadpipe.sandbox.control import jump_all

if TYPE_CHECKING:
    from leadpipe.chaos.world import ChaosWorld
    from leadpipe.cli.system import Tell

WATCH_SECONDS = 0.05
LINE_SECONDS, COUNT_SECONDS = 10.0, 0.5
# Longer than a dead run's leases, and time for second messages and look-ups while processes die; all of them together
# end before the evening, when nobody may be texted.
JUMP = timedelta(minutes=4)
KILLS_A_JUMP = 10
MOST_JUMPS = 95
# Parts of the load: what keeps every step busy until the last kill.
KILLS_A_PART, FEWEST_PARTS, MOST_PARTS = 50, 1, 15


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is to be.

    Attributes:
        pace: factor on the sandbox's delays; 0.3 is three times as brisk.
        bound_seconds: how long the end may take.
    """

    kills: int
    seed: int
    aged: int
    leads: int
    pace: float = 0.3
    bound_seconds: float = 300.0


def run(world: ChaosWorld, plan: Plan, *, stop: threading.Event, tell: Tell) -> Verdict:
    """Set up, torment, settle, compare.

    Raises:
        TransientError: a part does not come up, or the sandbox is gone.
    """
    started = time.monotonic()
    world.set_up(aged=plan.aged, pace=plan.pace, stop=stop, tell=tell)
    tell(f"Everything runs after {time.monotonic() - started:.0f} s; the killing begins.")
    kills = Kills(world=world, seed=plan.seed, planned=count_by_kind(plan.kills))
    failures = _torment(world, plan, kills, stop, tell)
    tell("No more kills; what is under way comes to its end ...")
    failures += _settle(world, plan, stop, tell)
    found: dict[str, Any] = compare(world)
    return Verdict(
        seed=plan.seed,
        kills=kills.counts.total(),
        failpoints=all_hits(kills.hits()),
        seconds=round(time.monotonic() - started, 1),
        kills_by_kind={str(kind): count for kind, count in kills.counts.items()},
        failures=[*failures, *kills.failures],
        **found,
    )


def _torment(world: ChaosWorld, plan: Plan, kills: Kills, stop: threading.Event, tell: Tell) -> list[str]:
    """Load, weather and kills at once, until the script is through and the load has arrived."""
    load = Load(world=world, count_parts=max(FEWEST_PARTS, min(MOST_PARTS, plan.kills // KILLS_A_PART)))
    world.worsen()
    if plan.leads:
        # About as long as the kills take; those who come later meet a calm system.
        world.sandbox.populate(new=plan.leads, seconds=max(10.0, plan.kills))
    feeder = threading.Thread(target=load.run, args=(lambda: kills.share_done, stop), daemon=True, name="load")
    feeder.start()
    while not load.has_begun.wait(WATCH_SECONDS) and not stop.is_set():
        world.system.supervisor.watch()
    kills.start(stop)
    failures: list[str] = []
    told_at, counted_at, jumps = time.monotonic(), 0.0, 0
    while not stop.is_set() and (feeder.is_alive() or not kills.is_over):
        world.system.supervisor.watch()
        if time.monotonic() - counted_at >= COUNT_SECONDS:
            counted_at = time.monotonic()
            kills.saw(int(world.sandbox.summary()["messages"]))
        if jumps < MOST_JUMPS and kills.counts.total() >= (jumps + 1) * KILLS_A_JUMP:
            jumps += 1
            _jump(world, failures)
        if time.monotonic() - told_at >= LINE_SECONDS:
            told_at = time.monotonic()
            tell(_line(kills))
        time.sleep(WATCH_SECONDS)
    if stop.is_set():
        failures.append("interrupted")
    return failures + load.failures


def _jump(world: ChaosWorld, failures: list[str]) -> None:
    from sqlalchemy.exc import DBAPIError

    for _ in range(50):
        try:
            jump_all(world.sandbox, world.runtime.engine, JUMP if _ == 0 else timedelta(0))
        except DBAPIError:  # PostgreSQL is just being killed
            time.sleep(0.2)
            continue
        return
    failures.append("the calendar could not be moved")


def _settle(world: ChaosWorld, plan: Plan, stop: threading.Event, tell: Tell) -> list[str]:
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            world.system.supervisor.watch()

    world.calm()
    world.end_runs()
    watcher = threading.Thread(target=watch, daemon=True, name="watch")
    watcher.start()
    try:
        return settle(world, bound_seconds=plan.bound_seconds, stop=stop, tell=tell)
    except LeadpipeError as error:
        return [str(error)]
    finally:
        over.set()
        watcher.join()


def _line(kills: Kills) -> str:
    by_kind = ", ".join(f"{kind} {count}" for kind, count in sorted(kills.counts.items()))
    least = min(all_hits(kills.hits()).values())
    told = f"{kills.counts.total()} kills ({by_kind}); every step hit {least} times or more"
    return f"{told}; {kills.count_messages} messages"


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON values."""
    return asdict(verdict)
