"""A sandbox over real HTTP and settings that are right in every point, for commands that look at the whole.

What lives here: the server and the settings. What does not: any expectation.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator

import pytest
import uvicorn

from leadpipe.crm import webhooks
from leadpipe.runtime import Runtime
from leadpipe.sandbox.app import create_app
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.control import SandboxControl
from leadpipe.sandbox.environment import sandbox_environment
from leadpipe.setting_loading import load_settings
from leadpipe.settings import Settings


@pytest.fixture(scope="module")
def sandbox() -> Generator[SandboxControl]:
    """One sandbox a module, on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(SandboxConfig(base_url=url))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with SandboxControl(url) as control:
        yield control
    server.should_exit = True
    thread.join(15)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def right_settings(
    sandbox: SandboxControl, server_home: object, new_database: object, request: pytest.FixtureRequest
) -> Generator[Settings]:
    """Settings of a system against the sandbox with nothing missing, its ledger and lake set up, webhooks installed."""
    assert callable(new_database)
    url = new_database(request.getfixturevalue("ledger_template"))
    environment = sandbox_environment(SandboxConfig(base_url=sandbox.base_url))
    folder = request.getfixturevalue("tmp_path_factory").mktemp("lake")
    environment |= {
        "LEADPIPE_HOME": str(server_home),
        "LEADPIPE_DATABASE_URL": url,
        "LEADPIPE_LAKE_PATH": str(folder),
        "LEADPIPE_ALERT_URLS": "json://127.0.0.1:1/alerts",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        settings = load_settings(env_file=None)
        runtime = Runtime(settings)
        runtime.set_up()
        webhooks.install(runtime.crm, settings)
        runtime.close()
        yield settings
