"""Moving people on through their plans when the time of a step has come.

What lives here: what a due passage becomes, and the intent of the step it stands at. What does not: which are due and
what is known around them (``due_passages``), events (``events``), storing and sending the intents (``messaging``), the
walk itself (``walk``).

A step is over when its message has left or has ended otherwise; the next step's delay counts from then. A passage stays
at its step until the message is in the ledger, so a run that dies between the two makes the same intent again a little
later, and the ledger's unique keys store it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from leadpipe.errors import ConfigurationError
from leadpipe.messaging.alerts import raise_alert
from leadpipe.outreach import due_passages, enrol, walk
from leadpipe.outreach.due_passages import Passage
from leadpipe.outreach.facts import UNDER_WAY, Known, know, people, zip_of
from leadpipe.outreach.intents import intent_for
from leadpipe.outreach.offers import offer_to
from leadpipe.outreach.plan import SendStep, load_plans, paused_plans
from leadpipe.outreach.timing import spread
from leadpipe.outreach.variables import market_variables_for, variables_for
from leadpipe.outreach.walk import Stand
from leadpipe.outreach.zone import zone_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.messaging.intent import Intent
    from leadpipe.outreach.facts import PersonRow
    from leadpipe.outreach.plan import Plan
    from leadpipe.settings import Settings

LIMIT = 500
# Until its message is stored a passage is left alone for so long; then another run makes the intent again.
STORE_WITHIN = timedelta(minutes=1)
# A person with a message under way is looked at again so long after that message may leave.
LOOK_AGAIN = timedelta(minutes=5)
# While a plan of higher priority has the person, and after a step that could not be rendered.
WAIT_FOR_PLAN = timedelta(hours=1)
# Homes in a message were looked up at most so long ago (compliance C41).
LISTINGS_FRESH_FOR = timedelta(hours=24)


class MarketSource(Protocol):
    """Where market facts come from; ``market.facts.MarketFacts`` is one."""

    def for_zips(self, zips: Iterable[str]) -> Mapping[str, tuple[float, date]]:
        """Change in percent over twelve months, and its month, by ZIP code."""
        ...


@dataclass(kw_only=True)
class Advanced:
    """What one pass over the due passages did: the intents to store, and how many passages it looked at."""

    intents: list[Intent] = field(default_factory=list["Intent"])
    count_passages: int = 0
    count_moved: int = 0
    count_waiting: int = 0
    count_ended: int = 0


def advance_due(
    engine: Engine, *, settings: Settings, clock: Clock, limit: int = LIMIT, market: MarketSource | None = None
) -> list[Intent]:
    """Move on up to ``limit`` due passages and return the intents of those whose step sends something now."""
    return advance(engine, settings=settings, clock=clock, limit=limit, market=market).intents


def advance(
    engine: Engine, *, settings: Settings, clock: Clock, limit: int = LIMIT, market: MarketSource | None = None
) -> Advanced:
    """Move on up to ``limit`` due passages, oldest first; several runs at once share them.

    Facts are read anew: what no longer holds is passed over, a person who is gone or in a stop stage leaves the plan,
    and one whose automation is paused waits inside it. Somebody with a message under way, or inside a plan of higher
    priority, waits (one message at a time). The caller stores the intents with ``messaging.enqueue``.

    Args:
        engine: the ledger.
        settings: plans, team and limits.
        clock: now.
        limit: passages of one transaction.
        market: market facts; None has none, and steps that need one are passed over.
    """
    now = clock.now()
    plans = load_plans(settings.plans_path)
    paused = paused_plans(settings.plans_path)
    with engine.begin() as connection:
        passages = due_passages.take_due(connection, now=now, paused_plans=paused, limit=limit)
        if not passages:
            return Advanced()
        desk = _Desk(connection, plans, settings, now)
        desk.read(sorted({passage.person_id for passage in passages}), market)
        for passage in sorted(passages, key=desk.rank):
            desk.take(passage)
        return desk.write()


class _Desk:
    """Takes due passages one by one, in one transaction, and writes together what became of them."""

    def __init__(self, connection: Connection, plans: Mapping[str, Plan], settings: Settings, now: datetime) -> None:
        self._connection, self._plans, self._settings, self._now = connection, plans, settings, now
        self._rows: dict[int, PersonRow] = {}
        self._market: dict[str, Mapping[str, Any]] = {}
        self._busy: dict[int, datetime] = {}
        self._inside: dict[int, list[str]] = {}
        self._report = Advanced()
        self._stands: list[tuple[int, Stand]] = []
        self._ends: list[tuple[int, int, str]] = []
        self._paused: list[int] = []
        self._postponed: dict[int, datetime] = {}

    def read(self, person_ids: Sequence[int], market: MarketSource | None) -> None:
        """Everything the decisions need, in a few queries."""
        stale_before = self._now - timedelta(hours=self._settings.stale_after_hours)
        self._rows = people(self._connection, person_ids, now=self._now)
        self._busy = due_passages.busy_until(self._connection, person_ids, stale_before=stale_before)
        self._inside = due_passages.plans_inside(self._connection, person_ids)
        if market is not None:
            facts = market.for_zips({code for row in self._rows.values() if (code := zip_of(row))})
            self._market = market_variables_for(facts, now=self._now)

    def rank(self, passage: Passage) -> tuple[int, int]:
        """Higher plans first: who is in two gets the message of the higher one."""
        plan = self._plans.get(passage.plan)
        return (plan.priority if plan else -1, passage.id)

    def take(self, passage: Passage) -> None:
        """Decide one passage."""
        plan, row = self._plans.get(passage.plan), self._rows[passage.person_id]
        if plan is None or row.is_gone or row.stage in self._settings.stop_stages:
            reason = "plan_removed" if plan is None else "gone" if row.is_gone else "stop_stage"
            self._ends.append((passage.id, row.person_id, reason))
        elif row.automation_paused_at is not None:
            self._paused.append(passage.id)
        elif plan.trigger == "new_listing" and passage.opened_at <= self._now - LISTINGS_FRESH_FOR:
            self._stands.append((passage.id, Stand(None, None, "sent" if passage.message_state else "stale")))
        elif passage.message_state in UNDER_WAY and row.person_id in self._busy:
            self._postpone(passage, max(self._busy[row.person_id], self._now) + LOOK_AGAIN)
        else:
            self._walk_on(passage, plan, self._know(row))

    def _know(self, row: PersonRow) -> Known:
        return know(row, has_market_trend=zip_of(row) in self._market, has_offer=offer_to(row, self._now) is not None)

    def _walk_on(self, passage: Passage, plan: Plan, known: Known) -> None:
        zone = zone_of(known.row, self._settings.team_timezone)
        if passage.message_state is not None:
            since = min(passage.message_at or self._now, self._now)
            stand = walk.after(plan, passage.step, known.facts, since, zone)
        else:
            stand = walk.at_due(plan, passage.step, known.facts, self._now, zone)
        step = plan.step(stand.step or "")
        if stand.end_reason == "step_removed":
            self._ends.append((passage.id, passage.person_id, stand.end_reason))
        elif not isinstance(step, SendStep) or stand.due_at is None or stand.due_at > self._now:
            self._stands.append((passage.id, stand))
        elif (waits_until := self._waits(known.row.person_id, plan)) is not None:
            self._stands.append((passage.id, Stand(step.id, waits_until)))
        elif (due_at := step.after.aligned(self._now, zone)) > self._now:
            self._stands.append((passage.id, Stand(step.id, due_at)))
        else:
            self._send(passage, plan, step, known)

    def _waits(self, person_id: int, plan: Plan) -> datetime | None:
        """Until when the person's next message must wait; None when it may go."""
        if person_id in self._busy:
            return max(self._busy[person_id], self._now) + LOOK_AGAIN
        others = (self._plans[name] for name in self._inside.get(person_id, ()) if name in self._plans)
        if any(enrol.gives_way(plan, other) and not other.is_paused for other in others):
            return self._now + WAIT_FOR_PLAN
        return None

    def _send(self, passage: Passage, plan: Plan, step: SendStep, known: Known) -> None:
        row, context = known.row, passage.context
        variables = variables_for(
            known,
            self._settings,
            now=self._now,
            listings=context.get("listings", ()),
            market=self._market.get(zip_of(row)),
            offer=offer_to(row, self._now),
        )
        due_at = self._now + spread(row.person_id, step.spread_minutes)
        try:
            intent = intent_for(
                known,
                plan,
                step,
                occurrence=passage.occurrence,
                enrolment_id=passage.id,
                variables=variables,
                due_at=due_at,
                expires_at=passage.opened_at + LISTINGS_FRESH_FOR if plan.trigger == "new_listing" else None,
                priority=context.get("priority"),
                score_pct=context.get("score_pct"),
            )
        except ConfigurationError as error:
            self._broken(passage, plan, step, error)
            return
        if intent is None:
            self._stands.append(
                (
                    passage.id,
                    walk.after(plan, step.id, known.facts, self._now, zone_of(row, self._settings.team_timezone)),
                )
            )
            return
        self._busy[row.person_id] = due_at
        self._stands.append((passage.id, Stand(step.id, self._now + STORE_WITHIN)))
        self._report.intents.append(intent)

    def _broken(self, passage: Passage, plan: Plan, step: SendStep, error: ConfigurationError) -> None:
        """Words that cannot be made keep this passage back, not the others; the team is told once a day."""
        self._stands.append((passage.id, Stand(step.id, self._now + WAIT_FOR_PLAN)))
        raise_alert(
            self._connection,
            kind="plan_broken",
            dedupe_key=f"plan_broken:{plan.name}:{step.id}:{self._now.date()}",
            title=f"Plan {plan.name}: step {step.id} cannot be written",
            body=f"{error}. The people at this step wait; it is tried again every hour.",
            now=self._now,
        )

    def _postpone(self, passage: Passage, until: datetime) -> None:
        self._postponed[passage.id] = until

    def _drop_met_addresses(self) -> None:
        """Another record of the CRM has the same address and had this very message: nothing more to say there."""
        intents = self._report.intents
        if not intents:
            return
        met = due_passages.met_elsewhere(self._connection, intents)
        self._ends += [
            (intent.enrolment_id, intent.person_id, "same_contact_point")
            for intent in intents
            if intent.enrolment_id in met
        ]
        self._stands = [(enrolment_id, stand) for enrolment_id, stand in self._stands if enrolment_id not in met]
        self._report.intents = [intent for intent in intents if intent.enrolment_id not in met]

    def write(self) -> Advanced:
        """Store what was decided."""
        self._drop_met_addresses()
        enrol.move(self._connection, self._stands, now=self._now)
        enrol.end(self._connection, self._ends, now=self._now)
        due_passages.pause(self._connection, self._paused)
        due_passages.postpone(self._connection, self._postponed)
        report = self._report
        report.count_moved = len(self._stands) - len(report.intents)
        report.count_waiting = len(self._postponed) + len(self._paused)
        report.count_ended = len(self._ends)
        report.count_passages = len(self._stands) + len(self._ends) + report.count_waiting
        return report
