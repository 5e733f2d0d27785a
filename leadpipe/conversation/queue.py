"""Who awaits what since when: the open conversations as a table.

What lives here: the columns of ``conversation.queue`` and the rows as of now. What does not: writing them to the lake
(an asset), moving a conversation (``effects``, ``takeover``).

Grain: one row per person whose conversation awaits somebody, or is paused. A lead whose reply has not been read yet
awaits the assistant.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

TABLE = "conversation.queue"
_AT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("person_id", pa.int64()),
        ("state", pa.string()),  # unread | open | handed_off | paused
        ("awaits", pa.string()),  # assistant | agent | lead | nobody
        ("reason", pa.string()),
        ("since_at", _AT),
        ("assigned_user_id", pa.int64()),
        ("handoff_id", pa.int64()),
        ("count_alerts", pa.int64()),  # of the open hand-off
        ("last_intent", pa.string()),
        ("count_turns", pa.int64()),
        ("last_inbound_at", _AT),
        ("last_outbound_at", _AT),
        ("paused_by", pa.string()),
        ("as_of", _AT),
    ]
)
_ROWS = text(
    """
    with unread as (
      select person_id, min(received_at) as since_at, max(received_at) as last_at
      from ledger.inbound_messages where read_at is null and person_id is not null group by 1
    ), said as (
      select distinct on (person_id) person_id, intent
      from ledger.inbound_messages where read_at is not null and person_id is not null and not is_auto_reply
      order by person_id, received_at desc, id desc
    )
    select p.person_id,
      case when u.person_id is not null then 'unread' else c.state end as state,
      case when u.person_id is not null then 'assistant' else c.awaits end as awaits,
      coalesce(h.reason, c.reason, '') as reason,
      coalesce(u.since_at, c.since_at) as since_at,
      p.assigned_user_id, h.id as handoff_id, coalesce(h.alerts, 0) as count_alerts, said.intent as last_intent,
      coalesce(c.turns, 0) as count_turns, coalesce(u.last_at, c.last_inbound_at) as last_inbound_at,
      c.last_outbound_at, p.automation_paused_reason as paused_by
    from ledger.people p
    left join ledger.conversations c using (person_id)
    left join unread u using (person_id)
    left join ledger.handoffs h on h.person_id = p.person_id and h.closed_at is null
    left join said on said.person_id = p.person_id
    where u.person_id is not null or h.id is not null or c.awaits in ('agent', 'lead') or c.state = 'paused'
    order by since_at, p.person_id
    """
)


def rows(engine: Engine, *, now: datetime) -> list[dict[str, Any]]:
    """The queue as of now, longest waiting first; columns as ``SCHEMA``. Holds ids only, no words and no addresses."""
    with engine.connect() as connection:
        return [{**row, "as_of": now} for row in connection.execute(_ROWS).mappings()]


def table(engine: Engine, *, now: datetime) -> pa.Table:
    """``rows`` as the lake takes them."""
    return pa.Table.from_pylist(rows(engine, now=now), schema=SCHEMA)
