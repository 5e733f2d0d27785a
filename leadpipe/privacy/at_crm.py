"""Follow Up Boss's part in an erasure: it is asked or told, by setting.

What lives here: which of the two, journalled with the request. What does not: carrying it out (``crm.writeback``).

Follow Up Boss is the team's system of record, and deleting there takes the deals' people and the agents' notes along.
So by default the agent gets a task on that person and the team an alert; only a setting lets leadpipe delete there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.crm.writeback_journal import WriteBack, journal
from leadpipe.messaging.alerts import raise_alert

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.privacy.subject import Subject
    from leadpipe.settings import Settings

TELL = "delete"
ALERT = "erase_in_crm"
PRIORITY = 5


def tell_crm(connection: Connection, settings: Settings, subject: Subject, *, erasure_id: int, now: datetime) -> None:
    """Journal what Follow Up Boss is to do about each record of the person; never their name or address."""
    from sqlalchemy import text

    rows = connection.execute(
        text(
            "select person_id, assigned_user_id from ledger.people "
            "where person_id = any(cast(:people as bigint[])) and deleted_at is null"
        ),
        {"people": list(subject.people)},
    )
    agents: dict[int, int | None] = {row.person_id: row.assigned_user_id for row in rows}
    is_told = settings.erase_at_crm == TELL
    writes: list[WriteBack] = []
    for person_id, agent in agents.items():
        if is_told:
            kind, payload = "delete_person", dict[str, Any]()
        elif agent:
            kind = "task"
            payload = {
                "name": "This person asked to be erased: delete their record here",
                "type": "Follow Up",
                "assignedUserId": agent,
                "dueDate": f"{now:%Y-%m-%d}",
            }
        else:
            continue
        marker = f"erase:{erasure_id}:{person_id}"
        writes.append(WriteBack(person_id=person_id, kind=kind, marker=marker, payload=payload, priority=PRIORITY))
    journal(connection, writes, now=now)
    if agents and not is_told:
        raise_alert(
            connection,
            kind=ALERT,
            dedupe_key=f"erasure:{erasure_id}",
            title="A person asked to be erased and is still in Follow Up Boss",
            body=f"Delete person {', '.join(map(str, sorted(agents)))} in Follow Up Boss. leadpipe stores nothing "
            "about them any more, whatever Follow Up Boss answers.",
            now=now,
        )
