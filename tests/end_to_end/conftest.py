"""Two real demos: one that runs to its end, and one that is held open for a look and for bad input.

What lives here: starting them, watching the first from outside, and what both leave. What does not: any expectation.
Everything is the shipped command in processes of its own: real HTTP, PostgreSQL, DuckLake, Dagster.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leadpipe.cli.dagster_api import DagsterApi
from leadpipe.crm.client import FubClient
from leadpipe.runtime import Runtime
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.control import SandboxControl, noted_url
from leadpipe.sandbox.environment import sandbox_environment
from leadpipe.settings import Settings

LEADS, AGED, SECONDS = 16, 160, 180
# A file and a variable of somebody who is live: the demo must see neither.
POISON = "LEADPIPE_SENDING=live\nLEADPIPE_FUB_API_KEY=fka_of_a_real_account\nLEADPIPE_BROKERAGE_NAME=Real Realty\n"
PROBE = "select count(*) as n from raw.ledger__messages"
READY_SECONDS = 180


ORDER = ("test_e2e_what_must_exist", "test_e2e_up_and_down", "test_e2e_bad_input", "test_e2e_dagster_ui")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One system at a time: the demo that ends first, then the one held open; and time for each to come up."""
    ours = [item for item in items if item.path.stem in ORDER]
    for item in ours:
        item.add_marker(pytest.mark.timeout(600))
    ours.sort(key=lambda item: ORDER.index(item.path.stem))
    places = [number for number, item in enumerate(items) if item.path.stem in ORDER]
    for number, item in zip(places, ours, strict=True):
        items[number] = item


@dataclass(frozen=True, kw_only=True)
class SqlProbe:
    """One `leadpipe sql` beside the running demo."""

    code: int
    seconds: float
    output: str


@dataclass(kw_only=True)
class Witness:
    """What was seen from outside while the demo ran; the last look before its end counts."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    leads: list[dict[str, Any]] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    people: list[dict[str, Any]] = field(default_factory=list)
    probes: list[SqlProbe] = field(default_factory=list)
    sandbox_errors: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Finished:
    """A demo that ran to its end, and the stores it left, which can be asked."""

    home: Path
    code: int
    output: str
    report: dict[str, Any]
    started_at: datetime
    witness: Witness
    runtime: Runtime

    def rows(self, sql: str, **values: Any) -> list[Any]:
        """Rows of the ledger or of Dagster's storage."""
        with self.runtime.engine.connect() as connection:
            return list(connection.execute(text(sql), values))

    def one(self, sql: str, **values: Any) -> Any:
        """One value of the ledger or of Dagster's storage."""
        return self.rows(sql, **values)[0][0]

    def lake(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the lake."""
        return self.runtime.lake.query(sql).to_pylist()


@dataclass(kw_only=True)
class Live:
    """A demo that runs, without people of its own."""

    home: Path
    process: subprocess.Popen[str]
    gateway: str
    dagster_url: str
    dagster: DagsterApi
    sandbox: SandboxControl
    crm: FubClient
    runtime: Runtime
    config: SandboxConfig
    environment: dict[str, str]

    def rows(self, sql: str, **values: Any) -> list[Any]:
        """Rows of the ledger or of Dagster's storage."""
        with self.runtime.engine.connect() as connection:
            return list(connection.execute(text(sql), values))

    def asks(self, **person: Any) -> int:
        """A person makes an inquiry at the CRM; returns their id there."""
        body = {"source": "demo-realty.example", "system": "portal", "type": "Registration", "person": person}
        self.crm.post("events", body)
        (found,) = [
            row
            for row in self.crm.get("people", {"sort": "-created", "limit": 5, "fields": "allFields"})["people"]
            if row["firstName"] == person["firstName"]
        ]
        return int(found["id"])


def until(holds: Callable[[], Any], *, seconds: float = 90, every: float = 0.5) -> Any:
    """What ``holds`` returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(every)
    return found


@pytest.fixture(scope="session")
def place() -> Generator[Callable[[str], Path]]:
    """A function that makes a home which the account PostgreSQL runs as may enter; all are removed at the end."""
    root = Path(tempfile.mkdtemp(prefix="leadpipe-e2e-", dir="/tmp"))
    root.chmod(0o755)

    def make(name: str) -> Path:
        folder = root / name
        folder.mkdir()
        (folder / ".env").write_text(POISON)
        return folder

    yield make
    shutil.rmtree(root, ignore_errors=True)


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a user who has settings of a real account lying around."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADPIPE_", "AWS_"))}
    return kept | {"LEADPIPE_HOME": str(home), "LEADPIPE_FUB_API_KEY": "fka_of_a_real_account"} | more


def demo_command(*arguments: str) -> list[str]:
    """The shipped command."""
    return [sys.executable, "-m", "leadpipe.cli.main", "demo", *arguments]


def settings_of(home: Path, config: SandboxConfig) -> Settings:
    """The demo's own settings, built as the demo builds them."""
    values = sandbox_environment(config) | {"LEADPIPE_HOME": str(home)}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LEADPIPE_")]:
            patch.delenv(name)
        for name, value in values.items():
            patch.setenv(name, value)
        return Settings(_env_file=None)  # pyright: ignore[reportCallIssue]


@pytest.fixture(scope="session")
def finished(place: Callable[[str], Path]) -> Generator[Finished]:
    """The one demo that all paragraphs are told by: it ran to its end while a witness looked on."""
    folder = place("finished")
    home = folder / "home"
    report = folder / "report.json"
    started_at = datetime.now(UTC)
    process = subprocess.Popen(
        demo_command("--leads", str(LEADS), "--aged", str(AGED), "--exit-after", str(SECONDS), "--report", str(report)),
        env=environment(home, LEADPIPE_MARTS_EVERY_MINUTES="1"),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    witness = Witness()
    over = threading.Event()
    looking = [
        threading.Thread(target=_look_on, args=(home, witness, over), daemon=True),
        threading.Thread(target=_ask, args=(home, witness, over), daemon=True),
    ]
    for thread in looking:
        thread.start()
    try:
        output, _ = process.communicate(timeout=SECONDS + 240)
    finally:
        over.set()
        process.kill()
    for thread in looking:
        thread.join(30)
    assert report.exists(), output
    runtime = Runtime(settings_of(home, SandboxConfig()))
    yield Finished(
        home=home,
        code=process.returncode,
        output=output,
        report=json.loads(report.read_text()),
        started_at=started_at,
        witness=witness,
        runtime=runtime,
    )
    runtime.close()
    _stop(home)


def _look_on(home: Path, witness: Witness, over: threading.Event) -> None:
    """Read the sandbox's truth every two seconds; what was read last is what counts."""
    while not over.wait(1) and not (home / "sandbox.json").exists():
        pass
    if over.is_set():
        return
    url = noted_url(home)
    crm = FubClient(base_url=f"{url}/fub/v1", api_key=SandboxConfig().fub_admin_key, system="witness", system_key="w")
    with SandboxControl(url) as sandbox:
        while not over.wait(2):
            try:
                leads, messages = sandbox.leads(), sandbox.messages()
                answered = sandbox.answered_webhooks()
                notes = crm.get("notes", {"limit": 100})["notes"]
                people = crm.get("people", {"limit": 100, "fields": "allFields", "sort": "-updated"})["people"]
                errors = httpx.get(f"{url}/_control/errors", timeout=5).json()
            except Exception:  # noqa: BLE001 - the demo may end at any moment; the look before is kept
                continue
            witness.leads, witness.messages, witness.answered = leads, messages, answered
            witness.notes, witness.people, witness.sandbox_errors = notes, people, errors
    crm.close()


def _ask(home: Path, witness: Witness, over: threading.Event) -> None:
    """Ask the lake now and then, from a process of its own, as an analyst does."""
    while not over.wait(1) and not (home / "workspace.yaml").exists():
        pass
    while not over.wait(20):
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "leadpipe.cli.main", "sql", PROBE, "--format", "json"],
            env=environment(home),
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        if not over.is_set():
            witness.probes.append(
                SqlProbe(code=done.returncode, seconds=time.monotonic() - begun, output=done.stdout + done.stderr)
            )


@pytest.fixture(scope="session")
def live(place: Callable[[str], Path], finished: Finished) -> Generator[Live]:
    """A system that runs, with nobody in it but whom a test brings; it starts when the first demo is over."""
    assert finished.report
    folder = place("live")
    home = folder / "home"
    spend = folder / "spend.csv"
    spend.write_text("month,source,spend_usd\n2026-03,Zillow,100\n")
    process = subprocess.Popen(
        demo_command("--leads", "0", "--aged", "0"),
        env=environment(home, LEADPIPE_SPEND_CSV=str(spend), LEADPIPE_LINGER_SECONDS="10"),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    links = _links(process)
    # A link that answers: what the gateway serves lies below the same address.
    assert httpx.get(links["Gateway"]).status_code == 200
    gateway = links["Gateway"].removesuffix("/healthz")
    config = SandboxConfig(base_url=noted_url(home), gateway_url=gateway)
    settings = settings_of(home, config)
    runtime = Runtime(settings)
    crm = FubClient.from_settings(settings)
    sandbox = SandboxControl(config.base_url)
    dagster = DagsterApi(links["Dagster UI"])
    reading = threading.Thread(target=process.communicate, daemon=True)
    reading.start()
    yield Live(
        home=home,
        process=process,
        gateway=gateway,
        dagster_url=links["Dagster UI"],
        dagster=dagster,
        sandbox=sandbox,
        crm=crm,
        runtime=runtime,
        config=config,
        environment=environment(home),
    )
    process.send_signal(signal.SIGINT)
    reading.join(90)
    process.kill()
    for part in (dagster, sandbox, crm, runtime):
        part.close()
    _stop(home)


def _links(process: subprocess.Popen[str]) -> dict[str, str]:
    """What the demo prints when it is live: names and where they lead."""
    found: dict[str, str] = {}
    said: list[str] = []
    deadline = time.monotonic() + READY_SECONDS
    assert process.stdout is not None
    while "Logs" not in found:
        line = process.stdout.readline()
        said.append(line)
        assert line and time.monotonic() < deadline, "".join(said)
        if link := re.match(r"  (\S.{0,11}?)\s{2,}(\S.*)", line):
            found[link[1]] = link[2].strip()
    return found


def _stop(home: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "leadpipe.cli.main", "down"], env=environment(home), cwd=home, check=False, timeout=120
    )
