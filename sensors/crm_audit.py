"""The nightly audit of Follow Up Boss, and writing again what somebody typed over.

What lives here: the jobs, the op that journals and what starts them. What does not: comparing (``leadpipe.crm.audit``),
carrying writes out (``sensors.crm``).
"""

import dagster as dg

from assets.crm_audit import AUDIT
from leadpipe.settings import Settings
from resources.runtime import LeadpipeResource
from sensors.slots import nightly, slot

audit_crm = dg.define_asset_job(
    "audit_crm",
    selection=dg.AssetSelection.assets(AUDIT),
    tags=slot("audit", max_minutes=240),
    description="Compare Follow Up Boss with the lake, the ledger and what was written to it.",
)


@dg.op
def journal_repairs(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Journal values of leadpipe's own fields that the CRM does not hold any more; the write-back carries them."""
    from leadpipe.crm.written import journal_repairs as journal

    runtime = leadpipe.runtime
    count = journal(runtime.engine, runtime.lake, now=runtime.clock.now())
    context.log_event(dg.AssetObservation(AUDIT, metadata={"journalled": count}))


@dg.job(tags=slot("audit", max_minutes=30))
def repair_crm() -> None:
    """Hand lost values to the CRM's journal."""
    journal_repairs()


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[audit_crm],
    request_job=repair_crm,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def audit_is_over() -> dg.RunRequest:
    """After every audit, write again what is leadpipe's."""
    return dg.RunRequest()


JOBS = [audit_crm, repair_crm]
SENSORS = [audit_is_over]


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Every night, after the sweep and before the scores."""
    return [nightly(audit_crm, at="25 1 * * *", timezone=settings.team_timezone)]
