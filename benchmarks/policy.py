"""A million aged leads planned and judged: ``python -m benchmarks policy --leads 1000000 --json``.

What lives here: the figure, at a tenth, three tenths and once the number of leads, to show how it grows. What does not:
the people (``aged_leads``), planning and judging (``leadpipe``).

Each point has a home of its own with an embedded server at its defaults (fsync on). The people are generated first and
not counted, nor is what the server does after such a load (``vacuum``): places in every state and abroad, consents,
refusals, histories and answers of the lists, mixed as ``aged_leads`` says. Then a fresh process plans them all, words
and queue included, as the nightly run does, and judges every planned message by the gate, in batches, for the moment it
is due. Both are shared out among as many processes as there are processors. A sample of the verdicts is then made again
one message at a time, each by a call of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.plan import runtime_of
from leadpipe import processes
from leadpipe.messaging import gate
from leadpipe.messaging.cases import Subject
from leadpipe.outreach import queue
from leadpipe.outreach.queue import QueueRow
from leadpipe.store import ledger

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.policy.verdict import Verdict
    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings

SAMPLE = 10_000
BATCH = 2_500


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a verdict of the batch is another than that of the message alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks policy", description=__doc__)
    parser.add_argument("--leads", type=int, default=1_000_000, help="aged leads of the main figure")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    parser.add_argument("--no-points", action="store_true", help="only the main figure")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="verdicts made again one by one")
    parser.add_argument("--home", type=Path, help="a home that was generated before (with --keep); only measure there")
    parser.add_argument("--keep", type=Path, help="generate the main figure's people here, and leave them")
    options = parser.parse_args(arguments)
    if options.home is not None:
        print(json.dumps(_plan_and_judge(options.home, options.sample)))
        return 0
    sizes = [options.leads] if options.no_points else [options.leads // 10, options.leads * 3 // 10, options.leads]
    found = {size: _measure(size, options.sample, options.keep if size == options.leads else None) for size in sizes}
    result = found[options.leads] | {
        "points": [
            {"leads": size, "seconds": point["seconds"], "cpu_seconds": point["cpu_seconds"]}
            for size, point in found.items()
        ]
    }
    print(json.dumps(result) if options.json else _in_words(result))
    return 1 if any(point["sample_differs"] for point in found.values()) else 0


def _measure(leads: int, sample: int, keep: Path | None) -> dict[str, Any]:
    from benchmarks.aged_leads import generate
    from leadpipe.store.server import EmbeddedServer

    home = keep or Path(tempfile.mkdtemp(prefix="leadpipe-bench-"))
    home.mkdir(exist_ok=True)
    home.chmod(0o755)
    try:
        runtime = runtime_of(home)
        runtime.set_up()
        begun = time.perf_counter()
        generate(runtime, leads=leads, has_histories=True)
        _settle(runtime)
        print(f"{leads} leads generated in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        runtime.close()
        command = [sys.executable, "-m", "benchmarks.policy", "--home", str(home), "--sample", str(sample)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return {"leads": leads} | json.loads(done.stdout)
    except subprocess.CalledProcessError:
        sys.exit(f"planning and judging {leads} leads failed")
    finally:
        EmbeddedServer(home).stop()
        if keep is None:
            shutil.rmtree(home, ignore_errors=True)


def _settle(runtime: Runtime) -> None:
    """What the server does by itself after a bulk load it does now: a night's planning meets no fresh million rows."""
    from sqlalchemy import text

    with runtime.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum (analyze)"))
        connection.execute(text("checkpoint"))


def _plan_and_judge(home: Path, sample: int) -> dict[str, Any]:
    from leadpipe.work.reactivation import plan_cohorts

    runtime = runtime_of(home)
    with _watched(home) as used:
        begun = time.perf_counter()
        planned = plan_cohorts(runtime)
        planned_after = time.perf_counter() - begun
        planning_cpu = used.cpu_now()
        judged = _judge(runtime, sample, planned.count_planned)
        seconds = time.perf_counter() - begun
        cpu = used.cpu_now()
    begun = time.perf_counter()
    differs = _differing(runtime, judged.sampled)
    alone = time.perf_counter() - begun
    runtime.close()
    return {
        "seconds": round(seconds, 1),
        "planning_seconds": round(planned_after, 1),
        "judging_seconds": round(seconds - planned_after, 1),
        # What all processes computed, PostgreSQL's too; on a busy machine the rest is waiting for a core.
        "cpu_seconds": round(sum(cpu.values()), 1),
        "planning_cpu_seconds": round(sum(planning_cpu.values()), 1),
        "server_cpu_seconds": round(cpu["server"], 1),
        "processes": processes.count_processors(),
        # Of all processes of leadpipe at once; the server's is what its processes have that no other has.
        "peak_rss_gb": round(used.peak_bytes / 2**30, 2),
        "peak_server_gb": round(used.peak_server_bytes / 2**30, 2),
        "planned": planned.count_planned,
        "judged": judged.by_verdict.total(),
        "verdicts": dict(judged.by_verdict.most_common()),
        "outcomes": dict(planned.count_by_outcome),
        "sampled": len(judged.sampled),
        "sample_differs": differs,
        "one_by_one_ms": round(1000 * alone / max(len(judged.sampled), 1), 2),
    }


@dataclass(kw_only=True)
class _Judged:
    by_verdict: Counter[str] = field(default_factory=Counter[str])
    sampled: list[tuple[Subject, dict[str, Any]]] = field(default_factory=list[tuple[Subject, dict[str, Any]]])


@dataclass(frozen=True, kw_only=True)
class _Court:
    """What a process needs to judge its part of the queue."""

    database_url: str
    settings: Settings
    now: datetime
    every: int


def _judge(runtime: Runtime, sample: int, count: int) -> _Judged:
    """Every planned row of the queue, by the gate."""
    import pyarrow.parquet as pq

    now, judged = runtime.clock.now(), _Judged()
    court = _Court(
        database_url=runtime.database_url,
        settings=runtime.settings,
        now=now,
        every=max(count // max(sample, 1), 1),
    )
    with (
        processes.started(_in_court, court, count=processes.count_processors()) as courts,
        queue.extract(runtime.lake, planned_since=now - queue.PLANNED_WITHIN, cohorts=None) as extract,
    ):
        groups = pq.ParquetFile(extract.planned).num_row_groups
        for by_verdict, sampled in courts.answers((extract.planned, group) for group in range(groups)):
            judged.by_verdict.update(by_verdict)
            judged.sampled += sampled
    judged.sampled = judged.sampled[:sample]
    return judged


def _in_court(court: _Court) -> Callable[[tuple[Path, int]], tuple[Counter[str], list[tuple[Subject, dict[str, Any]]]]]:
    return partial(_judge_part, court, ledger.connect(court.database_url, pool_size=1))


def _judge_part(
    court: _Court, engine: Engine, part: tuple[Path, int]
) -> tuple[Counter[str], list[tuple[Subject, dict[str, Any]]]]:
    path, group = part
    by_verdict: Counter[str] = Counter()
    sampled: list[tuple[Subject, dict[str, Any]]] = []
    with engine.connect() as connection:
        for rows in queue.parts_of(path, count=BATCH, groups=[group]):
            subjects = [_subject(row, court.now) for row in rows]
            verdicts = gate.judge(connection, subjects, now=court.now, settings=court.settings)
            by_verdict.update(f"{verdict.decision} {verdict.code}".strip() for verdict in verdicts)
            sampled += [
                (subject, _told(verdict))
                for subject, verdict in zip(subjects, verdicts, strict=True)
                if subject.person_id % court.every == 0
            ]
    return by_verdict, sampled


def _subject(row: QueueRow, now: datetime) -> Subject:
    assert row.due_at is not None
    assert row.contact_point_id is not None
    return Subject(
        message_id=f"{row.person_id}:{row.plan}",
        person_id=row.person_id,
        contact_point_id=row.contact_point_id,
        plan=row.plan,
        step=row.step,
        channel=row.channel,
        purpose=row.purpose,
        subject=row.subject,
        body=row.body,
        is_model_written=False,
        is_template=row.channel == "whatsapp",
        judged_for=row.due_at if row.due_at > now else None,
    )


def _told(verdict: Verdict) -> dict[str, Any]:
    """All of a verdict."""
    return json.loads(gate.detail(verdict)) | {
        "decision": verdict.decision,
        "code": verdict.code,
        "rule": verdict.rule,
        "until": verdict.until.isoformat() if verdict.until else None,
        "now": verdict.now.isoformat(),
    }


def _differing(runtime: Runtime, sampled: list[tuple[Subject, dict[str, Any]]]) -> int:
    """How many of the sample the gate judges otherwise when each is asked about alone, in its own transaction."""
    differs = 0
    for subject, told in sampled:
        with runtime.engine.begin() as connection:
            [verdict] = gate.judge(connection, [subject], now=runtime.clock.now(), settings=runtime.settings)
        if _told(verdict) != told:
            differs += 1
            if differs <= 3:
                print(f"batch: {told}\nalone: {_told(verdict)}", file=sys.stderr)
    return differs


@dataclass(kw_only=True)
class _Used:
    """Memory at its peak and processor time, of this process with its children and of the server."""

    home: Path
    peak_bytes: int = 0
    peak_server_bytes: int = 0
    _spent: dict[int, float] = field(default_factory=dict[int, float])
    _at_first: dict[str, float] = field(default_factory=dict[str, float])

    def look(self, *, with_server: bool = True) -> None:
        """One look at all processes."""
        me = psutil.Process()
        total = 0
        for process in (me, *me.children(recursive=True)):
            try:
                times = process.cpu_times()
                self._spent[process.pid] = times.user + times.system
                total += process.memory_info().rss
            except psutil.Error:
                continue
        self.peak_bytes = max(self.peak_bytes, total)
        if with_server:
            self.peak_server_bytes = max(self.peak_server_bytes, _server_bytes(self.home))

    def cpu_now(self) -> dict[str, float]:
        """Seconds computed since the beginning, by leadpipe and by the server."""
        from benchmarks.machine import server_cpu_seconds

        self.look()
        spent = {"leadpipe": sum(self._spent.values()), "server": server_cpu_seconds(self.home)}
        self._at_first = self._at_first or spent
        return {name: seconds - self._at_first[name] for name, seconds in spent.items()}


def _server_bytes(home: Path) -> int:
    from leadpipe.store.server import EmbeddedServer

    postmaster = psutil.Process(EmbeddedServer(home).status().pid)
    total = 0
    for process in (postmaster, *postmaster.children()):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


@contextmanager
def _watched(home: Path) -> Generator[_Used]:
    used, is_over = _Used(home=home), threading.Event()
    used.cpu_now()

    def watch() -> None:
        looks = 0
        while not is_over.wait(0.2):
            used.look(with_server=looks % 10 == 0)
            looks += 1

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield used
    finally:
        is_over.set()
        watcher.join()


def _in_words(result: dict[str, Any]) -> str:
    lines = [
        f"{result['leads']} aged leads planned and judged in {result['seconds']} s "
        f"({result['cpu_seconds']} s of processor), peak {result['peak_rss_gb']} GB",
        f"{result['judged']} messages judged; of {result['sampled']} made again one by one, "
        f"{result['sample_differs']} differ",
    ]
    lines += [f"  {point['leads']:>8} leads  {point['seconds']:>7} s" for point in result["points"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
