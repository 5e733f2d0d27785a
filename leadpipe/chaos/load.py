"""The load of a chaos run: aged people planned and enqueued part by part, new leads arriving meanwhile.

What lives here: when the next part comes, and the plans in a hurry. What does not: planning (``jobs``, in a process of
its own that may die).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from leadpipe.errors import TransientError

if TYPE_CHECKING:
    from leadpipe.chaos.world import ChaosWorld

# A part is enqueued until it is through, however often the process that does it dies.
MOST_TRIES = 50
LOOK_SECONDS = 1.0
# The last part should still meet kills.
BY_THEN = 0.9
# Within a minute of its planning each part leaves, so that the kills always meet messages.
SPREAD_MINUTES = 1
_WAITING = text("select count(*) from ledger.messages where state in ('queued', 'sending')")
_WAITS = re.compile(r"after: next.* local$", re.M)
_SPREAD = re.compile(r"spread_minutes: \d+$", re.M)
# Who agreed to texts gets one instead of the email, so that every provider has its share.
_EMAIL_FIRST, _TEXT_FIRST = (
    "only_if: [has_direct_email]",
    "only_if: [has_direct_email, not has_sms_pewc, not whatsapp_reaches]",
)


def hurried_plans(folder: Path) -> Path:
    """The built-in plans in ``folder``, but that nobody waits for the next morning, and texts go first."""
    from leadpipe.outreach.plan import builtin_folder

    shutil.copytree(builtin_folder(), folder)
    plan = folder / "reactivation.yaml"
    words = _WAITS.sub("after: at once", plan.read_text()).replace(_EMAIL_FIRST, _TEXT_FIRST)
    plan.write_text(_SPREAD.sub(f"spread_minutes: {SPREAD_MINUTES}", words))
    return folder


@dataclass(kw_only=True)
class Load:
    """Parts of cohorts, enqueued as the script of kills goes on; ``has_begun`` once the first of them is through."""

    world: ChaosWorld
    count_parts: int
    failures: list[str] = field(default_factory=list[str])
    count_deaths: int = 0
    has_begun: threading.Event = field(default_factory=threading.Event)

    def run(self, share_done: Callable[[], float], stop: threading.Event) -> None:
        """Enqueue the next part whenever its share of the script is through; a thread of its own runs this."""
        parts = self._parts()
        for number, cohorts in enumerate(parts):
            while not self._is_time(number / len(parts), (number - 1) / len(parts), share_done()):
                if stop.wait(LOOK_SECONDS):
                    break
            if stop.is_set():
                return
            try:
                self._enqueue(cohorts, stop)
            except TransientError as error:
                self.failures.append(str(error))
                return
            finally:
                self.has_begun.set()

    def _is_time(self, share: float, share_before: float, share_done: float) -> bool:
        """Whether a part should come: its share of the kills is over, or that of the one before and nothing waits."""
        return share_done >= BY_THEN * share or (share_done >= BY_THEN * share_before and self._is_idle())

    def _is_idle(self) -> bool:
        """Whether nothing is left to send: then the kills would meet no message."""
        try:
            with self.world.runtime.engine.connect() as connection:
                return not connection.execute(_WAITING).scalar_one()
        except DBAPIError:  # PostgreSQL is just being killed
            return False

    def _parts(self) -> list[list[date]]:
        """The cohorts of the ledger in parts of about the same number of people."""
        with self.world.runtime.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "select cast(date_trunc('month', crm_created_at at time zone 'UTC') as date) as cohort, "
                    "count(*) as n from ledger.people group by 1 order by 1"
                )
            ).all()
        size = max(1, sum(row.n for row in rows) // self.count_parts)
        parts: list[list[date]] = [[]]
        count = 0
        for row in rows:
            if count >= size and len(parts) < self.count_parts:
                parts.append([])
                count = 0
            parts[-1].append(row.cohort)
            count += row.n
        return [part for part in parts if part]

    def _enqueue(self, cohorts: Sequence[date], stop: threading.Event) -> None:
        world = self.world
        command = [sys.executable, "-m", "leadpipe.chaos.jobs", *(cohort.isoformat() for cohort in cohorts)]
        log = world.system.supervisor.logs / "load.log"
        for _ in range(MOST_TRIES):
            with log.open("ab") as words:
                child = subprocess.Popen(
                    command, env=world.run_environment(), cwd=world.system.home, stdout=words, stderr=words,
                    stdin=subprocess.DEVNULL,
                )  # fmt: skip
                while child.poll() is None:
                    if stop.wait(0.1):
                        child.kill()
                        child.wait()
                        return
            if child.returncode == 0:
                return
            self.count_deaths += 1
            if stop.wait(0.5):
                return
        raise TransientError(f"a part of the load was not enqueued in {MOST_TRIES} tries; see {log}")
