"""The stored reports, looked at and given their effect again.

What lives here: listing ``ledger.inbox`` and replaying rows of it, and the same for what could not be read at all and
was kept whole (``ledger.quarantine``). What does not: the effects (``catch_up.EFFECTS``); notifications of the CRM have
none here: they wait again for the first-touch run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.errors import BadRecord, TransientError
from leadpipe.gateway import fub, reports, ses
from leadpipe.gateway.catch_up import EFFECTS
from leadpipe.gateway.reports import Context, Report
from leadpipe.gateway.sns import Envelope

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy import Row as Record

    from leadpipe.runtime import Runtime

STATES = ("new", "handled", "kept_aside", "unreadable")
SOURCES = (fub.SOURCE, *sorted(EFFECTS))
# What the gateway could not read, by the source it is kept under, and the source it would have had.
_UNREAD = {"fub_webhook": fub.SOURCE, "ses_notice": ses.EVENT}
# The id of such a row begins so.
UNREAD_MARK = "u"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stored report, without its body; the id is that of the inbox, or ``u`` and a number for an unreadable one."""

    id: int | str
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

    id: int | str
    result: str
    is_failed: bool = False


def rows(runtime: Runtime, *, state: str | None = None, source: str | None = None, limit: int = 50) -> list[Row]:
    """Stored reports, newest first, those that nobody could read among them."""
    with runtime.engine.connect() as connection:
        found = [] if state == "unreadable" else _stored(connection, state, source, limit)
        if state in {None, "unreadable"}:
            found += _unreadable(connection, source, limit)
    return sorted(found, key=lambda row: row.received_at, reverse=True)[:limit]


def _stored(connection: Connection, state: str | None, source: str | None, limit: int) -> list[Row]:
    found = connection.execute(
        text(
            "select id, source, kind, state, reason, attempts, received_at, handled_at from ledger.inbox "
            "where (cast(:state as text) is null or state = :state) "
            "and (cast(:source as text) is null or source = :source) order by id desc limit :limit"
        ),
        {"state": state, "source": source, "limit": limit},
    )
    return [Row(**row) for row in found.mappings()]


def _unreadable(connection: Connection, source: str | None, limit: int) -> list[Row]:
    kept = [name for name, of in _UNREAD.items() if source in {None, of}]
    found = connection.execute(
        text(
            "select id, source, reason, at from ledger.quarantine where source = any(:kept) "
            "order by id desc limit :limit"
        ),
        {"kept": kept, "limit": limit},
    )
    return [
        Row(
            id=f"{UNREAD_MARK}{row.id}",
            source=_UNREAD[row.source],
            kind="",
            state="unreadable",
            reason=row.reason,
            attempts=0,
            received_at=row.at,
            handled_at=None,
        )
        for row in found
    ]


def replay(runtime: Runtime, ids: Sequence[int | str]) -> list[Replayed]:
    """Give these reports their effect again; what already happened happens no second time."""
    return [_read_again(runtime, each) if isinstance(each, str) else _replay(runtime, each) for each in ids]


def row_id(given: str) -> int | str | None:
    """An id as ``rows`` gives it, from a person's words; None when it can be none."""
    if given.isdecimal():
        return int(given)
    return given if given.startswith(UNREAD_MARK) and given[1:].isdecimal() else None


def _read_again(runtime: Runtime, given: str) -> Replayed:
    """Read once more what could not be read: a newer version may. Read, it is a report like any other."""
    with runtime.engine.connect() as connection:
        row = connection.execute(
            text(
                "select id, source, record_key, raw, at from ledger.quarantine where id = :id and source = any(:kept)"
            ),
            {"id": int(given.removeprefix(UNREAD_MARK)), "kept": list(_UNREAD)},
        ).one_or_none()
    if row is None:
        return Replayed(id=given, result="no such row; see `leadpipe inbox list`", is_failed=True)
    context = Context(settings=runtime.settings, now=runtime.clock.now())
    try:
        report = _read(row)
        if report.source in EFFECTS:
            result = reports.take(runtime.engine, report, EFFECTS[report.source], context)
        else:
            with runtime.engine.begin() as connection:
                is_new = reports.insert(connection, report, now=context.now) is not None
            result = "waits for the next first-touch run" if is_new else "known"
    except (fub.Unreadable, BadRecord, TransientError) as error:
        return Replayed(id=given, result=f"still unreadable: {error}", is_failed=True)
    with runtime.engine.begin() as connection:
        connection.execute(text("delete from ledger.quarantine where id = :id"), {"id": row.id})
    return Replayed(id=given, result=result, is_failed=result == "failed")


def _read(row: Record[Any]) -> Report:
    if _UNREAD[row.source] == fub.SOURCE:
        return fub.read(bytes(row.raw))
    message = bytes(row.raw).decode()
    return ses.read_notice(Envelope(kind="Notification", message_id=row.record_key, topic_arn="", message=message))


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
