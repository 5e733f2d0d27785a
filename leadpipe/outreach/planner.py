"""The nightly planning: who gets a message of a nightly plan, in which words, and why the others get none.

What lives here: one row for every lead and plan, in bulk. What does not: the decision for one person (``nightly``),
the queue's columns (``queue``), opening passages and storing messages (``enqueue_planned``). Planning has no side
effect on anyone: it reads the ledger and replaces rows of the lake.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlalchemy import text

from leadpipe.market import tables as market_tables
from leadpipe.outreach import nightly, queue
from leadpipe.outreach.facts import Known, know, people, zip_of
from leadpipe.outreach.history import History, read_history
from leadpipe.outreach.nightly import Entry, Refusal
from leadpipe.outreach.offers import offer_to
from leadpipe.outreach.plan import SendStep, load_plans
from leadpipe.outreach.queue import QueueRow
from leadpipe.outreach.templates import render, sources_of
from leadpipe.outreach.timing import spread
from leadpipe.outreach.variables import LANGUAGES, market_variables_for, variables_for
from leadpipe.outreach.zone import zone_of
from leadpipe.store import inputs

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.outreach.facts import PersonRow
    from leadpipe.outreach.plan import Plan
    from leadpipe.settings import Settings
    from leadpipe.store.inputs import Input
    from leadpipe.store.lake import Lake

# People of one query; memory follows this, not the number of leads.
CHUNK = 5_000

_PEOPLE = text(
    """
    with cohorts as (
      select person_id, cast(date_trunc('month', crm_created_at at time zone 'UTC') as date) as cohort
      from ledger.people
    )
    select person_id, cohort from cohorts
    where cast(:every as boolean) or cohort = any(cast(:cohorts as date[]))
    order by cohort, person_id
    """
)
_SCORES = """
    select person_id, score_pct, priority_band, reason_1 from scoring.lead_scores
    qualify row_number() over (partition by person_id order by scored_at desc) = 1
"""
_MARKET = f"""
    select zip, change_12m_pct, month from {market_tables.MARKET_TREND}
    where metric = 'zhvi' and change_12m_pct is not null
"""  # noqa: S608 - our own names


@dataclass(kw_only=True)
class Planned:
    """What one planning decided; every person of the cohorts counts once per nightly plan."""

    count_by_outcome: Counter[str] = field(default_factory=Counter[str])
    count_people: int = 0
    count_rows: int = 0
    cohorts: tuple[date, ...] = ()

    @property
    def count_planned(self) -> int:
        """Messages that are to go."""
        return self.count_by_outcome["planned"]

    def as_metadata(self) -> dict[str, Any]:
        """Counts for Dagster; never contact details."""
        counts = {f"outcome_{name}": self.count_by_outcome[name] for name in queue.OUTCOMES}
        return {"people": self.count_people, "dagster/row_count": self.count_rows, **counts}


class Score(NamedTuple):
    """The score in force of one person."""

    pct: float
    band: str
    reason: str


def plan(
    engine: Engine, lake: Lake, *, settings: Settings, clock: Clock, cohorts: Sequence[date] | None = None
) -> Planned:
    """Compute the rows of every nightly plan for these cohorts and replace them in ``outreach.queue``.

    Every person of the cohorts gets exactly one row per nightly plan: ``planned`` with rendered words, or another
    outcome with its code. The same cohorts planned twice from the same ledger give the same rows. Nobody is messaged
    and nothing is written to the ledger but the texts of plans and templates, once each, for ``leadpipe replay``.

    Args:
        engine: the ledger.
        lake: scores and market trend are read from it, the queue is written to it.
        settings: plans, team, aging period, stop stages.
        clock: now.
        cohorts: first days of months of creation (UTC); None plans everyone.

    Raises:
        ConfigurationError: a plan file or a template is wrong; nothing is replaced then.
    """
    now = clock.now()
    report = Planned()
    plans = load_plans(settings.plans_path)
    # Before the rows: what is enqueued tomorrow names these versions, whatever the files say by then.
    with engine.begin() as connection:
        inputs.keep(connection, _texts(plans.values()), now=now)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        found = [
            (person_id, cohort)
            for person_id, cohort in connection.execute(
                _PEOPLE, {"every": cohorts is None, "cohorts": list(cohorts or ())}
            )
        ]
        report.count_people = len(found)
        report.cohorts = tuple(sorted({cohort for _, cohort in found} | set(cohorts or ())))
        desk = _Desk(connection, plans, settings, now, lake)
        if cohorts is not None:
            since = now - queue.PLANNED_WITHIN
            desk.points_taken |= queue.points_planned(lake, planned_since=since, outside=cohorts)
        report.count_rows = queue.replace(lake, desk.parts(found, report), cohorts=cohorts)
    return report


def _texts(plans: Iterable[Plan]) -> Iterator[Input]:
    """What the rows of the nightly plans are made from: the plans' files, and their templates in every language."""
    for plan in plans:
        if plan.trigger == "nightly" and not plan.is_paused:
            yield plan.as_input()
            for step in plan.steps:
                if isinstance(step, SendStep):
                    yield from (sources_of(step.template, language).as_input() for language in LANGUAGES)


class _Desk:
    """Plans people chunk by chunk, from one snapshot of the ledger."""

    def __init__(
        self, connection: Connection, plans: Mapping[str, Plan], settings: Settings, now: datetime, lake: Lake
    ) -> None:
        self._connection, self._settings, self._now = connection, settings, now
        self._nightly = nightly.in_order(plans)
        self._night = nightly.night_of(plans, settings, now)
        self._day = now.astimezone(ZoneInfo(settings.team_timezone)).date()
        self._scores, self._market = _scores_and_market(lake, now)
        self.points_taken: set[tuple[int, str]] = set()
        self._history = History()

    def parts(self, found: Sequence[tuple[int, date]], report: Planned) -> Iterator[pa.Table]:
        """The rows of everyone, a chunk of people at a time; counts them into ``report``."""
        for start in range(0, len(found), CHUNK):
            chunk = dict(found[start : start + CHUNK])
            rows = people(self._connection, chunk, now=self._now)
            self._history = read_history(self._connection, rows.values(), self._nightly)
            made = [row for person_id, cohort in chunk.items() for row in self._person(rows[person_id], cohort)]
            report.count_by_outcome.update(row.outcome for row in made)
            yield queue.as_table(made)

    def _person(self, row: PersonRow, cohort: date) -> Iterator[QueueRow]:
        """One row per plan."""
        zone = zone_of(row, self._settings.team_timezone)
        decided = nightly.decide(
            self._nightly, row, self._history, self._night, zone, know=self._know, points_taken=self.points_taken
        )
        for plan, found, known in decided:
            if isinstance(found, Refusal):
                yield self._refused(plan, row, found, cohort)
            elif known is not None:
                self.points_taken.add((found.contact_point_id, plan.name))
                yield self._planned(plan, known, found, cohort)

    def _know(self, row: PersonRow) -> Known:
        return know(row, has_market_trend=zip_of(row) in self._market, has_offer=offer_to(row, self._now) is not None)

    def _planned(self, plan: Plan, known: Known, entry: Entry, cohort: date) -> QueueRow:
        row, step = known.row, entry.step
        score = self._scores.get(row.person_id)
        variables = variables_for(
            known,
            self._settings,
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

    def _refused(self, plan: Plan, row: PersonRow, refusal: Refusal, cohort: date) -> QueueRow:
        score = self._scores.get(row.person_id)
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


def _scores_and_market(lake: Lake, now: datetime) -> tuple[dict[int, Score], dict[str, Mapping[str, Any]]]:
    """Scores in force by person, and fresh market facts by ZIP code."""
    with lake.connect(read_only=True) as connection:
        scores = connection.execute(_SCORES).to_arrow_table()
        trend = connection.execute(_MARKET).to_arrow_table()
    # Bands and reasons repeat: one object each instead of one a person.
    shared: dict[str, str] = {}
    columns = (scores[name].to_pylist() for name in ("person_id", "score_pct", "priority_band", "reason_1"))
    by_person = {
        person_id: Score(pct, shared.setdefault(band, band), shared.setdefault(reason, reason))
        for person_id, pct, band, reason in zip(*columns, strict=True)
    }
    facts = zip(*(trend[name].to_pylist() for name in ("zip", "change_12m_pct", "month")), strict=True)
    return by_person, market_variables_for({code: (change, month) for code, change, month in facts}, now=now)
