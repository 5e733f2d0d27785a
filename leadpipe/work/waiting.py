"""What waits for a run: the questions the sensors ask.

What lives here: one count per kind of work, over the ledger's state alone. What does not: doing the work, and any
memory of what was asked before: a run that dies leaves its rows waiting, so the next question finds them again (design
section 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.crm import inbox
from leadpipe.messaging import breaker, caps, right, switch

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from leadpipe.settings import Settings

# Only what a claim would look at: a run for messages that the switch, a cap, a resting provider or a lacking right
# holds back would find nothing to do, end, and be started again, all day. What the law says is the claim's business.
_MESSAGES = text(
    """
    select count(*) from ledger.messages
    where state in ('queued', 'held') and coalesce(not_before_at, due_at) <= :now
      and channel <> all(:closed_channels) and plan <> all(:closed_plans)
      and contact_point_id <> all(cast(:closed_points as bigint[]))
      and (plan <> all(:full_plans) or purpose = any(:uncapped))
    """
)
_PASSAGES = text("select plan, count(*) from ledger.enrolments where state = 'open' and next_due_at <= :now group by 1")
_WRITEBACKS = text(
    "select count(*) from ledger.writebacks where state in ('pending', 'sending') "
    "and (not_before_at is null or not_before_at <= :now) and (lease_expires_at is null or lease_expires_at < :now)"
)
_HISTORIES = text(
    "select count(*) from ledger.watermarks where source like 'fub\\_%\\_history' and (value ->> 'id')::bigint > 0"
)


def count_new_leads(connection: Connection, settings: Settings, now: datetime) -> int:
    """Notices of the CRM that nobody works on."""
    del settings
    return inbox.count_waiting(connection, source="fub", now=now)


def count_replies(connection: Connection, settings: Settings, now: datetime) -> int:
    """People who wrote and whose messages nobody reads."""
    from leadpipe.conversation import turn

    del settings
    return turn.count_ready(connection, now=now)


def count_due(connection: Connection, settings: Settings, now: datetime) -> int:
    """Passages whose next step is due, and messages whose time has come and that may leave."""
    return _count_passages(connection, settings, now) + _count_messages(connection, settings, now)


def _count_passages(connection: Connection, settings: Settings, now: datetime) -> int:
    from leadpipe.outreach.plan import load_plans

    due = {plan: int(count) for plan, count in connection.execute(_PASSAGES, {"now": now})}
    if not due:
        return 0
    paused = {plan.name for plan in load_plans(settings.plans_path).values() if plan.is_paused}
    return sum(count for plan, count in due.items() if plan not in paused)


def _count_messages(connection: Connection, settings: Settings, now: datetime) -> int:
    if not right.standing(connection, settings).may_send:
        return 0
    stop = switch.read(connection)
    room = caps.left(connection, settings, now=now)
    if stop.is_stopped or room.total == 0:
        return 0
    resting = breaker.channels_of(breaker.resting(connection), sms_provider=settings.sms_provider)
    parameters = {
        "now": now,
        "closed_channels": [*stop.channels, *resting, *(("sms",) if room.sms <= 0 else ())],
        "closed_plans": list(stop.plans),
        "closed_points": list(stop.contact_points),
        "full_plans": room.full_plans,
        "uncapped": list(caps.UNCAPPED_PURPOSES),
    }
    return int(connection.execute(_MESSAGES, parameters).scalar_one())


def count_writebacks(connection: Connection, settings: Settings, now: datetime) -> int:
    """Writes to the CRM that are journalled and not done."""
    if not right.standing(connection, settings).may_send:
        return 0
    return int(connection.execute(_WRITEBACKS, {"now": now}).scalar_one())


def count_histories(connection: Connection, settings: Settings, now: datetime) -> int:
    """Collections of the CRM whose records of before the first sync are not all read."""
    del settings, now
    return int(connection.execute(_HISTORIES).scalar_one())


def count_alerts(connection: Connection, settings: Settings, now: datetime) -> int:
    """Alerts to deliver, hand-offs to remind of and pauses that are over."""
    from leadpipe.work import alerts

    if not right.standing(connection, settings).is_here:
        return 0
    return alerts.count_waiting(connection, now=now)
