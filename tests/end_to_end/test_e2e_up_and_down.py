"""``leadpipe up`` and ``leadpipe down`` as a user runs them: everything serves, one at a time, and all of it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from leadpipe.cli.services import free_port
from leadpipe.store.server import EmbeddedServer
from tests.end_to_end.conftest import Finished

pytestmark = pytest.mark.e2e


def leadpipe(*arguments: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leadpipe.cli.main", *arguments]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=180)


def test_up_serves_everything_refuses_a_second_start_and_down_ends_it_all(
    place: Callable[[str], Path], finished: Finished
) -> None:
    assert finished.report  # one system at a time on a small machine
    folder = place("up")
    (folder / ".env").unlink()
    home, gateway, dagster = folder / "home", free_port(), free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("LEADPIPE_", "AWS_"))}
    env |= {
        "LEADPIPE_HOME": str(home),
        "LEADPIPE_GATEWAY_PORT": str(gateway),
        "LEADPIPE_DAGSTER_PORT": str(dagster),
        "LEADPIPE_FUB_BASE_URL": "http://127.0.0.1:1/v1",
    }
    command = [sys.executable, "-m", "leadpipe.cli.main", "up"]
    process = subprocess.Popen(
        command,
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said: list[str] = []
        while "Everything runs" not in (said[-1] if said else ""):
            said.append(process.stdout.readline())
            assert said[-1], "".join(said)
        family = psutil.Process(process.pid).children(recursive=True)
        assert "sending is off" in "".join(said)
        assert httpx.get(f"http://127.0.0.1:{gateway}/healthz", timeout=10).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{dagster}/server_info", timeout=10).status_code == 200

        second = leadpipe("up", env=env, cwd=folder)
        assert second.returncode == 2
        assert "already runs" in second.stderr
        assert "leadpipe down" in second.stderr

        down = leadpipe("down", env=env, cwd=folder)
        assert down.returncode == 0, down.stderr
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    _, alive = psutil.wait_procs(family, timeout=15)
    assert [each.cmdline() for each in alive] == []
    assert not EmbeddedServer(home).status().is_running
    again = leadpipe("down", env=env, cwd=folder)
    assert (again.returncode, "Nothing" in again.stdout) == (0, True)
