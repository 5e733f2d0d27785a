"""The system that a chaos run torments: real processes in a home of their own, against a sandbox.

What lives here: set-up, which process is of which kind, and how each dies and is known to be back. What does not: when
(``kills``), the load (``load``), keeping processes alive (``cli.supervisor``).

The sandbox never dies: it is the truth.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from leadpipe.chaos.script import Kind
from leadpipe.chaos.traps import Traps
from leadpipe.chaos.weather import bad_weather
from leadpipe.cli import services
from leadpipe.cli.sandbox_world import SandboxWorld
from leadpipe.cli.services import CODE_SERVER, DAEMON, GATEWAY, SANDBOX, WEBSERVER, Service
from leadpipe.errors import TransientError
from leadpipe.store.server import EmbeddedServer

if TYPE_CHECKING:
    from pathlib import Path

    from leadpipe.cli.system import Tell

JOBS = "jobs"
READY_SECONDS = 120.0
# A killed process that comes back at once is killed oftener.
RESTART_SECONDS = 0.05
WORKER_CONCURRENCY = 4
STARTED_SECONDS = 1.5
# Aged people answer oftener than real ones: a reply is where most of the races are.
ANSWER_SHARE = 0.25
# FUB's limits would make the first sync of thousands the longest part of the run.
SYNC_LIMITS = {"events": 100_000, "global": 100_000}
# The rooms of traps: run processes of Dagster, or the plain loop that stands for them.
RUNS = "runs"


@dataclass(kw_only=True)
class ChaosWorld(SandboxWorld):
    """One system and its sandbox; the driver's own runtime never meets a trap.

    Attributes:
        count_workers: send workers beside each other.
        with_dagster: Dagster's daemon, code server and webserver; without it one plain process does all its jobs.
        without: safeguards taken away from the workers (``messaging.safeguards``).
    """

    count_workers: int
    with_dagster: bool
    without: tuple[str, ...] = ()

    @cached_property
    def traps(self) -> dict[str, Traps]:
        """Traps by the room whose processes look for them."""
        return {room: Traps(self._trap_folder(room)) for room in (Kind.WORKER, Kind.GATEWAY, RUNS)}

    @cached_property
    def server(self) -> EmbeddedServer:
        """The database's server."""
        return EmbeddedServer(self.system.settings.home)

    # coming up

    def set_up(self, *, aged: int, pace: float, stop: threading.Event, tell: Tell) -> None:
        """Everything up and synced, the weather still fair.

        Raises:
            TransientError: a part does not come up; names its log.
        """
        from leadpipe.clock import set_offset
        from leadpipe.crm import webhooks
        from leadpipe.work.poll import poll

        supervisor = self.system.supervisor
        supervisor.start(services.sandbox_service(self.config, home=self.system.home, without=self.system.without))
        self.system.set_up(self.runtime)
        supervisor.wait_until_ready((SANDBOX,), timeout_seconds=READY_SECONDS, stop=stop)
        set_offset(self.runtime.engine, self.sandbox.clock().offset)
        self.sandbox.configure(pace=pace, carrier_pace=pace, aged_answer_share=ANSWER_SHARE)
        self.sandbox.set_limits(SYNC_LIMITS)
        self.sandbox.populate(aged=aged)
        supervisor.start(self._often(services.gateway_service(
            self._environment(Kind.GATEWAY), home=self.system.home, port=self.system.ports.gateway
        )))  # fmt: skip
        tell(f"First sync: {aged} aged leads ...")
        done = poll(self.runtime)
        if done.failures:
            raise TransientError(f"the first sync failed: {'; '.join(done.failures)}")
        self.look_numbers_up()
        supervisor.wait_until_ready((GATEWAY,), timeout_seconds=READY_SECONDS, stop=stop)
        webhooks.install(self.runtime.crm, self.system.settings)
        self._start_runs(stop, tell)
        for number in range(self.count_workers):
            supervisor.start(self._worker(number))

    def worsen(self) -> None:
        """Let the weather turn bad."""
        self.sandbox.set_faults(bad_weather())

    def _start_runs(self, stop: threading.Event, tell: Tell) -> None:
        supervisor, home = self.system.supervisor, self.system.home
        # Beside Dagster as well: a run of Dagster's takes seconds to start, a step is to be met many times a minute.
        command = (sys.executable, "-m", "leadpipe.chaos.jobs", "beside-dagster" if self.with_dagster else "alone")
        jobs = Service(name=JOBS, command=command, environment=self._environment(RUNS), cwd=home)
        supervisor.start(self._often(jobs))
        if not self.with_dagster:
            return
        tell("Starting Dagster ...")
        parts = services.dagster_services(
            self._environment(RUNS),
            home=home,
            workspace=home / "workspace.yaml",
            code_port=self.system.ports.code_server,
            ui_port=self.system.ports.dagster,
        )
        for part in parts:
            supervisor.start(self._often(part))
            supervisor.wait_until_ready((part.name,), timeout_seconds=READY_SECONDS, stop=stop)

    def _worker(self, number: int) -> Service:
        environment = self._environment(Kind.WORKER)
        if self.without:
            environment["LEADPIPE_CHAOS_WITHOUT"] = ",".join(self.without)
        arguments = ("send-worker", "--concurrency", str(WORKER_CONCURRENCY), "--no-env-file")
        return self._often(
            Service(
                name=f"worker-{number}",
                command=(sys.executable, "-m", "leadpipe.cli.main", *arguments),
                environment=environment,
                cwd=self.system.home,
            )
        )

    def _often(self, service: Service) -> Service:
        return replace(service, restart_after_seconds=RESTART_SECONDS)

    def _environment(self, room: str) -> dict[str, str]:
        folder = self._trap_folder(room)
        folder.mkdir(parents=True, exist_ok=True)
        return self.system.environment | {"LEADPIPE_FAILPOINTS": str(folder)}

    def run_environment(self) -> dict[str, str]:
        """The environment of a process that does what a run does."""
        return self._environment(RUNS)

    def _trap_folder(self, room: str) -> Path:
        return self.system.home / "failpoints" / room

    # dying

    def names_of(self, kind: Kind) -> list[str]:
        """The services of a kind; PostgreSQL is none."""
        if kind is Kind.WORKER:
            return [f"worker-{number}" for number in range(self.count_workers)]
        if kind is Kind.GATEWAY:
            return [GATEWAY]
        return [JOBS, DAEMON, CODE_SERVER] if self.with_dagster else [JOBS]

    def kill(self, kind: Kind, luck: float) -> bool:
        """Kill one process of this kind, whatever it does; False when none lives just now."""
        pids = self._postgres_pids() if kind is Kind.POSTGRES else self._pids(kind)
        if not pids:
            return False
        with suppress(ProcessLookupError):
            os.kill(pids[int(luck * len(pids))], signal.SIGKILL)
        return True

    def _pids(self, kind: Kind) -> list[int]:
        found = [self.system.supervisor.pid_of(name) for name in self.names_of(kind)]
        pids = [pid for pid in found if pid is not None]
        if kind is Kind.WORKER:
            # One that is still starting has nothing to lose.
            pids = [pid for pid in pids if _age_seconds(pid) > STARTED_SECONDS]
        if kind is Kind.DAEMON:
            pids += self._children(JOBS) + (self._children(CODE_SERVER) if self.with_dagster else [])
        return pids

    def _children(self, name: str) -> list[int]:
        """The processes that do the work of a service: run processes of the code server, the child of the jobs."""
        import psutil

        pid = self.system.supervisor.pid_of(name)
        if pid is None:
            return []
        with suppress(psutil.Error):
            children = psutil.Process(pid).children(recursive=True)
            # The code server's first child keeps track of shared resources and runs nothing.
            return [child.pid for child in children if name == JOBS or "spawn_main" in " ".join(child.cmdline())]
        return []

    def postmaster(self) -> int | None:
        """PostgreSQL's first process while it answers."""
        status = self.server.status()
        return status.pid if status.is_running else None

    def _postgres_pids(self) -> list[int]:
        """The postmaster, and one of its sessions: the death of either ends every transaction under way."""
        import psutil

        postmaster = self.postmaster()
        if postmaster is None:
            return []
        sessions: list[int] = []
        with suppress(psutil.Error):
            children = psutil.Process(postmaster).children()
            sessions = [child.pid for child in children if "idle" in " ".join(child.cmdline())]
        return [postmaster, *sessions[:1]]

    def wait_until_back(self, kind: Kind, *, stop: threading.Event) -> None:
        """Return once every process of this kind is there again, or the run is over."""
        deadline = time.monotonic() + READY_SECONDS
        while not stop.wait(0.02):
            if self._is_back(kind):
                return
            if time.monotonic() > deadline:
                raise TransientError(f"{kind} does not come back after {READY_SECONDS:.0f} s")

    def _is_back(self, kind: Kind) -> bool:
        if kind is Kind.POSTGRES:
            return self.postmaster() is not None
        names = self.names_of(kind)
        if not all(self.system.supervisor.is_running(name) for name in names):
            return False
        return kind is not Kind.GATEWAY or services.answers(f"{self.config.gateway_url}/healthz")()

    # calming down

    def end_runs(self) -> None:
        """Stop Dagster or what stands for it; the driver does what is left."""
        self.system.supervisor.stop(JOBS, *([DAEMON, WEBSERVER, CODE_SERVER] if self.with_dagster else []))

    def calm(self) -> None:
        """No trap, no fault, and nobody answers any more."""
        for traps in self.traps.values():
            traps.disarm()
        self.sandbox.set_faults({})
        self.sandbox.configure(new_answer_share=0.0, aged_answer_share=0.0)


def _age_seconds(pid: int) -> float:
    """How long this process has run; nothing when it is over."""
    import psutil

    with suppress(psutil.Error):
        return time.time() - psutil.Process(pid).create_time()
    return 0.0
