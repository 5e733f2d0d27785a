"""Some people planned: one row of the queue for each of them and every nightly plan.

What lives here: from what the ledger knows to rows with words. What does not: the decision for one person
(``nightly``), who is planned and how the work is shared out (``planner``), the queue's columns (``queue``).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from leadpipe.outreach import nightly, queue
from leadpipe.outreach.facts import Known, know, people, zip_of
from leadpipe.outreach.history import History, read_history
from leadpipe.outreach.nightly import Entry, Refusal
from leadpipe.outreach.offers import offer_to
from leadpipe.outreach.queue import QueueRow
from leadpipe.outreach.templates import render
from leadpipe.outreach.timing import spread
from leadpipe.outreach.variables import variables_for
from leadpipe.outreach.zone import zone_of

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection

    from leadpipe.outreach.facts import PersonRow
    from leadpipe.outreach.plan import Plan
    from leadpipe.outreach.plan_inputs import Scores
    from leadpipe.settings import Settings


class Score(NamedTuple):
    """The score in force of one person."""

    pct: float
    band: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some people to plan.

    Attributes:
        number: place among all chunks.
        cohorts: first day of the month of creation by person id, in the order of planning.
    """

    number: int
    cohorts: Mapping[int, date]


class Desk:
    """Plans people chunk by chunk, from one snapshot of the ledger.

    Attributes:
        points_taken: contact points, by plan, that somebody has a message at tonight; no other record gets one there.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        plans: Mapping[str, Plan],
        settings: Settings,
        now: datetime,
        scores: Scores,
        market: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._connection, self._settings, self._now = connection, settings, now
        self._scores, self._market = scores, market
        self._nightly = nightly.in_order(plans)
        self._night = nightly.night_of(plans, settings, now)
        self._day = now.astimezone(ZoneInfo(settings.team_timezone)).date()
        self.points_taken: set[tuple[int, str]] = set()

    def planned(self, chunk: Chunk) -> tuple[pa.Table, Counter[str]]:
        """The rows of these people, and how many there are of each outcome."""
        rows = people(self._connection, chunk.cohorts, now=self._now)
        history = read_history(self._connection, rows.values(), self._nightly)
        scores = self._scores.of(chunk.cohorts)
        made = [
            row
            for person_id, cohort in chunk.cohorts.items()
            for row in self._person(rows[person_id], cohort, scores.get(person_id), history)
        ]
        return queue.as_table(made), Counter(row.outcome for row in made)

    def _person(self, row: PersonRow, cohort: date, score: Score | None, history: History) -> Iterator[QueueRow]:
        """One row per plan."""
        zone = zone_of(row, self._settings.team_timezone)
        decided = nightly.decide(
            self._nightly, row, history, self._night, zone, know=self._know, points_taken=self.points_taken
        )
        for plan, found, known in decided:
            if isinstance(found, Refusal):
                yield self._refused(plan, row, found, cohort, score)
            elif known is not None:
                self.points_taken.add((found.contact_point_id, plan.name))
                yield self._planned(plan, known, found, cohort, score)

    def _know(self, row: PersonRow) -> Known:
        return know(row, has_market_trend=zip_of(row) in self._market, has_offer=offer_to(row, self._now) is not None)

    def _planned(self, plan: Plan, known: Known, entry: Entry, cohort: date, score: Score | None) -> QueueRow:
        row, step = known.row, entry.step
        variables = variables_for(
            known,
            self._settings,
            now=self._now,
            market=self._market.get(zip_of(row)),
            offer=offer_to(row, self._now),
        )
        words = render(step.template, variables)
        return QueueRow(
            planned_run_key=run_key(cohort, plan.name, plan.version, self._day),
            cohort=cohort,
            person_id=row.person_id,
            contact_point_id=entry.contact_point_id,
            plan=plan.name,
            plan_version=plan.version,
            step=step.id,
            occurrence=entry.occurrence,
            channel=step.channel,
            purpose=step.purpose,
            template=step.template,
            template_version=words.template_version,
            subject=words.subject,
            body=words.text,
            variables=_json(words.frozen(variables)),
            due_at=entry.due_at + spread(row.person_id, step.spread_minutes),
            score_pct=score.pct if score else None,
            priority_band=score.band if score else None,
            reason=self._why(plan, row, entry, score),
            outcome="planned",
            planned_at=self._now,
        )

    def _why(self, plan: Plan, row: PersonRow, entry: Entry, score: Score | None) -> str:
        days = (self._now - nightly.last_contact_at(row)).days
        rounds = f"round {entry.occurrence}" + (f" of {plan.occurrences.max}" if plan.occurrences.max else "")
        scored = f"; {score.band} priority: {score.reason}" if score else ""
        return f"no contact for {days} days, {rounds}{scored}"

    def _refused(self, plan: Plan, row: PersonRow, refusal: Refusal, cohort: date, score: Score | None) -> QueueRow:
        return QueueRow(
            planned_run_key=run_key(cohort, plan.name, plan.version, self._day),
            cohort=cohort,
            person_id=row.person_id,
            plan=plan.name,
            plan_version=plan.version,
            score_pct=score.pct if score else None,
            priority_band=score.band if score else None,
            reason=refusal.reason,
            outcome=refusal.outcome,
            code=refusal.code,
            planned_at=self._now,
        )


@lru_cache(maxsize=4096)
def run_key(cohort: date, plan: str, version: str, day: date) -> str:
    """The key of one cohort's planning by one plan on one day of the team: the same when it is planned again."""
    return hashlib.sha256(f"{cohort}|{plan}|{version}|{day}".encode()).hexdigest()[:16]


def _json(variables: Mapping[str, Any]) -> str:
    import orjson

    return orjson.dumps(variables).decode()
