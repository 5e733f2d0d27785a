"""Reactivation: aged leads are planned every night, and only then written to.

What lives here: the ops that plan everyone and enqueue what was planned, their jobs and the nightly schedule. What does
not: either of the two (``leadpipe.work.reactivation``). Planning a cohort through its asset, or backfilling any range
of them, enqueues nothing; only the op below does.
"""

import dagster as dg

from assets.outreach import CHECKS, COHORTS, QUEUE
from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors.slots import nightly, slot


@dg.op(out=dg.Out(dg.Nothing))
def plan_every_cohort(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Plan all cohorts as the asset does and judge the queue by its checks; an unsound queue goes no further."""
    from leadpipe.outreach.queue_problems import problems
    from leadpipe.work.reactivation import plan_cohorts

    runtime = leadpipe.runtime
    done = plan_cohorts(runtime)
    for cohort in done.cohorts:
        if COHORTS.has_partition_key(cohort.isoformat()):
            context.log_event(dg.AssetMaterialization(QUEUE, partition=cohort.isoformat()))
    context.log_event(dg.AssetObservation(QUEUE, metadata=done.as_metadata()))
    found = problems(runtime.engine, runtime.lake)
    for problem, name in CHECKS.items():
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=QUEUE, check_name=name, passed=not found[problem], metadata={"count": found[problem]}
            )
        )
    if any(found.values()):
        raise dg.Failure(
            f"the queue is unsound, nothing is enqueued: {', '.join(name for name, n in found.items() if n)}",
            metadata=found,
            allow_retries=False,
        )


@dg.op(ins={"after": dg.In(dg.Nothing)})
def enqueue_planned_rows(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Turn each planned row into one message, judged by the gate; running it again adds nothing."""
    from leadpipe.work.reactivation import enqueue_cohorts

    done = enqueue_cohorts(leadpipe.runtime, run_key=context.run_id)
    context.log_event(dg.AssetObservation(["outreach", "messages"], metadata=done.as_metadata()))


@dg.job(tags=slot("planning", priority=5, max_minutes=120))
def nightly_reactivation() -> None:
    """Plan everyone, then enqueue what is to go."""
    enqueue_planned_rows(plan_every_cohort())


@dg.job(tags=slot("planning", priority=5, max_minutes=120))
def enqueue_planned() -> None:
    """Enqueue what the queue holds as planned within a day, e.g. after a backfill of cohorts."""
    enqueue_planned_rows()


JOBS = [nightly_reactivation, enqueue_planned]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Every night in the team's own time."""
    return [nightly(nightly_reactivation, at="0 3 * * *", timezone=settings.team_timezone, name="nightly_plans")]
