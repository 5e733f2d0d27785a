"""The nightly audit: Follow Up Boss, the lake, the ledger and what leadpipe last wrote, compared with each other.

What lives here: the order of the audit and its table, ``ops.crm_audit``. What does not: comparing a collection
(``compare``), leadpipe's own writes (``written``), whose word counts (``conflicts``).

It reads, lands and stores as a poll does, and writes nothing to the CRM.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.crm import compare, held, intake, tables, written
from leadpipe.crm import sweep as id_sweep
from leadpipe.crm.compare import HEALED, OPEN, WRITE_AGAIN, Difference, Sides
from leadpipe.crm.values import read_id
from leadpipe.errors import LeadpipeError

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
TABLE = "ops.crm_audit"
SCHEMA = pa.schema(
    [
        ("audited_at", pa.timestamp("us", tz="UTC")),
        ("collection", pa.string()),
        ("record_id", pa.int64()),
        ("person_id", pa.int64()),
        ("kind", pa.string()),
        ("fields", pa.list_(pa.string())),
        ("outcome", pa.string()),
        ("reason", pa.string()),
    ]
)
WHOLE = (tables.PEOPLE, tables.CALLS, tables.TASKS, tables.APPOINTMENTS, tables.DEALS)
SMALL = (tables.USERS, tables.STAGES, tables.PIPELINES)
# A million notes at one request a second are three hours: these go on where the night before stopped.
SLICED = (tables.EVENTS, tables.NOTES)
SLICE_SECONDS = 1_800.0
# Texts are listed by person only, 25 people a second at most.
MOST_TEXTED = 5_000


@dataclass(kw_only=True)
class Audited:
    """What an audit met."""

    count_by_collection: dict[str, int] = field(default_factory=dict[str, int])
    unfinished: list[str] = field(default_factory=list[str])
    differences: list[Difference] = field(default_factory=list[Difference])
    human_ids: list[int] = field(default_factory=list[int])
    """People with an act of the team that nobody had seen before."""

    @property
    def outcomes(self) -> Counter[str]:
        """Differences by outcome."""
        return Counter(each.outcome for each in self.differences)

    def as_metadata(self) -> dict[str, Any]:
        """Counts for Dagster; never contents."""
        outcomes = self.outcomes
        kinds = Counter(each.kind for each in self.differences)
        return {
            "dagster/row_count": len(self.differences),
            "healed": outcomes[HEALED],
            "to_write_again": outcomes[WRITE_AGAIN],
            "open": outcomes[OPEN],
            "continued_next_night": ", ".join(self.unfinished) or "nothing",
            **{f"compared/{name}": count for name, count in self.count_by_collection.items()},
            **{f"kind/{name}": count for name, count in kinds.items()},
        }


def audit(sides: Sides, *, monotonic: Callable[[], float] = time.monotonic) -> Audited:
    """Compare every side, heal what reading again heals, and replace ``ops.crm_audit`` by what was met.

    A collection that cannot be read stops no other; it is an open difference of its own.
    """
    done = Audited()
    for table in (*WHOLE, *SLICED, *SMALL):
        max_seconds = SLICE_SECONDS if table in SLICED else None
        _guarded(done, table.collection, lambda t=table, s=max_seconds: _walk(done, t, sides, s, monotonic))
    _guarded(done, tables.TEXT_MESSAGES.collection, lambda: _texts(done, sides))
    id_sweep.follow_merges(sides.engine, now=sides.clock.now())
    done.differences += written.differences(sides.engine, sides.lake, now=sides.clock.now())
    sides.lake.replace(TABLE, as_rows(done.differences, sides.clock.now()))
    return done


def open_by_kind(lake: Lake) -> dict[str, int]:
    """Open differences of the last audit, counted by kind; empty when there are none."""
    rows = lake.query(
        f"select kind, count(*) as n from {TABLE} where outcome = ? group by 1 order by 1",  # noqa: S608 - our own names
        [OPEN],
    ).to_pylist()
    return {row["kind"]: row["n"] for row in rows}


def _guarded(done: Audited, collection: str, read: Callable[[], None]) -> None:
    try:
        read()
    except LeadpipeError as error:
        done.differences.append(Difference(collection=collection, kind="not_read", outcome=OPEN, reason=str(error)))


def _walk(
    done: Audited, table: tables.RawTable, sides: Sides, max_seconds: float | None, monotonic: Callable[[], float]
) -> None:
    met = compare.compare(table, sides, max_seconds=max_seconds, monotonic=monotonic)
    done.count_by_collection[table.collection] = met.count_seen
    done.differences += met.differences
    done.human_ids += met.human_ids
    if not met.is_whole:
        done.unfinished.append(table.collection)


_UNREAD_TEXTS = """
    with person as (
      select person_id, stage, is_deleted, greatest(last_received_text_at, last_sent_text_at) as texted_at
      from raw.fub__people qualify row_number() over (partition by person_id order by landed_at desc) = 1
    ), held as (
      select person_id, max(sent_at) as sent_at from (
        select person_id, sent_at from raw.fub__text_messages
        qualify row_number() over (partition by text_message_id order by landed_at desc) = 1
      ) group by 1
    )
    select person_id from person left join held using (person_id)
    where not is_deleted and stage <> 'Trash' and texted_at > coalesce(sent_at, 'epoch'::timestamptz)
    order by texted_at desc limit ?
"""


def _texts(done: Audited, sides: Sides) -> None:
    """Read the texts of people who by their own fields texted after the newest text we hold of them."""
    people = sides.lake.query(_UNREAD_TEXTS, [MOST_TEXTED])["person_id"].to_pylist()
    table = tables.TEXT_MESSAGES
    for person_id in people:
        now = sides.clock.now()
        rows = [row for page in sides.crm.pages(table.collection, {"personId": person_id}) for row in page]
        ids = [i for row in rows if (i := read_id(row)) is not None]
        known = held.versions(sides.lake, table, ids)
        taken = intake.store(
            [], [], {table.collection: rows}, lake=sides.lake, engine=sides.engine, now=now, landed_by="audit",
            settings=sides.settings,
        )  # fmt: skip
        done.human_ids += taken.human_ids
        done.differences += [
            Difference(
                collection=table.collection, record_id=i, person_id=person_id, kind="missing", outcome=HEALED
            )
            for i in ids
            if i not in known
        ]  # fmt: skip
    done.count_by_collection[table.collection] = len(people)


def as_rows(differences: list[Difference], at: datetime) -> pa.Table:
    """The table's rows."""
    rows = [
        {
            "audited_at": at,
            "collection": each.collection,
            "record_id": each.record_id,
            "person_id": each.person_id,
            "kind": each.kind,
            "fields": list(each.fields),
            "outcome": each.outcome,
            "reason": each.reason,
        }
        for each in differences
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)
