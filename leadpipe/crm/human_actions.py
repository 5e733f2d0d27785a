"""Human actions: what people of the team did by themselves in the CRM.

What lives here: which calls, texts, emails and notes those are, reading one and storing it once. What does not: what it
means for the lead's plans (``conversation.takeover``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.crm.bulk import cursor_of
from leadpipe.crm.values import read_id, read_whole, time_or_none

if TYPE_CHECKING:
    from sqlalchemy import Engine

Row = dict[str, Any]

HUMAN_SYSTEMS = frozenset({"", "Follow Up Boss"})


@dataclass(frozen=True, kw_only=True)
class HumanAction:
    """Something a person of the team did by themselves in the CRM."""

    person_id: int
    kind: str
    crm_id: str
    user_id: int | None
    at: datetime


def read_email_act(payload: Row) -> HumanAction | None:
    """The last email that somebody of the team wrote to this person in the CRM, by the person's own fields.

    The API has no documented list of emails; batch and action-plan mail, which nobody wrote to this person, has fields
    of its own beside ``lastSentEmail`` (sheet 4.2).
    """
    at, person_id = time_or_none(payload.get("lastSentEmail")), read_id(payload)
    automatic = {time_or_none(payload.get(name)) for name in ("lastSentBatchEmail", "lastSentActionPlanEmail")}
    if at is None or person_id is None or at in automatic:
        return None
    return HumanAction(person_id=person_id, kind="email", crm_id=f"{person_id}@{at:%Y%m%dT%H%M%S}", user_id=None, at=at)


def read_human_action(collection: str, payload: Row) -> HumanAction | None:
    """The act of a person of the team in a call, text or note; None for the lead's own and for a system's.

    Our own notes come back as webhooks: they carry our system's name, so they never pass for a person's.
    """
    kinds = {"calls": "call", "textMessages": "text", "notes": "note"}
    at = time_or_none(payload.get("sent") or payload.get("created"))
    is_incoming = bool(payload.get("isIncoming"))
    by_system = str(payload.get("systemName") or "") not in HUMAN_SYSTEMS or payload.get("isExternal") is True
    user_id = read_whole(payload.get("userId")) or read_whole(payload.get("createdById"))
    person_id, record_id = read_whole(payload.get("personId")), read_id(payload)
    if is_incoming or by_system or at is None or not person_id or not record_id or user_id is None or user_id < 0:
        return None
    return HumanAction(person_id=person_id, kind=kinds[collection], crm_id=str(record_id), user_id=user_id, at=at)


def store_human_actions(engine: Engine, actions: Iterable[HumanAction], *, now: datetime) -> tuple[int, ...]:
    """Store acts of the team once each and stamp the people; returns the person ids that newly saw one."""
    rows = list(actions)
    if not rows:
        return ()
    with engine.begin() as connection:
        cursor = cursor_of(connection)
        cursor.executemany(
            "insert into ledger.human_actions (person_id, kind, crm_id, user_id, at, recorded_at) "
            "values (%s, %s, %s, %s, %s, %s) on conflict (kind, crm_id) do nothing returning person_id",
            [(a.person_id, a.kind, a.crm_id, a.user_id, a.at, now) for a in rows],
            returning=True,
        )
        touched: list[int] = []
        while True:
            touched += [row[0] for row in cursor.fetchall()]
            if not cursor.nextset():
                break
        cursor.execute(
            """
            update ledger.people p set last_human_at = greatest(p.last_human_at, a.at)
            from (select person_id, max(at) as at from ledger.human_actions where person_id = any(%(ids)s) group by 1) a
            where a.person_id = p.person_id
            """,
            {"ids": touched},
        )
    return tuple(dict.fromkeys(touched))
