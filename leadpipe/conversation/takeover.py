"""People taking over: automation pauses for a lead, and goes on when told.

What lives here: pausing, resuming, and the end of a pause that the lead asked for ("later"). What does not: what a
human act is (``crm.human_actions``).

A pause by a human ends only by ``leadpipe conversation resume``. Acts from before leadpipe went live, or from before
the last resume, pause nothing: the first sync brings years of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.conversation import handoff
from leadpipe.conversation.decision import OWN_WORDS
from leadpipe.messaging.protocol import cancel_waiting
from leadpipe.messaging.under_way import wait_for_people

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.settings import Settings

HUMAN = "human_acted"
BY_COMMAND = "command"
# "Later" without a time means so many months; with one, what they said, within bounds.
LATER_MONTHS = 3
_MONTH = timedelta(days=30)

# People whose newest act is younger than go-live and than the last resume, and who are not paused by a human already.
_RECENT = text(
    """
    select p.person_id
    from ledger.people p
    join lateral (
      select max(a.at) as at from ledger.human_actions a where a.person_id = p.person_id
    ) acted on acted.at is not null
    left join ledger.conversations c on c.person_id = p.person_id and c.reason = 'resumed'
    where p.person_id = any(cast(:ids as bigint[]))
      and acted.at > coalesce(c.since_at, '-infinity')
      and acted.at >= coalesce(
        (select (value ->> 'at')::timestamptz from ledger.controls where key = 'go_live'), :recent)
    order by p.person_id
    """
)
_RECENT_LOCKED = text(f"{_RECENT.text} for no key update of p")


def pause_for_people(
    engine: Engine, person_ids: Sequence[int], *, settings: Settings, now: datetime
) -> tuple[int, ...]:
    """Pause automation for people whom somebody of the team just called, texted, mailed or wrote a note about.

    Their plans take it as their files say, what waits is cancelled, the open hand-off closes: an agent has it now. Safe
    to repeat.

    Args:
        engine: the ledger.
        person_ids: people with newly seen human actions (``crm.human_actions.store_human_actions``).
        settings: where the team's plans are.
        now: when.

    Returns:
        The ids that are paused now; acts older than go-live or than the last resume pause nothing.
    """
    from leadpipe.outreach import events

    if not person_ids:
        return ()
    with engine.begin() as connection:
        asked = {"ids": list(person_ids), "recent": now - timedelta(days=1)}
        # Calls first, rows after: whoever waits for a call holds nothing that its sender could wait for.
        wait_for_people(connection, connection.execute(_RECENT, asked).scalars())
        ids = list(connection.execute(_RECENT_LOCKED, asked).scalars())
        for person_id in ids:
            pause(connection, person_id, reason=HUMAN, now=now)
            events.note(connection, person_id, HUMAN, settings=settings, now=now)
            put_conversation(connection, person_id, state="paused", awaits="nobody", reason=HUMAN, now=now)
        if ids:
            handoff.close(connection, ids, by=HUMAN, now=now)
    return tuple(ids)


def pause(connection: Connection, person_id: int, *, reason: str, now: datetime) -> None:
    """Pause automation for one person in the caller's transaction and cancel what waits; a human's pause wins.

    Calls to the person that are under way have ended when this returns, and no further one begins.
    """
    wait_for_people(connection, [person_id])
    connection.execute(
        text(
            "update ledger.people set automation_paused_at = :now, automation_paused_reason = :reason "
            "where person_id = :id and (automation_paused_at is null or automation_paused_reason = any(:weaker))"
        ),
        {"now": now, "reason": reason, "id": person_id, "weaker": sorted({*OWN_WORDS} - {reason})},
    )
    cancel_waiting(connection, code=reason, at=now, person_id=person_id)


def resume(connection: Connection, person_id: int, *, by: str, now: datetime) -> bool:
    """Let automation speak to the person again; True when it was paused.

    Passages that waited go on, plans that ended stay ended. A refusal in the suppression list is not touched: resuming
    is no consent.
    """
    from leadpipe.outreach import events

    handoff.close(connection, [person_id], by=by, now=now)
    changed = connection.execute(
        text(
            "update ledger.people set automation_paused_at = null, automation_paused_reason = null "
            "where person_id = :id and automation_paused_at is not null"
        ),
        {"id": person_id},
    ).rowcount
    events.resume(connection, person_id, now=now)
    put_conversation(connection, person_id, state="open", awaits="lead", reason="resumed", now=now)
    return changed > 0


_LATER = text(
    "select p.person_id, p.automation_paused_at, (select q.value from ledger.qualifications q "
    "where q.person_id = p.person_id and q.key = 'timeline_months' order by q.at desc, q.id desc limit 1) as months "
    "from ledger.people p where p.automation_paused_reason = 'later' and p.automation_paused_at <= :since"
)
_LATER_LOCKED = text(f"{_LATER.text} order by p.person_id for no key update of p")


def count_due(connection: Connection, *, now: datetime) -> int:
    """Pauses of people who said "later" that are over."""
    return len(_over(connection.execute(_LATER, {"since": now - _MONTH}).all(), now))


def resume_due(engine: Engine, *, now: datetime) -> int:
    """End the pauses of people who said "later" once the time they named (or three months) has passed."""
    with engine.begin() as connection:
        due = _over(connection.execute(_LATER_LOCKED, {"since": now - _MONTH}).all(), now)
        for person_id in due:
            resume(connection, person_id, by="later_is_over", now=now)
    return len(due)


def _over(rows: Sequence[Any], now: datetime) -> list[int]:
    return [row.person_id for row in rows if row.automation_paused_at + later_for(row.months) <= now]


def later_for(months: str | None) -> timedelta:
    """How long to leave somebody alone who said later: one month at least, two years at most."""
    try:
        wanted = float(months) if months is not None else LATER_MONTHS
    except ValueError:
        wanted = LATER_MONTHS
    return _MONTH * min(max(wanted, 1.0), 24.0)


def put_conversation(
    connection: Connection,
    person_id: int,
    *,
    state: str,
    awaits: str,
    reason: str,
    now: datetime,
    turns: int | None = None,
    last_inbound_at: datetime | None = None,
) -> None:
    """Write where the conversation stands; ``since_at`` moves only when it awaits somebody else than before."""
    connection.execute(
        text(
            """
            insert into ledger.conversations as c (person_id, state, awaits, reason, turns, assigned_user_id, since_at,
              last_inbound_at, last_outbound_at, changed_at)
            select p.person_id, :state, :awaits, :reason, coalesce(:turns, 0), p.assigned_user_id, :now, :inbound,
              (select max(accepted_at) from ledger.messages m where m.person_id = p.person_id), :now
            from ledger.people p where p.person_id = :person
            on conflict (person_id) do update set state = excluded.state, awaits = excluded.awaits,
              reason = excluded.reason, turns = greatest(c.turns, excluded.turns),
              assigned_user_id = excluded.assigned_user_id,
              since_at = case when c.awaits = excluded.awaits and excluded.reason <> 'resumed' then c.since_at
                else excluded.since_at end,
              last_inbound_at = greatest(c.last_inbound_at, excluded.last_inbound_at),
              last_outbound_at = greatest(c.last_outbound_at, excluded.last_outbound_at),
              changed_at = excluded.changed_at
            """
        ),
        {
            "person": person_id,
            "state": state,
            "awaits": awaits,
            "reason": reason,
            "turns": turns,
            "inbound": last_inbound_at,
            "now": now,
        },
    )
