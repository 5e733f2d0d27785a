"""Whether a nightly plan takes a person up tonight, and if not, why.

What lives here: the decision for one person and one plan, without a store. What does not: bulk reading and the rows
(``planner``), the words (``templates``), whether the message may go (``policy``, at enqueue and again when it leaves).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from leadpipe.outreach import enrol, walk
from leadpipe.outreach.plan import SendStep

if TYPE_CHECKING:
    from leadpipe.outreach.facts import Known, PersonRow
    from leadpipe.outreach.history import History
    from leadpipe.outreach.plan import Plan
    from leadpipe.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why no message goes tonight: an outcome of ``queue.OUTCOMES``, a code, and the reason in words."""

    outcome: str
    code: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A person enters the plan at this step, for the n-th time, and the message goes to this address."""

    step: SendStep
    due_at: datetime
    contact_point_id: int
    occurrence: int


@dataclass(frozen=True, kw_only=True)
class Night:
    """What all decisions of one planning share.

    Attributes:
        aged_before: contact after this moment makes a lead not aged.
    """

    now: datetime
    aged_before: datetime
    stop_stages: frozenset[str]
    plans: Mapping[str, Plan]


def night_of(plans: Mapping[str, Plan], settings: Settings, now: datetime) -> Night:
    """The night of a planning at ``now``."""
    return Night(
        now=now,
        aged_before=now - timedelta(days=settings.aged_after_days),
        stop_stages=frozenset(settings.stop_stages),
        plans=plans,
    )


def in_order(plans: Mapping[str, Plan]) -> list[Plan]:
    """The nightly plans that are not paused, the one that goes first first."""
    wanted = (plan for plan in plans.values() if plan.trigger == "nightly" and not plan.is_paused)
    return sorted(wanted, key=lambda plan: (plan.priority, plan.name))


class Decided(NamedTuple):
    """What one plan does with a person; ``known`` is there when the plan takes them up."""

    plan: Plan
    found: Entry | Refusal
    known: Known | None


def decide(
    plans: Iterable[Plan],
    row: PersonRow,
    history: History,
    night: Night,
    zone: str,
    *,
    know: Callable[[PersonRow], Known],
    points_taken: Container[tuple[int, str]],
) -> Iterator[Decided]:
    """One outcome per plan, in the order of the plans; one that gives way to a plan entered tonight waits for it.

    Args:
        plans: nightly plans, the first goes first.
        row: the person.
        history: their past.
        night: what all decisions of the planning share.
        zone: the person's own clock.
        know: their facts, asked for at most once and only when a plan needs them.
        points_taken: contact points, by plan, that another record has a message at tonight.
    """
    entered: list[Plan] = []
    known: Known | None = None
    for plan in plans:
        higher = next((other for other in entered if enrol.gives_way(plan, other)), None)
        found: Entry | Refusal | None
        if higher is not None:
            found = Refusal(
                outcome="outranked", code=higher.name, reason=f"enters {higher.name} tonight, which goes first"
            )
        elif (found := ruled_out(plan, row, history, night, zone)) is None:
            known = known or know(row)
            found = enter(plan, known, history, night, zone)
            if isinstance(found, Entry) and (found.contact_point_id, plan.name) in points_taken:
                found = same_contact_point()
        if isinstance(found, Entry):
            entered.append(plan)
            yield Decided(plan, found, known)
        else:
            yield Decided(plan, found, None)


def last_contact_at(row: PersonRow) -> datetime:
    """The last moment that speaks against calling a lead aged: both sides spoke, they asked, or they arrived."""
    return max(at for at in (row.last_two_way_at, row.asked_at, row.crm_created_at) if at is not None)


def ruled_out(plan: Plan, row: PersonRow, history: History, night: Night, zone: str) -> Refusal | None:
    """Why the plan cannot take this person up, before their facts are looked at; None when nothing speaks against it.

    The first reason in this order is the one told: stopped, inside, not aged, outranked, exhausted, too soon, busy.
    """
    passages = history.passages.get((row.person_id, plan.name))
    if stopped := _stopped(row, history, night):
        return Refusal(outcome="stopped", code=stopped, reason=_STOPPED[stopped])
    if passages and passages.is_inside:
        step = passages.inside_at or ""
        return Refusal(outcome="not_due", code=step, reason=f"inside the plan at {step}")
    spoke_at = last_contact_at(row)
    if spoke_at > night.aged_before:
        days = (night.now - spoke_at).days
        return Refusal(outcome="not_aged", code="recent_contact", reason=f"contact {days} days ago")
    return _not_now(plan, row, history, night, zone)


def _not_now(plan: Plan, row: PersonRow, history: History, night: Night, zone: str) -> Refusal | None:
    others = (night.plans[name] for name in history.inside.get(row.person_id, ()) if name in night.plans)
    higher = sorted(other.name for other in others if enrol.gives_way(plan, other))
    if higher:
        return Refusal(outcome="outranked", code=higher[0], reason=f"inside {higher[0]}, which goes first")
    if passages := history.passages.get((row.person_id, plan.name)):
        again = plan.occurrences.refusal(passages.times, passages.opened_at, night.now, zone)
        if again:
            return Refusal(outcome=again, code=f"occurrence_{passages.times}", reason=_AGAIN[again])
    if row.is_busy:
        return Refusal(outcome="waits", code="message_under_way", reason="another message is still under way")
    return None


def enter(plan: Plan, known: Known, history: History, night: Night, zone: str) -> Entry | Refusal:
    """Where the person enters the plan, or why they cannot; call ``ruled_out`` first."""
    row = known.row
    if not walk.holds(plan.audience, known.facts):
        return Refusal(outcome="no_channel", code="audience", reason="not in the plan's audience")
    stand = walk.enter(plan, known.facts, night.now, zone)
    step = plan.step(stand.step or "")
    point = known.contact_point(step.channel, step.purpose) if isinstance(step, SendStep) else None
    if not isinstance(step, SendStep) or stand.due_at is None or point is None:
        return _no_channel(known)
    others_at = history.others_at(point, plan.name, row.person_id)
    if others_at is not None and plan.occurrences.again_after.due(others_at, zone) > night.now:
        return same_contact_point()
    passages = history.passages.get((row.person_id, plan.name))
    count = max(passages.times if passages else 0, history.times_at(point, plan.name))
    if plan.occurrences.max is not None and count >= plan.occurrences.max:
        return Refusal(outcome="exhausted", code=f"occurrence_{count}", reason=_AGAIN["exhausted"])
    # Last of all: who is held out would have been written to otherwise. Whom the plan met before is no control.
    if not count and plan.holds_out(row.person_id):
        return Refusal(
            outcome="control_group", code="holdout", reason="in this plan's control group, which gets nothing"
        )
    return Entry(step=step, due_at=stand.due_at, contact_point_id=point, occurrence=count + 1)


def same_contact_point() -> Refusal:
    """Another record of the CRM has the same address and has the message."""
    return Refusal(outcome="waits", code="same_contact_point", reason="another record has the same address")


_STOPPED = {
    "gone": "merged into another record or deleted in the CRM",
    "stop_stage": "in a stage that ends every plan",
    "automation_paused": "automation is paused for this person",
    "refused": "asked not to be written to",
}
_AGAIN = {
    "exhausted": "met this plan as often as it allows",
    "finished": "went through this plan, and the next round is not due",
}


def _stopped(row: PersonRow, history: History, night: Night) -> str:
    if row.is_gone:
        return "gone"
    if row.stage in night.stop_stages:
        return "stop_stage"
    if row.automation_paused_at is not None:
        return "automation_paused"
    return "refused" if row.person_id in history.refused else ""


def _no_channel(known: Known) -> Refusal:
    if not known.facts & {"has_email", "has_phone"}:
        return Refusal(outcome="no_channel", code="no_contact_point", reason="no usable address or number")
    if "has_phone" in known.facts:
        return Refusal(
            outcome="no_channel", code="no_consent", reason="no email, and no consent to write to the number"
        )
    return Refusal(outcome="no_channel", code="relay_address", reason="only a portal's relay address or a shared one")
