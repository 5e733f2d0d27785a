"""Handing a lead to the assigned agent: a task in the CRM, an alert, repeated until somebody acts.

What lives here: opening, repeating and closing. What does not: when to hand over (``decision``), delivering alerts
(``work.alerts``), carrying the task to the CRM (``crm.writeback``).

At most one hand-off is open for a person; a new reason while one is open alerts again and adds no second task.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from leadpipe.crm.writeback_journal import WriteBack, journal
from leadpipe.messaging.alerts import raise_alert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from leadpipe.settings import Settings

# After the n-th alert nobody acted upon, the next comes so much later; after the last one the queue still shows it.
REPEAT_AFTER = (
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
    timedelta(days=1),
    timedelta(days=1),
    timedelta(days=2),
)
# Answers to leads go before scores in the CRM's budget.
TASK_PRIORITY = 10
REASONS = {
    "interested": "is interested",
    "appointment": "asks for an appointment",
    "question": "asks a question",
    "human": "wants to talk to a person",
    "complaint": "complains; do not contact before you know why",
    "maybe_refusal": "may have refused contact; read it before anybody writes again",
    "unclear": "wrote something the assistant could not read",
    "cancel": "wrote CANCEL while an appointment was being arranged; they are opted out, is the appointment meant?",
    "negotiation": "talks about an offer, a price or a contract",
    "advice": "asks for legal, tax or loan advice",
    "neighbourhood": "asks about people, schools or safety of an area; answer with facts and sources only",
    "minor": "says to be under 18; no automated contact",
    "distress": "may be in distress",
    "discrimination": "raises discrimination",
    "sensitive_data": "sent what looks like a social security number",
    "wrote_to_agent": "wrote while you have the conversation",
    "contact_check": "says the number or address is wrong; check it",
}
_TASK_TYPES = {"appointment": "Appointment", "human": "Call", "interested": "Call"}


def open_handoff(
    connection: Connection,
    *,
    person_id: int,
    reason: str,
    inbound_id: int | None,
    settings: Settings,
    now: datetime,
) -> int:
    """Hand the person over; returns the open hand-off's id. Task and alert are written once per hand-off and reason."""
    agent = connection.execute(
        text("select assigned_user_id from ledger.people where person_id = :id"), {"id": person_id}
    ).scalar()
    row = connection.execute(
        text(
            "insert into ledger.handoffs (person_id, reason, inbound_id, assigned_user_id, opened_at, last_alert_at, "
            "alerts) values (:person, :reason, :inbound, :agent, :now, :now, 1) "
            "on conflict (person_id) where closed_at is null do nothing returning id"
        ),
        {"person": person_id, "reason": reason, "inbound": inbound_id, "agent": agent, "now": now},
    ).one_or_none()
    if row is None:
        handoff_id = connection.execute(
            text("select id from ledger.handoffs where person_id = :person and closed_at is null"),
            {"person": person_id},
        ).scalar_one()
        _alert(connection, handoff_id, person_id, reason, agent, key=f"{reason}:{inbound_id}", now=now)
        return handoff_id
    handoff_id = int(row[0])
    _journal_task(connection, person_id, reason, agent, f"handoff:{handoff_id}", settings, now)
    _alert(connection, handoff_id, person_id, reason, agent, key="1", now=now)
    return handoff_id


def tell_once(
    connection: Connection, *, person_id: int, reason: str, inbound_id: int, settings: Settings, now: datetime
) -> None:
    """One task and one alert for the agent, without reminders and without handing the lead over."""
    agent = connection.execute(
        text("select assigned_user_id from ledger.people where person_id = :id"), {"id": person_id}
    ).scalar()
    _journal_task(connection, person_id, reason, agent, f"tell:{reason}:{person_id}:{inbound_id}", settings, now)
    raise_alert(
        connection,
        kind=reason,
        dedupe_key=f"{reason}:{person_id}:{inbound_id}",
        title=f"Lead {person_id} {REASONS[reason]}",
        body=f"Person {person_id}, {_whom(agent)}. `leadpipe conversation show {person_id}` shows the turns.",
        now=now,
        person_id=person_id,
    )


_OPEN = text(
    "select id, person_id, reason, assigned_user_id, last_alert_at, alerts from ledger.handoffs "
    "where closed_at is null and alerts <= :most order by id"
)
_LOCKED = text(f"{_OPEN.text} for update skip locked")


def count_due(connection: Connection, *, now: datetime) -> int:
    """Open hand-offs whose next reminder is due."""
    return len(_due(connection.execute(_OPEN, {"most": len(REPEAT_AFTER)}).all(), now))


def repeat_due(engine: Engine, *, now: datetime) -> int:
    """Alert again for every open hand-off that nobody acted upon for its time; returns how many."""
    with engine.begin() as connection:
        due = _due(connection.execute(_LOCKED, {"most": len(REPEAT_AFTER)}).all(), now)
        for row in due:
            number = row.alerts + 1
            connection.execute(
                text("update ledger.handoffs set alerts = :number, last_alert_at = :now where id = :id"),
                {"number": number, "now": now, "id": row.id},
            )
            agent = row.assigned_user_id
            _alert(connection, row.id, row.person_id, row.reason, agent, key=str(number), now=now, number=number)
    return len(due)


def _due(rows: Sequence[Any], now: datetime) -> list[Any]:
    return [row for row in rows if row.last_alert_at + REPEAT_AFTER[row.alerts - 1] <= now]


def close(connection: Connection, person_ids: Sequence[int], *, by: str, now: datetime) -> int:
    """Close the open hand-offs of these people; ``by`` is ``human_acted``, ``resumed``, ``opt_out`` ..."""
    return connection.execute(
        text(
            "update ledger.handoffs set closed_at = :now, closed_by = :by "
            "where person_id = any(cast(:ids as bigint[])) and closed_at is null"
        ),
        {"now": now, "by": by, "ids": list(person_ids)},
    ).rowcount


def _journal_task(
    connection: Connection,
    person_id: int,
    reason: str,
    agent: int | None,
    marker: str,
    settings: Settings,
    now: datetime,
) -> None:
    task = {
        "name": f"Lead {REASONS[reason]}",
        "type": _TASK_TYPES.get(reason, "Follow Up"),
        "assignedUserId": agent,
        "dueDate": now.astimezone(ZoneInfo(settings.team_timezone)).date().isoformat(),
    }
    write = WriteBack(person_id=person_id, kind="task", marker=marker, payload=task, priority=TASK_PRIORITY)
    journal(connection, [write], now=now)


def _whom(agent: int | None) -> str:
    return f"assigned to user {agent}" if agent else "assigned to nobody"


def _alert(
    connection: Connection,
    handoff_id: int,
    person_id: int,
    reason: str,
    agent: int | None,
    *,
    key: str,
    now: datetime,
    number: int = 1,
) -> None:
    again = f", reminder {number - 1}" if number > 1 else ""
    raise_alert(
        connection,
        kind="handoff",
        dedupe_key=f"handoff:{handoff_id}:{key}",
        title=f"Lead {person_id} {REASONS[reason]}{again}",
        body=f"Hand-off {handoff_id}, {_whom(agent)}. Open person {person_id} in Follow Up Boss and act there: any "
        f"call, text, email or note of yours takes the lead over. `leadpipe conversation show {person_id}` shows the "
        f"turns.",
        now=now,
        person_id=person_id,
    )
