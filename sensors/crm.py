"""Writing back to Follow Up Boss, and telling people of the team.

What lives here: the ops, their jobs and sensors. What does not: the journal and its limits
(``leadpipe.work.write_back``), delivery (``leadpipe.work.alerts``).
"""

import dagster as dg

from leadpipe.work import waiting
from resources.runtime import LeadpipeResource
from sensors.slots import slot, state_sensor


@dg.op
def carry_out_writes(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Carry journalled writes to the CRM, inside its limits."""
    from leadpipe.work.write_back import write_back as carry_out

    done = carry_out(leadpipe.runtime)
    context.log_event(dg.AssetObservation(["raw", "ledger__writebacks"], metadata=done.as_metadata()))


@dg.job(tags=slot("write_back", priority=20, max_minutes=60))
def write_back() -> None:
    """Notes, tags, scores, tasks and stages for Follow Up Boss."""
    carry_out_writes()


@dg.op
def deliver_alerts_of_the_ledger(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Deliver alerts nobody has got yet, and repeat hand-offs nobody acted upon."""
    from leadpipe.work.alerts import deliver_alerts as deliver

    context.add_output_metadata(deliver(leadpipe.runtime).as_metadata())


@dg.job(tags=slot("alerts", priority=50, max_minutes=10))
def deliver_alerts() -> None:
    """Tell the team what needs a person."""
    deliver_alerts_of_the_ledger()


pending_writes = state_sensor(
    write_back, name="pending_writes", what="write to the CRM", question=waiting.count_writebacks, every_seconds=10
)
# Every run costs 2 s of a processor; a person notices an alert no later for half a minute.
unsent_alerts = state_sensor(
    deliver_alerts, name="unsent_alerts", what="alert", question=waiting.count_alerts, every_seconds=30
)

JOBS = [write_back, deliver_alerts]
SENSORS = [pending_writes, unsent_alerts]
