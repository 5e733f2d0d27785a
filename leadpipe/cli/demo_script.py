"""What happens during a demo: set-up, arrivals, a backfill, the nightly run, one jump to the next morning, the report.

What lives here: the order of events and what is told of them. What does not: showing it (``demo``), the people
(``leadpipe.sandbox``), any decision of leadpipe's.
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

from leadpipe.cli import services
from leadpipe.cli.dagster_api import FAILED, UNDER_WAY, DagsterApi
from leadpipe.cli.live_view import Snapshot, look
from leadpipe.cli.report import Backfilled, Planned, Report, build_report
from leadpipe.cli.services import SANDBOX, Service
from leadpipe.errors import LeadpipeError, TransientError

if TYPE_CHECKING:
    from leadpipe.cli.system import System, Tell
    from leadpipe.runtime import Runtime
    from leadpipe.sandbox.config import SandboxConfig
    from leadpipe.sandbox.control import SandboxControl

# The last arrivals have a minute to be answered, to reply and to be answered again.
QUIET_SECONDS = 60
SHORTEST_WINDOW_SECONDS = 20
# Without --leads they come one in four seconds, without end.
LEADS_PER_BATCH, BATCH_SECONDS = 15, 60
# Of the arrivals' time: when the day's data jobs, the backfill, the nightly run and the jump begin at the earliest.
DATA_AT, BACKFILL_AT, NIGHTLY_AT, JUMP_AT = 0.02, 0.1, 0.3, 0.6
ENDLESS_WINDOW_SECONDS = 180
# Short of a day: no lead turns a day old, and no message stale, by the jump alone.
JUMP = timedelta(hours=23, minutes=59)
COHORTS = 12
QUEUE_ASSET = ("outreach", "queue")
NIGHTLY_JOB, ENQUEUE_JOB = "nightly_reactivation", "enqueue_planned"
DATA_JOBS = ("refresh_market", "train_model", "score_leads")
LISTINGS_JOB = "refresh_listings"


def cohorts_before(today: date) -> list[str]:
    """The twelve cohorts that end half a year ago, as partition keys: all of them old enough to be aged."""
    last = today.year * 12 + today.month - 1 - 6
    months = range(last - COHORTS + 1, last + 1)
    return [date(month // 12, month % 12 + 1, 1).isoformat() for month in months]


@dataclass(kw_only=True)
class Script:
    """One demo, from an empty home to its report."""

    system: System
    config: SandboxConfig
    leads: int | None
    aged: int
    exit_after: int | None
    started: float
    told: list[str] = field(default_factory=list[str])
    failure: str = ""
    _deadline: float | None = None
    _live_since: float = 0.0
    _reactivation: Planned = field(default_factory=lambda: Planned(planned=0, enqueued=0))
    _backfill: Backfilled = field(default_factory=lambda: Backfilled(partitions=0, enqueued=0))
    _over: threading.Event = field(default_factory=threading.Event)
    _is_interrupted: bool = False

    @contextmanager
    def closing(self) -> Generator[None]:
        """Open connections for the block, closed at its end."""
        from leadpipe.runtime import Runtime
        from leadpipe.sandbox.control import SandboxControl

        self.runtime: Runtime = Runtime(self.system.settings)
        self.sandbox: SandboxControl = SandboxControl(self.config.base_url)
        self.dagster = DagsterApi(self.system.dagster_url)
        try:
            yield
        finally:
            self.dagster.close()
            self.sandbox.close()
            self.runtime.close()

    @property
    def links(self) -> dict[str, str]:
        """Where to look while it runs."""
        home = self.system.home
        return {
            "Dagster UI": self.system.dagster_url,
            "Asset graph": f"{self.system.dagster_url}/asset-groups",
            "Truth": f"{self.config.base_url}/_truth/messages",
            "SQL": f"LEADPIPE_HOME={home} leadpipe sql",
            "Logs": str(home / "logs"),
        }

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

    # set-up

    def set_up(self, stop: threading.Event, *, tell: Tell) -> None:
        """Sandbox, stores, gateway, webhooks, the first sync, Dagster; nobody has arrived yet."""
        from leadpipe.clock import set_offset
        from leadpipe.crm import webhooks
        from leadpipe.outreach.golive import record_go_live

        home, supervisor = self.system.home, self.system.supervisor
        tell(f"Setting up in {home} ...")
        supervisor.start(self._sandbox_service())
        self.system.set_up(self.runtime)
        supervisor.wait_until_ready((SANDBOX,), timeout_seconds=60, stop=stop)
        set_offset(self.runtime.engine, self.sandbox.clock().offset)
        if self.aged:
            self.sandbox.populate(aged=self.aged)
        self.system.start_gateway(stop)
        webhooks.install(self.runtime.crm, self.system.settings)

        def sync() -> None:
            from leadpipe.work.poll import poll

            tell(f"First sync: {self.aged} aged leads ...")
            with self.runtime.engine.begin() as connection:
                record_go_live(connection, self.runtime.clock.now())
            poll(self.runtime)

        self.system.start_dagster(stop, meanwhile=sync)
        deadline = time.monotonic() + 120
        while not self.dagster.is_loaded() and not stop.wait(0.5):
            if time.monotonic() > deadline:
                raise TransientError(f"Dagster does not load the definitions; see {supervisor.logs}/code-server.log")
        self._live_since = time.monotonic()
        tell(f"Live after {self._live_since - self.started:.0f} s.\n" + "\n".join(self._link_lines()))

    def _link_lines(self) -> list[str]:
        return [f"  {name:<12} {where}" for name, where in self.links.items()]

    def _sandbox_service(self) -> Service:
        port = self.config.base_url.rpartition(":")[2]
        arguments = ["sandbox", "--port", port, "--gateway", self.config.gateway_url, "--seed", str(self.config.seed)]
        if self.system.settings.zillow_folder:
            arguments += ["--zillow-folder", str(self.system.settings.zillow_folder.absolute())]
        variables = {"LEADPIPE_HOME": str(self.system.home)}
        return Service(
            name=SANDBOX,
            command=(sys.executable, "-m", "leadpipe.cli.main", *arguments),
            environment=services.child_environment(variables, without=self.system.without),
            cwd=self.system.home,
            is_ready=services.answers(f"{self.config.base_url}/_control/clock"),
        )

    # what happens

    def act(self, stop: threading.Event) -> None:
        """Let people arrive and the days' work be done; a thread of its own runs this."""
        with self._reporting():
            window = self._begin_arrivals()
            calendar = threading.Thread(target=self._turn_the_calendar, args=(window, stop), daemon=True)
            calendar.start()
            self._do_the_nights_work(window, stop)
            if self.leads is None:
                self._arrive_for_ever(stop)

    def _do_the_nights_work(self, window: float, stop: threading.Event) -> None:
        """Market, model and scores; a backfill and what it planned; the nightly run."""
        if not self.aged or self._wait(self._live_since + DATA_AT * window, stop):
            return
        for job in DATA_JOBS:
            self._run_job(job)
        self._tell("market data, model and scores are fresh")
        if not self._wait(self._live_since + BACKFILL_AT * window, stop):
            self._run_backfill()
        if not self._wait(self._live_since + NIGHTLY_AT * window, stop):
            self._run_nightly()

    def _turn_the_calendar(self, window: float, stop: threading.Event) -> None:
        """One jump to the next morning, which has new homes."""
        from leadpipe.sandbox.control import jump_all

        with self._reporting():
            if self._wait(self._live_since + JUMP_AT * window, stop):
                return
            clock = jump_all(self.sandbox, self.runtime.engine, JUMP)
            self._tell(f"the calendar jumps to {clock.now:%A %H:%M} UTC")
            self._run_job(LISTINGS_JOB)
            self._tell("listings of the new day are in")

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
        if self.leads:
            self.sandbox.populate(new=self.leads, seconds=window)
            self._tell(f"{self.leads} new leads arrive over {window:.0f} s")
        elif self.leads is None and self.exit_after is not None:
            count = max(1, round(window * LEADS_PER_BATCH / BATCH_SECONDS))
            self.sandbox.populate(new=count, seconds=window)
            self._tell(f"{count} new leads arrive over {window:.0f} s")
        elif self.leads is None:
            count = round(window * LEADS_PER_BATCH / BATCH_SECONDS)
            self.sandbox.populate(new=count, seconds=window)
            self._tell("new leads arrive, one in four seconds")
        return window

    def _arrive_for_ever(self, stop: threading.Event) -> None:
        next_at = self._live_since + ENDLESS_WINDOW_SECONDS
        while self.exit_after is None and not self._wait(next_at, stop):
            self.sandbox.populate(new=LEADS_PER_BATCH, seconds=BATCH_SECONDS)
            next_at += BATCH_SECONDS

    def _run_backfill(self) -> None:
        """Plan a year of cohorts through Dagster, as the UI does, then enqueue what was planned."""
        partitions = cohorts_before(self.runtime.clock.now().date())
        backfill = self.dagster.launch_backfill([QUEUE_ASSET], partitions, title="Demo: a year of cohorts")
        self._tell(f"backfill of {len(partitions)} cohorts: {partitions[0]} to {partitions[-1]}")
        self._until("the backfill", lambda: self.dagster.backfill_status(backfill), "COMPLETED_SUCCESS")
        before = self._count_reactivations()
        self._run_job(ENQUEUE_JOB)
        enqueued = self._count_reactivations() - before
        self._backfill = Backfilled(partitions=len(partitions), enqueued=enqueued)
        self._tell(f"backfill finished; {enqueued} messages enqueued from it")

    def _run_nightly(self) -> None:
        before = self._count_reactivations()
        self._tell("nightly reactivation launched")
        self._run_job(NIGHTLY_JOB)
        planned = self.runtime.lake.query("select count(*) as n from outreach.queue where outcome = 'planned'")
        enqueued = self._count_reactivations() - before
        self._reactivation = Planned(planned=int(planned["n"][0].as_py()), enqueued=enqueued)
        self._tell(f"nightly run finished: {self._reactivation.planned} planned, {enqueued} enqueued")

    def _run_job(self, job: str) -> None:
        run = self.dagster.launch_job(job)
        self._until(job, lambda: self.dagster.status_of(run), "SUCCESS")

    def _count_reactivations(self) -> int:
        from sqlalchemy import text

        with self.runtime.engine.connect() as connection:
            return int(
                connection.execute(
                    text("select count(*) from ledger.messages where plan = 'reactivation'")
                ).scalar_one()
            )

    def _until(self, what: str, status: Callable[[], str], wanted: str) -> None:
        """Wait until its status is the wanted one.

        Raises:
            TransientError: it failed, or the demo ends before.
        """
        found = ""
        while not self._over.wait(1):
            with suppress(TransientError):
                found = status()
            if found == wanted:
                return
            if found in {"FAILURE", "CANCELED", "FAILED", "COMPLETED_FAILED"}:
                raise TransientError(f"{what} failed; see {self.system.dagster_url}/runs")
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

    # looking

    def snapshot(self) -> Snapshot:
        """The system now; a part that does not answer keeps its last figures."""
        from sqlalchemy.exc import OperationalError

        try:
            with self.runtime.engine.connect() as connection:
                snapshot = look(connection, at=self.runtime.clock.now())
            snapshot.leads_in = int(self.sandbox.summary()["leads_new"])
            snapshot.runs = self._runs()
        except (OperationalError, TransientError):
            return self._last
        snapshot.restarts = self.system.supervisor.count_restarts
        self._last = snapshot
        return snapshot

    def _runs(self) -> dict[str, int]:
        return {
            "ok": self.dagster.count_runs(("SUCCESS",)),
            "failed": self.dagster.count_runs(FAILED),
            "running": self.dagster.count_runs(UNDER_WAY),
        }

    def report(self) -> Report:
        """Both sides compared."""
        runs = self._runs()
        return build_report(
            sandbox=self.sandbox,
            engine=self.runtime.engine,
            now=self.runtime.clock.now(),
            reactivation=self._reactivation,
            backfill=self._backfill,
            runs={"ok": runs["ok"], "failed": runs["failed"]},
            failure=self.failure,
        )
