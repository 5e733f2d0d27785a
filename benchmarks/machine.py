"""What a figure costs the machine: processor seconds of a process and of the embedded PostgreSQL.

What lives here: reading them. What does not: any figure. On a machine that does other things too, seconds of the wall
say little and these still say what a message or a webhook costs.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

from leadpipe.store.server import EmbeddedServer


def cpu_seconds(pid: int) -> float:
    """What a running process has computed so far."""
    spent = psutil.Process(pid).cpu_times()
    return spent.user + spent.system


def server_cpu_seconds(home: Path) -> float:
    """What PostgreSQL has computed so far: the postmaster with the children it has buried, and those that live."""
    postmaster = psutil.Process(EmbeddedServer(home).status().pid)
    buried = postmaster.cpu_times()
    total = buried.user + buried.system + buried.children_user + buried.children_system
    for child in postmaster.children():
        with suppress(psutil.Error):
            total += cpu_seconds(child.pid)
    return total
