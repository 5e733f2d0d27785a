"""Scores: everyone every night, a new model every week, and telling the CRM what changed.

What lives here: jobs, schedules and the op that journals changed scores. What does not: scoring
(``leadpipe.scoring``), carrying writes to the CRM (``sensors.crm``).
"""

import dagster as dg

from assets.scoring import LEAD_SCORES
from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors.slots import nightly, slot

# Of the CRM's small budget (design section 10): about a quarter of an hour's writes a night, best leads first.
MAX_WRITES = 2_000

score_leads = dg.define_asset_job(
    "score_leads",
    selection=dg.AssetSelection.assets(LEAD_SCORES),
    tags=slot("scoring", max_minutes=60),
    description="Score every lead by the model in force.",
)
train_model = dg.define_asset_job(
    "train_model",
    selection=dg.AssetSelection.assets(["scoring", "model"]),
    tags=slot("scoring", max_minutes=120),
    description="Train on the team's history; a better model waits for `leadpipe model promote`.",
)


@dg.op
def journal_scores(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Journal score, reason and priority of leads whose band or first reason changed; alert agents of high scores."""
    from leadpipe.scoring.publish import journal_changed

    runtime = leadpipe.runtime
    count = journal_changed(runtime.engine, runtime.lake, runtime.settings, now=runtime.clock.now(), limit=MAX_WRITES)
    context.log_event(dg.AssetObservation(LEAD_SCORES, metadata={"journalled": count}))


@dg.job(tags=slot("scoring", max_minutes=30))
def tell_scores() -> None:
    """Hand changed scores to the CRM's journal."""
    journal_scores()


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[score_leads],
    request_job=tell_scores,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def scores_are_new() -> dg.RunRequest:
    """After every scoring whose checks passed, tell the CRM."""
    return dg.RunRequest()


JOBS = [score_leads, train_model, tell_scores]
SENSORS = [scores_are_new]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Scores at night, a training on Sundays."""
    zone = settings.team_timezone
    return [
        nightly(score_leads, at="0 2 * * *", timezone=zone),
        nightly(train_model, at="30 1 * * 0", timezone=zone, name="weekly_training"),
    ]
