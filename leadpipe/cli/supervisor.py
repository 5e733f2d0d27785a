"""The supervisor: child processes in their own groups, restarted when they die, stopped together.

What lives here: one lock a home, starting, watching, stopping, and what a killed supervisor leaves behind. What does
not: which services there are (``services``), what the demo does with them (``demo``).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog

from leadpipe.errors import ConfigurationError, TransientError

log = structlog.get_logger()

BACKOFF_SECONDS = (1, 2, 4, 8, 15, 30)
# One that ran this long is healthy again: its next death waits the shortest pause.
HEALTHY_AFTER_SECONDS = 60
STOP_TIMEOUT_SECONDS = 10
LOG_LIMIT_BYTES = 20_000_000
LOCK_FILE = "supervisor.lock"
STATE_FILE = "supervisor.json"


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process to keep alive.

    Attributes:
        is_ready: tells whether it serves; None means as soon as it runs.
        restart_every_seconds: a planned restart; the Dagster daemon's memory creeps up over weeks (dagster #32070).
        restart_after_seconds: the pause after every death; None grows it, for what dies of a fault of its own.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    cwd: Path
    is_ready: Callable[[], bool] | None = None
    restart_every_seconds: float | None = None
    restart_after_seconds: float | None = None


@dataclass(kw_only=True)
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    started_at: float
    deaths: int = 0
    restart_at: float | None = None


@dataclass(kw_only=True)
class Supervisor:
    """Keeps the services of one home running; use it inside ``supervising``."""

    home: Path
    _children: dict[str, _Child] = field(default_factory=dict[str, _Child])
    count_restarts: int = 0

    @property
    def logs(self) -> Path:
        """The folder of the services' logs."""
        return self.home / "logs"

    def start(self, service: Service) -> None:
        """Start one service; it is restarted from now on whenever it ends."""
        self._children[service.name] = _Child(
            service=service, process=self._spawn(service), started_at=time.monotonic()
        )
        self._write_state()

    def wait_until_ready(self, names: tuple[str, ...], *, timeout_seconds: float, stop: threading.Event) -> None:
        """Return when each named service serves, or when ``stop`` is set.

        Raises:
            TransientError: one does not come up in time; names its log.
        """
        deadline = time.monotonic() + timeout_seconds
        for name in names:
            service = self._children[name].service
            while service.is_ready is not None and not service.is_ready():
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"{name} does not serve after {timeout_seconds:.0f} s; see {self.logs / (name + '.log')}"
                    )
                if stop.wait(0.1):
                    return
                self.watch()

    def watch(self) -> None:
        """Restart what has died, after its pause; call it about once a second."""
        now = time.monotonic()
        for child in self._children.values():
            if child.restart_at is not None:
                if now >= child.restart_at:
                    self._restart(child)
                continue
            ran = now - child.started_at
            if child.process.poll() is not None:
                child.deaths = 1 if ran > HEALTHY_AFTER_SECONDS else child.deaths + 1
                pause = child.service.restart_after_seconds
                if pause is None:
                    pause = BACKOFF_SECONDS[min(child.deaths, len(BACKOFF_SECONDS)) - 1]
                # What it started must not outlive it: a restarted code server would run beside its old workers.
                _signal_group(child.process.pid, signal.SIGKILL)
                log.warning(
                    "service ended", service=child.service.name, code=child.process.returncode, again_in_seconds=pause
                )
                child.restart_at = now + pause
            elif child.service.restart_every_seconds and ran > child.service.restart_every_seconds:
                _stop_groups([child.process])
                child.deaths = 0
                self._restart(child)

    def is_running(self, name: str) -> bool:
        """Whether the named service's process is alive."""
        child = self._children.get(name)
        return child is not None and child.process.poll() is None

    def pid_of(self, name: str) -> int | None:
        """The named service's process id while it is alive."""
        child = self._children.get(name)
        return child.process.pid if child is not None and child.process.poll() is None else None

    def stop(self, *names: str) -> None:
        """Stop the named services for good, or all of them; whatever resists is killed."""
        wanted = [self._children.pop(name) for name in (names or tuple(self._children)) if name in self._children]
        _stop_groups([child.process for child in wanted])
        self._write_state()

    def _restart(self, child: _Child) -> None:
        child.process = self._spawn(child.service)
        child.started_at, child.restart_at = time.monotonic(), None
        self.count_restarts += 1
        self._write_state()

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{service.name}.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as words:
            return subprocess.Popen(
                service.command,
                env=service.environment,
                cwd=service.cwd,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _write_state(self) -> None:
        services = [
            {"name": name, "pid": child.process.pid, "created": _created(child.process.pid)}
            for name, child in self._children.items()
        ]
        part = self.home / f".{STATE_FILE}"
        part.write_text(json.dumps({"home": _identity(self.home), "pid": os.getpid(), "services": services}))
        part.replace(self.home / STATE_FILE)


@contextmanager
def supervising(home: Path) -> Generator[Supervisor]:
    """The one supervisor of ``home``; at the end everything it started is stopped.

    Raises:
        ConfigurationError: another one holds the home, or it is no folder.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigurationError(f"{home} is no folder; set LEADPIPE_HOME to one") from None
    with (home / LOCK_FILE).open("a+") as lock:
        if not _try_lock(lock):
            pid = _state(home).get("pid", "unknown")
            raise ConfigurationError(
                f"leadpipe already runs in {home} (process {pid}); "
                f"stop it with `LEADPIPE_HOME={home} leadpipe down`, or set LEADPIPE_HOME to another folder"
            )
        end_left_overs(home)
        supervisor = Supervisor(home=home)
        try:
            yield supervisor
        finally:
            supervisor.stop()
            (home / STATE_FILE).unlink(missing_ok=True)


@contextmanager
def stop_signals() -> Generator[threading.Event]:
    """An event that SIGINT and SIGTERM set; the handlers before come back at the end. Main thread only."""
    stop = threading.Event()

    def told(_number: int, _frame: object) -> None:
        stop.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_supervised(home: Path) -> bool:
    """Whether a supervisor holds this home."""
    path = home / LOCK_FILE
    if not path.exists():
        return False
    with path.open("a+") as lock:
        return not _try_lock(lock)


def services_alive(home: Path) -> dict[str, bool]:
    """Whether each service that this home's supervisor wrote down is alive now, by name."""
    return {row["name"]: _created(row["pid"]) == row["created"] is not None for row in _state(home).get("services", [])}


def ask_to_stop(home: Path, *, timeout_seconds: float) -> bool:
    """Ask this home's supervisor to stop everything and wait; False when there is none.

    Raises:
        TransientError: it does not stop in time.
    """
    if not is_supervised(home):
        return False
    pid, deadline = 0, time.monotonic() + timeout_seconds
    while is_supervised(home):
        # One that has just begun holds the home before it has written down who it is.
        if not pid and (pid := int(_state(home).get("pid", 0))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if time.monotonic() > deadline:
            who, how = (f"process {pid}", f"; end it with `kill {pid}`") if pid else ("who holds this home", "")
            raise TransientError(f"{who} does not stop after {timeout_seconds:.0f} s{how}")
        time.sleep(0.1)
    return True


def end_left_overs(home: Path) -> int:
    """End the services that a killed supervisor left running; returns how many."""
    count = 0
    for row in _state(home).get("services", []):
        if _created(row["pid"]) == row["created"] is not None:
            _signal_group(row["pid"], signal.SIGKILL)
            count += 1
    return count


def _state(home: Path) -> dict[str, Any]:
    """What the supervisor of this home left; nothing where the folder is a copy, whose file names the original's."""
    try:
        state = json.loads((home / STATE_FILE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return state if state.get("home") == _identity(home) else {}


def _identity(home: Path) -> list[int]:
    """Which folder this is on this machine, whatever it is called: a copy is another."""
    found = home.stat()
    return [found.st_dev, found.st_ino]


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _created(pid: int) -> float | None:
    """When that process began, None when it is over: a reused process id began at another time."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _stop_groups(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        _signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
    for process in processes:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
