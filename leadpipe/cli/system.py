"""Bringing a system up: stores made ready, then the services, each once what it needs is there.

What lives here: the order of starting, the same for `up` and `demo`. What does not: the commands themselves, the
processes' life (``supervisor``), the services' commands (``services``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe.cli import services
from leadpipe.cli.services import CODE_SERVER, DAEMON, GATEWAY, WEBSERVER

if TYPE_CHECKING:
    from leadpipe.cli.supervisor import Supervisor
    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings

READY_SECONDS = 180
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Loopback ports of one system."""

    gateway: int
    dagster: int
    code_server: int


@dataclass(kw_only=True)
class System:
    """One system under a supervisor: its settings, its database and what its children get as environment."""

    settings: Settings
    supervisor: Supervisor
    database_url: str
    ports: Ports
    without: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """LEADPIPE_HOME."""
        return self.settings.home.absolute()

    @property
    def dagster_url(self) -> str:
        """Where the Dagster UI is."""
        return f"http://{services.HOST}:{self.ports.dagster}"

    @property
    def environment(self) -> dict[str, str]:
        """The children's environment: every setting, Dagster's home and database."""
        from leadpipe.cli.dagster_home import dagster_variables

        variables = services.setting_variables(self.settings)
        variables |= dagster_variables(self.home, self.database_url)
        return services.child_environment(variables, without=self.without)

    def set_up(self, runtime: Runtime) -> None:
        """Bring ledger, lake and Dagster's home up to date."""
        from leadpipe.audit.acts import record_settings
        from leadpipe.cli.dagster_home import write_dagster_home

        runtime.set_up()
        record_settings(runtime.engine, runtime.settings, now=runtime.clock.now())
        write_dagster_home(self.settings)

    def start_gateway(self, stop: threading.Event) -> None:
        """Start the gateway and wait until it takes requests."""
        self.supervisor.start(services.gateway_service(self.environment, home=self.home, port=self.ports.gateway))
        self.supervisor.wait_until_ready((GATEWAY,), timeout_seconds=READY_SECONDS, stop=stop)

    def start_dagster(self, stop: threading.Event, *, meanwhile: Callable[[], None] | None = None) -> None:
        """Start code server, webserver and daemon; ``meanwhile`` runs between the first two and the daemon.

        The daemon waits, because from its first second it starts runs.
        """
        code_server, webserver, daemon = services.dagster_services(
            self.environment,
            home=self.home,
            workspace=self.home / "workspace.yaml",
            code_port=self.ports.code_server,
            ui_port=self.ports.dagster,
        )
        self.supervisor.start(code_server)
        if meanwhile is not None:
            meanwhile()
        self.supervisor.wait_until_ready((CODE_SERVER,), timeout_seconds=READY_SECONDS, stop=stop)
        if stop.is_set():
            return
        self.supervisor.start(webserver)
        self.supervisor.start(daemon)
        self.supervisor.wait_until_ready((WEBSERVER,), timeout_seconds=READY_SECONDS, stop=stop)

    def stop_dagster(self, runtime: Runtime) -> None:
        """Stop what ticks, and say that it stops on purpose: nothing that follows is an outage."""
        from leadpipe.monitoring.heartbeat import DAGSTER, STOPPED, Pulse

        self.supervisor.stop(DAEMON, CODE_SERVER)
        Pulse(lambda: runtime.engine, DAGSTER).beat(STOPPED)
