"""Why a lead got a message, or none: what was decided, what each plan would do, and whether anything may be sent.

What lives here: the answer about one person at one moment. What does not: the decisions themselves (``outreach``,
``policy``: the same functions that plan and judge), printing (``cli.explain``).

What was decided is read from what was kept by that moment. What would be decided is computed for that moment from what
the ledger holds now; consents, refusals and messages count from their own time, stage and addresses as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from leadpipe.errors import Rejected
from leadpipe.explain.judged import Told, of_fresh, utc
from leadpipe.explain.wording import means, outcome_means
from leadpipe.messaging import gate
from leadpipe.messaging.cases import Subject, read_cases
from leadpipe.outreach import nightly
from leadpipe.outreach.facts import Known, PersonRow, know, people, zip_of
from leadpipe.outreach.history import read_history
from leadpipe.outreach.nightly import Decided, Entry
from leadpipe.outreach.offers import offer_to
from leadpipe.outreach.plan import Plan, load_plans
from leadpipe.outreach.templates import render
from leadpipe.outreach.timing import spread
from leadpipe.outreach.variables import variables_for
from leadpipe.outreach.zone import zone_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.policy.case import Case
    from leadpipe.settings import Settings

COUNT_DECISIONS = 12
COUNT_MESSAGES = 5
_MERGED = text("select merged_into, deleted_at, is_new_lead, outcome from ledger.people where person_id = :id")
_DECISIONS = text(
    "select at, plan, step, outcome, code, message_id::text, detail from ledger.decisions "
    "where person_id = :id and at <= :at order by at desc, id desc limit :count"
)
_MESSAGES = text(
    """
    select m.id::text as id, m.plan, m.step, m.channel, e.to_state as state, e.code, e.at
    from ledger.messages m
    join lateral (
      select to_state, code, at from ledger.message_events e where e.message_id = m.id and e.at <= :at
      order by id desc limit 1
    ) e on true
    where m.person_id = :id and m.created_at <= :at order by m.created_at desc limit :count
    """
)
_INSIDE = text(
    "select plan, state, step, next_due_at, opened_at from ledger.enrolments "
    "where person_id = :id and opened_at <= :at and (ended_at is null or ended_at > :at) order by opened_at"
)
_BEGINS = {
    "new_lead": "begins with a new lead or a new inquiry",
    "positive_reply": "begins with a positive reply",
    "new_listing": "begins with new homes that fit what they said",
}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One plan and what it does with the person at the moment asked about.

    Attributes:
        outcome: as ``outreach.queue`` says it, or ``inside`` and ``waits_for_event`` for the other plans.
    """

    plan: str
    priority: int
    outcome: str
    code: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "plan": self.plan,
            "priority": self.priority,
            "outcome": self.outcome,
            "code": self.code or None,
            "reason": self.reason,
        }


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


@dataclass(frozen=True, kw_only=True)
class LeadTold:
    """What is told about a lead; decisions and messages newest first."""

    person_id: int
    at: datetime
    sentences: tuple[str, ...]
    decisions: tuple[Mapping[str, Any], ...]
    messages: tuple[Mapping[str, Any], ...]
    candidates: tuple[Candidate, ...]
    reaches: tuple[Reach, ...]

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "person_id": self.person_id,
            "at": self.at,
            "why": list(self.sentences),
            "decisions": list(self.decisions),
            "messages": list(self.messages),
            "candidates": [candidate.as_json() for candidate in self.candidates],
            "channels": [reach.as_json() for reach in self.reaches],
        }


def tell(
    connection: Connection,
    person_id: int,
    *,
    at: datetime,
    settings: Settings,
    market: Mapping[str, Mapping[str, Any]],
) -> LeadTold:
    """Everything about one lead at one moment.

    Args:
        connection: only read from.
        person_id: the CRM's id.
        at: the moment asked about, past or future.
        settings: plans and team.
        market: market variables by ZIP code, for the words of a plan.

    Raises:
        Rejected: the ledger does not know the person.
        ConfigurationError: a plan, a template or the policy pack is wrong.
    """
    row = people(connection, [person_id], now=at).get(person_id)
    if row is None:
        raise Rejected(f"person {person_id} is not in the ledger; take the id from Follow Up Boss")
    desk = _Desk(connection, row, at, settings, market)
    values = {"id": person_id, "at": at}
    decisions = [_decision(each) for each in connection.execute(_DECISIONS, values | {"count": COUNT_DECISIONS})]
    messages = [dict(each) for each in connection.execute(_MESSAGES, values | {"count": COUNT_MESSAGES}).mappings()]
    decided = desk.decided()
    reaches = tuple(desk.reaches(decided))
    merged = connection.execute(_MERGED, {"id": person_id}).one()
    return LeadTold(
        person_id=person_id,
        at=at,
        sentences=tuple(_sentences(row, merged, at, decisions, messages, decided, reaches, settings)),
        decisions=tuple(decisions),
        messages=tuple(messages),
        candidates=tuple(desk.candidates(decided)),
        reaches=reaches,
    )


def _decision(row: Any) -> dict[str, Any]:
    detail = row.detail if isinstance(row.detail, dict) else {}
    return {
        "at": row.at,
        "plan": row.plan,
        "step": row.step or None,
        "outcome": row.outcome,
        "code": row.code,
        "reason": detail.get("reason") or means(row.code or "") or outcome_means(row.outcome),
        "message_id": row.message_id,
    }


class _Desk:
    """One person looked at by the planner's and the gate's own functions."""

    def __init__(
        self,
        connection: Connection,
        row: PersonRow,
        at: datetime,
        settings: Settings,
        market: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._connection, self._row, self._at, self._settings, self._market = connection, row, at, settings, market
        self._plans = load_plans(settings.plans_path)
        self._zone = zone_of(row, settings.team_timezone)

    def decided(self) -> list[Decided]:
        """What a planning at this moment says, by every nightly plan."""
        order = nightly.in_order(self._plans)
        history = read_history(self._connection, [self._row], order)
        night = nightly.night_of(self._plans, self._settings, self._at)
        return list(
            nightly.decide(order, self._row, history, night, self._zone, know=self._know, points_taken=frozenset())
        )

    def _know(self, row: PersonRow) -> Known:
        return know(row, has_market_trend=zip_of(row) in self._market, has_offer=offer_to(row, self._at) is not None)

    def candidates(self, decided: Sequence[Decided]) -> Iterator[Candidate]:
        """Every plan there is, the one that goes first first."""
        by_night = {each.plan.name: each.found for each in decided}
        inside = {
            each.plan: each for each in self._connection.execute(_INSIDE, {"id": self._row.person_id, "at": self._at})
        }
        for plan in sorted(self._plans.values(), key=lambda plan: (plan.priority, plan.name)):
            found, passage = by_night.get(plan.name), inside.get(plan.name)
            if plan.is_paused:
                yield _candidate(plan, "plan_paused", "", "the plan is paused")
            elif isinstance(found, Entry):
                yield _candidate(
                    plan, "planned", "", f"step {found.step.id} by {found.step.channel}, {self._due(found)}"
                )
            elif passage is not None:
                due = f", next due {utc(passage.next_due_at)}" if passage.next_due_at else ""
                yield _candidate(plan, "inside", passage.step or "", f"inside at {passage.step}{due}, {passage.state}")
            elif found is not None:
                yield _candidate(plan, found.outcome, found.code, found.reason)
            else:
                yield _candidate(plan, "waits_for_event", plan.trigger, _BEGINS.get(plan.trigger, plan.trigger))

    def _due(self, entry: Entry) -> str:
        due_at = entry.due_at + spread(self._row.person_id, entry.step.spread_minutes)
        local = due_at.astimezone(ZoneInfo(self._zone))
        return f"due {utc(due_at)} ({local:%H:%M} in {self._zone})"

    def reaches(self, decided: Sequence[Decided]) -> Iterator[Reach]:
        """The verdict on each channel with an address: on the message a plan would make, else on one without words."""
        wanted: dict[str, tuple[Subject, str, bool]] = {}
        for each in decided:
            if isinstance(each.found, Entry) and each.known is not None:
                wanted[each.found.step.channel] = (
                    self._subject(each.plan, each.known, each.found),
                    each.plan.name,
                    True,
                )
        row = self._row
        points = {"email": row.email_id, "sms": row.phone_id, "whatsapp": row.whatsapp_id}
        for channel, point in points.items():
            if point is not None and channel not in wanted:
                wanted[channel] = (self._wordless(channel, point), "", False)
        subjects = [subject for subject, _, _ in wanted.values()]
        cases = read_cases(self._connection, subjects, now=self._at, settings=self._settings)
        cases = [_case(case, has_words) for case, (_, _, has_words) in zip(cases, wanted.values(), strict=True)]
        verdicts = gate.judge_cases(cases, settings=self._settings)
        for (subject, plan, _), verdict in zip(wanted.values(), verdicts, strict=True):
            told = of_fresh(verdict, moment="now" if verdict.now == self._at else "due")
            yield Reach(channel=subject.channel, purpose=subject.purpose, plan=plan, told=told)

    def _subject(self, plan: Plan, known: Known, entry: Entry) -> Subject:
        row, step = known.row, entry.step
        variables = variables_for(
            known, self._settings, now=self._at, market=self._market.get(zip_of(row)), offer=offer_to(row, self._at)
        )
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
            judged_for=max(due_at, self._at),
        )

    def _wordless(self, channel: str, point: int) -> Subject:
        return Subject(
            message_id=channel,
            person_id=self._row.person_id,
            contact_point_id=point,
            plan="",
            step="",
            channel=channel,
            purpose="marketing",
            subject="",
            body="",
            is_model_written=False,
            is_template=True,
        )


def _case(case: Case, has_words: bool) -> Case:
    return case if has_words else replace(case, subject=None, body=None)


def _candidate(plan: Plan, outcome: str, code: str, reason: str) -> Candidate:
    return Candidate(plan=plan.name, priority=plan.priority, outcome=outcome, code=code, reason=reason)


def _sentences(
    row: PersonRow,
    merged: Any,
    at: datetime,
    decisions: Sequence[Mapping[str, Any]],
    messages: Sequence[Mapping[str, Any]],
    decided: Sequence[Decided],
    reaches: Sequence[Reach],
    settings: Settings,
) -> Iterator[str]:
    who = f"Person {row.person_id}"
    if merged.merged_into is not None:
        yield f"{who} was merged into person {merged.merged_into} in the CRM; ask about that one."
    elif merged.deleted_at is not None:
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


def _decided_sentences(who: str, decisions: Sequence[Mapping[str, Any]], settings: Settings) -> Iterator[str]:
    """The newest decision of every plan."""
    seen: set[str] = set()
    for decision in decisions:
        if decision["plan"] in seen:
            continue
        seen.add(decision["plan"])
        local = decision["at"].astimezone(ZoneInfo(settings.team_timezone))
        why = f" ({decision['reason']})" if decision["reason"] != outcome_means(decision["outcome"]) else ""
        what = f"{outcome_means(decision['outcome'])}{why}"
        yield f"{who}, plan {decision['plan']}, {local:%Y-%m-%d %H:%M} team time: {what}."
    if not decisions:
        yield f"Nothing was decided about {who.lower()} yet: no planning has seen them."
