"""Walking a person through a plan: which step is due, given what is known about them.

What lives here: the pure walk over steps, no store and no words. What does not: opening and closing passages
(``enrol``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from leadpipe.outreach.plan import BranchStep, ExitStep, Plan, SendStep, Step, WaitForStep, WaitStep


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a person stands in a plan: at a step from a moment on, or at the end.

    Attributes:
        step: the step that is due or waited at, None at the end.
        due_at: when it is due.
        end_reason: why the passage ended.
    """

    step: str | None
    due_at: datetime | None
    end_reason: str = ""


def holds(condition: Collection[str], facts: frozenset[str]) -> bool:
    """Whether every fact named is true (or, after ``not``, false)."""
    return all((fact[4:] not in facts) if fact.startswith("not ") else (fact in facts) for fact in condition)


# Planning asks the same few (step, facts) of a hundred thousand people.
@lru_cache(maxsize=16384)
def enter(plan: Plan, facts: frozenset[str], now: datetime, zone: str) -> Stand:
    """Where a person stands who enters the plan now."""
    return _arrive(plan, plan.steps[0], facts, now, zone)


@lru_cache(maxsize=16384)
def after(plan: Plan, step_id: str, facts: frozenset[str], now: datetime, zone: str) -> Stand:
    """Where a person stands once ``step_id`` is done; a step the file no longer has ends the passage."""
    if plan.step(step_id) is None:
        return Stand(None, None, "step_removed")
    return _arrive(plan, plan.following(step_id), facts, now, zone)


@lru_cache(maxsize=16384)
def at_due(plan: Plan, step_id: str, facts: frozenset[str], now: datetime, zone: str) -> Stand:
    """Where a person stands whose ``step_id`` fell due now: there, to be sent to, or further on.

    A send step whose conditions no longer hold is passed over; a wait is over; an awaited event did not come.
    """
    step = plan.step(step_id)
    if step is None:
        return Stand(None, None, "step_removed")
    if isinstance(step, SendStep):
        if holds(step.only_if, facts):
            return Stand(step_id, now)
        return _arrive(plan, plan.following(step_id), facts, now, zone)
    if isinstance(step, WaitForStep) and step.otherwise:
        return _arrive(plan, plan.step(step.otherwise), facts, now, zone)
    return _arrive(plan, plan.following(step_id), facts, now, zone)


def on_event(plan: Plan, step_id: str, event: str, facts: frozenset[str], now: datetime, zone: str) -> Stand | None:
    """Where a person stands who waited at ``step_id`` when ``event`` came; None if they did not wait for it."""
    step = plan.step(step_id)
    if not isinstance(step, WaitForStep) or step.event != event:
        return None
    following = plan.step(step.then) if step.then else plan.following(step_id)
    return _arrive(plan, following, facts, now, zone)


def _arrive(plan: Plan, step: Step | None, facts: frozenset[str], now: datetime, zone: str) -> Stand:
    """Go on from ``step`` until something takes time. Steps lead forward only, so this ends."""
    while step is not None:
        if isinstance(step, SendStep):
            if holds(step.only_if, facts):
                return Stand(step.id, step.after.due(now, zone))
        elif isinstance(step, WaitStep):
            return Stand(step.id, step.after.due(now, zone))
        elif isinstance(step, WaitForStep):
            return Stand(step.id, step.at_most.due(now, zone))
        elif isinstance(step, ExitStep):
            return Stand(None, None, step.reason)
        else:
            target = _taken(step, facts)
            if target is not None:
                step = plan.step(target)
                continue
        step = plan.following(step.id)
    return Stand(None, None, "finished")


def _taken(step: BranchStep, facts: frozenset[str]) -> str | None:
    for case in step.cases:
        if holds(case.when, facts):
            return case.then
    return step.otherwise
