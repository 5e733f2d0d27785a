"""Why a lead got a message, or none: what was decided, what each plan would do, and whether anything may be sent.

What lives here: the answer about one person at one moment, and what each plan would do. What does not: the decisions
themselves (``outreach``, ``policy``: the same functions that plan and judge), the verdict by channel (``reach``), the
sentences (``lead_sentences``), printing (``cli.explain``).

What was decided is read from what was kept by that moment. What would be decided is computed for that moment; what
of it is known of a past one, and what is not, stands in ``past``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from leadpipe.errors import Rejected
from leadpipe.explain.judged import utc
from leadpipe.explain.lead_sentences import sentences
from leadpipe.explain.past import NOT_KEPT, as_it_stood
from leadpipe.explain.reach import Reach, reaches
from leadpipe.explain.wording import means, outcome_means
from leadpipe.outreach import nightly
from leadpipe.outreach.facts import Known, PersonRow, know, people, zip_of
from leadpipe.outreach.history import read_history
from leadpipe.outreach.nightly import Decided, Entry
from leadpipe.outreach.offers import offer_to
from leadpipe.outreach.plan import Plan, load_plans
from leadpipe.outreach.timing import spread
from leadpipe.outreach.zone import zone_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

COUNT_DECISIONS = 12
COUNT_MESSAGES = 5
_MERGED = text("select merged_into, deleted_at, is_new_lead, outcome from ledger.people where person_id = :id")
_DECISIONS = text(
    """
    select d.at, d.plan, d.step, d.outcome, d.code, d.message_id::text, d.detail, e.to_state, e.code as state_code,
      e.at as state_at
    from ledger.decisions d
    left join lateral (
      select to_state, code, at from ledger.message_events e where e.message_id = d.message_id and e.at <= :at
      order by id desc limit 1
    ) e on true
    where d.person_id = :id and d.at <= :at order by d.at desc, d.id desc limit :count
    """
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
    now: datetime,
    settings: Settings,
    market: Mapping[str, Mapping[str, Any]],
) -> LeadTold:
    """Everything about one lead at one moment.

    Args:
        connection: only read from.
        person_id: the CRM's id.
        at: the moment asked about, past or future.
        now: the moment it is asked; facts of between a past ``at`` and now do not count.
        settings: plans and team.
        market: market variables by ZIP code, for the words of a plan.

    Raises:
        Rejected: the ledger does not know the person.
        ConfigurationError: a plan, a template or the policy pack is wrong.
    """
    by = at if at < now else None
    row = people(connection, [person_id], now=at, by=by).get(person_id)
    if row is None:
        raise Rejected(f"person {person_id} is not in the ledger; take the id from Follow Up Boss")
    if by is not None:
        row = as_it_stood(connection, row, by)
    desk = _Desk(connection, row, at, by, settings, market)
    values = {"id": person_id, "at": at}
    decisions = [_decision(each) for each in connection.execute(_DECISIONS, values | {"count": COUNT_DECISIONS})]
    messages = [dict(each) for each in connection.execute(_MESSAGES, values | {"count": COUNT_MESSAGES}).mappings()]
    decided = desk.decided()
    reached = tuple(reaches(connection, row, decided, at=at, now=now, settings=settings, market=market))
    merged = connection.execute(_MERGED, {"id": person_id}).one()
    return LeadTold(
        person_id=person_id,
        at=at,
        sentences=(
            *sentences(row, merged, at, decisions, messages, decided, reached, settings),
            *([NOT_KEPT] if by is not None else []),
        ),
        decisions=tuple(decisions),
        messages=tuple(messages),
        candidates=tuple(desk.candidates(decided)),
        reaches=reached,
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
        "message_state": row.to_state,
        "message_code": row.state_code,
        "message_at": row.state_at,
    }


class _Desk:
    """One person looked at by the planner's own functions."""

    def __init__(
        self,
        connection: Connection,
        row: PersonRow,
        at: datetime,
        by: datetime | None,
        settings: Settings,
        market: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._connection, self._row, self._at, self._settings, self._market = connection, row, at, settings, market
        self._by = by
        self._plans = load_plans(settings.plans_path)
        self._zone = zone_of(row, settings.team_timezone)

    def decided(self) -> list[Decided]:
        """What a planning at this moment says, by every nightly plan."""
        order = nightly.in_order(self._plans)
        history = read_history(self._connection, [self._row], order, by=self._by)
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


def _candidate(plan: Plan, outcome: str, code: str, reason: str) -> Candidate:
    return Candidate(plan=plan.name, priority=plan.priority, outcome=outcome, code=code, reason=reason)
