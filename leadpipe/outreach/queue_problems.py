"""What would make a planned row send a wrong message; the blocking checks of ``outreach.queue``.

What lives here: counts of bad planned rows. What does not: planning them right (``planner``), the gate, which judges
every message again at enqueue and at claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadpipe.outreach.queue import OUTCOMES, PLANNED_WITHIN, TABLE

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.store.lake import Lake

# Rows of another day's planning are never enqueued. What a person said after the planning is the gate's business; what
# was known then must not have been passed over: the newest word that reaches the channel counts, so a START by it lifts
# an older STOP to everything.
_PROBLEMS = f"""
with newest_planning as (
    select max(planned_at) as last_at from {TABLE}
), planned as (
    select * from {TABLE} where outcome = 'planned'
    and planned_at > (select last_at from newest_planning) - interval {int(PLANNED_WITHIN.total_seconds())} second
), suppressed as (
    select p.person_id, arg_max(s.action, (s.at, s.id)) as action
    from planned p
    join pg.ledger.suppressions s on s.contact_point_id = p.contact_point_id and s.channel in (p.channel, 'all')
    where s.recorded_at <= p.planned_at
    group by p.person_id, p.plan, p.step
    having action = 'suppress'
), twice as (
    select 1 from planned group by person_id, plan, step, occurrence having count(*) > 1
    union all
    select 1 from planned group by contact_point_id, plan, step, occurrence having count(*) > 1
)
select
    (select count(*) from twice) as planned_twice,
    (select count(*) from suppressed) as suppressed,
    (select count(*) from planned
     where coalesce(trim(body), '') = '' or (channel = 'email' and coalesce(trim(subject), '') = '')) as wordless,
    (select count(*) from planned where due_at is null or due_at < planned_at) as untimely,
    (select count(*) from {TABLE}
     where outcome is null or outcome not in (select unnest(?)) or coalesce(reason, '') = '') as unexplained
"""  # noqa: S608 - our own names


def problems(engine: Engine, lake: Lake) -> dict[str, int]:
    """Bad rows by kind; all zero when the queue is sound."""
    del engine
    (row,) = lake.query(_PROBLEMS, [list(OUTCOMES)], with_ledger=True).to_pylist()
    return {name: int(count) for name, count in row.items()}
