"""Sending: due steps become messages, due messages leave, unsure ones are looked up.

What lives here: the op, its job and the sensor that starts it. What does not: plans, gate and protocol
(``leadpipe.work.send_due``).
"""

import dagster as dg

from leadpipe.settings import Settings
from leadpipe.work import waiting
from resources.runtime import LeadpipeResource
from sensors.first_touch import MESSAGES
from sensors.slots import Linger, every_minutes, slot, state_sensor


@dg.op
def send_due_messages(context: dg.OpExecutionContext, config: Linger, leadpipe: LeadpipeResource) -> None:
    """Send what is due, and what becomes due while the run lingers; reports ``outreach.messages``."""
    from leadpipe.work.send_due import send_due as send

    runtime = leadpipe.runtime
    done = send(runtime, linger_seconds=config.seconds(runtime.settings))
    context.log_event(dg.AssetMaterialization(MESSAGES, metadata=done.as_metadata()))


@dg.job(tags=slot("send_due", priority=80, max_minutes=15))
def send_due() -> None:
    """Send what is due, inside caps, hours and the switch."""
    send_due_messages()


due_messages = state_sensor(
    send_due, name="due_messages", what="message", question=waiting.count_due, every_seconds=10, is_sending=True
)


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Every five minutes even when nothing is due: unsure messages are looked up, a dead worker's are taken over."""
    del settings
    look = dg.RunConfig(ops={"send_due_messages": Linger(linger_seconds=0)})
    return [every_minutes(send_due, 5, offset=3, run_config=look)]


JOBS = [send_due]
SENSORS = [due_messages]
