"""Planning and enqueueing aged leads: ``python -m benchmarks plan --leads 100000 --json``.

What lives here: the figure of the nightly run, at a tenth, once and three times the number of leads, to show how it
grows. What does not: the people (``aged_leads``).

Each point has a home of its own with an embedded server at its defaults (fsync on). The people are generated first and
not counted; then a fresh process plans and enqueues, and reports its wall time and its own peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leadpipe.clock import FixedClock
from leadpipe.leads.place_tables import tables
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings, StateValue

# A Tuesday at 02:00 in Chicago: when the nightly run plans.
NIGHT = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; with ``--home`` only plan what lies there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks plan", description=__doc__)
    parser.add_argument("--leads", type=int, default=100_000, help="aged leads of the main figure")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    parser.add_argument("--no-points", action="store_true", help="only the main figure, not a tenth and three times it")
    parser.add_argument("--repeat", type=int, default=1, help="measure so often and report the best")
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--profile", type=Path, help="write a cProfile of the main figure here")
    options = parser.parse_args(arguments)
    if options.home is not None:
        print(json.dumps(_plan_and_enqueue(options.home, options.profile)))
        return 0
    sizes = [options.leads] if options.no_points else [options.leads // 10, options.leads, options.leads * 3]
    found = {size: _best(size, options.repeat, options.profile if size == options.leads else None) for size in sizes}
    result = found[options.leads] | {
        "points": [{"leads": size, "seconds": point["seconds"]} for size, point in found.items()]
    }
    print(json.dumps(result) if options.json else _in_words(result))
    return 0


def _best(leads: int, repeat: int, profile: Path | None) -> dict[str, Any]:
    return min((_measure(leads, profile) for _ in range(repeat)), key=lambda point: point["seconds"])


def _measure(leads: int, profile: Path | None) -> dict[str, Any]:
    from benchmarks.aged_leads import generate
    from leadpipe.store.server import EmbeddedServer

    home = Path(tempfile.mkdtemp(prefix="leadpipe-bench-"))
    home.chmod(0o755)
    try:
        runtime = runtime_of(home)
        runtime.set_up()
        begun = time.perf_counter()
        generate(runtime, leads=leads)
        print(f"{leads} leads generated in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        runtime.close()
        command = [sys.executable, "-m", "benchmarks.plan", "--home", str(home)]
        command += ["--profile", str(profile)] if profile else []
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return {"leads": leads} | json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        sys.exit(f"planning {leads} leads failed:\n{error.stderr}")
    finally:
        EmbeddedServer(home).stop()
        shutil.rmtree(home, ignore_errors=True)


def runtime_of(home: Path) -> Runtime:
    """A team's system in this home, at night."""
    settings = Settings(
        home=home,
        brokerage_name="Demo Realty",
        postal_address="100 Main Street, Suite 5, Houston, TX 77002",
        email_from="Demo Realty <hello@demo-realty.example>",
        reply_domain="in.demo-realty.example",
        a2p_campaign_id="CM-bench",
        sms_disabled_states=(),
        licences=tuple(StateValue(state, "01234567") for state in sorted(tables().by_state)),
        licence_links=(StateValue("TX", "https://demo-realty.example/iabs"),),
        whatsapp_number="whatsapp:+15125550100",
        whatsapp_template_sid="HX-bench",
        _env_file=None,  # pyright: ignore[reportCallIssue]
    )
    runtime = Runtime(settings)
    runtime.__dict__["clock"] = FixedClock(NIGHT)
    return runtime


def _plan_and_enqueue(home: Path, profile: Path | None) -> dict[str, Any]:
    from leadpipe.work.reactivation import enqueue_cohorts, plan_cohorts

    runtime = runtime_of(home)
    profiler = None
    if profile:
        import cProfile

        profiler = cProfile.Profile()
        profiler.enable()
    begun, cpu_before = time.perf_counter(), time.process_time()
    planned = plan_cohorts(runtime)
    planned_after = time.perf_counter() - begun
    enqueued = enqueue_cohorts(runtime, run_key="bench")
    seconds = time.perf_counter() - begun
    if profiler and profile:
        profiler.disable()
        profiler.dump_stats(profile)
    states = enqueued.count_by_state
    runtime.close()
    return {
        "seconds": round(seconds, 2),
        "planning_seconds": round(planned_after, 2),
        # What this process computed; the rest of the time it waited, for the server or for a core.
        "cpu_seconds": round(time.process_time() - cpu_before, 2),
        "peak_rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "enqueued": states.get("queued", 0) + states.get("held", 0),
        "held": states.get("held", 0),
        "blocked": states.get("blocked", 0),
        "review": states.get("review", 0),
        "outcomes": dict(planned.count_by_outcome),
        "why": dict(enqueued.count_by_code),
    }


def _in_words(result: dict[str, Any]) -> str:
    share = 100 * result["enqueued"] / result["leads"]
    lines = [
        f"{result['leads']} aged leads planned and enqueued in {result['seconds']} s, peak {result['peak_rss_gb']} GB",
        f"{result['enqueued']} enqueued ({share:.0f} %), of them {result['held']} held; {result['blocked']} blocked",
    ]
    lines += [f"  {point['leads']:>8} leads  {point['seconds']:>7} s" for point in result["points"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
