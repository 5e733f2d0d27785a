"""From the queue to the ledger: passages opened and messages stored for what was planned, once each.

What lives here: the effect of a planning, and the stated reason of everyone else. What does not: deciding
(``planner``), judging and storing a message (``messaging.enqueue``). Only an op calls this; a backfill or a re-run of
the queue's asset therefore messages nobody.

Between planning and this a lead may have replied, moved on or met another plan, so each row is looked at again: what
changed is left out with its reason. A run that dies halfway goes on when it is run again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from leadpipe.messaging.enqueue import Enqueued, enqueue
from leadpipe.messaging.intent import Intent
from leadpipe.outreach import enrol, entering, queue
from leadpipe.outreach.queue import QueueRow

if TYPE_CHECKING:
    from psycopg import Cursor
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

# Rows of one transaction; memory follows this, not the number of leads.
CHUNK = 5_000
WORKERS = 2

_RECORD = b"""
insert into ledger.decisions (person_id, plan, step, outcome, code, run_key, detail, at)
select d.person_id, d.plan, d.step, d.outcome, d.code, d.run_key, d.detail, %(now)s
from deciding d
where not exists (
  select 1 from ledger.decisions known
  where known.person_id = d.person_id and known.plan = d.plan and known.run_key = d.run_key)
order by d.person_id
"""


def enqueue_planned(
    engine: Engine,
    lake: Lake,
    *,
    settings: Settings,
    clock: Clock,
    run_key: str,
    cohorts: Sequence[date] | None = None,
) -> Enqueued:
    """Open the passages of what was planned within a day and store each row's message once.

    Running it again changes nothing: a row whose message is in the ledger is passed over. Every other row of the queue
    leaves one decision with its outcome and code, under the key of its planning.

    Args:
        engine: the ledger.
        lake: the queue.
        settings: plans, team, limits.
        clock: now.
        run_key: the run that does this; kept with each passage and decision.
        cohorts: only these; None takes the whole queue.

    Returns:
        What became of the messages, as ``messaging.enqueue`` counts it.
    """
    since = clock.now() - queue.PLANNED_WITHIN
    desk = _Desk(engine=engine, settings=settings, clock=clock, run_key=run_key)
    with queue.extract(lake, planned_since=since, cohorts=cohorts) as extract:
        # Two parts at once: one is judged here while the server stores the other.
        with ThreadPoolExecutor(WORKERS, "enqueue") as pool:
            under_way: deque[Future[Enqueued]] = deque()
            for rows in extract.parts(is_planned=True, count=CHUNK):
                under_way.append(pool.submit(desk.enqueue, rows))
                if len(under_way) > WORKERS:
                    desk.add(under_way.popleft().result())
            for future in under_way:
                desk.add(future.result())
        for rows in extract.parts(is_planned=False, count=CHUNK):
            with engine.begin() as connection:
                _record(connection, [(row, row.outcome, row.code or "") for row in rows], run_key, now=clock.now())
    return desk.total()


@dataclass(kw_only=True)
class _Desk:
    """What one run of this needs and counts."""

    engine: Engine
    settings: Settings
    clock: Clock
    run_key: str
    by_state: Counter[str] = field(default_factory=Counter[str])
    by_code: Counter[str] = field(default_factory=Counter[str])
    count_repeats: int = 0

    def add(self, part: Enqueued) -> None:
        """Count one part."""
        self.by_state.update(part.count_by_state)
        self.by_code.update(part.count_by_code)
        self.count_repeats += part.count_repeats

    def total(self) -> Enqueued:
        """Everything counted."""
        return Enqueued(
            count_by_state=dict(self.by_state), count_by_code=dict(self.by_code), count_repeats=self.count_repeats
        )

    def enqueue(self, rows: Sequence[QueueRow]) -> Enqueued:
        """Open the passages of these rows and store their messages."""
        now = self.clock.now()
        with self.engine.begin() as connection:
            enrolment_ids, refused = entering.open_planned(
                connection, rows, settings=self.settings, run_key=self.run_key, now=now
            )
            left_out = [(row, "waits", code) for row, code in refused if code != "repeated"]
            _record(connection, left_out, self.run_key, now=now)
        by_run: dict[str, list[QueueRow]] = {}
        for row in rows:
            if (row.person_id, row.plan) in enrolment_ids:
                by_run.setdefault(row.planned_run_key, []).append(row)
        part = _Desk(engine=self.engine, settings=self.settings, clock=self.clock, run_key=self.run_key)
        part.count_repeats = len(refused) - len(left_out)
        for planned_run_key, group in by_run.items():
            part.add(self._store(planned_run_key, group, enrolment_ids))
        return part.total()

    def _store(
        self, planned_run_key: str, rows: Sequence[QueueRow], enrolment_ids: Mapping[tuple[int, str], int]
    ) -> Enqueued:
        intents = [_intent(row, enrolment_ids[row.person_id, row.plan]) for row in rows]
        found = enqueue(self.engine, intents, clock=self.clock, settings=self.settings, run_key=planned_run_key)
        met = [(row, intent) for row, intent in zip(rows, intents, strict=True) if intent.id not in found.state_of]
        if met:
            # Another record with the same address came first, or another run stored this very message.
            now = self.clock.now()
            with self.engine.begin() as connection:
                strangers = entering.without_message(connection, [cast("int", i.enrolment_id) for _, i in met])
                left_out = [(row, i) for row, i in met if i.enrolment_id in strangers]
                enrol.end(
                    connection,
                    [(cast("int", i.enrolment_id), row.person_id, "same_contact_point") for row, i in left_out],
                    now=now,
                )
                _record(
                    connection, [(row, "waits", "same_contact_point") for row, _ in left_out], self.run_key, now=now
                )
        return found


def _intent(row: QueueRow, enrolment_id: int) -> Intent:
    import orjson

    return Intent(
        id=str(uuid4()),
        person_id=row.person_id,
        contact_point_id=cast("int", row.contact_point_id),
        enrolment_id=enrolment_id,
        plan=row.plan,
        plan_version=row.plan_version,
        step=row.step,
        occurrence=cast("int", row.occurrence),
        channel=row.channel,
        purpose=row.purpose,
        template=row.template,
        template_version=row.template_version,
        subject=row.subject,
        body=row.body,
        variables=orjson.loads(row.variables),
        score_pct=row.score_pct,
        priority=entering.priority_of(row),
        due_at=cast("datetime", row.due_at),
        evidence={
            "planned_run_key": row.planned_run_key,
            "planned_at": row.planned_at,
            "reason": row.reason,
            "priority_band": row.priority_band,
        },
    )


def _record(
    connection: Connection, decided: Sequence[tuple[QueueRow, str, str]], run_key: str, *, now: datetime
) -> None:
    """One decision a row, once per planning: a second run of the same planning finds it there."""
    if not decided:
        return
    cursor = cast("Cursor[Any]", connection.connection.cursor())
    cursor.execute(
        b"create temp table if not exists deciding (person_id bigint, plan text, step text, outcome text, code text, "
        b"run_key text, detail jsonb) on commit drop"
    )
    cursor.execute(b"truncate deciding")
    with cursor.copy(b"copy deciding from stdin") as copy:
        for row, outcome, code in decided:
            detail = _detail(row.planned_at, row.reason, row.outcome == "planned", run_key)
            copy.write_row((row.person_id, row.plan, row.step, outcome, code or None, row.planned_run_key, detail))
    cursor.execute(_RECORD, {"now": now})


@lru_cache(maxsize=4096)
def _detail(planned_at: datetime | None, reason: str, was_planned: bool, run_key: str) -> str:
    """What a decision says besides its outcome: when it was planned, the reason in words, the run that kept it."""
    import orjson

    detail = {"run_key": run_key, "planned_at": planned_at, "reason": reason, "was_planned": was_planned}
    return orjson.dumps(detail, option=orjson.OPT_UTC_Z).decode()
