"""Housekeeping: Dagster's own history, and the lake's maintenance.

What lives here: what is deleted when, and the nightly schedules. What does not: the lake's steps
(``leadpipe.store.maintenance``). Dagster keeps every run for ever: 20-40 KB each in its database, and a folder of logs.
"""

import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus

from leadpipe.clock import WallClock
from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors.slots import nightly, slot

KEEP = timedelta(days=14)
# Jobs that run every minute or oftener: what they did is in the ledger, their runs are kept for a look back.
OFTEN = (
    "first_touch",
    "read_replies",
    "send_due",
    "poll",
    "mirror_ledger",
    "refresh_marts",
    "write_back",
    "deliver_alerts",
    "watch",
)
KEEP_OFTEN = timedelta(days=2)
ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
# A night deletes no more than this of one kind; a backlog goes over several nights.
MAX_DELETED = 5_000

maintain_lake = dg.define_asset_job(
    "maintain_lake",
    selection=dg.AssetSelection.assets(["ops", "lake_maintenance"]),
    tags=slot("maintenance", max_minutes=120),
    description="Merge, expire and clean up the lake's files.",
)


def old_runs(instance: dg.DagsterInstance, *, now: datetime) -> list[str]:
    """Ids of ended runs past their time, oldest last: successes of frequent jobs after two days, others after 14."""
    found = _ended(instance, dg.RunsFilter(statuses=ENDED, created_before=now - KEEP))
    for job in OFTEN:
        statuses = [DagsterRunStatus.SUCCESS]
        found += _ended(instance, dg.RunsFilter(job_name=job, statuses=statuses, created_before=now - KEEP_OFTEN))
    return list(dict.fromkeys(found))


def _ended(instance: dg.DagsterInstance, wanted: dg.RunsFilter) -> list[str]:
    return [run.run_id for run in instance.get_runs(wanted, limit=MAX_DELETED)]


def delete_runs(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> int:
    """Delete these runs with their logs. ``delete_run`` alone leaves the folder of logs behind."""
    storage = Path(instance.storage_directory())
    for run_id in run_ids:
        instance.delete_run(run_id)
        shutil.rmtree(storage / run_id, ignore_errors=True)
    return len(run_ids)


def prune_dbt(folder: Path, *, before: datetime) -> int:
    """Delete what dbt left in its target folder and did not touch since; returns how many entries went."""
    old = [entry for entry in folder.glob("*") if entry.stat().st_mtime < before.timestamp()]
    for entry in old:
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return len(old)


@dg.op
def clean_up(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Delete old runs with their logs, and what dbt left behind."""
    now = WallClock().now()  # Dagster's own times, and those of files, are the machine's
    count = delete_runs(context.instance, old_runs(context.instance, now=now))
    pruned = prune_dbt(leadpipe.runtime.settings.home.absolute() / "dbt", before=now - KEEP)
    context.add_output_metadata({"runs_deleted": count, "dbt_entries_deleted": pruned})


@dg.job(tags=slot("housekeeping", max_minutes=60))
def housekeeping() -> None:
    """Prune run history and dbt's folders."""
    clean_up()


JOBS = [maintain_lake, housekeeping]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Both at night, after what the night is for."""
    zone = settings.team_timezone
    return [
        nightly(maintain_lake, at="0 5 * * *", timezone=zone),
        nightly(housekeeping, at="30 5 * * *", timezone=zone, name="nightly_housekeeping"),
    ]
