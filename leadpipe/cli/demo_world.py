"""The demo's world: the system, the sandbox it works against, and what is seen of both.

What lives here: set-up, links, snapshots and the report. What does not: what happens in it (``demo_script``), the
sandbox itself (``leadpipe.sandbox``).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from leadpipe.cli import services
from leadpipe.cli.dagster_api import FAILED, UNDER_WAY, DagsterApi
from leadpipe.cli.live_view import Snapshot, look
from leadpipe.cli.report import Backfilled, Planned, Report, build_report
from leadpipe.cli.sandbox_world import SandboxWorld
from leadpipe.cli.services import SANDBOX
from leadpipe.clock import WallClock
from leadpipe.errors import LeadpipeError, TransientError

if TYPE_CHECKING:
    from leadpipe.cli.system import Tell

READY_SECONDS = 120


@dataclass(kw_only=True)
class World(SandboxWorld):
    """One demo's parts, Dagster's too; use it inside ``closing``."""

    _last: Snapshot | None = field(default=None, repr=False)
    _closes: ClassVar[tuple[str, ...]] = ("dagster", *SandboxWorld._closes)

    @cached_property
    def dagster(self) -> DagsterApi:
        """The running Dagster."""
        return DagsterApi(self.system.dagster_url)

    @property
    def links(self) -> dict[str, str]:
        """Where to look while it runs."""
        home = self.system.home
        return {
            "Dagster UI": self.system.dagster_url,
            "Asset graph": f"{self.system.dagster_url}/asset-groups",
            "Gateway": f"{self.config.gateway_url}/healthz",
            "Truth": f"{self.config.base_url}/_truth/messages",
            "SQL": f"LEADPIPE_HOME={home} leadpipe sql",
            "Logs": str(home / "logs"),
        }

    def set_up(self, *, aged: int, stop: threading.Event, tell: Tell) -> None:
        """Sandbox, stores, gateway, webhooks, the first sync, Dagster; nobody has arrived yet.

        Raises:
            TransientError: a part does not come up; names its log.
        """
        from leadpipe.clock import set_offset
        from leadpipe.crm import webhooks

        supervisor = self.system.supervisor
        tell(f"Setting up in {self.system.home} ...")
        sandbox = services.sandbox_service(
            self.config,
            home=self.system.home,
            zillow_folder=self.system.settings.zillow_folder,
            without=self.system.without,
        )
        supervisor.start(sandbox)
        self.system.set_up(self.runtime)
        supervisor.wait_until_ready((SANDBOX,), timeout_seconds=READY_SECONDS, stop=stop)
        set_offset(self.runtime.engine, self.sandbox.clock().offset)
        if aged:
            self.sandbox.populate(aged=aged)
        self.system.start_gateway(stop)
        webhooks.install(self.runtime.crm, self.system.settings)
        tell(f"First sync: {aged} aged leads ...")
        self.system.start_dagster(stop, meanwhile=self._sync)
        deadline = time.monotonic() + READY_SECONDS
        while not self.dagster.is_loaded() and not stop.wait(0.5):
            if time.monotonic() > deadline:
                raise TransientError(f"Dagster does not load the definitions; see {supervisor.logs}/code-server.log")

    def _sync(self) -> None:
        """The first sync, which goes live before it reads anyone: whom it finds is never welcomed."""
        from leadpipe.work.poll import poll

        done = poll(self.runtime)
        if done.failures:
            raise TransientError(f"the first sync failed: {'; '.join(done.failures)}")
        self.look_numbers_up()

    def snapshot(self) -> Snapshot:
        """The world now; while a part does not answer, the last figures stand."""
        from sqlalchemy.exc import DBAPIError

        try:
            with self.runtime.engine.connect() as connection:
                snapshot = look(connection, at=self.runtime.clock.now())
            snapshot.leads_in = int(self.sandbox.summary()["leads_new"])
            snapshot.runs = self._runs()
        # With PostgreSQL away the ledger refuses, and Dagster answers every query with an error.
        except (DBAPIError, LeadpipeError):
            if self._last is None:
                raise
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

    def report(self, *, reactivation: Planned, backfill: Backfilled, failure: str, is_interrupted: bool) -> Report:
        """The sandbox's truth compared with the ledger, and what Dagster ran."""
        runs = self._runs()
        return build_report(
            sandbox=self.sandbox,
            engine=self.runtime.engine,
            now=self.runtime.clock.now(),
            wall=WallClock().now(),
            reactivation=reactivation,
            backfill=backfill,
            runs={"ok": runs["ok"], "failed": runs["failed"]},
            failure=failure,
            is_interrupted=is_interrupted,
        )
