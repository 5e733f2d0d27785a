"""Run slots: which runs may be in progress together, and the sensors that fill them.

What lives here: the tags that ``dagster.yaml`` limits, the one decision all state sensors share, the sensor around it.
What does not: what each of them asks (``leadpipe.work.waiting``).

Each slot holds one run, so a long run of one kind never keeps another kind waiting. Assets use pools for the same; a
pool at run granularity would block the whole of a run, so the jobs that answer people use none (design section 6).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import dagster as dg
from dagster import DagsterRunStatus
from pydantic import Field
from sqlalchemy import Connection

from leadpipe.readiness import refuse_unready
from leadpipe.settings import Settings
from resources.runtime import DEFAULT_NICE, NICE_TAG, LeadpipeResource

SLOT_TAG = "leadpipe/slot"
PRIORITY_TAG = "dagster/priority"
# A run that never ends would keep its slot for ever; monitoring fails it after so many seconds.
MAX_RUNTIME_TAG = "dagster/max_runtime"
# A run that waits for its slot counts too: together with the question asked it makes a second run useless.
UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

Question = Callable[[Connection, Settings, datetime], int]


class Linger(dg.Config):
    """How long a run stays for more work. Starting one costs seconds, so a run that stays answers the next at once."""

    linger_seconds: int | None = Field(None, ge=0, description="Seconds; empty: the setting LEADPIPE_LINGER_SECONDS.")

    def seconds(self, settings: Settings) -> int:
        """This run's own, else the setting."""
        return settings.linger_seconds if self.linger_seconds is None else self.linger_seconds


def slot(name: str, *, priority: int = 0, max_minutes: int = 30) -> Mapping[str, str]:
    """Tags of a job that shares the slot ``name``.

    A higher priority leaves the queue first. From 30 on, where somebody waits or a table must stay fresh, the run's
    process does not step back for others; write-back does a little, or analysts' queries would starve it.
    """
    nice = 0 if priority >= 30 else 5 if priority >= 10 else DEFAULT_NICE
    return {
        SLOT_TAG: name,
        PRIORITY_TAG: str(priority),
        NICE_TAG: str(nice),
        MAX_RUNTIME_TAG: str(max_minutes * 60),
    }


def is_under_way(instance: dg.DagsterInstance, job_name: str) -> bool:
    """Whether a run of this job waits or works."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=UNDER_WAY), limit=1))


def decide(*, count_waiting: int, is_run_under_way: bool, what: str) -> dg.RunRequest | dg.SkipReason:
    """A run when something waits and none is under way. No run key: a key is remembered even when its run died."""
    if count_waiting == 0:
        return dg.SkipReason(f"no {what} waits")
    if is_run_under_way:
        return dg.SkipReason(f"{count_waiting} waiting ({what}): a run is under way")
    return dg.RunRequest(tags={"leadpipe/waiting": str(count_waiting)})


def state_sensor(
    job: dg.JobDefinition, *, name: str, what: str, question: Question, every_seconds: int, is_sending: bool = False
) -> dg.SensorDefinition:
    """A sensor that asks the ledger how much waits and starts one run for all of it; it keeps no cursor.

    The sensor of a job that sends (``is_sending``) fails with the words with which the run would refuse to start: a run
    every few seconds would say no more.
    """

    @dg.sensor(
        name=name,
        job=job,
        description=f"Starts {job.name} when a {what} waits and no run of it is under way.",
        minimum_interval_seconds=every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def ask(context: dg.SensorEvaluationContext, leadpipe: LeadpipeResource) -> dg.RunRequest | dg.SkipReason:
        runtime = leadpipe.runtime
        if is_sending:
            refuse_unready(runtime.settings)
        with runtime.engine.connect() as connection:
            count = question(connection, runtime.settings, runtime.clock.now())
        under_way = count > 0 and is_under_way(context.instance, job.name)
        return decide(count_waiting=count, is_run_under_way=under_way, what=what)

    return ask


def every_minutes(
    job: Any, minutes: int, *, offset: int = 0, run_config: dg.RunConfig | None = None
) -> dg.ScheduleDefinition:
    """A schedule that starts ``job`` every so many minutes, under an hour, unless a run of it is still under way.

    ``offset`` keeps schedules of several minutes off each other: runs that start together start slowly.
    """

    @dg.schedule(
        name=f"{job.name}_every_{minutes}_min",
        job=job,
        cron_schedule=f"{offset % minutes}-59/{minutes} * * * *" if minutes > 1 else "* * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if is_under_way(context.instance, job.name):
            return dg.SkipReason("the run before is under way")
        return dg.RunRequest(run_config=run_config)

    return tick


def nightly(job: Any, *, at: str, timezone: str, name: str | None = None) -> dg.ScheduleDefinition:
    """A schedule in the team's own time, e.g. ``at="10 1 * * *"``."""
    return dg.ScheduleDefinition(
        name=name or f"nightly_{job.name}",
        job=job,
        cron_schedule=at,
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
