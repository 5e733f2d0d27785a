"""A demo's world in a temporary home, for figures of the running system.

What lives here: bringing it up and taking it away. What does not: the world itself (``leadpipe.cli.demo_world``), what
is measured in it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from leadpipe.cli.database import database
from leadpipe.cli.demo import FOREIGN, enter_demo_world
from leadpipe.cli.demo_world import World
from leadpipe.cli.services import free_port
from leadpipe.cli.supervisor import stop_signals, supervising
from leadpipe.cli.system import Ports, System
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.setting_loading import load_settings

# The CRM's own limits would stretch the first sync of 100,000 people over an hour, which is not what is measured.
BULK_LIMITS = {"global": 100_000, "events": 100_000}
CAPS = ("RUN", "HOUR", "DAY", "NUMBER_PER_DAY", "PLAN_PER_DAY")


class PatientWorld(World):
    """A world whose CRM lets a big first sync through."""

    def _sync(self) -> None:
        httpx.post(f"{self.config.base_url}/_control/limits", json=BULK_LIMITS, timeout=10).raise_for_status()
        super()._sync()


@contextmanager
def sandbox_system(*, has_caps: bool, seed: int = 7) -> Generator[tuple[System, SandboxConfig, threading.Event]]:
    """A system of a sandbox's settings whose PostgreSQL runs and nothing else yet, all of it gone afterwards.

    Args:
        has_caps: the default caps hold; else there are practically none, as in a demo.
        seed: of the population and the faults.

    Yields:
        The system, the sandbox it is to work against, and the event that is set when somebody stops the figure.
    """
    home = Path(tempfile.mkdtemp(prefix="leadpipe-bench-", dir="/tmp"))
    home.chmod(0o755)  # the account that PostgreSQL runs as must enter it
    try:
        with stop_signals() as stop, supervising(home) as supervisor:
            ports = Ports(gateway=free_port(), dagster=free_port(), code_server=free_port())
            config = SandboxConfig(
                base_url=f"http://127.0.0.1:{free_port()}",
                gateway_url=f"http://127.0.0.1:{ports.gateway}",
                seed=seed,
            )
            enter_demo_world(home, config, ports)
            if has_caps:
                for cap in CAPS:
                    del os.environ[f"LEADPIPE_CAP_PER_{cap}"]
            settings = load_settings(env_file=None)
            with database(settings, supervisor) as url:
                system = System(
                    settings=settings, supervisor=supervisor, database_url=url, ports=ports, without=FOREIGN
                )
                yield system, config, stop
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running_world(*, aged: int, has_caps: bool) -> Generator[World]:
    """A system that is live beside ``aged`` people, all of it gone afterwards.

    Args:
        aged: people there from the start, read as at any team's first sync.
        has_caps: the default caps hold; else there are practically none, as in a demo.
    """
    with sandbox_system(has_caps=has_caps) as (system, config, stop):
        world = PatientWorld(system=system, config=config)
        with world.closing():
            begun = time.monotonic()
            world.set_up(aged=aged, stop=stop, tell=lambda words: print(words, file=sys.stderr))
            print(f"live after {time.monotonic() - begun:.0f} s", file=sys.stderr)
            yield world
