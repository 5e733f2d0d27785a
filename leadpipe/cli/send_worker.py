"""``leadpipe send-worker``: the sending loop as a process of its own, as many as one likes, on any machine.

What lives here: arguments, signals and a line of counts. What does not: sending (``messaging.drain``).
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadpipe.cli.failing import failing

if TYPE_CHECKING:
    from leadpipe.messaging.drain import DrainReport


def send_worker(
    concurrency: Annotated[int, typer.Option(min=1, max=200, help="Calls under way at once.")] = 16,
    exit_after: Annotated[float, typer.Option(min=0, help="Stop after so many seconds; 0 runs until stopped.")] = 0.0,
    no_env_file: Annotated[bool, typer.Option("--no-env-file", help="Read the environment only.")] = False,
) -> None:
    """Send what is due until stopped (Ctrl-C, SIGTERM); calls under way are finished first.

    Does not start with LEADPIPE_SENDING=live while a setting is missing that live sending needs. Without the right to
    send it waits, and says so.

    Example: leadpipe send-worker --concurrency 32
    """
    from leadpipe.messaging.channels.build import build_channels
    from leadpipe.messaging.drain import run_worker
    from leadpipe.monitoring.heartbeat import SEND_WORKER, Pulse
    from leadpipe.readiness import refuse_unready
    from leadpipe.runtime import open_runtime
    from leadpipe.store.house_settings import refuse_other_settings

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    if exit_after:
        timer = threading.Timer(exit_after, stopped.set)
        timer.daemon = True
        timer.start()
    with failing():
        runtime = open_runtime(env_file=None if no_env_file else Path(".env"))
        try:
            refuse_unready(runtime.settings)
            refuse_other_settings(runtime.settings)
            channels = build_channels(runtime.settings, connections=concurrency)
            names = ", ".join(sorted(channels)) or "no channel"
            typer.echo(f"send-worker: sending={runtime.settings.sending}, {names}, {concurrency} calls at once")
            with Pulse(lambda: runtime.engine, SEND_WORKER).in_thread():
                run_worker(
                    engine=runtime.engine,
                    channels=channels,
                    settings=runtime.settings,
                    clock=runtime.clock,
                    should_stop=stopped.is_set,
                    concurrency=concurrency,
                    on_report=lambda report: typer.echo(_line(report)),
                    on_outage=lambda: typer.echo("the ledger does not answer; trying again", err=True),
                    on_standing=lambda why_not: typer.echo(_standing(why_not), err=True),
                )
        finally:
            runtime.close()


def _standing(why_not: str) -> str:
    if why_not:
        return f"nothing leaves from here ({why_not}); `leadpipe sending status` says why and what to do"
    return "this installation may send again"


def _line(report: DrainReport) -> str:
    counts = ", ".join(f"{state} {count}" for state, count in sorted(report.counts.items()))
    recovered = f"; {report.count_recovered} of dead workers now unknown" if report.count_recovered else ""
    why = f"; {report.stopped_by}" if report.stopped_by else ""
    return f"{counts or 'nothing sent'}{recovered}{why}"
