"""What the outside reported, kept as it came and given its effect in the same transaction.

What lives here: the row of ``ledger.inbox`` around an effect, its dedupe key, and what becomes of a report whose effect
failed. What does not: checking who sent it (``signatures``, ``sns``) and the effects themselves (``twilio``, ``ses``).

A report is answered only once it is stored. A failing effect never costs the report: it is stored all the same, waits
as ``new`` with its reason, is tried again by the poller and by ``leadpipe inbox replay``, and a person is told.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from leadpipe.crm.values import read_time
from leadpipe.messaging import failpoints
from leadpipe.messaging.alerts import raise_alert

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.settings import Settings

T = TypeVar("T")
log = logging.getLogger(__name__)
# Two reports about one contact point may wait for each other; PostgreSQL then ends one, which simply goes again.
DEADLOCK_ATTEMPTS = 4
_GOES_AGAIN = frozenset({"40P01", "40001", "55P03"})


@dataclass(frozen=True, kw_only=True)
class Report:
    """One report from outside.

    Attributes:
        headers: what belongs to it beside the body, never a credential.
        received_at: when it came, for one that was stored before; None comes now.
    """

    source: str
    kind: str
    dedupe_key: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    received_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Context:
    """What an effect may use."""

    settings: Settings
    now: datetime


# An effect returns its result in a word or two: it becomes the row's ``reason``.
Effect = Callable[["Connection", Report, Context], str]


def insert(
    connection: Connection, report: Report, *, now: datetime, state: str = "new", reason: str = ""
) -> int | None:
    """Store the report; None when the same one is already there."""
    return connection.execute(
        text(
            "insert into ledger.inbox (source, kind, dedupe_key, body, headers, received_at, state, reason) "
            "values (:source, :kind, :key, :body, cast(:headers as jsonb), :now, :state, :reason) "
            "on conflict (source, dedupe_key) do nothing returning id"
        ),
        {
            "source": report.source,
            "kind": report.kind,
            "key": report.dedupe_key,
            "body": report.body,
            "headers": json.dumps(dict(report.headers)),
            "now": now,
            "state": state,
            "reason": reason or None,
        },
    ).scalar()


def take(engine: Engine, report: Report, effect: Effect, context: Context) -> str:
    """Store the report and give it its effect, in one transaction; returns the result in a word.

    ``known`` is a repetition and changes nothing, ``failed`` a report that is stored and waits for a second try.

    Raises:
        sqlalchemy.exc.OperationalError: the ledger does not answer; nothing is stored, the sender must try again.
    """
    try:
        return again_after_deadlock(lambda: _once(engine, report, effect, context))
    except Exception as error:
        if is_ledger_gone(error):
            raise
        _keep_for_later(engine, report, error, context.now)
        return "failed"


def _once(engine: Engine, report: Report, effect: Effect, context: Context) -> str:
    with engine.begin() as connection:
        row_id = insert(connection, report, now=context.now)
        if row_id is None:
            return "known"
        result = effect(connection, report, context)
        _finish(connection, row_id, result, context.now)
        failpoints.hit("report.before_commit")
    failpoints.hit("report.committed")
    return result


def _finish(connection: Connection, row_id: int, result: str, now: datetime) -> None:
    connection.execute(
        text("update ledger.inbox set state = 'handled', handled_at = :now, reason = :result where id = :id"),
        {"now": now, "result": result, "id": row_id},
    )


def again_after_deadlock(run: Callable[[], T]) -> T:
    """Run a whole transaction again when PostgreSQL ended it for another's sake."""
    for attempt in range(DEADLOCK_ATTEMPTS):
        try:
            return run()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") not in _GOES_AGAIN or attempt == DEADLOCK_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _keep_for_later(engine: Engine, report: Report, error: Exception, now: datetime) -> None:
    # The class alone: an exception's text may quote the body, and with it a person's words or number.
    reason = f"failed: {type(error).__name__}"
    log.error("a %s report had no effect: %s", report.source, type(error).__name__)
    with engine.begin() as connection:
        row_id = insert(connection, report, now=now, reason=reason)
        raise_alert(
            connection,
            kind="report_failed",
            dedupe_key=f"report_failed:{report.source}:{type(error).__name__}:{now:%Y-%m-%d}",
            title=f"A {report.source} report could not be applied",
            body=f"Inbox row {row_id} is kept ({reason}) and tried again by the poller. "
            f"Look with `leadpipe inbox list --state new`, then `leadpipe inbox replay {row_id}`.",
            now=now,
        )


def again(engine: Engine, row_id: int, effects: Mapping[str, Effect], context: Context) -> str:
    """Give a stored report its effect once more; the row is locked meanwhile. Returns the result in a word.

    Raises:
        KeyError: no such row, or a source whose reports have no effect of their own here.
    """

    def run() -> str:
        with engine.begin() as connection:
            row = connection.execute(
                text(
                    "update ledger.inbox set attempts = attempts + 1 where id = :id "
                    "returning source, kind, dedupe_key, body, headers, received_at"
                ),
                {"id": row_id},
            ).one_or_none()
            if row is None:
                raise KeyError(row_id)
            report = Report(
                source=row.source,
                kind=row.kind,
                dedupe_key=row.dedupe_key,
                body=bytes(row.body),
                headers=row.headers,
                received_at=row.received_at,
            )
            result = effects[report.source](connection, report, context)
            _finish(connection, row_id, result, context.now)
            return result

    return again_after_deadlock(run)


def happened_at(report: Report, moment: Any, *, now: datetime) -> datetime:
    """When it happened: by the provider's word, else when we were told.

    A STOP that is told late, or has its effect late, is as old as the person's own: it does not undo what they said
    after it.
    """
    known_at = min(report.received_at or now, now)
    try:
        at = read_time(moment)
    except (ValueError, TypeError):
        at = None
    return min(at, known_at) if at is not None else known_at


def is_ledger_gone(error: BaseException) -> bool:
    """Whether this error says that PostgreSQL does not answer, as opposed to answering that something is wrong."""
    import psycopg
    from sqlalchemy.exc import InterfaceError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    if isinstance(error, PoolTimeout | InterfaceError):
        return True
    if isinstance(error, OperationalError):
        return getattr(error.orig, "sqlstate", None) not in _GOES_AGAIN
    if isinstance(error, DBAPIError):
        return bool(error.connection_invalidated)
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
