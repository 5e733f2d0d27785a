"""Whether a lead may be reached at one moment, channel by channel.

What lives here: the message each channel would carry then, and the gate's verdict on it. What does not: the verdict
itself (``policy``, by the functions that judge real messages), what the plans would do (``lead``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.explain.judged import Told, of_fresh
from leadpipe.messaging import gate
from leadpipe.messaging.cases import Subject, read_cases
from leadpipe.messaging.homes import offered_in
from leadpipe.outreach.facts import zip_of
from leadpipe.outreach.nightly import Decided, Entry
from leadpipe.outreach.offers import offer_to
from leadpipe.outreach.templates import render
from leadpipe.outreach.timing import spread
from leadpipe.outreach.variables import variables_for

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.outreach.facts import Known, PersonRow
    from leadpipe.outreach.plan import Plan
    from leadpipe.policy.case import Case
    from leadpipe.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Whether one channel may be used: the verdict on a message of a plan, or on one without words."""

    channel: str
    purpose: str
    plan: str
    told: Told

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        about = {"channel": self.channel, "purpose": self.purpose, "plan": self.plan or None}
        return about | {"verdict": self.told.as_json()}


def reaches(
    connection: Connection,
    row: PersonRow,
    decided: Sequence[Decided],
    *,
    at: datetime,
    now: datetime,
    settings: Settings,
    market: Mapping[str, Mapping[str, Any]],
) -> Iterator[Reach]:
    """The verdict on each channel with an address: on the message a plan would make, else on one without words.

    Args:
        connection: only read from.
        row: the person.
        decided: what a planning at this moment says.
        at: the moment asked about; one ahead is judged as planning judges, which cannot know when refusals will have
            been read (C45).
        now: the moment it is asked.
        settings: team and limits.
        market: market variables by ZIP code.
    """
    wanted: dict[str, tuple[Subject, str, bool]] = {}
    for each in decided:
        if isinstance(each.found, Entry) and each.known is not None:
            wanted[each.found.step.channel] = (
                _subject(each.plan, each.known, each.found, at=at, settings=settings, market=market),
                each.plan.name,
                True,
            )
    ahead = at if at > now else None
    points = {"email": row.email_id, "sms": row.phone_id, "whatsapp": row.whatsapp_id}
    for channel, point in points.items():
        if point is not None and channel not in wanted:
            wanted[channel] = (_wordless(row.person_id, channel, point, judged_for=ahead), "", False)
    subjects = [subject for subject, _, _ in wanted.values()]
    cases = read_cases(connection, subjects, now=at, settings=settings, by=at if at < now else None)
    cases = [_case(case, has_words) for case, (_, _, has_words) in zip(cases, wanted.values(), strict=True)]
    verdicts = gate.judge_cases(cases, settings=settings)
    for (subject, plan, _), verdict in zip(wanted.values(), verdicts, strict=True):
        told = of_fresh(verdict, moment="now" if verdict.now == at else "due")
        yield Reach(channel=subject.channel, purpose=subject.purpose, plan=plan, told=told)


def _subject(
    plan: Plan,
    known: Known,
    entry: Entry,
    *,
    at: datetime,
    settings: Settings,
    market: Mapping[str, Mapping[str, Any]],
) -> Subject:
    row, step = known.row, entry.step
    variables = variables_for(known, settings, now=at, market=market.get(zip_of(row)), offer=offer_to(row, at))
    words = render(step.template, variables)
    due_at = entry.due_at + spread(row.person_id, step.spread_minutes)
    return Subject(
        message_id=f"{plan.name}/{step.id}",
        person_id=row.person_id,
        contact_point_id=entry.contact_point_id,
        plan=plan.name,
        step=step.id,
        channel=step.channel,
        purpose=step.purpose,
        subject=words.subject,
        body=words.text,
        is_model_written=False,
        is_template=bool(words.content_variables),
        judged_for=max(due_at, at),
        offered=offered_in(variables),
    )


def _wordless(person_id: int, channel: str, point: int, *, judged_for: datetime | None) -> Subject:
    return Subject(
        message_id=channel,
        person_id=person_id,
        contact_point_id=point,
        plan="",
        step="",
        channel=channel,
        purpose="marketing",
        subject="",
        body="",
        is_model_written=False,
        is_template=True,
        judged_for=judged_for,
    )


def _case(case: Case, has_words: bool) -> Case:
    return case if has_words else replace(case, subject=None, body=None)
