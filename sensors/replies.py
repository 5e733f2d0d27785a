"""Replies: what people write is read, answered or handed to a person.

What lives here: the op, its job and the sensor that starts it. What does not: reading and answering
(``leadpipe.work.replies``); opt-outs are applied before, by the gateway.
"""

import dagster as dg

from leadpipe.work import waiting
from resources.runtime import LeadpipeResource
from sensors.slots import Linger, slot, state_sensor

CONVERSATIONS = dg.AssetKey(["conversation", "queue"])


@dg.op
def answer_replies(context: dg.OpExecutionContext, config: Linger, leadpipe: LeadpipeResource) -> None:
    """Read every unread message, and those that come while the run lingers."""
    from leadpipe.work import replies

    runtime = leadpipe.runtime
    done = replies.answer_replies(runtime, linger_seconds=config.seconds(runtime.settings))
    context.log_event(dg.AssetObservation(CONVERSATIONS, metadata=done.as_metadata()))


@dg.job(tags=slot("replies", priority=90, max_minutes=15))
def read_replies() -> None:
    """Read what leads wrote; answer within limits or hand over to the agent."""
    answer_replies()


unread_replies = state_sensor(
    read_replies, name="unread_replies", what="reply", question=waiting.count_replies, every_seconds=2
)

JOBS = [read_replies]
SENSORS = [unread_replies]
