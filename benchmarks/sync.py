"""The full sync at Follow Up Boss's limits: ``python -m benchmarks sync --people 100000 --events 60000 --json``.

What lives here: how long a first sync takes beside what the limits alone allow, a pass over 1,000 changes, a storm of
refusals, and dlt's REST source reading the same account. What does not: the account (``fub_account``), dlt's pipeline
(``dlt_side``).

Everything as it runs for a team: the sandbox over HTTP with FUB's documented limits, an embedded PostgreSQL (fsync on),
a polling pass and the run that reads the history in a process each, sharing the rate budget in the ledger. What the
limits allow: every page of a hundred rows once, the requests of each context in bursts as large as its window, the
contexts side by side. ``--window`` shortens the sandbox's window, and with it that time, for everyone alike.

dlt runs last, in a virtual environment of its own, against the same account with its windows rested.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.fub_account import FIRST_PERSON
from leadpipe.cli.services import free_port
from leadpipe.runtime import Runtime, open_runtime
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.control import SandboxControl
from leadpipe.sandbox.environment import sandbox_environment

DLT = "dlt[duckdb]==1.31.0"
PAGE = 100
LIMITS = {"people": 250, "events": 20}
MOST_OF_LIMIT = 1.15
MOST_INCREMENTAL_SECONDS = 15.0
CHANGES = 1_000
NEW_EVENTS = 200
READY_SECONDS = 300
STORM_SECONDS = 30.0
STORM = {"fub_429": {"chance": 1, "every": 7, "lasts": 1.5, "value": 3}}
# Changes are made at once: what is measured is reading them.
UNLIMITED = {"global": 10**6, "events": 10**6, "PUT.people": 10**6, "notes": 10**6}
DOCUMENTED = {"global": 250, "events": 20, "PUT.people": 25, "notes": 10}
COUNTS = ("people", "events")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a figure is missed or rows are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sync", description=__doc__)
    parser.add_argument("--people", type=int, default=100_000, help="people of the account")
    parser.add_argument("--events", type=int, default=60_000, help="events of the account")
    parser.add_argument("--window", type=float, default=10.0, help="seconds of the sandbox's rate window; FUB's is 10")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    parser.add_argument("--no-dlt", action="store_true", help="leave dlt out")
    parser.add_argument("--dlt-venv", type=Path, help="virtual environment of dlt, made if missing; default: a new one")
    parser.add_argument("--part", choices=("poll", "history", "read"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        print(json.dumps(PARTS[options.part](open_runtime(env_file=None))))
        return 0
    home = Path(tempfile.mkdtemp(prefix="leadpipe-bench-", dir="/tmp"))
    home.chmod(0o755)
    try:
        result = _measure(home, options)
    finally:
        from leadpipe.store.server import EmbeddedServer

        EmbeddedServer(home).stop()
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(result) if options.json else _in_words(result))
    return 0 if result["holds"] else 1


def limit_seconds(rows: dict[str, int], window: float) -> float:
    """What the limits alone allow: the last burst of the slowest context leaves so long after the first."""
    return max((math.ceil(math.ceil(rows[name] / PAGE) / LIMITS[name]) - 1) * window for name in COUNTS)


# the whole


def _measure(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    config = SandboxConfig(base_url=f"http://127.0.0.1:{free_port()}", fub_window_seconds=options.window)
    for name in [name for name in os.environ if name.startswith("LEADPIPE_")]:
        del os.environ[name]
    os.environ |= sandbox_environment(config) | {"LEADPIPE_HOME": str(home)}
    # Venv first: installing must not share the cores with what is measured.
    dlt = None if options.no_dlt else _dlt_python(options.dlt_venv or home / "dlt-venv")
    with _account(config, options) as sandbox:
        runtime = open_runtime(env_file=None)
        runtime.set_up()
        _set_clock(runtime, sandbox)
        rows = {"people": options.people, "events": options.events}
        result: dict[str, Any] = rows | {"window_seconds": options.window}
        result |= _full_sync(runtime, sandbox, rows, options.window)
        result |= _changes(runtime, sandbox, config, rows)
        result |= _storm(sandbox)
        rows["events"] += NEW_EVENTS
        result |= _dlt(dlt, sandbox, config, home, rows, options.window) if dlt else {"dlt_seconds": None}
        runtime.close()
    result["holds"] = (
        result["seconds"] <= MOST_OF_LIMIT * result["limit_seconds"]
        and result["incremental_seconds"] <= MOST_INCREMENTAL_SECONDS
        and result["refused_in_storm"] > 0
        and result["too_early_in_storm"] == 0
    )
    return result


@contextmanager
def _account(config: SandboxConfig, options: argparse.Namespace) -> Generator[SandboxControl]:
    port = config.base_url.rpartition(":")[2]
    command = [sys.executable, "-m", "benchmarks.fub_account", "--port", port, "--window", str(options.window)]
    command += ["--people", str(options.people), "--events", str(options.events)]
    process = subprocess.Popen(command)
    try:
        with SandboxControl(config.base_url) as sandbox:
            _until_ready(sandbox, process)
            yield sandbox
    finally:
        process.terminate()
        process.wait(30)


def _until_ready(sandbox: SandboxControl, process: subprocess.Popen[bytes]) -> None:
    from leadpipe.errors import TransientError

    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            sandbox.summary()
        except TransientError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the sandbox account did not start")
            time.sleep(0.2)
        else:
            return


def _set_clock(runtime: Runtime, sandbox: SandboxControl) -> None:
    from leadpipe.clock import set_offset

    set_offset(runtime.engine, sandbox.clock().offset)


# the parts, each in a process of its own


def _poll(runtime: Runtime) -> dict[str, Any]:
    from leadpipe.work.poll import poll

    with runtime.lake.keep_open():
        begun = time.perf_counter()
        done = poll(runtime, channels={})
        return {"seconds": time.perf_counter() - begun, "people": done.count_people, "failures": done.failures}


def _history(runtime: Runtime) -> dict[str, Any]:
    """Read the histories as soon as the polling pass has marked where they begin."""
    from leadpipe.crm.sync import ACTIVITY
    from leadpipe.crm.watermark import read_int
    from leadpipe.work.history import read_history

    while any(read_int(runtime.engine, table.source) is None for table in ACTIVITY):
        time.sleep(0.1)
    with runtime.lake.keep_open():
        begun = time.perf_counter()
        done = read_history(runtime, seconds=3_600)
    return {
        "seconds": time.perf_counter() - begun,
        "is_complete": done.is_complete,
        "failures": done.failures,
    }


def _read(runtime: Runtime) -> dict[str, Any]:
    """Read pages at an even pace for a while, whatever the weather."""
    until, pages = time.monotonic() + STORM_SECONDS, 0
    crm = runtime.crm.in_bulk()
    while time.monotonic() < until:
        crm.get("people", {"limit": PAGE})
        pages += 1
    return {"pages": pages}


PARTS = {"poll": _poll, "history": _history, "read": _read}


def _start(part: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sync", "--part", part], stdout=subprocess.PIPE, text=True
    )


def _end(process: subprocess.Popen[str]) -> dict[str, Any]:
    told, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{process.args} failed")
    done = json.loads(told.splitlines()[-1])
    if done.get("failures"):
        sys.exit(f"{process.args}: {done['failures']}")
    return done


# what is measured


def _full_sync(runtime: Runtime, sandbox: SandboxControl, rows: dict[str, int], window: float) -> dict[str, Any]:
    before, begun = sandbox.summary(), time.perf_counter()
    history, polling = _start("history"), _start("poll")
    _end(polling)
    polled_seconds = time.perf_counter() - begun
    read = _end(history)
    if not read["is_complete"]:
        sys.exit("the history was not read to its end")
    seconds, after = time.perf_counter() - begun, sandbox.summary()
    _compare(runtime, rows)
    print(f"full sync {seconds:.0f} s, of them the pass {polled_seconds:.0f} s", file=sys.stderr)
    return {
        "seconds": round(seconds, 1),
        "pass_seconds": round(polled_seconds, 1),
        "history_seconds": round(read["seconds"], 1),
        "limit_seconds": limit_seconds(rows, window),
        "requests": after["requests"] - before["requests"],
        "refused": after["rate_limited"] - before["rate_limited"],
    }


def _compare(runtime: Runtime, rows: dict[str, int]) -> None:
    for name in COUNTS:
        key = {"people": "person_id", "events": "event_id"}[name]
        sql = f"select count(distinct {key}) as n from raw.fub__{name}"
        found = runtime.lake.query(sql)["n"][0].as_py()
        if found != rows[name]:
            sys.exit(f"{found} {name} in the lake, {rows[name]} in the sandbox")


def _changes(runtime: Runtime, sandbox: SandboxControl, config: SandboxConfig, rows: dict[str, int]) -> dict[str, Any]:
    import httpx

    sandbox.set_limits(UNLIMITED)
    headers = {"X-System": config.fub_system, "X-System-Key": config.fub_system_key}
    url = f"{config.base_url}/fub/v1"
    step = max(1, rows["people"] // (CHANGES - NEW_EVENTS))
    edited = list(range(FIRST_PERSON, FIRST_PERSON + rows["people"], step))[: CHANGES - NEW_EVENTS]
    with httpx.Client(auth=(config.fub_api_key, ""), headers=headers, timeout=30) as http:
        for person_id in edited:
            http.put(f"{url}/people/{person_id}", json={"price": 123_456}).raise_for_status()
        for number in range(NEW_EVENTS):
            # Browsing, which asks for no answer.
            body = {"source": "Website", "type": "Viewed Property", "person": {"id": FIRST_PERSON + number}}
            http.post(f"{url}/events", json=body).raise_for_status()
    sandbox.set_limits(DOCUMENTED)
    done = _end(_start("poll"))
    found = runtime.lake.query("select count(*) as n from raw.fub__people where price_usd = 123456")["n"][0].as_py()
    if found < len(edited):
        sys.exit(f"{found} of {len(edited)} changes in the lake")
    _compare(runtime, rows | {"events": rows["events"] + NEW_EVENTS})
    print(f"{CHANGES} changes {done['seconds']:.1f} s", file=sys.stderr)
    return {"incremental_seconds": round(done["seconds"], 1)}


def _storm(sandbox: SandboxControl) -> dict[str, Any]:
    sandbox.set_faults(STORM)
    before = sandbox.summary()
    readers = [_start("read"), _start("read")]
    pages = sum(_end(reader)["pages"] for reader in readers)
    after = sandbox.summary()
    sandbox.set_faults({})
    refused = after["requests"] - before["requests"] - pages
    print(f"storm: {pages} pages, {refused} refused", file=sys.stderr)
    return {"refused_in_storm": refused, "too_early_in_storm": after["too_early"] - before["too_early"]}


# dlt


def _dlt_python(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing {DLT} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", DLT], check=True)
    return python


def _dlt(
    python: Path, sandbox: SandboxControl, config: SandboxConfig, home: Path, rows: dict[str, int], window: float
) -> dict[str, Any]:
    folder = home / "dlt"
    folder.mkdir()
    time.sleep(window)
    before = sandbox.summary()
    script = Path(__file__).with_name("dlt_side.py")
    command = [python, script, f"{config.base_url}/fub/v1", config.fub_api_key, config.fub_system]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEADPIPE_")}
    environment["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    command += [config.fub_system_key, folder]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    after = sandbox.summary()
    if done.returncode:
        print(done.stderr[-3_000:], file=sys.stderr)
        told: dict[str, Any] = {"seconds": None, "people": 0, "events": 0}
    else:
        told = json.loads(done.stdout.splitlines()[-1])
    return {
        "dlt_seconds": told["seconds"],
        "dlt_has_all_rows": all(told[name] == rows[name] for name in COUNTS),
        "dlt_refused": after["rate_limited"] - before["rate_limited"],
        "dlt_too_early": after["too_early"] - before["too_early"],
    }


def _in_words(result: dict[str, Any]) -> str:
    share = result["seconds"] / result["limit_seconds"] if result["limit_seconds"] else float("nan")
    lines = [
        f"{result['people']} people and {result['events']} events in {result['seconds']} s, {share:.3f} times what the "
        f"limits allow ({result['limit_seconds']} s at a window of {result['window_seconds']:g} s)",
        f"  {result['requests']} requests, {result['refused']} refused",
        f"  {CHANGES} changes in {result['incremental_seconds']} s",
        f"  in a storm {result['refused_in_storm']} refused, {result['too_early_in_storm']} came back too early",
    ]
    if "dlt_refused" in result:
        lines.append(
            f"  dlt {result['dlt_seconds']} s, all rows: {result['dlt_has_all_rows']}, {result['dlt_refused']} "
            f"refused, {result['dlt_too_early']} came back too early"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
