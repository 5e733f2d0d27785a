"""Storing what a pass read: payloads into the lake, what they mean into the ledger.

What lives here: which of the two ways a collection takes. What does not: reading (``sync``, ``history``), the landing
and the meaning themselves (``intake``, ``landing``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.crm import intake, landing, tables
from leadpipe.store import quarantine

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.crm.intake import Intake
    from leadpipe.crm.passes import Pass
    from leadpipe.crm.tables import RawTable
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
# Whoever was read so recently is not read again for an event of theirs.
FRESH = timedelta(minutes=3)


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """One account's lake and ledger, as the poller writes them."""

    crm: FubClient
    lake: Lake
    engine: Engine
    settings: Settings

    def keep(self, table: RawTable, rows: list[Row], result: Pass, *, now: datetime, is_history: bool = False) -> None:
        """Store records of a collection and count them; new events bring their people along."""
        if table is tables.EVENTS:
            # The people of old events are read by the people pass; new ones may be newer than it.
            ids = set[int]() if is_history else {int(row["personId"]) for row in rows if _is_id(row.get("personId"))}
            people = self.crm.people(sorted(ids - self._fresh_ids(ids, now)))
            result.add(self.store(people=people, events=rows, now=now))
        elif table.collection in intake.ACTIVITIES:
            result.add(self.store(activities={table.collection: rows}, now=now))
        else:
            self.land({table: rows}, result, now=now)

    def store(
        self,
        *,
        now: datetime,
        people: list[Row] | None = None,
        events: list[Row] | None = None,
        activities: dict[str, list[Row]] | None = None,
    ) -> Intake:
        """Land payloads and store what they mean in the ledger."""
        return intake.store(
            people or [],
            events or [],
            activities or {},
            lake=self.lake,
            engine=self.engine,
            now=now,
            landed_by="poll",
            settings=self.settings,
        )

    def land(self, rows_by_table: dict[RawTable, list[Row]], result: Pass, *, now: datetime) -> None:
        """Land payloads that mean nothing to the ledger."""
        reports = landing.land_all(self.lake, rows_by_table, landed_by="poll", now=now)
        for report in reports:
            result.count(report.table, report.count_written)
        with self.engine.begin() as connection:
            set_aside = [record for report in reports for record in report.set_aside]
            result.count_set_aside += quarantine.store(connection, set_aside, now=now)

    def _fresh_ids(self, ids: set[int], now: datetime) -> set[int]:
        """Of these, the people read a moment ago: by the people pass, or for a webhook."""
        from sqlalchemy import select

        from leadpipe.store.tables.leads import people

        if not ids:
            return set()
        with self.engine.connect() as connection:
            wanted = select(people.c.person_id).where(
                people.c.person_id.in_(ids), people.c.refreshed_at > now - FRESH, people.c.deleted_at.is_(None)
            )
            return set(connection.execute(wanted).scalars())


def _is_id(value: object) -> bool:
    return str(value).isdigit() and int(str(value)) > 0
