"""Sending: due steps become messages, due messages leave, unsure ones are looked up.

What lives here: the op, its job and the sensor that starts it. What does not: plans, gate and protocol
(``leadpipe.work.send_due``).
"""

import dagster as dg

from leadpipe.work import waiting
from resources.runtime import LeadpipeResource
from sensors.first_touch import MESSAGES
from sensors.slots import slot, state_sensor


@dg.op
def send_due_messages(context: dg.OpExecutionContext, leadpipe: LeadpipeResource) -> None:
    """Send what is due, and what becomes due while the run lingers; reports ``outreach.messages``."""
    from leadpipe.work.send_due import send_due as send

    runtime = leadpipe.runtime
    done = send(runtime, linger_seconds=runtime.settings.linger_seconds)
    context.log_event(dg.AssetMaterialization(MESSAGES, metadata=done.as_metadata()))


@dg.job(tags=slot("send_due", priority=80, max_minutes=15))
def send_due() -> None:
    """Send what is due, inside caps, hours and the switch."""
    send_due_messages()


due_messages = state_sensor(send_due, name="due_messages", what="message", question=waiting.count_due, every_seconds=10)

JOBS = [send_due]
SENSORS = [due_messages]
