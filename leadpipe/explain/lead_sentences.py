"""What is known of a lead at one moment, in sentences for a person who asks.

What lives here: the sentences and their order. What does not: what they tell (``lead``, ``reach``), what a code means
(``wording``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from leadpipe.explain.judged import utc
from leadpipe.explain.wording import STATES, WENT, means, outcome_means
from leadpipe.outreach.nightly import Decided, Entry

if TYPE_CHECKING:
    from leadpipe.explain.reach import Reach
    from leadpipe.outreach.facts import PersonRow
    from leadpipe.settings import Settings


def sentences(
    row: PersonRow,
    merged: Any,
    at: datetime,
    decisions: Sequence[Mapping[str, Any]],
    messages: Sequence[Mapping[str, Any]],
    decided: Sequence[Decided],
    reaches: Sequence[Reach],
    settings: Settings,
) -> Iterator[str]:
    """Who they are to us, what was decided and sent, what a planning would do, and whether anything may be sent."""
    who = f"Person {row.person_id}"
    if merged.merged_into is not None:
        yield f"{who} was merged into person {merged.merged_into} in the CRM; ask about that one."
    elif merged.deleted_at is not None and merged.deleted_at <= at:
        yield f"{who} was deleted in the CRM {utc(merged.deleted_at)}."
    if row.automation_paused_at is not None:
        yield f"Automation is paused since {utc(row.automation_paused_at)}: {row.automation_paused_reason}."
    if row.stage in settings.stop_stages:
        yield f"Their stage, {row.stage}, ends every plan."
    yield from _decided_sentences(who, decisions, settings)
    for message in messages[:1]:
        why = f": {means(message['code'])}" if message["code"] else ""
        yield (
            f"Their last message ({message['plan']} / {message['step']}, {message['channel']}) is "
            f"{message['state']}{why} since {utc(message['at'])}; `leadpipe explain {message['id']}` tells more."
        )
    if not messages:
        yield f"No message was ever made for them until {utc(at)}."
    for each in decided:
        if isinstance(each.found, Entry):
            yield f"A planning at {utc(at)} would write to them by plan {each.plan.name}, step {each.found.step.id}."
        else:
            yield f"A planning at {utc(at)} would leave them out of {each.plan.name}: {each.found.reason}."
    for reach in reaches:
        what = f"the message of {reach.plan}" if reach.plan else f"a {reach.purpose} message"
        first = reach.told.first_legal_at
        legal = f"; first legal moment {utc(first)}" if first and first > reach.told.judged_for else ""
        yield f"By {reach.channel}, {what} at {utc(reach.told.judged_for)}: {reach.told.sentence()}{legal}."
    if not reaches:
        yield "There is no address that may still be used."


def _became(decision: Mapping[str, Any]) -> str:
    """The outcome, or what became of the message since."""
    state = decision["message_state"]
    if state is None or state == decision["outcome"]:
        return outcome_means(decision["outcome"])
    code = decision["message_code"]
    why = f": {means(code)}" if code and state not in WENT else ""
    return f"a message was made, and {STATES.get(state, state)}{why}, {utc(decision['message_at'])}"


def _decided_sentences(who: str, decisions: Sequence[Mapping[str, Any]], settings: Settings) -> Iterator[str]:
    """The newest decision of every plan."""
    seen: set[str] = set()
    for decision in decisions:
        if decision["plan"] in seen:
            continue
        seen.add(decision["plan"])
        local = decision["at"].astimezone(ZoneInfo(settings.team_timezone))
        why = f" ({decision['reason']})" if decision["reason"] != outcome_means(decision["outcome"]) else ""
        what = f"{_became(decision)}{why}"
        yield f"{who}, plan {decision['plan']}, {local:%Y-%m-%d %H:%M} team time: {what}."
    if not decisions:
        yield f"Nothing was decided about {who.lower()} yet: no planning has seen them."
