"""The first answer to a new lead.

What lives here: who is a new lead, who must not be answered by us and why, and the first intent. What does not: what is
read of those who wait and what is stated about them (``waiting_leads``), reading the CRM (``crm.intake``), finding
listings (``market.recommend``), sending (``messaging``).

A crash between opening a passage and storing its message loses nothing: the next call finds the passage still at its
first step and makes the same intent again, which the ledger stores once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError
from leadpipe.outreach import bulk_import, enrol, walk
from leadpipe.outreach.facts import Known, know, people, zip_of
from leadpipe.outreach.golive import go_live_at
from leadpipe.outreach.intents import FIRST_TOUCH_PRIORITY, intent_for
from leadpipe.outreach.plan import SendStep, load_plans
from leadpipe.outreach.variables import variables_for
from leadpipe.outreach.waiting_leads import (
    NEW_FOR,
    PLAN,
    Waiting,
    is_created,
    lock_canonical,
    met_points,
    read_waiting,
    state_outcome,
)
from leadpipe.outreach.zone import zone_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.messaging.intent import Intent
    from leadpipe.outreach.plan import Plan
    from leadpipe.settings import Settings

NOT_NEW = frozenset({"not_new", "before_go_live", bulk_import.OUTCOME})
# A pause that the lead's own words brought ends with the lead's own new inquiry; one that a human act brought does not.
LIFTED_BY_INQUIRY = frozenset({"not_interested", "later"})


@dataclass(frozen=True, kw_only=True)
class _Taken:
    known: Known
    variables: dict[str, Any]
    step: SendStep
    occurrence: int
    enrolment_id: int
    due_at: datetime


def plan_new_leads(
    engine: Engine,
    person_ids: Sequence[int],
    *,
    listings_by_person: Mapping[int, Sequence[Mapping[str, Any]]],
    market_facts: Mapping[str, Mapping[str, Any]],
    settings: Settings,
    clock: Clock,
) -> list[Intent]:
    """Open the welcome for each person who is a new lead and return the first intents.

    Everyone else gets a stated outcome on the person and on the inquiry: ``before_go_live``, ``not_new``,
    ``bulk_import``, ``no_contact_point``, ``human_acted``, ``stop_stage``, ``automation_paused``,
    ``answered_within_24h``, ``same_contact_point``, ``gone``. Who may be the head of an import gets none until the next
    call. Safe to call again for the same people.

    Args:
        engine: the ledger.
        person_ids: CRM people to consider; merged ones count as the person they were merged into.
        listings_by_person: recommendations as ``variables.listing_variables`` reads them; missing means none.
        market_facts: by ZIP, as ``variables.market_variables`` makes them; missing means none.
        settings: team and limits.
        clock: now.
    """
    now = clock.now()
    plans = load_plans(settings.plans_path)
    if PLAN not in plans:
        raise ConfigurationError(f"no plan '{PLAN}' in {settings.plans_path}; new leads need one (docs/plans.md)")
    with engine.begin() as connection:
        ids = lock_canonical(connection, person_ids)
        rows = people(connection, ids, now=now)
        desk = _Desk(connection, plans, settings, now)
        live_at = go_live_at(connection, settings)
        candidates = read_waiting(connection, ids, live_at=live_at, now=now)
        desk.met_points = met_points(connection, rows.values(), now=now)
        silent = [c.person_id for c in candidates if c.asked_at is None and is_created(c, rows[c.person_id], now)]
        desk.arrivals = bulk_import.judge_arrivals(connection, silent, settings=settings, now=now)
        for candidate in sorted(candidates, key=lambda c: c.person_id):
            row = rows[candidate.person_id]
            market = market_facts.get(zip_of(row))
            known = know(row, has_market_trend=market is not None)
            variables = variables_for(
                known, settings, now=now, listings=listings_by_person.get(row.person_id, ()), market=market
            )
            desk.consider(candidate, known, variables, live_at)
        return desk.intents()


class _Desk:
    """Takes people one by one, in one transaction, and remembers the addresses already answered."""

    def __init__(self, connection: Connection, plans: Mapping[str, Plan], settings: Settings, now: datetime) -> None:
        self.connection, self.plans, self.settings, self.now = connection, plans, settings, now
        self.plan = plans[PLAN]
        self.met_points: set[int] = set()
        self.arrivals: Mapping[int, str] = {}
        self._taken: list[_Taken] = []

    def consider(self, candidate: Waiting, known: Known, variables: dict[str, Any], live_at: datetime | None) -> None:
        """Take the person up, or state why not."""
        if self._is_unfinished(candidate):
            self._again(candidate, known, variables)
            # The pass that opened it has yet to store its message: an inquiry seen meanwhile has its answer there.
            if candidate.asked_at is not None:
                self._state(known, "answered_within_24h", is_new=True)
            return
        outcome = self._refusal(candidate, known, live_at)
        if outcome == "not_asking":
            return
        if outcome is None:
            outcome = self._enter(candidate, known, variables)
        self._state(known, outcome, is_new=outcome not in NOT_NEW)

    def intents(self) -> list[Intent]:
        """The first intents of everyone taken up."""
        made = [
            intent_for(
                taken.known,
                self.plan,
                taken.step,
                occurrence=taken.occurrence,
                enrolment_id=taken.enrolment_id,
                variables=taken.variables,
                due_at=taken.due_at,
                priority=FIRST_TOUCH_PRIORITY,
                evidence={"inquiry_event_id": taken.known.row.event_id},
            )
            for taken in self._taken
        ]
        return [intent for intent in made if intent is not None]

    def _is_unfinished(self, candidate: Waiting) -> bool:
        """An earlier run opened the passage and died before its first message was stored."""
        return (
            candidate.state == "open"
            and not candidate.has_message
            and candidate.opened_at is not None
            and candidate.opened_at > self.now - NEW_FOR
        )

    def _again(self, candidate: Waiting, known: Known, variables: dict[str, Any]) -> None:
        step = self.plan.step(candidate.step or "")
        if isinstance(step, SendStep) and candidate.enrolment_id and candidate.occurrence:
            self._taken.append(
                _Taken(
                    known=known,
                    variables=variables,
                    step=step,
                    occurrence=candidate.occurrence,
                    enrolment_id=candidate.enrolment_id,
                    due_at=self.now,
                )
            )

    def _refusal(self, candidate: Waiting, known: Known, live_at: datetime | None) -> str | None:
        """Why this person is not welcomed, ``not_asking`` when there is nothing to answer, None when they are."""
        row, now = known.row, self.now
        if candidate.asked_at is None and not is_created(candidate, row, now):
            return "not_new" if candidate.enrolment_id is None else "not_asking"
        if live_at is None or (candidate.asked_at is None and row.crm_created_at < live_at):
            return "before_go_live"
        if row.person_id in self.arrivals:
            is_import = self.arrivals[row.person_id] == bulk_import.OUTCOME
            return bulk_import.OUTCOME if is_import else "not_asking"
        checks = (
            ("gone", row.is_gone),
            ("stop_stage", row.stage in self.settings.stop_stages),
            ("automation_paused", self._is_paused(known)),
            ("human_acted", _within(row.last_human_at, now, minutes=self.settings.human_quiet_minutes)),
            ("answered_within_24h", candidate.opened_at is not None and candidate.opened_at > now - NEW_FOR),
            ("plan_paused", self.plan.is_paused),
        )
        return next((name for name, applies in checks if applies), None)

    def _is_paused(self, known: Known) -> bool:
        row = known.row
        return row.automation_paused_at is not None and row.automation_paused_reason not in LIFTED_BY_INQUIRY

    def _enter(self, candidate: Waiting, known: Known, variables: dict[str, Any]) -> str:
        row = known.row
        stand = walk.enter(self.plan, known.facts, self.now, zone_of(row, self.settings.team_timezone))
        step = self.plan.step(stand.step or "")
        if not isinstance(step, SendStep) or stand.due_at is None:
            return "no_contact_point"
        point = known.contact_point(step.channel, step.purpose)
        if point is None:
            return "no_contact_point"
        if point in self.met_points:
            return "same_contact_point"
        if candidate.state in {"open", "paused"}:
            enrol.end_for(self.connection, row.person_id, "new_inquiry", now=self.now, plans=[self.plan])
        entry = enrol.Entry(
            person_id=row.person_id,
            plan=self.plan.name,
            plan_version=self.plan.version,
            occurrence=enrol.next_occurrence(self.connection, row.person_id, self.plan.name, point),
            step=step.id,
            due_at=stand.due_at,
            reason="inquiry" if candidate.asked_at else "created",
            context={"event_id": row.event_id},
        )
        opened = enrol.open_passages(self.connection, [entry], now=self.now)
        enrolment_id = opened.get((row.person_id, self.plan.name))
        if enrolment_id is None:
            return "answered_within_24h"
        enrol.end_outranked(self.connection, row.person_id, self.plan, self.plans, now=self.now)
        self.met_points.add(point)
        self._taken.append(
            _Taken(
                known=known,
                variables=variables,
                step=step,
                occurrence=entry.occurrence,
                enrolment_id=enrolment_id,
                due_at=stand.due_at,
            )
        )
        return "enrolled"

    def _state(self, known: Known, outcome: str, *, is_new: bool) -> None:
        state_outcome(self.connection, known.row.person_id, outcome, is_new=is_new, now=self.now)


def _within(at: datetime | None, now: datetime, *, minutes: int) -> bool:
    return at is not None and at > now - timedelta(minutes=minutes)
