"""The first answer to a new lead.

What lives here: who is a new lead, who must not be answered by us and why, and the first intent. What does not: reading
the CRM (``crm.intake``), finding listings (``market.recommend``), sending (``messaging``).

A crash between opening a passage and storing its message loses nothing: the next call finds the passage still at its
first step and makes the same intent again, which the ledger stores once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from leadpipe.errors import ConfigurationError
from leadpipe.outreach import bulk_import, enrol, walk
from leadpipe.outreach.facts import Known, PersonRow, know, people, zip_of
from leadpipe.outreach.golive import go_live_at
from leadpipe.outreach.intents import FIRST_TOUCH_PRIORITY, intent_for
from leadpipe.outreach.plan import SendStep, load_plans
from leadpipe.outreach.variables import variables_for
from leadpipe.outreach.zone import zone_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.messaging.intent import Intent
    from leadpipe.outreach.plan import Plan
    from leadpipe.settings import Settings

PLAN = "new_lead"
NEW_FOR = timedelta(hours=24)
NOT_NEW = frozenset({"not_new", "before_go_live", bulk_import.OUTCOME})
# A pause that the lead's own words brought ends with the lead's own new inquiry; one that a human act brought does not.
LIFTED_BY_INQUIRY = frozenset({"not_interested", "later"})

_WAITING = text(
    """
    select p.person_id,
      (select min(i.occurred_at) from ledger.inquiries i where i.person_id = p.person_id and i.answered_at is null
        and i.occurred_at > :since and i.occurred_at >= :go_live) as asked_at,
      e.id as enrolment_id, e.occurrence, e.state, e.step, e.opened_at,
      exists (select 1 from ledger.messages m where m.person_id = p.person_id and m.plan = :plan
        and m.occurrence = e.occurrence)
      or exists (select 1 from ledger.person_contact_points o
        join ledger.messages m on m.contact_point_id = o.contact_point_id and m.plan = :plan
          and m.occurrence = e.occurrence
        where o.person_id = p.person_id and m.enrolment_id = e.id) as has_message
    from ledger.people p
    left join lateral (
      select * from ledger.enrolments e where e.person_id = p.person_id and e.plan = :plan
      order by occurrence desc limit 1
    ) e on true
    where p.person_id = any(cast(:ids as bigint[]))
    """
)
_CANONICAL = text(
    """
    with recursive chain as (
      select person_id, merged_into, 0 as hops from ledger.people where person_id = any(cast(:ids as bigint[]))
      union all
      select p.person_id, p.merged_into, chain.hops + 1 from chain
      join ledger.people p on p.person_id = chain.merged_into where chain.hops < 10
    ) select distinct person_id from chain where merged_into is null order by person_id
    """
)
# The CRM moves the events of a merged person to the one who stays; so do we, as far as they wait for an answer.
_MOVE_INQUIRIES = text(
    """
    update ledger.inquiries i set person_id = p.merged_into
    from ledger.people p
    where p.person_id = i.person_id and p.merged_into is not null and i.answered_at is null
      and i.person_id = any(cast(:ids as bigint[]))
    """
)
_MET_AT_POINT = text(
    "select distinct contact_point_id from ledger.messages "
    "where contact_point_id = any(cast(:points as bigint[])) and plan = :plan and created_at > :since "
    "and person_id <> all(cast(:ids as bigint[]))"
)


class Waiting(NamedTuple):
    """A person to consider, with their last passage through the plan; column order is the query's."""

    person_id: int
    asked_at: datetime | None
    enrolment_id: int | None
    occurrence: int | None
    state: str | None
    step: str | None
    opened_at: datetime | None
    has_message: bool


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
        connection.execute(_MOVE_INQUIRIES, {"ids": list(person_ids)})
        ids = [row[0] for row in connection.execute(_CANONICAL, {"ids": list(person_ids)})]
        connection.execute(
            text(
                "select person_id from ledger.people where person_id = any(cast(:ids as bigint[])) "
                "order by person_id for no key update"
            ),
            {"ids": ids},
        )
        rows = people(connection, ids, now=now)
        desk = _Desk(connection, plans, settings, now)
        live_at = go_live_at(connection, settings)
        waiting = connection.execute(
            _WAITING, {"ids": ids, "plan": PLAN, "since": now - NEW_FOR, "go_live": live_at or now}
        )
        candidates = [Waiting._make(row) for row in waiting]
        desk.met_points = _met_points(connection, rows.values(), ids, now)
        silent = [c.person_id for c in candidates if c.asked_at is None and _is_created(c, rows[c.person_id], now)]
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


def _met_points(connection: Connection, rows: Any, ids: Sequence[int], now: datetime) -> set[int]:
    points = [point for row in rows for point in (row.email_id, row.phone_id, row.whatsapp_id) if point is not None]
    found = connection.execute(_MET_AT_POINT, {"points": points, "plan": PLAN, "since": now - NEW_FOR, "ids": ids})
    return {row[0] for row in found}


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
                self._state(known.row.person_id, "answered_within_24h", is_new=True)
            return
        outcome = self._refusal(candidate, known, live_at)
        if outcome == "not_asking":
            return
        if outcome is None:
            outcome = self._enter(candidate, known, variables)
        self._state(known.row.person_id, outcome, is_new=outcome not in NOT_NEW)

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
        if candidate.asked_at is None and not _is_created(candidate, row, now):
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

    def _state(self, person_id: int, outcome: str, *, is_new: bool) -> None:
        values = {"person": person_id, "outcome": outcome, "now": self.now, "is_new": is_new, "plan": self.plan.name}
        values |= {"arrival": bulk_import.ARRIVAL}
        statements = (
            # A second inquiry that joins an open passage does not unsay that the first was answered.
            "update ledger.people set is_new_lead = is_new_lead or :is_new, "
            # Nor is somebody imported who grows old without having asked.
            "outcome = case when :outcome = 'answered_within_24h' then outcome "
            "when :outcome = 'not_new' and outcome = 'bulk_import' then outcome else :outcome end, "
            "automation_paused_at = case when :outcome = 'enrolled' then null else automation_paused_at end, "
            "automation_paused_reason = case when :outcome = 'enrolled' then null else automation_paused_reason end "
            "where person_id = :person",
            # Only history comes with an import: an inquiry stored while this was judged has yet to be answered.
            "update ledger.inquiries set answered_at = :now, outcome = :outcome "
            "where person_id = :person and answered_at is null and (:outcome <> 'bulk_import' or occurred_at <= "
            "(select crm_created_at from ledger.people where person_id = :person) - cast(:arrival as interval))",
            # Every change of an old person in the CRM comes by here, our own tags among them: said once is enough.
            "insert into ledger.decisions (person_id, plan, outcome, at) select :person, :plan, :outcome, :now "
            "where :outcome <> 'not_new' or not exists (select 1 from ledger.decisions where person_id = :person "
            "and plan = :plan and outcome = 'not_new')",
        )
        for statement in statements:
            self.connection.execute(text(statement), values)


def _is_created(candidate: Waiting, row: PersonRow, now: datetime) -> bool:
    """New to the CRM, and never met by the plan."""
    return row.crm_created_at > now - NEW_FOR and candidate.enrolment_id is None


def _within(at: datetime | None, now: datetime, *, minutes: int) -> bool:
    return at is not None and at > now - timedelta(minutes=minutes)
