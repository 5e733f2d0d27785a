"""A lead as it stood at a moment that is over: what came later does not count.

What lives here: taking back what the ledger keeps of a person once only, and the words for what nothing is kept of.
What does not: rows with a time of their own, which are passed over where they are read (``by`` of ``outreach.facts``,
``outreach.history`` and ``messaging.cases``).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.outreach.facts import UNDER_WAY

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.outreach.facts import PersonRow

NOT_KEPT = (
    "Of that moment some things are not kept: a pause that was lifted or replaced since is not counted; stage, merges "
    "and addresses are as they are now."
)
_STOOD = text(
    """
    select p.merged_into is not null or coalesce(p.deleted_at <= :by, false) as is_gone,
      (select max(a.at) from ledger.human_actions a where a.person_id = p.person_id and a.at <= :by) as human_at,
      (select max(i.received_at) from ledger.inbound_messages i
        where i.person_id = p.person_id and i.received_at <= :by) as wrote_at,
      exists (
        select 1 from ledger.messages m
        join lateral (
          select e.to_state from ledger.message_events e where e.message_id = m.id and e.at <= :by
          order by e.id desc limit 1
        ) e on e.to_state = any(:under_way)
        where m.person_id = p.person_id and m.created_at <= :by
      ) as is_busy
    from ledger.people p where p.person_id = :id
    """
)


def as_it_stood(connection: Connection, row: PersonRow, by: datetime) -> PersonRow:
    """The row with pause, deletion, contacts and messages under way as they stood at a moment in the past.

    Args:
        connection: only read from.
        row: the person, read with the same ``by``.
        by: the moment.
    """
    stood = connection.execute(_STOOD, {"id": row.person_id, "by": by, "under_way": list(UNDER_WAY)}).one()
    is_paused = row.automation_paused_at is not None and row.automation_paused_at <= by
    return row._replace(
        automation_paused_at=row.automation_paused_at if is_paused else None,
        automation_paused_reason=row.automation_paused_reason if is_paused else None,
        last_human_at=_until(row.last_human_at, by, stood.human_at),
        last_two_way_at=_until(row.last_two_way_at, by, stood.wrote_at),
        is_gone=stood.is_gone,
        is_busy=stood.is_busy,
    )


def _until(newest: datetime | None, by: datetime, before: datetime | None) -> datetime | None:
    """The newest, unless it came later: then the one before, if there is a row of it."""
    return newest if newest is None or newest <= by else before
