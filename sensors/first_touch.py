"""First touch: new leads are answered within seconds.

What lives here: the op, its job and the sensor that starts it. What does not: reading notices, planning, sending
(``leadpipe.work.first_touch``).
"""

import dagster as dg

from leadpipe.work import waiting
from resources.runtime import LeadpipeResource
from sensors.slots import Linger, slot, state_sensor

MESSAGES = dg.AssetKey(["outreach", "messages"])


@dg.op
def answer_new_leads(context: dg.OpExecutionContext, config: Linger, leadpipe: LeadpipeResource) -> None:
    """Answer every waiting lead, and those that come while the run lingers."""
    from leadpipe.work import first_touch

    runtime = leadpipe.runtime
    done = first_touch.answer_new_leads(runtime, linger_seconds=config.seconds(runtime.settings))
    for failure in done.failures:
        context.log.warning(failure)
    context.log_event(dg.AssetObservation(MESSAGES, metadata=done.as_metadata()))


@dg.job(tags=slot("first_touch", priority=100, max_minutes=15))
def first_touch() -> None:
    """Answer new leads by the first channel the law allows."""
    answer_new_leads()


new_leads = state_sensor(
    first_touch, name="new_leads", what="notice", question=waiting.count_new_leads, every_seconds=2, is_sending=True
)

JOBS = [first_touch]
SENSORS = [new_leads]
