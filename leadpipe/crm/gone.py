"""Records that a list does not show any more: asked for one by one, and landed as what they are.

What lives here: the belief that a record is gone. What does not: people, whose plans end with them (``sweep``), and how
a record was missed (``children``, ``totals``, ``compare``).

"Gone" and "not visible to this key" are the same 404 (FUB sheet section 8): when many vanish at once, it is the key
that changed, and nothing is believed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.crm import held, landing
from leadpipe.crm.sweep import MASS_MISSING_MIN, MASS_MISSING_SHARE

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.crm.tables import RawTable
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
# Notes allow one request a second: a long list goes over several passes or nights.
MOST_ASKED = 500


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """What became of missing records: gone, there after all, too many at once to be believed, or not asked for yet."""

    gone_ids: tuple[int, ...] = ()
    found_ids: tuple[int, ...] = ()
    unbelieved_ids: tuple[int, ...] = ()
    unasked_ids: tuple[int, ...] = ()


def confirm(
    table: RawTable,
    ids: Collection[int],
    *,
    crm: FubClient,
    lake: Lake,
    engine: Engine,
    now: datetime,
    landed_by: str,
) -> Confirmed:
    """Ask for each record by itself, newest first: a 404 lands its deletion, an answer lands the record as it is now.

    Of a long list only the first ``MOST_ASKED`` are asked for.

    Raises:
        TransientError: the CRM does not answer; nothing of these was landed.
    """
    if not ids:
        return Confirmed()
    missing = sorted(ids, reverse=True)
    if len(missing) >= MASS_MISSING_MIN and len(missing) > MASS_MISSING_SHARE * held.count_live(lake, table):
        _tell(engine, table, len(missing), now)
        return Confirmed(unbelieved_ids=tuple(missing))
    answers = {record_id: crm.find(table.collection, record_id) for record_id in missing[:MOST_ASKED]}
    gone = tuple(record_id for record_id, row in answers.items() if row is None)
    known = held.versions(lake, table, gone)
    last = [
        json.loads(known[record_id].payload)
        for record_id in gone
        if record_id in known and not known[record_id].is_deleted
    ]
    there = [row for row in answers.values() if row is not None]
    landing.land(lake, table, there, deleted=last, landed_by=landed_by, now=now)
    return Confirmed(
        gone_ids=gone,
        found_ids=tuple(i for i, row in answers.items() if row is not None),
        unasked_ids=tuple(missing[MOST_ASKED:]),
    )


def _tell(engine: Engine, table: RawTable, count: int, now: datetime) -> None:
    from leadpipe.messaging.alerts import raise_alert

    with engine.begin() as connection:
        raise_alert(
            connection,
            kind="records_missing",
            dedupe_key=f"records_missing:{table.collection}:{now:%Y-%m-%d}",
            title=f"Follow Up Boss shows far fewer {table.collection} than before",
            body=f"{count} {table.collection} are not in its list any more; none was marked as deleted. "
            f"Is LEADPIPE_FUB_API_KEY still the account owner's? `leadpipe doctor` tells.",
            now=now,
        )
