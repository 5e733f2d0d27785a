"""Opening the passages of planned rows, after a second look at each.

What lives here: what may have changed between planning and enqueueing, and the passages. What does not: the messages
(``enqueue_planned``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import text

from leadpipe.outreach import enrol
from leadpipe.outreach.intents import BAND_PRIORITY, DEFAULT_PRIORITY
from leadpipe.outreach.plan import load_plans

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.outreach.plan import Plan
    from leadpipe.outreach.queue import QueueRow
    from leadpipe.settings import Settings

Key = tuple[int, str]

_LOOK_AGAIN = text(
    """
    with row as (
      select * from unnest(cast(:people as bigint[]), cast(:points as bigint[]), cast(:plans as text[]),
        cast(:steps as text[]), cast(:occurrences as int[])) as row (person_id, point_id, plan, step, occurrence)
    )
    select row.person_id, row.plan,
      case
        when exists (select 1 from ledger.messages m where m.person_id = row.person_id and m.plan = row.plan
          and m.step = row.step and m.occurrence = row.occurrence) then 'repeated'
        when p.person_id is null or p.merged_into is not null or p.deleted_at is not null then 'gone'
        when p.stage = any(:stop_stages) then 'stop_stage'
        when p.automation_paused_at is not null then 'automation_paused'
        when exists (select 1 from ledger.messages m where m.contact_point_id = row.point_id and m.plan = row.plan
          and m.step = row.step and m.occurrence = row.occurrence) then 'same_contact_point'
        when e.state in ('open', 'paused') and e.step = row.step then 'reopened'
        when e.id is not null then 'already_met'
        when p.last_two_way_at > :planned_at or exists (select 1 from ledger.inbound_messages i
          where i.person_id = row.person_id and i.received_at > :planned_at) then 'replied'
        else ''
      end as refusal,
      e.id as enrolment_id,
      array(select o.plan from ledger.enrolments o
        where o.person_id = row.person_id and o.state in ('open', 'paused') and o.plan <> row.plan) as inside
    from row
    left join ledger.people p using (person_id)
    left join ledger.enrolments e
      on e.person_id = row.person_id and e.plan = row.plan and e.occurrence = row.occurrence
    """
)


def open_planned(
    connection: Connection, rows: Sequence[QueueRow], *, settings: Settings, run_key: str, now: datetime
) -> tuple[dict[Key, int], list[tuple[QueueRow, str]]]:
    """Open what may be opened; returns enrolment ids by (person, plan), and the rows left out with their code.

    The code ``repeated`` says that the row's message is in the ledger already. A passage that an earlier run opened
    without storing its message is among the ids returned.
    """
    plans = load_plans(settings.plans_path)
    looked = _look_again(connection, rows, settings, now)
    enrolment_ids: dict[Key, int] = {}
    refused: list[tuple[QueueRow, str]] = []
    entering: dict[tuple[Any, ...], QueueRow] = {}
    for row in rows:
        refusal, enrolment_id, inside = looked[row.person_id, row.plan]
        code = refusal or _outranked(plans, row.plan, inside)
        if refusal == "reopened" and enrolment_id is not None:
            enrolment_ids[row.person_id, row.plan] = enrolment_id
        elif code:
            refused.append((row, code))
        elif entering.setdefault((row.contact_point_id, row.plan, row.step, row.occurrence), row) is not row:
            refused.append((row, "same_contact_point"))
    opened = enrol.open_passages(connection, [_entry(row, run_key) for row in entering.values()], now=now)
    for row in entering.values():
        if (row.person_id, row.plan) not in opened:
            refused.append((row, "already_met"))
        elif looked[row.person_id, row.plan][2]:
            enrol.end_outranked(connection, row.person_id, plans[row.plan], plans, now=now)
    return enrolment_ids | opened, refused


def _look_again(
    connection: Connection, rows: Sequence[QueueRow], settings: Settings, now: datetime
) -> dict[Key, tuple[str, int | None, Sequence[str]]]:
    """By (person, plan): why the row is left out (empty: it is not), its passage if there is one, other open plans."""
    found = connection.execute(
        _LOOK_AGAIN,
        {
            "people": [row.person_id for row in rows],
            "points": [row.contact_point_id for row in rows],
            "plans": [row.plan for row in rows],
            "steps": [row.step for row in rows],
            "occurrences": [row.occurrence for row in rows],
            "stop_stages": list(settings.stop_stages),
            "planned_at": min(row.planned_at or now for row in rows),
        },
    )
    return {(person_id, plan): (code, enrolment_id, inside) for person_id, plan, code, enrolment_id, inside in found}


def _outranked(plans: Mapping[str, Plan], name: str, inside: Iterable[str]) -> str:
    plan = plans.get(name)
    if plan is None or plan.is_paused:
        return "plan_paused" if plan else "plan_removed"
    others = (plans[other] for other in inside if other in plans)
    return "outranked" if any(enrol.gives_way(plan, other) for other in others) else ""


def _entry(row: QueueRow, run_key: str) -> enrol.Entry:
    return enrol.Entry(
        person_id=row.person_id,
        plan=row.plan,
        plan_version=row.plan_version,
        occurrence=cast("int", row.occurrence),
        step=row.step,
        due_at=cast("datetime", row.due_at),
        reason="nightly",
        context={"priority": priority_of(row), "score_pct": row.score_pct, "run_key": run_key},
    )


def priority_of(row: QueueRow) -> int:
    """The better band goes first."""
    return BAND_PRIORITY.get(row.priority_band or "", DEFAULT_PRIORITY)


def without_message(connection: Connection, enrolment_ids: list[int]) -> set[int]:
    """Those passages that have no message of their own at their step."""
    found = connection.execute(
        text(
            "select e.id from ledger.enrolments e where e.id = any(cast(:ids as bigint[])) and not exists ("
            "select 1 from ledger.messages m where m.person_id = e.person_id and m.plan = e.plan "
            "and m.step = e.step and m.occurrence = e.occurrence)"
        ),
        {"ids": enrolment_ids},
    )
    return set(found.scalars())
