"""What waits for a run: the questions the sensors ask.

What lives here: one count per kind of work, over the ledger's state alone. What does not: doing the work, and any
memory of what was asked before: a run that dies leaves its rows waiting, so the next question finds them again (design
section 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.crm import inbox
from leadpipe.messaging import switch

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_REPLIES = text(
    "select count(*) from ledger.inbound_messages "
    "where read_at is null and (lease_expires_at is null or lease_expires_at < :now)"
)
# `expires_at` and the law are the claim's business: here a message is due when its time has come. One that is paused by
# the switch or waits for a person is not work.
_DUE = text(
    """
    select
      (select count(*) from ledger.messages
       where state in ('queued', 'held') and coalesce(not_before_at, due_at) <= :now
         and not :is_stopped and channel <> all(:channels) and plan <> all(:plans)),
      (select count(*) from ledger.enrolments where state = 'open' and next_due_at <= :now),
      (select count(*) from ledger.messages where state in ('sending', 'unknown') and changed_at < :now)
    """
)
_WRITEBACKS = text(
    "select count(*) from ledger.writebacks where state in ('pending', 'sending') "
    "and (not_before_at is null or not_before_at <= :now) and (lease_expires_at is null or lease_expires_at < :now)"
)
_ALERTS = text("select count(*) from ledger.alerts where sent_at is null and code is null")


def count_new_leads(connection: Connection, now: datetime) -> int:
    """Notices of the CRM that nobody works on."""
    return inbox.count_waiting(connection, source="fub", now=now)


def count_replies(connection: Connection, now: datetime) -> int:
    """Inbound messages that nobody has read or is reading."""
    return int(connection.execute(_REPLIES, {"now": now}).scalar_one())


def count_due(connection: Connection, now: datetime) -> int:
    """Messages whose time has come, passages whose next step is due, and messages of which nobody knows the end."""
    stopped = switch.read(connection)
    row = connection.execute(
        _DUE,
        {
            "now": now,
            "is_stopped": stopped.is_stopped,
            "channels": list(stopped.channels),
            "plans": list(stopped.plans),
        },
    ).one()
    return sum(int(count) for count in row)


def count_writebacks(connection: Connection, now: datetime) -> int:
    """Writes to the CRM that are journalled and not done."""
    return int(connection.execute(_WRITEBACKS, {"now": now}).scalar_one())


def count_alerts(connection: Connection, now: datetime) -> int:  # noqa: ARG001 - asked like the others
    """Alerts that were written and not delivered."""
    return int(connection.execute(_ALERTS).scalar_one())
