"""The supervisor against real child processes: restarted, stopped with all they started, one lock a home."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from leadpipe.cli import supervisor as supervisor_module
from leadpipe.cli.supervisor import Service, ask_to_stop, end_left_overs, is_supervised, services_alive, supervising
from leadpipe.errors import ConfigurationError, TransientError

# A service that starts a worker of its own, writes both process ids and stays.
PARENT = """
import os, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "a").write(f"{os.getpid()} {worker.pid}\\n")
time.sleep(600)
"""


def service(home: Path, name: str = "worker", code: str = PARENT) -> Service:
    return Service(
        name=name,
        command=(sys.executable, "-c", code, str(home / f"{name}.pids")),
        environment=dict(os.environ),
        cwd=home,
        is_ready=(home / f"{name}.pids").exists,
    )


def pids(home: Path, name: str = "worker") -> list[list[int]]:
    path = home / f"{name}.pids"
    return [[int(pid) for pid in line.split()] for line in path.read_text().splitlines()] if path.exists() else []


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def until(is_done: Callable[[], bool], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def started(home: Path, supervisor: supervisor_module.Supervisor) -> list[int]:
    supervisor.start(service(home))
    supervisor.wait_until_ready(("worker",), timeout_seconds=10, stop=threading.Event())
    return pids(home)[0]


def test_a_service_that_dies_is_restarted_after_its_pause_without_its_old_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "BACKOFF_SECONDS", (0.2,))
    with supervising(tmp_path) as supervisor:
        parent, worker = started(tmp_path, supervisor)
        psutil.Process(parent).kill()
        until(lambda: not supervisor.is_running("worker"))
        supervisor.watch()
        until(lambda: not is_alive(worker))
        assert len(pids(tmp_path)) == 1

        def is_restarted() -> bool:
            supervisor.watch()
            return len(pids(tmp_path)) == 2

        until(is_restarted)
        assert supervisor.count_restarts == 1


def test_pauses_grow_while_a_service_keeps_dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "BACKOFF_SECONDS", (0.05, 0.4))
    with supervising(tmp_path) as supervisor:
        supervisor.start(service(tmp_path, code="import sys, time; print(time.time(), flush=True)"))

        def starts() -> list[float]:
            supervisor.watch()
            return [float(line) for line in (supervisor.logs / "worker.log").read_text().split()]

        until(lambda: len(starts()) >= 3)
        first, second, third = starts()[:3]
    assert second - first < third - second
    assert third - second >= 0.4


def test_stopping_ends_the_services_and_everything_they_started(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        family = started(tmp_path, supervisor)
        assert all(is_alive(pid) for pid in family)
    until(lambda: not any(is_alive(pid) for pid in family))
    assert not is_supervised(tmp_path)


def test_a_service_that_ignores_the_request_to_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_TIMEOUT_SECONDS", 0.3)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PARENT
    with supervising(tmp_path) as supervisor:
        supervisor.start(service(tmp_path, code=deaf))
        supervisor.wait_until_ready(("worker",), timeout_seconds=10, stop=threading.Event())
        family = pids(tmp_path)[0]
        assert all(is_alive(pid) for pid in family)
    until(lambda: not any(is_alive(pid) for pid in family))


def test_a_second_supervisor_of_the_same_home_is_refused_and_told_how_to_stop_the_first(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        started(tmp_path, supervisor)
        with pytest.raises(ConfigurationError, match=r"already runs.*leadpipe down"), supervising(tmp_path):
            pass
        assert supervisor.is_running("worker")


def test_a_service_that_never_serves_is_named_with_its_log(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        supervisor.start(service(tmp_path, code="import time; time.sleep(60)"))
        with pytest.raises(TransientError, match=r"worker does not serve.*worker\.log"):
            supervisor.wait_until_ready(("worker",), timeout_seconds=0.3, stop=threading.Event())


def test_a_planned_restart_replaces_a_healthy_process(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        aged = service(tmp_path)
        supervisor.start(
            Service(
                name=aged.name,
                command=aged.command,
                environment=aged.environment,
                cwd=aged.cwd,
                restart_every_seconds=0.2,
            )
        )
        until(lambda: len(pids(tmp_path)) == 1)
        time.sleep(0.3)
        supervisor.watch()
        until(lambda: len(pids(tmp_path)) == 2)
        first, second = pids(tmp_path)
        assert first != second


KILLED_SUPERVISOR = """
import os, signal, sys, time, threading
from pathlib import Path
from leadpipe.cli.supervisor import Service, stop_signals, supervising
home = Path(sys.argv[1])
with stop_signals() as stop, supervising(home) as supervisor:
    supervisor.start(Service(name="worker", command=(sys.executable, "-c", sys.argv[2], str(home / "worker.pids")),
                             environment=dict(os.environ), cwd=home))
    while not stop.wait(0.1):
        supervisor.watch()
"""


def supervisor_process(home: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", textwrap.dedent(KILLED_SUPERVISOR), str(home), PARENT]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    # The service may have written first.
    until(lambda: len(pids(home)) == 1 and services_alive(home) == {"worker": True})
    return process


def test_a_killed_supervisor_leaves_services_that_the_next_start_ends(tmp_path: Path) -> None:
    process = supervisor_process(tmp_path)
    family = pids(tmp_path)[0]
    process.kill()
    process.wait()
    assert is_alive(family[0])
    with supervising(tmp_path):
        until(lambda: not any(is_alive(pid) for pid in family))


def test_left_overs_are_ended_without_a_new_start_too(tmp_path: Path) -> None:
    process = supervisor_process(tmp_path)
    family = pids(tmp_path)[0]
    process.kill()
    process.wait()
    assert end_left_overs(tmp_path) == 1
    until(lambda: not any(is_alive(pid) for pid in family))
    assert end_left_overs(tmp_path) == 0


def test_a_process_that_took_over_a_left_over_s_id_is_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        found = tmp_path.stat()
        left = {"name": "worker", "pid": bystander.pid, "created": 12345.0}
        state = json.dumps({"home": [found.st_dev, found.st_ino], "services": [left]})
        (tmp_path / supervisor_module.STATE_FILE).write_text(state)
        assert end_left_overs(tmp_path) == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_copied_home_ends_nothing_of_the_one_it_was_copied_from(tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    home.mkdir()
    process = supervisor_process(home)
    family = pids(home)[0]
    shutil.copytree(home, copy)
    assert end_left_overs(copy) == 0
    with supervising(copy):
        assert all(is_alive(pid) for pid in family)
    process.kill()
    process.wait()
    assert end_left_overs(home) == 1


def test_a_supervisor_that_has_just_begun_is_asked_once_it_says_who_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = supervisor_process(tmp_path)
    told, read = iter([{}, {}]), supervisor_module._state
    monkeypatch.setattr(supervisor_module, "_state", lambda home: next(told, None) or read(home))
    assert ask_to_stop(tmp_path, timeout_seconds=20)
    assert process.wait(5) == 0


def test_asking_a_supervisor_to_stop_waits_until_everything_is_gone(tmp_path: Path) -> None:
    process = supervisor_process(tmp_path)
    family = pids(tmp_path)[0]
    assert is_supervised(tmp_path)
    assert ask_to_stop(tmp_path, timeout_seconds=20)
    assert process.wait(5) == 0
    assert not any(is_alive(pid) for pid in family)
    assert not ask_to_stop(tmp_path, timeout_seconds=1)
