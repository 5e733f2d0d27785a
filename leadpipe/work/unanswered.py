"""Leads that no run has answered yet: whom no webhook told of, and whose run died between storing and answering.

What lives here: who they are, and handing them to the first touch. What does not: answering them
(``work.first_touch``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.crm.intake import Intake

if TYPE_CHECKING:
    from leadpipe.messaging.channels.base import Channel
    from leadpipe.runtime import Runtime

ANSWER_BATCH = 200
# What was stored a moment ago is being answered by the run that stored it.
STILL_WITH_ITS_RUN = timedelta(minutes=2)
# Inquiries and new people that no run stated anything about; what is fresh is still with the run that stored it.
_UNANSWERED = text(
    """
    with live as (select (value ->> 'at')::timestamptz as at from ledger.controls where key = 'go_live')
    select person_id from ledger.inquiries, live
    where answered_at is null and occurred_at > :since and occurred_at >= live.at and first_seen_at < :stored_before
    union
    select person_id from ledger.people, live
    where outcome is null and crm_created_at > :since and crm_created_at >= live.at and deleted_at is null
      and first_seen_at < :stored_before
    """
)


def answer_unanswered(
    runtime: Runtime,
    found: Iterable[int],
    human_ids: Iterable[int],
    channels: dict[str, Channel],
    *,
    now: datetime,
) -> int:
    """Answer the people found and those whom earlier runs left; returns how many were handed on.

    Args:
        runtime: ledger, CRM, settings.
        found: new people and people with a new inquiry.
        human_ids: people for whom somebody of the team acted; their automation pauses first.
        channels: what may be sent by.
        now: when.
    """
    from leadpipe.work.first_touch import FirstTouch, answer

    people = sorted(set(found) | _left_over(runtime, now))
    human = tuple(sorted(human_ids))
    for start in range(0, max(len(people), 1 if human else 0), ANSWER_BATCH):
        taken = Intake(
            person_ids=tuple(people[start : start + ANSWER_BATCH]),
            new_ids=(),
            human_ids=human if start == 0 else (),
        )
        answer(runtime, taken, channels, FirstTouch())
    return len(people)


def _left_over(runtime: Runtime, now: datetime) -> set[int]:
    with runtime.engine.connect() as connection:
        found = connection.execute(
            _UNANSWERED, {"since": now - timedelta(hours=24), "stored_before": now - STILL_WITH_ITS_RUN}
        ).scalars()
        return set(found)
