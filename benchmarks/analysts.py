"""Five analysts at once: ``python -m benchmarks analysts --json``.

What lives here: the figure of sessions held open on a lake while the system runs. What does not: the running system;
start a demo first, or name a home with ``LEADPIPE_HOME``.

Two sessions attach the lake as ``docs/analysts.md`` says, in processes that know nothing of leadpipe but what
``leadpipe sql --attach`` printed; three are ``leadpipe sql`` shells over a pipe. Each asks its queries one after the
other with a pause between, and waits for every answer. Meanwhile ``ages`` looks how old the tables are: raw and mirror
may be a minute behind, the marts five.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import IO, Any

from benchmarks.ages import Ages
from leadpipe.runtime import open_runtime
from leadpipe.sandbox.control import DEFAULT_URL, SandboxControl

SHELLS = 3
ATTACHED = 2
ANSWER_SECONDS = 60
FIRST_BUILD_SECONDS = 180
COLD = "select count(*) from marts.leads"
QUERIES = (
    COLD,
    "select source, count(*), median(first_touch_seconds) from marts.speed_to_lead group by all",
    "select plan, step, template, reply_rate from marts.plan_performance order by all",
    "select stage, sum(count_leads) from marts.funnel group by all",
    "select channel, author, count(*) from marts.communications group by all",
    "select state, count(*) from marts.message_history where is_current group by all",
    "select source, avg(m.score_pct) from marts.message_lineage as m join marts.leads using (person_id) group by all",
    "select awaits, count(*) from conversation.queue group by all",
    "select stage, count(*) from marts.lead_history where valid_to is null group by all",
    "select count(*) from raw.ledger__message_events",
)
ATTACHED_SESSION = """
import json, sys
import duckdb
connection = duckdb.connect()
connection.execute(sys.argv[1])
for line in sys.stdin:
    print(json.dumps(connection.sql(line).fetchall(), default=str), flush=True)
"""


@dataclass
class Session:
    """One open session: how it is asked, and how long its answers took."""

    name: str
    command: list[str]
    is_shell: bool
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def run(self, count: int, gap: float) -> None:
        """Ask ``count`` queries with ``gap`` seconds between."""
        with subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        ) as process:
            assert process.stdin and process.stdout and process.stderr
            said: queue.Queue[str | None] = queue.Queue()
            ears = [
                threading.Thread(target=self._listen, args=(process.stdout, said), daemon=True),
                threading.Thread(target=self._complain, args=(process.stderr, said), daemon=True),
            ]
            for ear in ears:
                ear.start()
            for number in range(count):
                begun = time.perf_counter()
                process.stdin.write(QUERIES[number % len(QUERIES)] + (";\n" if self.is_shell else "\n"))
                process.stdin.flush()
                if not self._answered(said):
                    break
                self.seconds.append(time.perf_counter() - begun)
                time.sleep(gap)
            process.stdin.close()
            for ear in ears:
                ear.join()

    def _listen(self, stream: IO[str], said: queue.Queue[str | None]) -> None:
        for line in stream:
            if not self.is_shell or line.rstrip().endswith("]"):
                said.put(line)
        said.put(None)

    def _complain(self, stream: IO[str], said: queue.Queue[str | None]) -> None:
        lines = list(stream)
        if lines:
            self.errors.append("".join(lines).strip())
            said.put(None)

    def _answered(self, said: queue.Queue[str | None]) -> bool:
        try:
            answer = said.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            self.errors.append(f"no answer within {ANSWER_SECONDS} s")
            return False
        if answer is None:
            self.errors.append("the session ended")
        return answer is not None


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a query failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks analysts", description=__doc__)
    parser.add_argument("--queries", type=int, default=100, help="queries a session")
    parser.add_argument("--gap", type=float, default=1.0, help="seconds between two queries of a session")
    parser.add_argument("--truth", default=DEFAULT_URL, help="address of the sandbox, for the age of the tables")
    parser.add_argument("--watch", type=float, default=0.0, help="go on looking at the ages for so many seconds in all")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    options = parser.parse_args(arguments)
    leadpipe = str(Path(sys.executable).with_name("leadpipe"))
    _until_there(leadpipe)
    begun = time.monotonic()
    cold = _cold(leadpipe)
    attach = subprocess.run([leadpipe, "sql", "--attach"], capture_output=True, text=True, check=True).stdout
    shell = [leadpipe, "sql", "--format", "json"]
    sessions = [Session(f"shell {number + 1}", shell, is_shell=True) for number in range(SHELLS)]
    sessions += [
        Session(f"attached {number + 1}", [sys.executable, "-c", ATTACHED_SESSION, attach], is_shell=False)
        for number in range(ATTACHED)
    ]
    runtime = open_runtime(env_file=None)
    with SandboxControl(options.truth) as sandbox, Ages(runtime, sandbox) as ages:
        with ThreadPoolExecutor(len(sessions)) as pool:
            list(pool.map(lambda session: session.run(options.queries, options.gap), sessions))
        time.sleep(max(0.0, options.watch - (time.monotonic() - begun)))
    runtime.close()
    result = _result(sessions) | {"age_seconds": ages.result(), "cold_seconds": round(cold, 3)}
    result["errors"] += ages.errors
    print(json.dumps(result) if options.json else _in_words(result))
    return 1 if result["errors"] else 0


def _until_there(leadpipe: str) -> None:
    """Wait for the first build of the marts: no analyst's query is at fault before."""
    deadline = time.monotonic() + FIRST_BUILD_SECONDS
    while any(
        subprocess.run([leadpipe, "sql", query], capture_output=True, check=False).returncode for query in QUERIES
    ):
        if time.monotonic() > deadline:
            sys.exit(f"the lake has no marts after {FIRST_BUILD_SECONDS} s; start a demo first")
        time.sleep(2)


def _cold(leadpipe: str) -> float:
    begun = time.perf_counter()
    subprocess.run([leadpipe, "sql", COLD], capture_output=True, check=True)
    return time.perf_counter() - begun


def _result(sessions: list[Session]) -> dict[str, Any]:
    everything = [second for session in sessions for second in session.seconds]
    return {
        "sessions": len(sessions),
        "queries": len(everything),
        "errors": [f"{session.name}: {error}" for session in sessions for error in session.errors],
        "seconds": _spread(everything),
        # A session's first query attaches the lake.
        "first_query_seconds": [round(session.seconds[0], 3) for session in sessions if session.seconds],
        "by_session": {session.name: _spread(session.seconds) for session in sessions},
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {"p50": round(cuts[49], 3), "p95": round(cuts[94], 3), "max": round(max(seconds), 3)}


def _in_words(result: dict[str, Any]) -> str:
    seconds = result["seconds"]
    return (
        f"{result['queries']} queries of {result['sessions']} sessions: p50 {seconds.get('p50')} s, p95 "
        f"{seconds.get('p95')} s, longest {seconds.get('max')} s, {len(result['errors'])} errors; "
        f"a cold `leadpipe sql` {result['cold_seconds']} s; at most "
        + ", ".join(f"{name} {age['max']} s old" for name, age in result["age_seconds"].items())
    )


if __name__ == "__main__":
    sys.exit(main())
