"""Passages of people through plans, kept in the ledger.

What lives here: opening, moving and ending enrolments, one or many. What does not: which step comes next (``walk``),
what is sent (``intents``). At most one passage per person and plan is open; the database holds that, so a lost race
opens nothing and is told so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.messaging.protocol import cancel_waiting

if TYPE_CHECKING:
    from psycopg import Cursor
    from sqlalchemy import Connection

    from leadpipe.outreach.plan import Plan
    from leadpipe.outreach.walk import Stand


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A passage to open: who, which plan, the n-th time, where it starts and why."""

    person_id: int
    plan: str
    plan_version: str
    occurrence: int
    step: str
    due_at: datetime
    reason: str
    context: dict[str, Any] = field(default_factory=dict[str, Any])


def open_passages(connection: Connection, entries: Sequence[Entry], *, now: datetime) -> dict[tuple[int, str], int]:
    """Open these passages; returns the enrolment id by (person, plan) of those that were opened.

    What another run opened first, or an occurrence that exists already, is left out.
    """
    if not entries:
        return {}
    cursor = _cursor(connection)
    cursor.execute(
        b"create temp table if not exists entering (person_id bigint, plan text, plan_version text, occurrence int, "
        b"step text, due_at timestamptz, reason text, context jsonb) on commit drop"
    )
    cursor.execute(b"truncate entering")
    with cursor.copy(b"copy entering from stdin") as copy:
        for e in sorted(entries, key=lambda entry: entry.person_id):
            copy.write_row(
                (e.person_id, e.plan, e.plan_version, e.occurrence, e.step, e.due_at, e.reason, json.dumps(e.context))
            )
    rows = cursor.execute(
        b"insert into ledger.enrolments (person_id, plan, plan_version, occurrence, step, reason, context, opened_at, "
        b"next_due_at) select person_id, plan, plan_version, occurrence, step, reason, context, %s, due_at "
        b"from entering order by person_id on conflict do nothing returning person_id, plan, id",
        [now],
    ).fetchall()
    return {(person_id, plan): enrolment_id for person_id, plan, enrolment_id in rows}


def move(connection: Connection, stands: Iterable[tuple[int, Stand]], *, now: datetime) -> int:
    """Put open enrolments (by id) where they stand now; one at the end is closed as done. Returns how many moved."""
    rows = list(stands)
    if not rows:
        return 0
    cursor = _cursor(connection)
    cursor.execute(
        b"create temp table if not exists moving (id bigint, step text, due_at timestamptz, reason text) on commit drop"
    )
    cursor.execute(b"truncate moving")
    with cursor.copy(b"copy moving from stdin") as copy:
        for enrolment_id, stand in sorted(rows, key=lambda pair: pair[0]):
            copy.write_row((enrolment_id, stand.step, stand.due_at, stand.end_reason))
    cursor.execute(
        b"update ledger.enrolments e set step = coalesce(m.step, e.step), next_due_at = m.due_at, "
        b"state = case when m.step is null then 'done' else 'open' end, "
        b"ended_at = case when m.step is null then %(now)s::timestamptz end, "
        b"end_reason = case when m.step is null then m.reason end "
        b"from moving m where m.id = e.id and e.state = 'open'",
        {"now": now},
    )
    return cursor.rowcount


def end_for(
    connection: Connection, person_id: int, reason: str, *, now: datetime, plans: Iterable[Plan] | None = None
) -> int:
    """End a person's open passages and cancel what waits of them; returns how many ended.

    Args:
        connection: in the caller's transaction.
        person_id: whose.
        reason: why; it becomes the code of the cancelled messages.
        now: when.
        plans: only these; None ends every plan.
    """
    names = None if plans is None else [plan.name for plan in plans]
    rows = connection.execute(
        text(
            "update ledger.enrolments set state = 'ended', ended_at = :now, end_reason = :reason, next_due_at = null "
            "where person_id = :person and state in ('open', 'paused') and (:every or plan = any(:names)) returning id"
        ),
        {"now": now, "reason": reason, "person": person_id, "every": names is None, "names": names or []},
    ).all()
    for (enrolment_id,) in rows:
        cancel_waiting(connection, code=reason, at=now, person_id=person_id, enrolment_id=enrolment_id)
    return len(rows)


def end(connection: Connection, endings: Iterable[tuple[int, int, str]], *, now: datetime) -> int:
    """End open passages, each given as (enrolment id, person id, reason), and cancel what waits of them."""
    rows = sorted(endings)
    for enrolment_id, person_id, reason in rows:
        connection.execute(
            text(
                "update ledger.enrolments set state = 'ended', ended_at = :now, end_reason = :reason, "
                "next_due_at = null where id = :id and state in ('open', 'paused')"
            ),
            {"now": now, "reason": reason, "id": enrolment_id},
        )
        cancel_waiting(connection, code=reason, at=now, person_id=person_id, enrolment_id=enrolment_id)
    return len(rows)


def end_outranked(
    connection: Connection, person_id: int, entered: Plan, plans: Mapping[str, Plan], *, now: datetime
) -> int:
    """End the passages that give way to a plan the person just entered; the others wait for it (``advance``)."""
    lower = [plan for plan in plans.values() if gives_way(plan, entered) and "higher_plan" in plan.exits]
    return end_for(connection, person_id, "higher_plan", now=now, plans=lower) if lower else 0


def gives_way(plan: Plan, other: Plan) -> bool:
    """Whether ``plan`` must wait while the person is inside ``other``."""
    return other.priority < plan.priority and not plan.runs_beside and not other.runs_beside


def may_enter(connection: Connection, person_id: int, plan: Plan, *, now: datetime, zone: str) -> bool:
    """Whether the plan's re-entry rules let this person in now: not inside, not met too often or too lately."""
    last = connection.execute(
        text(
            "select max(occurrence) as times, max(opened_at) as opened_at, "
            "coalesce(bool_or(state in ('open', 'paused')), false) as is_inside "
            "from ledger.enrolments where person_id = :person and plan = :plan"
        ),
        {"person": person_id, "plan": plan.name},
    ).one()
    if last.is_inside:
        return False
    return plan.occurrences.refusal(last.times or 0, last.opened_at, now, zone) is None


def next_occurrence(connection: Connection, person_id: int, plan: str, contact_point_id: int | None) -> int:
    """One more than the plan ever met this person, or anyone at the same address."""
    row = connection.execute(
        text(
            "select greatest("
            "(select max(occurrence) from ledger.enrolments where person_id = :person and plan = :plan),"
            "(select max(occurrence) from ledger.messages where contact_point_id = :point and plan = :plan))"
        ),
        {"person": person_id, "plan": plan, "point": contact_point_id},
    ).scalar()
    return int(row or 0) + 1


def _cursor(connection: Connection) -> Cursor[Any]:
    return connection.connection.cursor()  # type: ignore[return-value] - psycopg's own cursor, for COPY
