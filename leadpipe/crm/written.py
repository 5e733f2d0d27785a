"""What leadpipe last wrote to the CRM against what the CRM holds now, and writing again what is leadpipe's.

What lives here: the comparison by the rule of each field (``conflicts``), and the journalling of what is to be written
again. What does not: carrying writes out (``writeback``), how the CRM's side is read (``compare``).

Journalling is for ops alone: an asset names what differs and writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.crm import held, tables
from leadpipe.crm.compare import OPEN, WRITE_AGAIN, Difference
from leadpipe.crm.conflicts import Winner, winner_of
from leadpipe.crm.writeback_journal import WriteBack, journal

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.store.lake import Lake

Row = dict[str, Any]
# After everything that answers somebody; a repair is no news.
PRIORITY = 80
# Somebody who types over a field again and again is told of, not fought.
MOST_REPAIRS, WITHIN = 3, timedelta(days=7)
# Of the CRM's small budget (design section 10); the rest waits for the next night.
MOST_A_NIGHT = 500
# A failure older than this was listed often enough; a write waits so long only when something is wrong.
FAILED_WITHIN, WAITS_FOR = timedelta(days=30), timedelta(days=1)
MARKER = "repair"

# Grain: one row a person and field, the last value that reached the CRM. Who waits for a write is left alone.
_LAST = text(
    """
    select distinct on (w.person_id, f.key) w.person_id, f.key as field, f.value
    from ledger.writebacks w
    join ledger.people p using (person_id)
    cross join lateral jsonb_each(w.payload) f
    where w.kind = 'fields' and w.state = 'done' and f.key = any(:fields)
      and p.deleted_at is null and p.merged_into is null and p.stage <> 'Trash'
      and not exists (select 1 from ledger.writebacks o where o.person_id = w.person_id and o.kind = 'fields'
        and o.state in ('pending', 'sending'))
    order by w.person_id, f.key, w.done_at desc, w.id desc
    """
)
_REPAIRS = text(
    "select person_id, count(*) as repairs from ledger.writebacks where marker like 'repair:%' and created_at > :since "
    "group by 1"
)
# Nothing can be written to somebody who was deleted, and nobody misses it.
_TROUBLED = text(
    """
    select w.id, w.person_id, w.kind, w.state, w.code from ledger.writebacks w
    left join ledger.people p using (person_id)
    where p.deleted_at is null and (
      (w.state in ('pending', 'sending') and w.created_at < :waits_since)
      or (w.state = 'failed' and w.done_at > :failed_since
        and not exists (select 1 from ledger.writebacks l where l.person_id = w.person_id and l.kind = w.kind
          and l.id > w.id and l.state in ('done', 'pending', 'sending')))
    )
    order by w.id
    """
)


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A person whose fields hold something else than leadpipe wrote last: which ones, and all our last values."""

    person_id: int
    fields: tuple[str, ...]
    values: Row
    count_repairs: int

    @property
    def is_fought_over(self) -> bool:
        """Whether it was written again so often that a person should look."""
        return self.count_repairs >= MOST_REPAIRS


def differences(engine: Engine, lake: Lake, *, now: datetime) -> list[Difference]:
    """What the CRM does not hold as leadpipe wrote it, and writes that failed or wait for over a day."""
    found = [
        Difference(
            collection="people",
            record_id=lost.person_id,
            person_id=lost.person_id,
            kind="written",
            outcome=OPEN if lost.is_fought_over else WRITE_AGAIN,
            fields=lost.fields,
            reason=f"written again {lost.count_repairs} times within a week" if lost.is_fought_over else "",
        )
        for lost in lost_values(engine, lake, now=now)
    ]
    with engine.connect() as connection:
        times = {"failed_since": now - FAILED_WITHIN, "waits_since": now - WAITS_FOR}
        for row in connection.execute(_TROUBLED, times):
            reason = f"{row.kind} {row.state}: {row.code or 'no code'}"
            found.append(
                Difference(
                    collection="writebacks", record_id=row.id, person_id=row.person_id, kind="write", outcome=OPEN,
                    reason=reason,
                )
            )  # fmt: skip
    return found


def lost_values(engine: Engine, lake: Lake, *, now: datetime) -> list[Lost]:
    """People whose fields hold something else than leadpipe wrote last, of the fields that are leadpipe's."""
    with engine.connect() as connection:
        written = _written(connection)
        repairs = {row.person_id: row.repairs for row in connection.execute(_REPAIRS, {"since": now - WITHIN})}
    found: list[Lost] = []
    for person_id, version in held.versions(lake, tables.PEOPLE, list(written)).items():
        payload: Row = json.loads(version.payload)
        # Who is unclaimed shows no custom field at all (sheet 4.4).
        if version.is_deleted or not payload.get("claimed", True):
            continue
        ours = written[person_id]
        fields = tuple(sorted(name for name, value in ours.items() if not is_same(payload.get(name), value)))
        if fields:
            count = repairs.get(person_id, 0)
            found.append(Lost(person_id=person_id, fields=fields, values=ours, count_repairs=count))
    return sorted(found, key=lambda lost: lost.person_id)


def _written(connection: Connection) -> dict[int, Row]:
    from leadpipe.crm.custom_fields import DEFINITIONS

    ours = [each.name for each in DEFINITIONS if winner_of(each.name) is Winner.LEADPIPE]
    found: dict[int, Row] = {}
    for row in connection.execute(_LAST, {"fields": ours}):
        found.setdefault(row.person_id, {})[row.field] = row.value
    return found


def is_same(theirs: object, ours: object) -> bool:
    """Whether the CRM's value is ours; a number may come back as text (sheet 4.3), and empty is null (9.3)."""
    if theirs in (None, "") or ours in (None, ""):
        return theirs in (None, "") and ours in (None, "")
    if isinstance(ours, int | float) and not isinstance(ours, bool):
        try:
            return abs(float(str(theirs)) - ours) < 1e-9
        except ValueError:
            return False
    return str(theirs) == str(ours)


def journal_repairs(engine: Engine, lake: Lake, *, now: datetime, limit: int = MOST_A_NIGHT) -> int:
    """Journal what is leadpipe's and was lost, for up to ``limit`` people, each once a day.

    Returns:
        How many writes are new.
    """
    lost = [each for each in lost_values(engine, lake, now=now) if not each.is_fought_over][:limit]
    with engine.begin() as connection:
        return journal(connection, list(_writes(lost, now)), now=now)


def _writes(lost: Iterable[Lost], now: datetime) -> Iterable[WriteBack]:
    for each in lost:
        marker = f"{MARKER}:{each.person_id}:{now:%Y-%m-%d}"
        yield WriteBack(
            person_id=each.person_id, kind="fields", marker=marker, payload=each.values, priority=PRIORITY
        )  # fmt: skip
