"""Failpoints: the named steps of the send protocol at which ``leadpipe chaos`` lets a process die.

What lives here: the names and dying at one. What does not: choosing when and where (``leadpipe.chaos``).

Only the setting ``failpoints`` arms a process, and `leadpipe up` refuses it. A trap is a file named after a step in
the folder of the setting; who moves it into the folder of the struck ones first dies there. The move is the count: it
is one rename, so a hit is counted exactly once, also while many processes reach the same step.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

SET, STRUCK = "set", "struck"
MYSELF, OTHER = "myself", "other"

# By the kind of process that comes past: name -> what has happened when it is reached.
WORKER: dict[str, str] = {
    "claim.before_commit": "moves, verdicts and attempts of a claim are written, not committed",
    "claim.committed": "the attempts are committed, no call has started",
    "call.before": "a thread is about to make its call",
    "call.answered": "the provider has answered, nothing is written down",
    "outcome.before_commit": "the outcomes are written, not committed",
    "outcome.committed": "the outcomes are committed",
    "recover.before_commit": "messages of a dead worker are moved to unknown, not committed",
}
GATEWAY: dict[str, str] = {
    "inbox.before_commit": "notices of the CRM are written, not committed",
    "inbox.committed": "notices are committed, the CRM has no answer yet",
    "report.before_commit": "a provider's report and its effect are written, not committed",
    "report.committed": "a report is committed, the provider has no answer yet",
    "callback.moved": "a report has moved its message, inside the transaction",
    "inbound.stored": "a lead's message is stored and not yet obeyed, inside the transaction",
}
RUNS: dict[str, str] = {
    "intake.stored": "new people are stored, nothing is planned for them",
    "enqueue.before_commit": "messages are written with their verdicts, not committed",
    "enqueue.committed": "messages are committed, whoever planned them does not know yet",
    "reconcile.looked_up": "the provider's list is read, what it says is not written down",
    "reply.answered": "the answer to a lead is committed, their message still counts as unread",
    "reply.before_commit": "a lead's message is read and its effects are written, not committed",
}
NAMES: dict[str, str] = {**WORKER, **GATEWAY, **RUNS}

_folder: Path | None = None


def arm(folder: Path | None) -> None:
    """Let this process die at the traps of ``folder`` from now on; None disarms it."""
    global _folder  # noqa: PLW0603 - a failpoint is reached from everywhere, and off in every real system
    _folder = folder


def hit(name: str) -> None:
    """The process is at this step; when a trap is set here, it or the process named in the trap is killed."""
    if _folder is not None:
        _strike(_folder, name)


def _strike(folder: Path, name: str) -> None:
    trap = folder / SET / name
    try:
        victim = trap.read_text()
        whom = MYSELF if victim == MYSELF else OTHER
        trap.rename(folder / STRUCK / f"{name}.{whom}.{os.getpid()}.{time.monotonic_ns()}")
    except FileNotFoundError:  # none is set, or another process was first
        return
    with suppress(ProcessLookupError):
        os.kill(os.getpid() if victim == MYSELF else int(victim), signal.SIGKILL)
