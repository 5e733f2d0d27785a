"""Walks through any plan: they lead forward, they end, and no step is stood at that its conditions forbid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from leadpipe.outreach import walk
from leadpipe.outreach.plan import FACTS, Plan, SendStep, WaitForStep
from leadpipe.outreach.timing import OPEN_FOR, Delay, is_business_day, spread
from leadpipe.outreach.walk import Stand

ZONES = ("America/Chicago", "America/New_York", "Pacific/Honolulu", "America/Phoenix", "Europe/London")
DELAYS = (
    "at once",
    "20 minutes",
    "2 days",
    "3 days at 10:00 local",
    "next_business_day at 10:00 local",
    "next 9:30 local",
)
EVENTS = ("reply", "positive_reply", "human_acted", "new_listing")
SOME_FACTS = sorted(FACTS)[:5]

conditions = st.lists(
    st.sampled_from(SOME_FACTS).flatmap(lambda fact: st.sampled_from([fact, f"not {fact}"])), max_size=3, unique=True
)
facts = st.frozensets(st.sampled_from(SOME_FACTS))
delays = st.sampled_from(DELAYS)
zones = st.sampled_from(ZONES)
# Around both changes of the clocks in the United States and an ordinary week.
moments = st.one_of(
    st.datetimes(datetime(2026, 3, 6), datetime(2026, 3, 10)),  # noqa: DTZ001 - given their zone below
    st.datetimes(datetime(2026, 10, 30), datetime(2026, 11, 3)),  # noqa: DTZ001
    st.datetimes(datetime(2026, 6, 1), datetime(2026, 7, 8)),  # noqa: DTZ001
).map(lambda moment: moment.replace(tzinfo=UTC))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 8))
    steps: list[dict[str, Any]] = []
    for index in range(count):
        later = [f"s{other}" for other in range(index + 1, count)]
        target = st.sampled_from(later) if later else st.none()
        kind = draw(
            st.sampled_from(["send", "wait", "wait_until_event", "branch", "exit"] if later else ["send", "exit"])
        )
        step: dict[str, Any] = {"id": f"s{index}", "kind": kind}
        if kind == "send":
            step |= {"after": draw(delays), "channel": "email", "template": "t", "purpose": "marketing",
                     "only_if": draw(conditions)}  # fmt: skip
        elif kind == "wait":
            step |= {"after": draw(delays)}
        elif kind == "wait_until_event":
            step |= {"event": draw(st.sampled_from(EVENTS)), "at_most": draw(delays)}
            step |= {"then": draw(st.none() | target), "otherwise": draw(st.none() | target)}
        elif kind == "branch":
            step |= {"cases": draw(st.lists(st.fixed_dictionaries({"when": conditions, "then": target}), min_size=1,
                                            max_size=3)), "otherwise": draw(st.none() | target)}  # fmt: skip
        else:
            step |= {"reason": "over"}
        steps.append(step)
    return Plan.model_validate(
        {"name": "any", "description": "", "priority": 50, "trigger": "nightly", "audience": [], "exits": [],
         "steps": steps}
    )  # fmt: skip


def is_sound(plan: Plan, stand: Stand, known: frozenset[str], now: datetime) -> bool:
    """At the end with a reason, or at a step that takes time and may be stood at."""
    if stand.step is None:
        return stand.due_at is None and bool(stand.end_reason)
    step = plan.step(stand.step)
    if isinstance(step, SendStep) and not walk.holds(step.only_if, known):
        return False
    return stand.due_at is not None and stand.due_at >= now


@settings(max_examples=300, deadline=None)
@given(plan=plans(), zone=zones, now=moments, data=st.data())
def test_a_walk_leads_forward_and_ends(plan: Plan, zone: str, now: datetime, data: st.DataObject) -> None:
    known = data.draw(facts)
    stand = walk.enter(plan, known, now, zone)
    visited: list[int] = []
    while stand.step is not None:
        assert is_sound(plan, stand, known, now)
        assert stand.due_at is not None
        visited.append(plan.index[stand.step])
        now = max(now, stand.due_at)
        known = data.draw(facts)
        step = plan.step(stand.step)
        if isinstance(step, SendStep) and walk.holds(step.only_if, known):
            # Due and its conditions hold: it is stayed at until it was sent, then left.
            assert walk.at_due(plan, step.id, known, now, zone) == Stand(step.id, now)
            stand = walk.after(plan, step.id, known, now, zone)
        elif isinstance(step, WaitForStep) and data.draw(st.booleans()):
            moved = walk.on_event(plan, step.id, step.event, known, now, zone)
            assert moved is not None
            stand = moved
        else:
            stand = walk.at_due(plan, stand.step, known, now, zone)
    assert is_sound(plan, stand, known, now)
    assert visited == sorted(set(visited))


@settings(max_examples=100, deadline=None)
@given(plan=plans(), zone=zones, now=moments, known=facts, event=st.sampled_from(EVENTS))
def test_an_event_moves_only_who_waits_for_it(
    plan: Plan, zone: str, now: datetime, known: frozenset[str], event: str
) -> None:
    for step in plan.steps:
        waits = isinstance(step, WaitForStep) and step.event == event
        assert (walk.on_event(plan, step.id, event, known, now, zone) is not None) == waits


@given(plan=plans(), zone=zones, now=moments, known=facts)
def test_a_step_the_file_lost_ends_the_passage(plan: Plan, zone: str, now: datetime, known: frozenset[str]) -> None:
    for walked in (walk.after, walk.at_due):
        assert walked(plan, "gone", known, now, zone) == Stand(None, None, "step_removed")


@settings(max_examples=300, deadline=None)
@given(words=delays, zone=zones, now=moments)
def test_an_aligned_moment_lies_within_the_steps_hours(words: str, zone: str, now: datetime) -> None:
    delay = Delay.parse(words)
    aligned = delay.aligned(now, zone)
    assert aligned >= now
    assert delay.aligned(aligned, zone) == aligned
    if delay.at is None:
        assert aligned == now
        return
    local = aligned.astimezone(ZoneInfo(zone))
    begins = datetime.combine(local.date(), delay.at, ZoneInfo(zone)).astimezone(UTC)
    assert begins <= aligned < begins + OPEN_FOR
    assert not delay.is_business_day or is_business_day(local.date())
    assert aligned - now < timedelta(days=6)


@given(person_id=st.integers(1, 2**62), minutes=st.integers(0, 24 * 60))
def test_a_spread_is_fixed_for_a_person_and_within_its_minutes(person_id: int, minutes: int) -> None:
    share = spread(person_id, minutes)
    assert share == spread(person_id, minutes)
    assert timedelta(0) <= share <= timedelta(minutes=minutes)


def test_a_spread_uses_its_whole_width() -> None:
    shares = sorted(spread(person_id, 120) for person_id in range(1, 2_001))
    assert shares[0] < timedelta(minutes=1)
    assert shares[-1] > timedelta(minutes=119)
    assert timedelta(minutes=55) < shares[1_000] < timedelta(minutes=65)
