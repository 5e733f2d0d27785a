"""What Dagster's runs do, as one plain process in a loop: for a chaos run without Dagster or beside it.

What lives here: the order of the passes. What does not: any pass (``leadpipe.work``).

    python -m leadpipe.chaos.jobs alone                   answer, advance, poll and mirror until killed
    python -m leadpipe.chaos.jobs beside-dagster          answer and advance; Dagster does so too, and all the rest
    python -m leadpipe.chaos.jobs 2025-03-01 2025-04-01   plan these cohorts and enqueue what was planned, then end

The first two fork before they work: the child is who meets traps and dies, and the parent, which has imported
everything and opened nothing, has the next one ready within milliseconds instead of seconds.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, NoReturn

from leadpipe.runtime import open_runtime

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

ALONE, BESIDE_DAGSTER = "alone", "beside-dagster"
POLL_SECONDS, MIRROR_SECONDS = 15.0, 20.0
IDLE_SECONDS = 0.25
# What a pass imports, so that no child has to.
NEEDED = (
    "duckdb",
    "pyarrow",
    "leadpipe.store.mirror",
    "leadpipe.work.first_touch",
    "leadpipe.work.poll",
    "leadpipe.work.replies",
    "leadpipe.work.send_due",
)
OUTAGE_SECONDS, RESTART_SECONDS = 0.5, 0.05


def load(runtime: Runtime, cohorts: Sequence[date]) -> None:
    """Plan these cohorts and make messages of what was planned; again after a death changes nothing."""
    from leadpipe.work.reactivation import enqueue_cohorts, plan_cohorts

    plan_cohorts(runtime, cohorts=cohorts)
    enqueue_cohorts(runtime, run_key="chaos", cohorts=cohorts)


def work_once(runtime: Runtime) -> None:
    """New leads, replies and due steps, as their runs work them off."""
    from leadpipe.work import first_touch, replies, send_due

    first_touch.answer_new_leads(runtime, linger_seconds=0)
    replies.answer_replies(runtime, linger_seconds=0)
    send_due.send_due(runtime, linger_seconds=0)


def poll_once(runtime: Runtime) -> None:
    """What webhooks missed."""
    from leadpipe.work.poll import poll

    poll(runtime)


def mirror_once(runtime: Runtime) -> None:
    """The ledger into the lake."""
    from leadpipe.store.mirror import mirror

    mirror(runtime.engine, runtime.lake, now=runtime.clock.now())


def run_for_ever(runtime: Runtime, *, is_alone: bool) -> NoReturn:
    """Every pass at its pace; whatever ends one, the next begins a moment later, as Dagster's next run would."""
    next_at = {poll_once: 0.0, mirror_once: time.monotonic() + MIRROR_SECONDS}
    every = {poll_once: POLL_SECONDS, mirror_once: MIRROR_SECONDS}
    while True:
        try:
            work_once(runtime)
            for work, at in next_at.items():
                if is_alone and time.monotonic() >= at:
                    next_at[work] = time.monotonic() + every[work]
                    work(runtime)
        except Exception as error:  # noqa: BLE001 - a run of Dagster's may end by anything, and another one starts
            sys.stderr.write(f"{type(error).__name__}: tried again\n")
            traceback.print_exc(limit=-12)
            time.sleep(OUTAGE_SECONDS)
        time.sleep(IDLE_SECONDS)


def _keep_a_child(*, is_alone: bool) -> NoReturn:
    """One child after the other, until this process is told to end."""
    children: list[int] = []

    def end(*_: object) -> NoReturn:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    parent = os.getpid()
    while True:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
            run_for_ever(open_runtime(env_file=None), is_alone=is_alone)
        children[:] = [child]
        os.waitpid(child, 0)
        time.sleep(RESTART_SECONDS)


def _die_with(parent: int) -> None:
    """A killed parent takes its child with it: its successor has one of its own."""
    while os.getppid() == parent:
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: Sequence[str]) -> None:
    """Load cohorts when some are named, else work for ever."""
    if arguments[0] in {ALONE, BESIDE_DAGSTER}:
        for name in NEEDED:
            importlib.import_module(name)
        _keep_a_child(is_alone=arguments[0] == ALONE)
    load(open_runtime(env_file=None), [date.fromisoformat(argument) for argument in arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
