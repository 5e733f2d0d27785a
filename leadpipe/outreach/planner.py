"""The nightly planning: who gets a message of a nightly plan, in which words, and why the others get none.

What lives here: who is planned, from which snapshot, by how many processes. What does not: the rows of some people
(``plan_desk``), the decision for one (``nightly``), opening passages and storing messages (``enqueue_planned``).
Planning has no side effect on anyone: it reads the ledger and replaces rows of the lake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import islice
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe import processes
from leadpipe.outreach import queue
from leadpipe.outreach.plan import SendStep, load_plans
from leadpipe.outreach.plan_desk import Chunk, Desk
from leadpipe.outreach.plan_inputs import Market, Scores, scores_and_market
from leadpipe.outreach.template_sources import sources_of
from leadpipe.outreach.variables import LANGUAGES
from leadpipe.store import inputs, ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.outreach.plan import Plan
    from leadpipe.settings import Settings
    from leadpipe.store.inputs import Input
    from leadpipe.store.lake import Lake

# People of one query; memory follows this, not the number of leads.
CHUNK = 5_000
# Fewer people are planned before other processes would have started.
FEW = 20_000
MAX_PROCESSES = 4

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
_COUNT_PEOPLE = text(
    """
    select count(*) from ledger.people
    where cast(:every as boolean)
      or cast(date_trunc('month', crm_created_at at time zone 'UTC') as date) = any(cast(:cohorts as date[]))
    """
)
# One message goes to an address that several records have: whoever shares one is planned by one process.
_SHARING = text(
    """
    select distinct person_id from ledger.person_contact_points
    where detached_at is null and contact_point_id in (
      select contact_point_id from ledger.person_contact_points
      where detached_at is null group by contact_point_id having count(*) > 1)
    """
)


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


@dataclass(frozen=True, kw_only=True)
class _Office:
    """What another process needs to plan from the same snapshot."""

    database_url: str
    snapshot: str
    settings: Settings
    now: datetime
    scores: Scores
    market: Market
    points_taken: frozenset[tuple[int, str]]
    folder: Path


def plan(
    engine: Engine, lake: Lake, *, settings: Settings, clock: Clock, cohorts: Sequence[date] | None = None
) -> Planned:
    """Compute the rows of every nightly plan for these cohorts and replace them in ``outreach.queue``.

    Every person of the cohorts gets exactly one row per nightly plan: ``planned`` with rendered words, or another
    outcome with its code. The same cohorts planned twice from the same ledger give the same rows, by however many
    processes. Nobody is messaged and nothing is written to the ledger but the texts of plans and templates, once each,
    for ``leadpipe replay``.

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
    scores, market = scores_and_market(lake, now)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        values = {"every": cohorts is None, "cohorts": list(cohorts or ())}
        report.count_people = connection.execute(_COUNT_PEOPLE, values).scalar_one()
        desk = Desk(connection, plans=plans, settings=settings, now=now, scores=scores, market=market)
        if cohorts is not None:
            since = now - queue.PLANNED_WITHIN
            desk.points_taken |= queue.points_planned(lake, planned_since=since, outside=cohorts)
        count = min(processes.count_processors(), MAX_PROCESSES) if report.count_people > FEW else 1

        def read() -> dict[int, date]:
            found = _cohorts_of(connection, values)
            report.cohorts = tuple(sorted(set(found.values()) | set(cohorts or ())))
            return found

        def fill(folder: Path) -> int:
            if count == 1:
                return _counted((_write(folder, chunk, desk) for chunk in _chunks(read().items())), report)
            office = _Office(
                database_url=engine.url.render_as_string(hide_password=False),
                snapshot=connection.execute(text("select pg_export_snapshot()")).scalar_one(),
                settings=settings,
                now=now,
                scores=scores,
                market=market,
                points_taken=frozenset(desk.points_taken),
                folder=folder,
            )
            with processes.started(_at_another_desk, office, count=count) as others:
                # They start while the people are read.
                found = read()
                sharing = found.keys() & set(connection.execute(_SHARING).scalars())
                alone = ((person_id, cohort) for person_id, cohort in found.items() if person_id not in sharing)
                together = ((person_id, cohort) for person_id, cohort in found.items() if person_id in sharing)
                # The others begin before this process does its own part; their files are numbered after it.
                rest = others.answers(_chunks(alone, begin=ceil(len(sharing) / CHUNK)))
                first = [_write(folder, chunk, desk) for chunk in _chunks(together)]
                return _counted(first, report) + _counted(rest, report)

        report.count_rows = queue.replace(lake, fill, cohorts=cohorts)
    return report


def _at_another_desk(office: _Office) -> Callable[[Chunk], tuple[int, Counter[str]]]:
    """A desk in another process, which sees the ledger as the first one does."""
    engine = ledger.connect(office.database_url, pool_size=1)
    connection = engine.connect().execution_options(isolation_level="REPEATABLE READ")
    connection.exec_driver_sql(f"set transaction snapshot '{office.snapshot}'")
    plans = load_plans(office.settings.plans_path)
    desk = Desk(
        connection, plans=plans, settings=office.settings, now=office.now, scores=office.scores, market=office.market
    )
    desk.points_taken |= office.points_taken
    return partial(_write, office.folder, desk=desk)


def _write(folder: Path, chunk: Chunk, desk: Desk) -> tuple[int, Counter[str]]:
    """Plan a chunk into a file of the folder; returns its rows and the outcomes among them."""
    import pyarrow.parquet as pq

    table, outcomes = desk.planned(chunk)
    pq.write_table(table, folder / f"{chunk.number:06d}.parquet", compression="zstd")
    return table.num_rows, outcomes


def _counted(done: Iterable[tuple[int, Counter[str]]], report: Planned) -> int:
    count = 0
    for rows, outcomes in done:
        count += rows
        report.count_by_outcome.update(outcomes)
    return count


def _cohorts_of(connection: Connection, values: Mapping[str, Any]) -> dict[int, date]:
    """Everybody to plan with the month they came in, in the order of planning."""
    months: dict[date, date] = {}
    # One object a month: it travels to the other processes once a chunk.
    return {row[0]: months.setdefault(row[1], row[1]) for row in connection.execute(_PEOPLE, values)}


def _chunks(found: Iterable[tuple[int, date]], *, begin: int = 0) -> Iterator[Chunk]:
    waiting, number = iter(found), begin
    while cohorts := dict(islice(waiting, CHUNK)):
        yield Chunk(number=number, cohorts=cohorts)
        number += 1


def _texts(plans: Iterable[Plan]) -> Iterator[Input]:
    """What the rows of the nightly plans are made from: the plans' files, and their templates in every language."""
    for plan in plans:
        if plan.trigger == "nightly" and not plan.is_paused:
            yield plan.as_input()
            for step in plan.steps:
                if isinstance(step, SendStep):
                    yield from (sources_of(step.template, language).as_input() for language in LANGUAGES)
