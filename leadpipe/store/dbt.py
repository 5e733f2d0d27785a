"""dbt beside the lake: the project's folder, the environment its profile reads, a run of it.

What lives here: how dbt is called so that it finds our lake, our extensions and no network. What does not: the models
(``dbt/``), the schedule (Dagster).

A run rebuilds tables, so it holds the lake's lock shared and ``marts`` exclusively: one dbt at a time, maintenance and
erasure before or after it, appends beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe.errors import ConfigurationError, TransientError
from leadpipe.store import extensions, locks
from leadpipe.store.urls import keyword_dsn

if TYPE_CHECKING:
    from leadpipe.settings import Settings

PROJECT = Path(__file__).resolve().parents[2] / "dbt"
MANIFEST = PROJECT / "target" / "manifest.json"
LOCK = "marts"
# What dbt prints last when a model or a test fails; the rest of its log stays in its own file.
SAID_LINES = 25


def executable() -> str:
    """The ``dbt`` beside this interpreter, which need not be on PATH."""
    return str(Path(sys.executable).with_name("dbt"))


def environment(settings: Settings, database_url: str) -> dict[str, str]:
    """The variables that ``dbt/profiles.yml`` reads, for this lake."""
    return {
        "LEADPIPE_DUCKDB_EXTENSIONS": str(extensions.folder(settings.home)),
        "LEADPIPE_LAKE_CATALOG": keyword_dsn(database_url),
        "LEADPIPE_LAKE_DATA": settings.lake_url.rstrip("/") + "/",
        "LEADPIPE_TEAM_TIMEZONE": settings.team_timezone,
        "LEADPIPE_STARVING_AFTER_DAYS": str(settings.starving_after_days),
        "LEADPIPE_STOP_STAGES": ",".join(settings.stop_stages),
        # Unit tests prove the SQL, not the data: the test suite runs them, a build every few minutes need not.
        "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test",
        # dbt's own choice is to log every step of every build, megabytes a build; the compiled SQL is on disk anyway.
        "DBT_LOG_LEVEL_FILE": "info",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def placeholder_environment() -> dict[str, str]:
    """The same variables with values that name nothing: enough to parse, which opens no connection."""
    return {
        "LEADPIPE_DUCKDB_EXTENSIONS": "unset",
        "LEADPIPE_LAKE_CATALOG": "unset",
        "LEADPIPE_LAKE_DATA": "unset/",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


@contextmanager
def locked(database_url: str) -> Generator[None]:
    """Hold what a dbt run needs: no second dbt, no maintenance, no erasure meanwhile."""
    with locks.table_lock(database_url, LOCK, shared=False):
        yield


def run(
    arguments: Sequence[str],
    *,
    settings: Settings,
    database_url: str,
    target_path: Path | None = None,
    variables: Mapping[str, str] | None = None,
    timeout_seconds: float = 600,
) -> str:
    """Run ``dbt ARGUMENTS`` on this lake under its lock; returns what it printed.

    Args:
        arguments: subcommand and options.
        settings: names the lake and the home.
        database_url: where the catalog is.
        target_path: dbt's own folder; ``HOME/dbt`` when not given.
        variables: environment variables that go before ours.
        timeout_seconds: after so long the run is ended.

    Raises:
        ConfigurationError: dbt is not installed beside this interpreter.
        TransientError: a model or a test failed, or time ran out; carries dbt's last lines.
    """
    target = target_path or settings.home.absolute() / "dbt"
    command = [
        executable(), *arguments,
        "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
        "--target-path", str(target), "--log-path", str(target / "logs"),
    ]  # fmt: skip
    with locked(database_url):
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **environment(settings, database_url), **(variables or {})},
                cwd=PROJECT,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout_seconds,
            )
        except FileNotFoundError as error:
            raise ConfigurationError(f"no dbt at {executable()}; run `make install`") from error
        except subprocess.TimeoutExpired as error:
            raise TransientError(f"dbt {arguments[0]} took over {timeout_seconds:.0f} s; see {target}/logs") from error
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-SAID_LINES:]) or done.stderr.strip()
        raise TransientError(f"dbt {arguments[0]} failed; see {target}/logs/dbt.log\n{said}")
    return done.stdout
