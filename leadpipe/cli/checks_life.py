"""The doctor's checks of who lives: Dagster's daemons, and each service's own signs of life.

What lives here: reading their heartbeats. What does not: writing them (``monitoring.heartbeat``, Dagster), processes of
this machine (``checks_machine``). They are asked of the database, so services on other machines are seen too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from leadpipe.cli.checks_stores import without_database
from leadpipe.cli.finding import Check, Finding, note, ok, wrong

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

# Dagster's daemons beat every 30 s; Dagster itself calls one unhealthy only after half an hour.
DAEMON_SILENT = timedelta(minutes=2)
# What leadpipe needs of them: sensors and schedules tick, runs leave the queue, dead runs are noticed.
DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR", "MONITORING")


def dagster_daemon(runtime: Runtime) -> Finding:
    """The daemon's threads that start and watch runs give signs of life; a process that hangs gives none."""
    from sqlalchemy import text

    from leadpipe.clock import WallClock

    name = "Dagster daemon"
    missing = without_database(runtime, name)
    if missing is not None:
        return missing
    with runtime.engine.connect() as connection:
        if connection.execute(text("select to_regclass('dagster.daemon_heartbeats')")).scalar() is None:
            return note(name, "never ran here", "`leadpipe up` starts it")
        rows = connection.execute(
            text("select daemon_type, \"timestamp\" at time zone 'UTC' from dagster.daemon_heartbeats")
        )
        seen_at = {str(kind): at for kind, at in rows}
    now = WallClock().now()
    silent = [kind for kind in DAEMONS if kind not in seen_at or now - seen_at[kind] > DAEMON_SILENT]
    if not silent:
        oldest = max(now - seen_at[kind] for kind in DAEMONS)
        return ok(name, f"all of {len(DAEMONS)} gave a sign of life within {_ago(oldest)}")
    last = max(seen_at.values(), default=None)
    since = f"no sign of life for {_ago(now - last)}" if last else "no sign of life yet"
    if len(silent) < len(DAEMONS):
        since = f"no sign of life of {', '.join(kind.lower() for kind in silent)}"
    if not _runs_here(runtime):
        return note(name, f"{since}; nothing runs in this home", "`leadpipe up` starts it, or see where it runs")
    return wrong(
        name,
        since,
        f"see {runtime.settings.home.absolute() / 'logs' / 'dagster-daemon.log'}; `leadpipe down`, then `leadpipe up`. "
        "Just started? Look again in a minute",
    )


def signs_of_life(runtime: Runtime) -> Finding:
    """Every service that did not say that it stops still gives signs of life."""
    from sqlalchemy import text

    from leadpipe.clock import WallClock
    from leadpipe.monitoring.uptime import SLACK_SECONDS

    name = "signs of life"
    missing = without_database(runtime, name)
    if missing is not None:
        return missing
    with runtime.engine.connect() as connection:
        if connection.execute(text("select to_regclass('ledger.heartbeats')")).scalar() is None:
            return note(name, "the ledger has no table of them yet", "`leadpipe up` upgrades it")
        rows = connection.execute(
            text(
                "select distinct on (service) service, state, beat_at from ledger.heartbeats "
                "order by service, beat_at desc, id desc"
            )
        ).all()
    now = WallClock().now()
    running = {row.service: now - row.beat_at for row in rows if row.state == "up"}
    silent = {service: age for service, age in running.items() if age > timedelta(seconds=SLACK_SECONDS)}
    if silent:
        words = ", ".join(f"{service} for {_ago(age)}" for service, age in sorted(silent.items()))
        finding = wrong if _runs_here(runtime) else note
        return finding(name, f"none of {words}", "see its log; leadpipe_service_up tells when it went")
    if not running:
        return note(name, "no service runs")
    return ok(name, f"{', '.join(sorted(running))}")


def _runs_here(runtime: Runtime) -> bool:
    from leadpipe.cli.supervisor import is_supervised

    return is_supervised(runtime.settings.home)


def _ago(age: timedelta) -> str:
    seconds = age.total_seconds()
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


CHECKS: list[Check] = [dagster_daemon, signs_of_life]
