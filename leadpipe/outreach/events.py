"""What happened to a person, applied to the plans they are inside.

What lives here: which passages an event ends, moves on or opens. What does not: reading the event out of a message
(``conversation``), time passing (``advance``).

An event meets an open passage in this order: a step that waits for this very event and names its ``then`` goes there;
else the plan's ``exits`` end it; else a step that waits for the event is over and the next one follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from leadpipe.messaging.protocol import cancel_waiting
from leadpipe.outreach import enrol, walk
from leadpipe.outreach.facts import Known, know, people, zip_of
from leadpipe.outreach.offers import offer_to
from leadpipe.outreach.plan import WaitForStep, load_plans
from leadpipe.outreach.zone import zone_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.outreach.facts import PersonRow
    from leadpipe.outreach.plan import Plan
    from leadpipe.settings import Settings

# What each event means to a plan file: a positive reply is a reply as well.
EVENTS: Mapping[str, tuple[str, ...]] = {
    "reply": ("reply",),
    "positive_reply": ("positive_reply", "reply"),
    "human_acted": ("human_acted",),
    "opt_out": ("opt_out",),
    "not_interested": ("reply",),
    "stop_stage": ("stop_stage",),
}
# These end every plan, whatever its file says.
ENDS_EVERY_PLAN = frozenset({"not_interested", "stop_stage"})

_PASSAGES = text(
    "select id, plan, step from ledger.enrolments where person_id = :person and state in ('open', 'paused') "
    "order by id for no key update"
)
_PAUSE = text(
    "update ledger.people set automation_paused_at = :now, automation_paused_reason = :reason "
    "where person_id = :person and automation_paused_at is null"
)


@dataclass(frozen=True, kw_only=True)
class Noted:
    """What an event did to the person's passages."""

    count_ended: int = 0
    count_moved: int = 0
    opened: tuple[str, ...] = ()


class _Passage(NamedTuple):
    id: int
    plan: str
    step: str | None


def note(
    connection: Connection,
    person_id: int,
    event: str,
    *,
    settings: Settings,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> Noted:
    """Apply one event to the plans of a person, in the caller's transaction; noting it again changes nothing more.

    ``not_interested`` also pauses the person's automation (a new inquiry of theirs lifts that pause); it is no legal
    opt-out. ``positive_reply`` opens the plans with that trigger.

    Args:
        connection: in the caller's transaction.
        person_id: whose event.
        event: one of ``EVENTS``.
        settings: plans and team.
        now: when.
        detail: kept with a passage that the event opens.
    """
    if event not in EVENTS:
        raise ValueError(f"'{event}' is no event of a plan; known: {', '.join(EVENTS)}")
    plans = load_plans(settings.plans_path)
    desk = _Desk(connection, person_id, plans, settings, now)
    passages = [_Passage._make(row) for row in connection.execute(_PASSAGES, {"person": person_id})]
    ended = moved = 0
    for passage in passages:
        if desk.meet(passage, event):
            moved += 1
        elif desk.is_ended_by(passage, event):
            enrol.end(connection, [(passage.id, person_id, event)], now=now)
            ended += 1
        elif desk.go_on(passage, event):
            moved += 1
    opened: tuple[str, ...] = ()
    if event == "not_interested":
        connection.execute(_PAUSE, {"person": person_id, "now": now, "reason": event})
        cancel_waiting(connection, code=event, at=now, person_id=person_id)
    elif event == "positive_reply":
        opened = desk.open(event, dict(detail or {}))
    return Noted(count_ended=ended, count_moved=moved, opened=opened)


def resume(connection: Connection, person_id: int, *, now: datetime) -> int:
    """Passages that waited while the person's automation was paused go on; returns how many.

    A step that fell due meanwhile is due now, or at its own time of day when it names one.
    """
    return connection.execute(
        text(
            "update ledger.enrolments set state = 'open', next_due_at = greatest(next_due_at, :now) "
            "where person_id = :person and state = 'paused'"
        ),
        {"person": person_id, "now": now},
    ).rowcount


class _Desk:
    """One person's passages, plans and facts; the facts are read when first asked for."""

    def __init__(
        self, connection: Connection, person_id: int, plans: Mapping[str, Plan], settings: Settings, now: datetime
    ) -> None:
        self._connection, self._person_id, self._plans = connection, person_id, plans
        self._settings, self._now = settings, now
        self._known: Known | None = None

    def meet(self, passage: _Passage, event: str) -> bool:
        """Go where the waiting step says this event leads; False when it names nothing."""
        step = self._waits_for(passage, event)
        return step is not None and step.then is not None and self._move(passage, step)

    def go_on(self, passage: _Passage, event: str) -> bool:
        """A wait for this event is over; False when the passage does not wait for it."""
        step = self._waits_for(passage, event)
        return step is not None and self._move(passage, step)

    def is_ended_by(self, passage: _Passage, event: str) -> bool:
        """Whether the event ends the passage; a plan that is gone from the folder ends with any."""
        plan = self._plans.get(passage.plan)
        return plan is None or event in ENDS_EVERY_PLAN or any(name in plan.exits for name in EVENTS[event])

    def open(self, trigger: str, context: dict[str, Any]) -> tuple[str, ...]:
        """Open the plans with this trigger for the person, best priority first; returns their names."""
        wanted = sorted(
            (plan for plan in self._plans.values() if plan.trigger == trigger and not plan.is_paused),
            key=lambda plan: (plan.priority, plan.name),
        )
        return tuple(plan.name for plan in wanted if self._enter(plan, trigger, context))

    def _enter(self, plan: Plan, reason: str, context: dict[str, Any]) -> bool:
        known = self._know()
        row = known.row
        is_barred = row.is_gone or row.automation_paused_at is not None or row.stage in self._settings.stop_stages
        if is_barred or not walk.holds(plan.audience, known.facts):
            return False
        if not enrol.may_enter(self._connection, row.person_id, plan, now=self._now, zone=self._zone(row)):
            return False
        stand = walk.enter(plan, known.facts, self._now, self._zone(row))
        if stand.step is None or stand.due_at is None:
            return False
        entry = enrol.Entry(
            person_id=row.person_id,
            plan=plan.name,
            plan_version=plan.version,
            occurrence=enrol.next_occurrence(self._connection, row.person_id, plan.name, row.email_id),
            step=stand.step,
            due_at=stand.due_at,
            reason=reason,
            context=context,
        )
        if not enrol.open_passages(self._connection, [entry], now=self._now):
            return False
        enrol.end_outranked(self._connection, row.person_id, plan, self._plans, now=self._now)
        return True

    def _waits_for(self, passage: _Passage, event: str) -> WaitForStep | None:
        plan = self._plans.get(passage.plan)
        step = plan.step(passage.step or "") if plan is not None else None
        return step if isinstance(step, WaitForStep) and step.event in EVENTS[event] else None

    def _move(self, passage: _Passage, step: WaitForStep) -> bool:
        known = self._know()
        stand = walk.on_event(
            self._plans[passage.plan], step.id, step.event, known.facts, self._now, self._zone(known.row)
        )
        return stand is not None and enrol.move(self._connection, [(passage.id, stand)], now=self._now) > 0

    def _zone(self, row: PersonRow) -> str:
        return zone_of(row, self._settings.team_timezone)

    def _know(self) -> Known:
        """Facts for choosing the next step.

        A market fact is taken for granted here: when its step falls due, ``advance`` looks again.
        """
        if self._known is None:
            row = people(self._connection, [self._person_id], now=self._now)[self._person_id]
            has_offer = offer_to(row, self._now) is not None
            self._known = know(row, has_market_trend=bool(zip_of(row)), has_offer=has_offer)
        return self._known
