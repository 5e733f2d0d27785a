"""Dagster's home in LEADPIPE_HOME: the instance configuration and the environment its processes need.

What lives here: ``dagster.yaml`` and the variables. What does not: starting the processes (``supervisor``).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError
from leadpipe.store.urls import dagster_url

if TYPE_CHECKING:
    from leadpipe.settings import Settings

PG_URL_VARIABLE = "DAGSTER_PG_URL"
# Every slot holds one run, so the limit below only bounds what is started by hand.
MAX_RUNS = 20


def folder(home: Path) -> Path:
    """DAGSTER_HOME of this home."""
    return home.absolute() / "dagster"


def instance_config(settings: Settings) -> dict[str, Any]:
    """The content of ``dagster.yaml``; it holds no secret, the database is named by a variable."""
    every_day = {"skipped": 2, "success": 14, "failure": 90}
    config: dict[str, Any] = {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "storage": {
            "custom": {
                "module": "resources.dagster_storage",
                "class": "PooledPostgresStorage",
                "config": {"postgres_url": {"env": PG_URL_VARIABLE}},
            }
        },
        # Dagster's own, but that it notices runs which died with the code server.
        "run_launcher": {"module": "resources.run_launcher", "class": "WatchedRunLauncher"},
        "concurrency": {
            "pools": {"default_limit": 1, "granularity": "run"},
            "runs": {
                "max_concurrent_runs": MAX_RUNS,
                "tag_concurrency_limits": [
                    {"key": "leadpipe/slot", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
                ],
            },
        },
        # The default of 5 s is half of what a lead waits when no run lingers.
        "run_queue": {"dequeue_interval_seconds": 1, "dequeue_use_threads": True, "dequeue_num_workers": 4},
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 180,
            "max_runtime_seconds": 7200,
            "poll_interval_seconds": 30,
            "free_slots_after_run_end_seconds": 300,
        },
        # A crash is tried again by the run, a failed step by its own retry policy; both would multiply.
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        "sensors": {"use_threads": True, "num_workers": 8},
        "schedules": {"use_threads": True, "num_workers": 4},
        "auto_materialize": {"use_threads": True, "num_workers": 2},
        "retention": {
            "schedule": {"purge_after_days": 30},
            "sensor": {"purge_after_days": every_day},
            "auto_materialize": {"purge_after_days": every_day},
        },
        "python_logs": {"managed_python_loggers": ["leadpipe"], "python_log_level": "INFO"},
    }
    if settings.compute_logs_path:
        config["compute_logs"] = _s3_compute_logs(settings)
    return config


def _s3_compute_logs(settings: Settings) -> dict[str, Any]:
    """Logs of runs in S3, so that they survive the machine and can be read from another one; keys by boto's chain."""
    bucket, _, prefix = settings.compute_logs_path.removeprefix("s3://").partition("/")
    if not settings.compute_logs_path.startswith("s3://") or not bucket:
        raise ConfigurationError(
            f"LEADPIPE_COMPUTE_LOGS_PATH is {settings.compute_logs_path!r}; it must read s3://bucket/prefix"
        )
    return {
        "module": "dagster_aws.s3.compute_log_manager",
        "class": "S3ComputeLogManager",
        "config": {
            "bucket": bucket,
            "prefix": prefix.strip("/") or "leadpipe",
            "region": settings.aws_region,
            "local_dir": str(folder(settings.home) / "compute_logs"),
        },
    }


def write_dagster_home(settings: Settings) -> Path:
    """Write ``dagster.yaml`` and return DAGSTER_HOME; writing it again changes nothing."""
    import yaml

    home = folder(settings.home)
    home.mkdir(parents=True, exist_ok=True)
    text = "# Written by leadpipe at every start; change the settings instead.\n"
    text += yaml.safe_dump(instance_config(settings), sort_keys=False)
    target = home / "dagster.yaml"
    if not target.exists() or target.read_text() != text:
        part = home / f".dagster.yaml.{os.getpid()}"
        part.write_text(text)
        part.rename(target)
    return home


def dagster_variables(home: Path, database_url: str) -> dict[str, str]:
    """What Dagster's processes need beside the settings' own variables."""
    return {
        "DAGSTER_HOME": str(folder(home)),
        PG_URL_VARIABLE: dagster_url(database_url),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


def main() -> None:
    """Print the variables as a shell reads them, for Dagster's own commands beside a running system.

    A demo's own settings are among them, its keys being invented; those of a real account never are.

    Example: eval "$(python -m leadpipe.cli.dagster_home)"
    """
    import shlex
    import sys

    from leadpipe.cli.failing import failing
    from leadpipe.cli.services import setting_variables
    from leadpipe.runtime import open_runtime
    from leadpipe.store.house_settings import demo_variables

    with failing():
        runtime = open_runtime()
        settings = runtime.settings
        variables = dagster_variables(settings.home, runtime.database_url)
        # The running system wrote its own; this shell's settings may be others.
        if not (folder(settings.home) / "dagster.yaml").exists():
            write_dagster_home(settings)
    if demo_variables(settings.home):
        variables |= setting_variables(settings)
    for name, value in variables.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


if __name__ == "__main__":
    import typer

    typer.run(main)
