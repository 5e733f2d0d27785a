"""The alert pass: rows of ``ledger.alerts`` reach people by the team's Apprise URLs.

What lives here: delivering, keeping what failed, and the rounds that raise reminders of hand-offs. What does not:
raising an alert (``messaging.alerts``).

An alert may come twice (a run that dies after delivering, before writing so down) and is never lost: what could not be
delivered stays and is tried again after a while. Without URLs an alert is shown in the log only, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import text

from leadpipe.conversation import handoff, takeover
from leadpipe.errors import ConfigurationError
from leadpipe.messaging import right

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.runtime import Runtime

LIMIT = 200
# More than so many of a kind in one pass come as one message with the first few titles.
BUNDLE_OVER = 5
SHOWN = 10
LOG_ONLY = "log_only"
FAILED = "not_delivered"
# After a failed delivery the service is left alone for so long, unless something new is to be told.
RETRY_AFTER = timedelta(minutes=5)
_LOCK = 7_305_301
_FAILED_AT = "alerts_failed"

_COUNT = text(
    """
    select count(*) from ledger.alerts where sent_at is null and (code is null or not exists (
      select 1 from ledger.controls where key = :key and changed_at > :since))
    """
)

# Sends one message by one URL; False when the service did not take it.
Notify = Callable[[str, str, str], bool]
log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Alerted:
    """What one pass did with the alerts that waited."""

    count_delivered: int = 0
    count_logged: int = 0
    count_failed: int = 0

    def as_metadata(self) -> dict[str, int]:
        """Counts for Dagster."""
        return {"delivered": self.count_delivered, "log_only": self.count_logged, "failed": self.count_failed}


def count_waiting(connection: Connection, *, now: datetime) -> int:
    """Alerts to deliver now, reminders that are due and pauses that are over; the sensor's question."""
    undelivered = connection.execute(_COUNT, {"key": _FAILED_AT, "since": now - RETRY_AFTER}).scalar_one()
    return int(undelivered) + handoff.count_due(connection, now=now) + takeover.count_due(connection, now=now)


def deliver_alerts(runtime: Runtime, *, notify: Notify | None = None) -> Alerted:
    """Make the rounds, then deliver what waits, oldest first; one pass at a time, whoever asks.

    The rounds: hand-offs nobody acted upon are told again, and the pauses of leads who said "later" end.

    Without the right to send nothing happens: the alerts of a copy are not the team's.

    Raises:
        ConfigurationError: none of the URLs is one that Apprise knows.
    """
    urls = runtime.settings.alert_urls
    now = runtime.clock.now()
    with runtime.engine.connect() as connection:
        if not right.standing(connection, runtime.settings).is_here:
            return Alerted()
    handoff.repeat_due(runtime.engine, now=now)
    takeover.resume_due(runtime.engine, now=now)
    # A lock of the session, not of a transaction: nothing is held open while a service is called.
    with runtime.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar_one():
            return Alerted()
        try:
            return _deliver(connection, runtime, urls, notify or by_apprise)
        finally:
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})


def _deliver(connection: Connection, runtime: Runtime, urls: Sequence[str], notify: Notify) -> Alerted:
    rows = connection.execute(
        text("select id, kind, title, body from ledger.alerts where sent_at is null order by id limit :limit"),
        {"limit": LIMIT},
    ).all()
    delivered = logged = failed = 0
    for kind, group in groupby(sorted(rows, key=lambda row: (row.kind, row.id)), key=lambda row: row.kind):
        for bundle in _bundles(list(group)):
            title, body = _words(kind, bundle)
            ids = [row.id for row in bundle]
            if not urls:
                log.warning("alert", kind=kind, title=title, count=len(bundle), delivered=False)
                _end(connection, ids, runtime, code=LOG_ONLY)
                logged += len(bundle)
                continue
            taken = [notify(url, title, body) for url in urls]
            if any(taken):
                _end(connection, ids, runtime, code=None if all(taken) else "some_urls_failed")
                delivered += len(bundle)
            else:
                _keep(connection, ids, now=runtime.clock.now())
                log.warning("alert", kind=kind, title=title, count=len(bundle), delivered=False)
                failed += len(bundle)
    return Alerted(count_delivered=delivered, count_logged=logged, count_failed=failed)


def _bundles(rows: list[Any]) -> list[list[Any]]:
    return [rows] if len(rows) > BUNDLE_OVER else [[row] for row in rows]


def _words(kind: str, rows: list[Any]) -> tuple[str, str]:
    if len(rows) == 1:
        return rows[0].title, rows[0].body
    titles = [f"- {row.title}" for row in rows[:SHOWN]]
    more = [f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return f"{len(rows)} alerts: {kind.replace('_', ' ')}", "\n".join([*titles, *more])


def _keep(connection: Connection, ids: list[int], *, now: datetime) -> None:
    connection.execute(
        text("update ledger.alerts set code = :code where id = any(cast(:ids as bigint[]))"),
        {"code": FAILED, "ids": ids},
    )
    connection.execute(
        text(
            "insert into ledger.controls (key, changed_at) values (:key, :now) "
            "on conflict (key) do update set changed_at = excluded.changed_at"
        ),
        {"key": _FAILED_AT, "now": now},
    )


def _end(connection: Connection, ids: list[int], runtime: Runtime, *, code: str | None) -> None:
    connection.execute(
        text("update ledger.alerts set sent_at = :now, code = :code where id = any(cast(:ids as bigint[]))"),
        {"now": runtime.clock.now(), "code": code, "ids": ids},
    )


def by_apprise(url: str, title: str, body: str) -> bool:
    """Send one message by one Apprise URL; False when the service did not take it.

    Raises:
        ConfigurationError: Apprise does not know the URL's kind. The URL may hold a secret and is not repeated.
    """
    from apprise import Apprise

    sender = Apprise()
    if not sender.add(url):
        raise ConfigurationError(
            "LEADPIPE_ALERT_URLS holds a URL that Apprise cannot use; write for instance mailto://, slack:// or json://"
        )
    return bool(sender.notify(title=title, body=body))
