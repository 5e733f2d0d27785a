"""The gateway as a process of its own, killed under load: all it answered is there, with its effect."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import pytest

from tests.gateway.conftest import (
    AUTH_TOKEN,
    FUB_TOKEN,
    PUBLIC_URL,
    SYSTEM_KEY,
    Ledger,
    fub_signature,
    twilio_signature,
)
from tests.gateway.serving import free_socket

if TYPE_CHECKING:
    from pathlib import Path

CALLERS = 8
# So many answers, then the kill; what comes after that finds nobody.
ANSWERS_BEFORE_KILL = (40, 150)


@pytest.fixture
def gateway(database_url: str, server_home: Path, tmp_path: Path) -> Callable[[], object]:
    """A function that serves a gateway in a process of its own while its block runs; yields its pid and address."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LEADPIPE_")},
        "LEADPIPE_HOME": str(server_home),
        "LEADPIPE_DATABASE_URL": database_url,
        "LEADPIPE_PUBLIC_BASE_URL": PUBLIC_URL,
        "LEADPIPE_FUB_SYSTEM_KEY": SYSTEM_KEY,
        "LEADPIPE_FUB_WEBHOOK_TOKEN": FUB_TOKEN,
        "LEADPIPE_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
    }

    @contextmanager
    def served() -> Generator[tuple[int, str]]:
        with free_socket() as bound:
            port = bound.getsockname()[1]
        command = [sys.executable, "-m", "leadpipe.gateway", "--port", str(port), "--no-env-file"]
        process = subprocess.Popen(command, env=environment, cwd=tmp_path)
        try:
            deadline = time.monotonic() + 60
            while not _answers(f"http://127.0.0.1:{port}/healthz"):
                assert time.monotonic() < deadline and process.poll() is None, "the gateway did not start"
                time.sleep(0.05)
            yield process.pid, f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()

    return served


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


class Load:
    """Notices of the CRM and STOPs of leads, each once, until nobody answers; ``answered`` holds what got a 2xx."""

    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self.answered: list[str] = []
        self.enough = threading.Event()

    def run(self, caller: int) -> None:
        with httpx.Client(base_url=self._url) as client:
            for number in range(100_000):
                key = f"{self._name}-{caller}-{number}"
                try:
                    answer = self._stop(client, key) if number % 4 == 3 else self._notice(client, key)
                except httpx.TransportError:
                    return
                assert answer.is_success
                self.answered.append(key)

    def _notice(self, client: httpx.Client, key: str) -> httpx.Response:
        body = json.dumps({"eventId": key, "event": "peopleUpdated", "resourceIds": [1]}).encode()
        return client.post(
            f"/fub/{FUB_TOKEN}", content=body, headers={"FUB-Signature": fub_signature(body, SYSTEM_KEY)}
        )

    def _stop(self, client: httpx.Client, key: str) -> httpx.Response:
        fields = {"MessageSid": key, "From": _phone(key), "To": "+15125550100", "Body": "STOP"}
        headers = {
            "X-Twilio-Signature": twilio_signature(f"{PUBLIC_URL}/twilio/inbound", fields, AUTH_TOKEN),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return client.post("/twilio/inbound", content=urlencode(fields), headers=headers)


def _phone(key: str) -> str:
    kill, caller, number = key.split("-")
    return f"+1512{int(kill) + 2}{caller}{int(number) % 100_000:05d}"


def test_killed_under_load_everything_it_answered_is_kept_and_obeyed(
    gateway: Callable[[], object], ledger: Ledger
) -> None:
    answered: list[str] = []
    for kill, wanted in enumerate(ANSWERS_BEFORE_KILL):
        with gateway() as (pid, url), ThreadPoolExecutor(CALLERS) as callers:  # type: ignore[attr-defined]
            load = Load(url, str(kill))
            running = [callers.submit(load.run, caller) for caller in range(CALLERS)]
            deadline = time.monotonic() + 60
            while len(load.answered) < wanted and time.monotonic() < deadline:
                time.sleep(0.001)
            os.kill(pid, signal.SIGKILL)
            for one in running:
                one.result(60)
            answered += load.answered
    kept = {row[0] for row in ledger.rows("select dedupe_key from ledger.inbox")}
    assert len(answered) >= sum(ANSWERS_BEFORE_KILL)
    assert set(answered) <= kept
    stopped = {
        row[0]
        for row in ledger.rows(
            "select c.address from ledger.suppressions s join ledger.contact_points c on c.id = s.contact_point_id"
        )
    }
    assert {_phone(key) for key in answered if int(key.rpartition("-")[2]) % 4 == 3} <= stopped
