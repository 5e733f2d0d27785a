"""The doctor's checks of the stores: database, ledger, extensions, lake, clock, right to send, switch.

What lives here: whether they answer and are up to date. What does not: bringing them up to date (`leadpipe up`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from leadpipe.cli.finding import Check, Finding, note, ok, wrong
from leadpipe.settings import Sending
from leadpipe.store.urls import is_private

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

SKEW = timedelta(seconds=60)


def database(runtime: Runtime) -> Finding:
    """PostgreSQL lets us in; the embedded server is started for it if it was set up before."""
    import psycopg

    from leadpipe.store.server import EmbeddedServer
    from leadpipe.store.urls import require_postgresql

    name, settings = "database", runtime.settings
    if settings.database_url:
        require_postgresql(settings.database_url)
        try:
            with psycopg.connect(settings.database_url, connect_timeout=5) as connection:
                version = connection.info.server_version // 10_000
        except psycopg.OperationalError as error:
            first = str(error).strip().splitlines()[0]
            return wrong(name, f"LEADPIPE_DATABASE_URL: {first}", "start that server or correct the address")
        if version < 16:
            return wrong(name, f"PostgreSQL {version}", "use PostgreSQL 16 or newer")
        if not is_private(settings.database_url):
            return wrong(
                name,
                f"PostgreSQL {version} is reached over the network without TLS being demanded",
                "add ?sslmode=verify-full (or require) to LEADPIPE_DATABASE_URL",
            )
        return ok(name, f"PostgreSQL {version} at LEADPIPE_DATABASE_URL")
    if not (settings.home / "pg").exists():
        return wrong(name, f"nothing is set up in {settings.home.absolute()}", "run `leadpipe up` once")
    url = EmbeddedServer(settings.home).ensure_running()
    with psycopg.connect(url, connect_timeout=5) as connection:
        version = connection.info.server_version // 10_000
    return ok(name, f"embedded PostgreSQL {version} answers")


def ledger(runtime: Runtime) -> Finding:
    """The ledger's schema is the newest this code knows."""
    from leadpipe.store.ledger import current_revision, head_revision

    missing = without_database(runtime, "ledger")
    if missing is not None:
        return missing
    current, head = current_revision(runtime.engine), head_revision()
    if current != head:
        return wrong("ledger", f"schema {current or 'missing'}, wanted {head}", "run `leadpipe up`, which upgrades it")
    return ok("ledger", f"schema {current}")


def extensions(runtime: Runtime) -> Finding:
    """DuckDB's extensions are installed for this version."""
    import duckdb

    from leadpipe.store import extensions as installed

    folder = installed.folder(runtime.settings.home)
    missing = [
        name for name in installed.NAMES if not list(folder.glob(f"v{duckdb.__version__}/*/{name}.duckdb_extension"))
    ]
    if missing:
        return wrong(
            "extensions", f"{', '.join(missing)} for DuckDB {duckdb.__version__} not in {folder}", "run `leadpipe up`"
        )
    return ok("extensions", f"{', '.join(installed.NAMES)} for DuckDB {duckdb.__version__}")


def lake(runtime: Runtime) -> Finding:
    """The lake can be attached, its files can be read, and its tables exist."""
    import duckdb

    from leadpipe.store.bootstrap import schemas

    name = "lake"
    missing = without_database(runtime, name)
    if missing is not None:
        return missing
    try:
        with runtime.lake.connect(read_only=True) as connection:
            rows = connection.execute(
                "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake'"
            ).fetchall()
            connection.execute("select count(*) from (from raw.fub__people limit 1)").fetchall()
    except duckdb.Error as error:
        first = str(error).strip().splitlines()[0]
        return wrong(
            name, f"{runtime.lake.data_path}: {first}", "run `leadpipe up`; check LEADPIPE_LAKE_PATH and its disk"
        )
    absent = sorted(set(schemas()) - {row[0] for row in rows})
    if absent:
        return wrong(
            name, f"{len(absent)} tables are missing, e.g. {absent[0]}", "run `leadpipe up`, which creates them"
        )
    return ok(name, f"{len(rows)} tables in {runtime.lake.data_path}")


def clock(runtime: Runtime) -> Finding:
    """Nobody simulates time where real people are reached, and the database's clock agrees with ours."""
    from sqlalchemy import text

    from leadpipe.clock import WallClock, read_offset

    name = "clock"
    missing = without_database(runtime, name)
    if missing is not None:
        return missing
    with runtime.engine.connect() as connection:
        theirs = connection.execute(text("select clock_timestamp()")).scalar_one()
    skew = abs(theirs - WallClock().now())
    if skew > SKEW:
        return wrong(name, f"{skew.total_seconds():.0f} s away from the database's", "set both machines by NTP")
    offset = read_offset(runtime.engine)
    if offset and runtime.settings.sending is not Sending.SANDBOX:
        return wrong(
            name,
            f"the ledger's calendar is moved by {_whole(offset)}",
            "use another LEADPIPE_HOME than the demo's or a test's",
        )
    if offset:
        return note(name, f"simulated calendar, moved by {_whole(offset)}")
    return ok(name, "the wall clock, in step with the database's")


def _whole(offset: timedelta) -> str:
    """Days, hours and minutes in words: a calendar behind is not told as "-1 day, 23:00"."""
    minutes = round(abs(offset).total_seconds() / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [
        f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in ((days, "day"), (hours, "hour"), (minutes, "minute")) if n
    ]
    return f"{' '.join(parts) or 'less than a minute'} {'back' if offset < timedelta(0) else 'ahead'}"


def switch(runtime: Runtime) -> Finding:
    """Whether somebody has stopped sending."""
    from leadpipe.messaging import switch as sending_switch

    name = "sending switch"
    missing = without_database(runtime, name)
    if missing is not None:
        return missing
    with runtime.engine.connect() as connection:
        found = sending_switch.read(connection)
    if found.is_stopped:
        return note(
            name, f"stopped since {found.changed_at}: {found.reason}", "`leadpipe sending resume` lets it go on"
        )
    if not found.is_on:
        numbers = (f"{len(found.contact_points)} receivers",) if found.contact_points else ()
        parts = ", ".join((*found.plans, *found.channels, *numbers))
        return note(name, f"stopped in part: {parts}", "`leadpipe sending status`, then `leadpipe sending resume`")
    return ok(name, "on")


def right_to_send(runtime: Runtime) -> Finding:
    """Whether this installation is the one that may send from this ledger."""
    from leadpipe.messaging import right

    name = "right to send"
    missing = without_database(runtime, name)
    if missing is not None:
        return missing
    with runtime.engine.connect() as connection:
        found = right.standing(connection, runtime.settings)
    if found.why == right.CATCHING_UP:
        return note(name, found.words)
    if not found.may_send:
        return wrong(name, found.words, "`leadpipe sending take-over` shows what would follow")
    return ok(name, f"here, at {found.here}, since {right.minute(found.taken_at)}")


def without_database(runtime: Runtime, name: str) -> Finding | None:
    """A finding when there is no database to ask, so that a check neither creates one nor says the same again."""
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    settings = runtime.settings
    if not settings.database_url and not (settings.home / "pg").exists():
        return wrong(name, "no database yet", "run `leadpipe up` once")
    try:
        with runtime.engine.connect() as connection:
            known = connection.execute(text("select to_regclass('ledger.controls')")).scalar()
    except SQLAlchemyError:
        return wrong(name, "the database does not answer", "see the line `database`")
    if known is None:
        return wrong(name, "the database is empty", "run `leadpipe up`, which sets it up")
    return None


CHECKS: list[Check] = [database, ledger, extensions, lake, clock, right_to_send, switch]
