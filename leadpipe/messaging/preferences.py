"""What people asked for short of a refusal: fewer emails.

What lives here: the append-only rows of ``ledger.preferences``, by address. What does not: refusals (``suppression``),
holding a message for a wish (``policy.verdict``, which is told by ``cases``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

_WRITE = text(
    """
    insert into ledger.preferences (contact_point_id, person_id, channel, gap_days, source, evidence, at, recorded_at)
    select point, :person, 'email', :gap_days, :source, cast(:evidence as jsonb), :now, :now
    from unnest(cast(:points as bigint[])) as point
    where :gap_days is distinct from (
      select p.gap_days from ledger.preferences p
      where p.contact_point_id = point and p.channel = 'email' order by p.at desc, p.id desc limit 1)
    """
)


def send_less(
    connection: Connection,
    *,
    contact_point_ids: Iterable[int],
    gap_days: int,
    source: str,
    now: datetime,
    person_id: int | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> int:
    """Send these addresses no more than one marketing email in so many days; returns how many rows are new.

    A wish that stands already gets no second row. What waits is judged again before it leaves. The caller holds the
    addresses' locks.
    """
    values = {
        "points": sorted(set(contact_point_ids)),
        "person": person_id,
        "gap_days": gap_days,
        "source": source,
        "evidence": json.dumps(dict(evidence or {})),
        "now": now,
    }
    return connection.execute(_WRITE, values).rowcount
