"""Sending with the whole protocol against an instant provider: ``python -m benchmarks send --json``.

What lives here: the figure of messages a second from claim to written outcome, beside procrastinate doing the same HTTP
request from the same PostgreSQL. What does not: the provider (``instant``), procrastinate's side
(``procrastinate_jobs``).

A home of its own with an embedded server (fsync and synchronous_commit on) is filled with people of Texas who gave
written consent, one text each is enqueued, and sender processes drain what is due: gate, attempt, call, outcome, every
event row. Caps are lifted. The clock starts when every process stands ready and stops when the last outcome is
committed. procrastinate gets the best of several numbers of jobs at once and of processes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import psutil
from pydantic import SecretStr

from benchmarks.instant import TWILIO_PATH
from benchmarks.machine import cpu_seconds, server_cpu_seconds
from leadpipe.cli.services import free_port
from leadpipe.clock import FixedClock
from leadpipe.runtime import Runtime
from leadpipe.settings import Sending, Settings, StateValue

# A Tuesday at 10:00 in Texas: a lawful hour for texts.
MORNING = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)
ACCOUNT = "AC" + "0" * 32
LIFTED = 10_000_000
BATCH = 10_000
BODY = (
    "Hi Ana, this is the automated assistant for Demo Realty. Still looking to buy? Reply STOP to opt out. "
    "https://demo-realty.example/iabs"
)
NAMESPACE = UUID("00000000-0000-0000-0000-00000000beec")
# What procrastinate is tried with: processes, jobs at once in each.
SWEEP = ((1, 10), (1, 30), (1, 100), (2, 10), (2, 30), (2, 100))
JOBS = 5_000
FEW, MANY = 10_000, 100_000
HERE = Path(__file__).parent


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a message went missing or twice, or a figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks send", description=__doc__)
    parser.add_argument("--messages", type=int, default=MANY, help="texts to send")
    parser.add_argument("--workers", type=int, default=2, help="sender processes")
    parser.add_argument("--concurrency", type=int, default=200, help="calls under way at once in each")
    parser.add_argument("--no-procrastinate", action="store_true", help="leave the other side out")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker is not None:
        _work(options.worker, options.endpoint, options.concurrency)
        return 0
    home = Path(tempfile.mkdtemp(prefix="leadpipe-bench-"))
    home.chmod(0o755)
    try:
        with _provider() as endpoint:
            result = _measure(home, endpoint, options)
    finally:
        from leadpipe.store.server import EmbeddedServer

        EmbeddedServer(home).stop()
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(result) if options.json else _in_words(result))
    return 0 if result["is_whole"] else 1


def _measure(home: Path, endpoint: str, options: argparse.Namespace) -> dict[str, Any]:
    runtime = _runtime(home, endpoint)
    runtime.set_up()
    result: dict[str, Any] = {}
    if not options.no_procrastinate:
        points = _procrastinate(runtime.database_url, endpoint, home)
        best = max((point["jobs_per_second"] for point in points), default=None)
        result |= {"procrastinate_per_second": best, "procrastinate_points": points}
    begun = time.perf_counter()
    _fill(runtime, options.messages)
    _tell(f"{options.messages} messages enqueued in {time.perf_counter() - begun:.0f} s")
    cpu_before = server_cpu_seconds(home)
    result |= _send(home, endpoint, options)
    result["cpu_ms_per_message"] = {
        "senders": round(1000 * result.pop("cpu_seconds") / options.messages, 3),
        "postgresql": round(1000 * (server_cpu_seconds(home) - cpu_before) / options.messages, 3),
    }
    result["is_whole"] = _is_whole(runtime, options.messages, result.pop("taken"))
    runtime.close()
    return result


def _settings(home: Path, endpoint: str) -> Settings:
    return Settings(
        home=home,
        sending=Sending.SANDBOX,
        brokerage_name="Demo Realty",
        postal_address="100 Main Street, Suite 5, Houston, TX 77002",
        a2p_campaign_id="CM-bench",
        sms_disabled_states=(),
        licence_links=(StateValue("TX", "https://demo-realty.example/iabs"),),
        link_domains=("demo-realty.example",),
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=SecretStr("bench"),
        twilio_base_url=endpoint,
        twilio_messaging_service_sid="MG" + "0" * 32,
        public_base_url="http://127.0.0.1:9",
        fub_base_url="http://127.0.0.1:9",
        ses_endpoint_url=endpoint,
        sns_endpoint_url=endpoint,
        cap_per_run=LIFTED,
        cap_per_hour=LIFTED,
        cap_per_day=LIFTED,
        cap_per_number_per_day=LIFTED,
        cap_per_plan_per_day=LIFTED,
        warm_up=False,
        _env_file=None,  # pyright: ignore[reportCallIssue]
    )


def _runtime(home: Path, endpoint: str) -> Runtime:
    runtime = Runtime(_settings(home, endpoint))
    runtime.__dict__["clock"] = FixedClock(MORNING)
    return runtime


@contextmanager
def _provider() -> Generator[str]:
    """The instant provider's address, while it runs."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.instant", str(port)])
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                _taken(f"http://127.0.0.1:{port}")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _taken(endpoint: str) -> int:
    connection = HTTPConnection(endpoint.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", "/count")
        return int(json.loads(connection.getresponse().read())["messages"])
    finally:
        connection.close()


# our side


def _fill(runtime: Runtime, count: int) -> None:
    """People with a phone and written consent to texts, and one due text to each."""
    from sqlalchemy import text

    from leadpipe.crm.people import upsert_people
    from leadpipe.messaging.enqueue import enqueue
    from leadpipe.messaging.intent import Intent

    now = runtime.clock.now()
    for start in range(1, count + 1, BATCH):
        ids = range(start, min(start + BATCH, count + 1))
        upsert_people(runtime.engine, [_person(person_id, now) for person_id in ids], now=now)
    with runtime.engine.begin() as connection:
        connection.execute(text("analyze ledger.people, ledger.contact_points, ledger.consents"))
        points = connection.execute(
            text("select person_id, contact_point_id from ledger.person_contact_points order by person_id")
        ).all()
    intents = [
        Intent(
            id=str(uuid5(NAMESPACE, str(person_id))),
            person_id=person_id,
            contact_point_id=point_id,
            enrolment_id=None,
            plan="reactivation",
            plan_version="1",
            step="first",
            occurrence=1,
            channel="sms",
            purpose="marketing",
            body=BODY,
            due_at=now,
        )
        for person_id, point_id in points
    ]
    entered = enqueue(runtime.engine, intents, clock=runtime.clock, settings=runtime.settings, run_key="bench")
    if entered.count_by_state != {"queued": count}:
        sys.exit(f"of {count} messages not all are queued: {entered.as_metadata()}")
    with runtime.engine.begin() as connection:
        connection.execute(text("analyze ledger.messages, ledger.message_events, ledger.verdicts"))
    # As on a server that has run for a while: its files of WAL are written over and over.
    with runtime.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("checkpoint"))


def _person(person_id: int, now: datetime) -> Any:
    from leadpipe.crm.mapping import ConsentProof, Person
    from leadpipe.leads.identity import PhonePoint

    created_at = now - timedelta(days=20)  # a consent older than 45 days needs an answer about the number
    number = f"+1512{2_000_000 + person_id:07d}"
    proof = {
        "signer": "as given",
        "number": "as given",
        "seller": "ours",
        "disclosure": "I agree that Demo Realty may text me, also automatically; not a condition.",
        "ip": "192.0.2.44",
    }
    return Person(
        person_id=person_id,
        first_name="Ana",
        last_name="Example",
        stage="Lead",
        source="Website",
        assigned_user_id=1,
        assigned_to="Agent 1",
        price_usd=400_000,
        tags=(),
        place={"zip": "78701", "city": "Austin", "state": "TX", "country": "US", "basis": "address"},
        custom={},
        crm_created_at=created_at,
        crm_updated_at=created_at,
        last_human_at=None,
        last_two_way_at=None,
        emails=(),
        phones=(PhonePoint(address=number),),
        consents=(
            ConsentProof(
                channel="sms",
                level="pewc",
                scope="marketing",
                source="web_form",
                at=created_at,
                address=number,
                evidence=proof,
                dedupe_key=f"sms:{person_id}",
            ),
        ),
    )


def _send(home: Path, endpoint: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.send", "--worker", str(home), "--endpoint", endpoint]
    command += ["--concurrency", str(options.concurrency)]
    before = _taken(endpoint)
    rss: dict[int, float] = {}
    workers = _ready([command] * options.workers)
    begun = _go(workers)
    processes = [psutil.Process(worker.pid) for worker in workers]
    while any(worker.poll() is None for worker in workers):
        time.sleep(0.1)
        taken, memory = _taken(endpoint) - before, _memory(processes)
        for mark in (FEW, options.messages):
            if taken >= mark and mark not in rss and memory:
                rss[mark] = memory
    said = [json.loads(worker.stdout.read()) for worker in workers if worker.stdout]
    seconds = max(one["done_at"] for one in said) - begun
    return {
        "messages_per_second": round(options.messages / seconds),
        "seconds": round(seconds, 1),
        "commits": sum(one["commits"] for one in said),
        # Of the slowest sender.
        "commit_p50_ms": max(one["commit_p50_ms"] for one in said),
        "commit_p99_ms": max(one["commit_p99_ms"] for one in said),
        "rss_mb_at_10k": rss.get(FEW),
        "rss_mb_at_100k": rss.get(MANY) if options.messages == MANY else None,
        "rss_mb_at_end": rss.get(options.messages),
        "cpu_seconds": sum(one["cpu_seconds"] for one in said),
        "workers": options.workers,
        "concurrency": options.concurrency,
        "taken": _taken(endpoint) - before,
    }


def _memory(processes: Sequence[psutil.Process]) -> float | None:
    """Resident memory of all senders together, in MB; None once one has ended."""
    try:
        return round(sum(process.memory_info().rss for process in processes) / 2**20, 1)
    except psutil.Error:
        return None


def _ready(commands: Sequence[Sequence[str]], **more: Any) -> list[subprocess.Popen[str]]:
    """Processes that have said they are ready and wait for a line."""
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)
        for command in commands
    ]
    for process in processes:
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            sys.exit("a sender did not start")
    return processes


def _go(processes: Sequence[subprocess.Popen[str]]) -> float:
    """Let them begin; returns when, by the monotonic clock of the machine."""
    begun = time.monotonic()
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return begun


def _work(home: Path, endpoint: str, concurrency: int) -> None:
    """One sender: what ``leadpipe send-worker`` runs, until nothing is due."""
    from leadpipe.messaging.channels.build import build_channels
    from leadpipe.messaging.drain import Budget, drain

    runtime = _runtime(home, endpoint)
    commits = _timed_commits(runtime)
    channels = build_channels(runtime.settings, connections=concurrency)
    # Imports and first connections are not what is measured.
    budget = Budget(max_messages=LIFTED, max_seconds=3_600)
    print("ready", flush=True)
    sys.stdin.readline()
    cpu = time.process_time()
    while True:
        report = drain(
            engine=runtime.engine,
            channels=channels,
            settings=runtime.settings,
            clock=runtime.clock,
            budget=budget,
            concurrency=concurrency,
        )
        if not report.count_called:
            break
    done_at = time.monotonic()
    ranked = sorted(commits)
    said = {
        "done_at": done_at,
        "cpu_seconds": time.process_time() - cpu,
        "commits": len(ranked),
        "commit_p50_ms": _percentile(ranked, 0.5),
        "commit_p99_ms": _percentile(ranked, 0.99),
    }
    print(json.dumps(said), flush=True)
    runtime.close()


def _timed_commits(runtime: Runtime) -> list[float]:
    """How long each commit of this process waits for the server, in milliseconds; grows as they happen."""
    dialect, found = runtime.engine.dialect, list[float]()
    commit = dialect.do_commit

    def timed(connection: Any) -> None:
        begun = time.perf_counter()
        commit(connection)
        found.append((time.perf_counter() - begun) * 1000)

    dialect.do_commit = timed  # type: ignore[method-assign]
    return found


def _is_whole(runtime: Runtime, count: int, taken: int) -> bool:
    """Whether each message was accepted once, by the provider's count and by the ledger's rows."""
    from sqlalchemy import text

    with runtime.engine.connect() as connection:
        row = connection.execute(
            text(
                "select (select count(*) from ledger.messages where state = 'accepted') as accepted, "
                "(select count(*) from ledger.attempts where outcome = 'accepted') as attempts, "
                "(select count(*) from ledger.message_events) as events, "
                "(select count(*) from ledger.verdicts) as verdicts"
            )
        ).one()
    found = {"taken": taken, **row._asdict()}
    wanted = {"taken": count, "accepted": count, "attempts": count, "events": 3 * count, "verdicts": 2 * count}
    if found != wanted:
        _tell(f"not whole: {found} instead of {wanted}")
    return found == wanted


# the other side


def _procrastinate(database_url: str, endpoint: str, home: Path) -> list[dict[str, Any]]:
    python = _private_python()
    if python is None:
        return []
    script = str(HERE / "procrastinate_jobs.py")
    url = f"{endpoint}{TWILIO_PATH.decode()}{ACCOUNT}/Messages.json"
    points: list[dict[str, Any]] = []
    for processes, at_once in SWEEP:
        subprocess.run([python, script, "put", database_url, str(JOBS)], check=True)
        before = _taken(endpoint)
        command = [python, script, "work", database_url, url, str(at_once)]
        workers = _ready([command] * processes, stderr=subprocess.DEVNULL)
        cpu_before = _cpu_seconds(workers, home)
        begun = _go(workers)
        # The jobs are done when the provider has them all; a worker takes its time to end.
        while _taken(endpoint) - before < JOBS:
            if all(worker.poll() is not None for worker in workers):
                sys.exit("procrastinate's workers ended before their jobs were done")
            time.sleep(0.02)
        seconds = time.monotonic() - begun
        cpu_ms = [
            1000 * (after - before) / JOBS
            for before, after in zip(cpu_before, _cpu_seconds(workers, home), strict=True)
        ]
        for worker in workers:
            worker.wait(60)
        points.append(
            {
                "processes": processes,
                "at_once": at_once,
                "jobs_per_second": round(JOBS / seconds),
                "cpu_ms_per_job": {"workers": round(cpu_ms[0], 3), "postgresql": round(cpu_ms[1], 3)},
            }
        )
        _tell(f"procrastinate, {processes} x {at_once}: {points[-1]['jobs_per_second']} jobs/s")
    return points


def _cpu_seconds(workers: Sequence[subprocess.Popen[str]], home: Path) -> tuple[float, float]:
    """What the workers and PostgreSQL have computed so far; a worker that has ended counts no more."""
    spent = 0.0
    for worker in workers:
        with suppress(psutil.Error):
            spent += cpu_seconds(worker.pid)
    return spent, server_cpu_seconds(home)


def _private_python() -> str | None:
    """A Python that has procrastinate, made on first use beside the repository's own environment."""
    wanted = HERE / "procrastinate.txt"
    folder = HERE.parent / ".venv" / "procrastinate"
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    if mark.exists() and mark.read_text() == wanted.read_text():
        return str(python)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "-r", str(wanted)], check=True, capture_output=True
        )
    except subprocess.CalledProcessError as error:
        _tell(f"procrastinate cannot be installed, so there is nothing to compare with: {error.stderr.decode()[-300:]}")
        return None
    mark.write_text(wanted.read_text())
    return str(python)


def _percentile(ranked: Sequence[float], share: float) -> float:
    return round(ranked[min(len(ranked) - 1, int(share * len(ranked)))], 2) if ranked else 0.0


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _in_words(result: dict[str, Any]) -> str:
    other = result.get("procrastinate_per_second")
    rate = result["messages_per_second"]
    lines = [
        f"{rate} messages/s by {result['workers']} senders; a commit takes {result['commit_p50_ms']} ms, p99 "
        f"{result['commit_p99_ms']} ms; {result['rss_mb_at_10k']} MB at 10,000 messages, {result['rss_mb_at_end']} MB "
        "at the end"
    ]
    lines += [f"procrastinate: {other} jobs/s at its best, so {rate / other:.1f} times"] if other else []
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
