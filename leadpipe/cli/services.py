"""The services of a running system: their commands, their environment, how each proves that it serves.

What lives here: what `leadpipe up` and `leadpipe demo` start. What does not: keeping them alive (``supervisor``).

Children work inside LEADPIPE_HOME and get every setting as an environment variable, so that no one of them depends on
the directory of whoever started it, nor reads a ``.env`` of its own.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from leadpipe.cli.supervisor import Service

if TYPE_CHECKING:
    from leadpipe.sandbox.config import SandboxConfig
    from leadpipe.settings import Settings

HOST = "127.0.0.1"
DAY_SECONDS = 24 * 3600
# A line for every sensor tick that found nothing would be most of the log.
QUIETLY = ("--log-level", "warning")
CODE_SERVER, WEBSERVER, DAEMON, GATEWAY, SANDBOX = (
    "code-server", "dagster-webserver", "dagster-daemon", "gateway", "sandbox",
)  # fmt: skip


def setting_variables(settings: Settings) -> dict[str, str]:
    """Every setting that is not the default, as the variable a child reads; paths absolute.

    What came from Secrets Manager is among them, so that no child asks AWS again.
    """
    found: dict[str, str] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name == "secrets_manager_name" or (value == field.default and not isinstance(value, Path)):
            continue
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
        elif isinstance(value, Path):
            text = str(value.absolute())
        elif isinstance(value, tuple):
            text = ",".join(map(str, value))
            if name == "blackouts":  # the one list that is written as JSON
                text = f"[{text}]"
        elif isinstance(value, Enum):
            text = str(value.value)
        else:
            text = str(value)
        found[f"LEADPIPE_{name.upper()}"] = text
    return found


def child_environment(variables: Mapping[str, str], *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """This process's environment without our settings and the given prefixes, with ``variables`` instead."""
    own_bin = str(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADPIPE_", *without))}
    kept["PATH"] = os.pathsep.join([own_bin, kept.get("PATH", "")])
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(variables)


def dagster_services(
    environment: dict[str, str], *, home: Path, workspace: Path, code_port: int, ui_port: int
) -> list[Service]:
    """The code server, and the webserver and the daemon that share it through ``workspace``."""
    own_bin = Path(sys.executable).parent
    workspace.write_text(workspace_text(code_port))
    loads = ("-h", HOST, "-p", str(code_port), "-m", "leadpipe.definitions", "--location-name", "leadpipe")
    return [
        Service(
            name=CODE_SERVER,
            command=(str(own_bin / "dagster"), "api", "grpc", *loads, *QUIETLY),
            environment=environment,
            cwd=home,
            is_ready=listens(code_port),
        ),
        Service(
            name=WEBSERVER,
            command=(str(own_bin / "dagster-webserver"), "-h", HOST, "-p", str(ui_port), "-w", str(workspace)),
            environment=environment,
            cwd=home,
            is_ready=answers(f"http://{HOST}:{ui_port}/server_info"),
        ),
        Service(
            name=DAEMON,
            command=(str(own_bin / "dagster-daemon"), "run", "-w", str(workspace), *QUIETLY),
            environment=environment,
            cwd=home,
            restart_every_seconds=DAY_SECONDS,
        ),
    ]


def workspace_text(code_port: int) -> str:
    """A Dagster workspace of the one code server."""
    return f"load_from:\n  - grpc_server:\n      host: {HOST}\n      port: {code_port}\n      location_name: leadpipe\n"


def gateway_service(environment: dict[str, str], *, home: Path, port: int) -> Service:
    """The web application that providers call."""
    return Service(
        name=GATEWAY,
        command=(sys.executable, "-m", "leadpipe.cli.main", "gateway", "--no-env-file"),
        environment=environment,
        cwd=home,
        is_ready=answers(f"http://{HOST}:{port}/healthz"),
    )


def sandbox_service(
    config: SandboxConfig, *, home: Path, zillow_folder: Path | None = None, without: tuple[str, ...] = ()
) -> Service:
    """The fake providers; they get this home and no other setting of ours."""
    port = config.base_url.rpartition(":")[2]
    arguments = ["sandbox", "--port", port, "--gateway", config.gateway_url, "--seed", str(config.seed)]
    if zillow_folder:
        arguments += ["--zillow-folder", str(zillow_folder.absolute())]
    return Service(
        name=SANDBOX,
        command=(sys.executable, "-m", "leadpipe.cli.main", *arguments),
        environment=child_environment({"LEADPIPE_HOME": str(home)}, without=without),
        cwd=home,
        is_ready=answers(f"{config.base_url}/_control/clock"),
    )


def listens(port: int) -> Callable[[], bool]:
    """Whether somebody takes connections on this loopback port."""

    def probe() -> bool:
        with socket.socket() as connection:
            connection.settimeout(1)
            return connection.connect_ex((HOST, port)) == 0

    return probe


def answers(url: str) -> Callable[[], bool]:
    """Whether the address answers with success."""

    def probe() -> bool:
        import httpx

        try:
            return httpx.get(url, timeout=2).is_success
        except httpx.HTTPError:
            return False

    return probe


def free_port(preferred: int = 0) -> int:
    """``preferred`` if nobody has it, else any free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on the loopback")
