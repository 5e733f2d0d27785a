"""What happens during a demo: arrivals, the night's work, one jump to the next morning.

What lives here: the order of events and what is told of them. What does not: the world they happen in
(``demo_world``), showing it (``demo``), any decision of leadpipe's.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from leadpipe.cli.report import Backfilled, Planned
from leadpipe.errors import LeadpipeError, TransientError

if TYPE_CHECKING:
    from leadpipe.cli.demo_world import World

# The last arrivals have a minute to be answered, to reply and to be answered again.
QUIET_SECONDS = 60
SHORTEST_WINDOW_SECONDS = 20
# Without --leads they come one in four seconds, without end.
LEADS_PER_BATCH, BATCH_SECONDS = 15, 60
# Of the arrivals' time: when the day's data jobs, the backfill, the nightly run and the jump begin at the earliest.
BACKFILL_AT, NIGHTLY_AT, JUMP_AT = 0.1, 0.3, 0.6
ENDLESS_WINDOW_SECONDS = 180
# Short of a day: no lead turns a day old, and no message stale, by the jump alone.
JUMP = timedelta(hours=23, minutes=59)
COHORTS = 12
QUEUE_ASSET = ("outreach", "queue")
NIGHTLY_JOB, ENQUEUE_JOB = "nightly_reactivation", "enqueue_planned"
# What the first night brings, and a running system's first day by itself; a demo has no time to wait for either.
FIRST_JOBS = ("refresh_market", "score_leads")
LAST_JOBS = ("read_spend", "train_model")
POLL_JOB = "poll"
LISTINGS_JOB = "refresh_listings"


def cohorts_before(today: date) -> list[str]:
    """The twelve cohorts that end half a year ago, as partition keys: all of them old enough to be aged."""
    last = today.year * 12 + today.month - 1 - 6
    months = range(last - COHORTS + 1, last + 1)
    return [date(month // 12, month % 12 + 1, 1).isoformat() for month in months]


@dataclass(kw_only=True)
class Script:
    """The events of one demo, from the moment its world is live.

    Attributes:
        leads: new leads in all; None lets them come without end.
        started: when the command began, by the monotonic clock; ``exit_after`` counts from there.
        failure: what kept the script from going on; empty when nothing did.
    """

    world: World
    leads: int | None
    aged: int
    exit_after: int | None
    started: float
    told: list[str] = field(default_factory=list[str])
    failure: str = ""
    reactivation: Planned = field(default_factory=lambda: Planned(planned=0, enqueued=0))
    backfill: Backfilled = field(default_factory=lambda: Backfilled(partitions=0, enqueued=0))
    _deadline: float | None = None
    _live_since: float = field(default_factory=time.monotonic)
    _over: threading.Event = field(default_factory=threading.Event)
    _planned: threading.Event = field(default_factory=threading.Event)
    _is_interrupted: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the time given by --exit-after is up."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    @property
    def clock_words(self) -> str:
        """How long it has run and still will."""
        ran = time.monotonic() - self._live_since
        left = (
            "Ctrl-C ends it" if self._deadline is None else f"{max(0.0, self._deadline - time.monotonic()):.0f} s left"
        )
        return f"live for {ran:.0f} s, {left}"

    def act(self, stop: threading.Event) -> None:
        """Let people arrive and the days' work be done; a thread of its own runs this."""
        with self._reporting():
            window = self._begin_arrivals()
            calendar = threading.Thread(target=self._turn_the_calendar, args=(window, stop), daemon=True)
            calendar.start()
            if self.leads is None and self.exit_after is None:
                threading.Thread(target=self._arrive_for_ever, args=(stop,), daemon=True).start()
            self._do_the_nights_work(window, stop)

    def _do_the_nights_work(self, window: float, stop: threading.Event) -> None:
        """Market and scores; a backfill and what it planned; the nightly run; at last spend and a model."""
        if not self.aged:
            self._planned.set()
            return
        for job in FIRST_JOBS:
            self._run_job(job)
        if not self._wait(self._live_since + BACKFILL_AT * window, stop):
            self._run_backfill()
        if not self._wait(self._live_since + NIGHTLY_AT * window, stop):
            self._run_nightly()
        self._planned.set()
        for job in LAST_JOBS:
            self._run_job(job, is_needed=False)

    def _turn_the_calendar(self, window: float, stop: threading.Event) -> None:
        """One jump to the next morning, which has new homes."""
        from leadpipe.sandbox.control import jump_all

        with self._reporting():
            if self._wait(self._live_since + JUMP_AT * window, stop):
                return
            # A jump between a planning and its enqueueing would make the planning a day old, and thus stale.
            while not self._planned.wait(0.5):
                if stop.is_set() or self._over.is_set():
                    return
            clock = jump_all(self.world.sandbox, self.world.runtime.engine, JUMP)
            self._tell(f"the calendar jumps to {clock.now:%A %H:%M} UTC")
            # The night's readings of the CRM's opt-outs were jumped over, and messages wait for a fresh one (C45).
            self._run_job(POLL_JOB, is_needed=False)
            self._run_job(LISTINGS_JOB, is_needed=False)

    @contextmanager
    def _reporting(self) -> Generator[None]:
        """An error ends this part of the script and is the demo's finding, unless the demo was interrupted."""
        try:
            yield
        except LeadpipeError as error:
            if not self._is_interrupted:
                self.failure = str(error)
                self._tell(f"failed: {error}")

    def finish(self, *, is_interrupted: bool) -> None:
        """End the script; what it has under way is given up."""
        self._is_interrupted = is_interrupted
        self._over.set()

    def _begin_arrivals(self) -> float:
        window = float(ENDLESS_WINDOW_SECONDS)
        if self.exit_after is not None:
            left = self.started + self.exit_after - time.monotonic()
            window = max(left - QUIET_SECONDS, SHORTEST_WINDOW_SECONDS)
            if left < QUIET_SECONDS + SHORTEST_WINDOW_SECONDS:
                self._tell("the set-up took long; the demo runs a little longer than asked")
            self._deadline = time.monotonic() + window + QUIET_SECONDS
        count = round(window * LEADS_PER_BATCH / BATCH_SECONDS) if self.leads is None else self.leads
        if count:
            self.world.sandbox.populate(new=count, seconds=window)
            if self.leads is None and self.exit_after is None:
                self._tell(f"new leads keep arriving, about one in {BATCH_SECONDS / LEADS_PER_BATCH:.0f} s")
            else:
                self._tell(f"{count} new leads arrive over {window:.0f} s")
        return window

    def _arrive_for_ever(self, stop: threading.Event) -> None:
        """A batch a minute once the first ones are there; a thread of its own, whatever becomes of the night's work."""
        next_at = self._live_since + ENDLESS_WINDOW_SECONDS
        with self._reporting():
            while not self._wait(next_at, stop):
                self.world.sandbox.populate(new=LEADS_PER_BATCH, seconds=BATCH_SECONDS)
                next_at += BATCH_SECONDS

    def _run_backfill(self) -> None:
        """Plan a year of cohorts through Dagster, as the UI does, then enqueue what was planned."""
        partitions = cohorts_before(self.world.runtime.clock.now().date())
        backfill = self.world.dagster.launch_backfill([QUEUE_ASSET], partitions, title="Demo: a year of cohorts")
        self._tell(f"backfill of {len(partitions)} cohorts: {partitions[0]} to {partitions[-1]}")
        self._until("the backfill", lambda: self.world.dagster.backfill_status(backfill), "COMPLETED_SUCCESS")
        before = self._count_reactivations()
        self._run_job(ENQUEUE_JOB)
        enqueued = self._count_reactivations() - before
        self.backfill = Backfilled(partitions=len(partitions), enqueued=enqueued)
        self._tell(f"backfill finished; {enqueued} messages enqueued from it")

    def _run_nightly(self) -> None:
        before = self._count_reactivations()
        self._tell("nightly reactivation launched")
        self._run_job(NIGHTLY_JOB)
        planned = self.world.runtime.lake.query("select count(*) as n from outreach.queue where outcome = 'planned'")
        enqueued = self._count_reactivations() - before
        self.reactivation = Planned(planned=int(planned["n"][0].as_py()), enqueued=enqueued)
        self._tell(f"nightly run finished: {self.reactivation.planned} planned, {enqueued} enqueued")

    def _run_job(self, job: str, *, is_needed: bool = True) -> None:
        run = self.world.dagster.launch_job(job)
        self._until(job, lambda: self.world.dagster.status_of(run), "SUCCESS", is_needed=is_needed)

    def _count_reactivations(self) -> int:
        from sqlalchemy import text

        with self.world.runtime.engine.connect() as connection:
            return int(
                connection.execute(
                    text("select count(*) from ledger.messages where plan = 'reactivation'")
                ).scalar_one()
            )

    def _until(self, what: str, status: Callable[[], str], wanted: str, *, is_needed: bool = True) -> None:
        """Wait until its status is the wanted one.

        Raises:
            TransientError: it failed, or the demo ends before and what it shows is a part of the report.
        """
        found = ""
        while not self._over.wait(1):
            # Dagster answers a query with an error while PostgreSQL is away.
            with suppress(LeadpipeError):
                found = status()
            if found == wanted:
                self._tell(f"{what} is over")
                return
            if found in {"FAILURE", "CANCELED", "FAILED", "COMPLETED_FAILED"}:
                raise TransientError(f"{what} failed; see {self.world.system.dagster_url}/runs")
        if not is_needed:
            self._tell(f"{what} was still under way at the end")
            return
        raise TransientError(f"{what} was not over when the demo ended (it was {found or 'unknown'})")

    def _wait(self, until: float, stop: threading.Event) -> bool:
        """Wait; True when the demo ends before."""
        while not (stop.is_set() or self._over.is_set()):
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._over.wait(min(0.5, left))
        return True

    def _tell(self, words: str) -> None:
        self.told.append(f"{time.monotonic() - self._live_since:5.0f} s  {words}")
        if not sys.stdout.isatty():
            sys.stdout.write(self.told[-1] + "\n")
            sys.stdout.flush()
