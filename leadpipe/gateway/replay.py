"""The stored reports, looked at and given their effect again.

What lives here: listing ``ledger.inbox`` and replaying rows of it. What does not: the effects (``catch_up.EFFECTS``);
notifications of the CRM have none here: they wait again for the first-touch run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.gateway import fub, reports
from leadpipe.gateway.catch_up import EFFECTS
from leadpipe.gateway.reports import Context

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stored report, without its body."""

    id: int
    source: str
    kind: str
    state: str
    reason: str | None
    attempts: int
    received_at: datetime
    handled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay of one row did: ``result`` is a word or two, ``is_failed`` says that it had no effect again."""

    id: int
    result: str
    is_failed: bool = False


def rows(runtime: Runtime, *, state: str | None = None, source: str | None = None, limit: int = 50) -> list[Row]:
    """Stored reports, newest first."""
    with runtime.engine.connect() as connection:
        found = connection.execute(
            text(
                "select id, source, kind, state, reason, attempts, received_at, handled_at from ledger.inbox "
                "where (cast(:state as text) is null or state = :state) "
                "and (cast(:source as text) is null or source = :source) order by id desc limit :limit"
            ),
            {"state": state, "source": source, "limit": limit},
        )
        return [Row(**row) for row in found.mappings()]


def replay(runtime: Runtime, ids: Sequence[int]) -> list[Replayed]:
    """Give these reports their effect again; what already happened happens no second time."""
    return [_replay(runtime, row_id) for row_id in ids]


def _replay(runtime: Runtime, row_id: int) -> Replayed:
    now = runtime.clock.now()
    with runtime.engine.begin() as connection:
        source = connection.execute(text("select source from ledger.inbox where id = :id"), {"id": row_id}).scalar()
        if source is None:
            return Replayed(id=row_id, result="no such row; see `leadpipe inbox list`", is_failed=True)
        if source == fub.SOURCE:
            connection.execute(
                text(
                    "update ledger.inbox set state = 'new', reason = null, attempts = 0, handled_at = null, "
                    "lease_owner = null, lease_expires_at = null where id = :id"
                ),
                {"id": row_id},
            )
            return Replayed(id=row_id, result="waits for the next first-touch run")
    if source not in EFFECTS:
        return Replayed(id=row_id, result=f"reports of {source} have no effect to repeat", is_failed=True)
    try:
        result = reports.again(runtime.engine, row_id, EFFECTS, Context(settings=runtime.settings, now=now))
    except Exception as error:
        if reports.is_ledger_gone(error):
            raise
        return Replayed(id=row_id, result=f"failed again: {type(error).__name__}", is_failed=True)
    return Replayed(id=row_id, result=result)
