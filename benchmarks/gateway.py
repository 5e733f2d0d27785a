"""Durable webhooks a second on one gateway process: ``python -m benchmarks gateway --json``.

What lives here: the figure of Follow Up Boss notifications checked, committed and answered, its latency at half that
load, and a gateway killed in mid-load whose every answer must be in the inbox. What does not: the callers
(``callers``).

The gateway is the command's own process over an embedded server with fsync on. Each notification is signed and new.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.callers import Heard, at_pace, closed_loop
from benchmarks.machine import cpu_seconds, server_cpu_seconds
from leadpipe.cli.services import free_port

SYSTEM_KEY, TOKEN = "lp-bench-system-key-0001", "fub-token-of-the-benchmark"
KILL_AFTER_SECONDS = 2.0


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when an answered notification is not in the inbox."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gateway", description=__doc__)
    parser.add_argument("--webhooks", type=int, default=40_000, help="notifications of the main figure")
    parser.add_argument("--lines", type=int, default=64, help="connections that call at once")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    options = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="leadpipe-bench-"))
    home.chmod(0o755)
    try:
        result = _measure(home, options.webhooks, options.lines)
    finally:
        from leadpipe.store.server import EmbeddedServer

        EmbeddedServer(home).stop()
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(result) if options.json else _in_words(result))
    return 0 if result["is_whole"] else 1


def _measure(home: Path, count: int, lines: int) -> dict[str, Any]:
    import uvloop

    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings

    runtime = Runtime(Settings(home=home, _env_file=None))  # pyright: ignore[reportCallIssue]
    runtime.set_up()
    port = free_port()
    with _gateway(home, port) as process:
        uvloop.run(closed_loop(_requests("warm", count // 10), port=port, lines=lines))
        requests = _requests("full", count)
        before = cpu_seconds(process.pid), server_cpu_seconds(home)
        full = uvloop.run(closed_loop(requests, port=port, lines=lines))
        after = cpu_seconds(process.pid), server_cpu_seconds(home)
        rate = count / full.seconds
        half = uvloop.run(at_pace(_requests("half", count // 2), port=port, lines=lines, per_second=rate / 2))
    killed = _killed(home, _requests("kill", count), port, lines)
    missing = {
        name: len(heard.answered) - _count_stored(runtime, name, heard)
        for name, heard in (("full", full), ("half", half), ("kill", killed))
    }
    runtime.close()
    return {
        "webhooks_per_second": round(rate),
        "p50_ms": half.percentile(0.5),
        "p99_ms": half.percentile(0.99),
        "p50_ms_at_full_load": full.percentile(0.5),
        "p99_ms_at_full_load": full.percentile(0.99),
        "cpu_ms_per_webhook": {
            name: round(1000 * (late - early) / count, 3)
            for name, early, late in zip(("gateway", "postgresql"), before, after, strict=True)
        },
        "answered_before_kill": len(killed.answered),
        "missing_after_kill": missing["kill"],
        "is_whole": not any(missing.values()) and not full.count_other and not half.count_other,
    }


def _requests(name: str, count: int) -> list[bytes]:
    """Signed notifications as bytes, each with an event id of its own."""
    made: list[bytes] = []
    for number in range(count):
        notice = {
            "eventId": f"{name}-{number}",
            "eventCreated": "2026-03-03T16:00:00+00:00",
            "event": "peopleUpdated",
            "resourceIds": [number + 1],
            "uri": f"https://api.followupboss.com/v1/people?id={number + 1}",
        }
        body = json.dumps(notice).encode()
        signature = hmac.new(SYSTEM_KEY.encode(), base64.b64encode(body), hashlib.sha256).hexdigest()
        head = (
            f"POST /fub/{TOKEN} HTTP/1.1\r\nHost: hooks.example\r\nContent-Type: application/json\r\n"
            f"FUB-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


@contextmanager
def _gateway(home: Path, port: int) -> Generator[subprocess.Popen[bytes]]:
    """``leadpipe gateway`` on this port, while the block runs."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LEADPIPE_")}
    own |= {
        "LEADPIPE_HOME": str(home),
        "LEADPIPE_FUB_SYSTEM_KEY": SYSTEM_KEY,
        "LEADPIPE_FUB_WEBHOOK_TOKEN": TOKEN,
    }
    command = [sys.executable, "-m", "leadpipe.gateway", "--port", str(port), "--no-env-file"]
    process = subprocess.Popen(command, env=own)
    try:
        deadline = time.monotonic() + 60
        while not _answers(port):
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit("the gateway does not start")
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _killed(home: Path, requests: list[bytes], port: int, lines: int) -> Heard:
    """What a gateway answered that was killed in the middle of it."""
    import uvloop

    with _gateway(home, port) as process:
        killer = threading.Timer(KILL_AFTER_SECONDS, os.kill, (process.pid, signal.SIGKILL))
        killer.start()
        heard = uvloop.run(closed_loop(requests, port=port, lines=lines))
        killer.join()
    return heard


def _count_stored(runtime: Any, name: str, heard: Heard) -> int:
    """How many of the answered ones the inbox holds."""
    from sqlalchemy import text

    keys = [f"{name}-{number}" for number in heard.answered]
    with runtime.engine.connect() as connection:
        return int(
            connection.execute(
                text("select count(*) from ledger.inbox where source = 'fub' and dedupe_key = any(:keys)"),
                {"keys": keys},
            ).scalar_one()
        )


def _in_words(result: dict[str, Any]) -> str:
    return (
        f"{result['webhooks_per_second']} durable webhooks/s; at half that load p50 {result['p50_ms']} ms, p99 "
        f"{result['p99_ms']} ms; killed in mid-load after {result['answered_before_kill']} answers, of which "
        f"{result['missing_after_kill']} are not in the inbox"
    )


if __name__ == "__main__":
    sys.exit(main())
