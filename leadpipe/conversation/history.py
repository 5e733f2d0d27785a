"""One conversation told in order, for a person who wants to see it.

What lives here: turns of both sides, where it stands, what is known. What does not: printing (``cli.conversation``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class Line:
    """One message. ``who`` is ``lead`` or ``us``; ``what`` the lead's intent, or the state of ours."""

    at: datetime
    who: str
    channel: str
    words: str
    what: str
    by: str


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Everything about one person's conversation."""

    person_id: int
    state: str
    awaits: str
    reason: str
    since_at: datetime | None
    paused_by: str
    handoff: str
    facts: tuple[tuple[str, str, str], ...]
    suppressed: tuple[str, ...]
    lines: tuple[Line, ...]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


_STANDING = text(
    """
    -- A reply that nobody has read yet awaits the assistant, as in conversation.queue.
    with unread as (
      select min(received_at) as since_at from ledger.inbound_messages where read_at is null and person_id = :person
    )
    select p.person_id, case when u.since_at is not null then 'unread' else coalesce(c.state, 'none') end as state,
      case when u.since_at is not null then 'assistant' else coalesce(c.awaits, 'nobody') end as awaits,
      case when u.since_at is not null then 'a reply is not read yet' else coalesce(c.reason, '') end as reason,
      coalesce(u.since_at, c.since_at) as since_at,
      case when p.automation_paused_at is not null then coalesce(p.automation_paused_reason, 'paused') else '' end
        as paused_by,
      coalesce((select h.reason from ledger.handoffs h where h.person_id = p.person_id and h.closed_at is null), '')
        as handoff
    from ledger.people p left join ledger.conversations c using (person_id) cross join unread u
    where p.person_id = :person
    """
)
_LINES = text(
    """
    select received_at as at, 'lead' as who, channel, body as words, coalesce(intent, 'unread') as what,
      coalesce(reader, '') as by
    from ledger.inbound_messages where person_id = :person
    union all
    select coalesce(accepted_at, created_at), 'us', channel,
      case when plan = 'conversation' then coalesce(evidence -> 'variables' ->> 'words', body)
        else left(split_part(body, E'\\n\\n', 1) || E'\\n' || split_part(body, E'\\n\\n', 2), 400) end,
      state || coalesce(' (' || code || ')', ''), plan || '/' || step
    from ledger.messages where person_id = :person
    order by 1
    """
)
_FACTS = text(
    "select distinct on (key) key, value, sentence from ledger.qualifications where person_id = :person "
    "order by key, at desc, id desc"
)


def told(connection: Connection, person_id: int) -> Conversation | None:
    """The conversation with a person; None when the ledger does not know them."""
    from leadpipe.conversation import match
    from leadpipe.messaging import suppression

    standing = connection.execute(_STANDING, {"person": person_id}).mappings().one_or_none()
    if standing is None:
        return None
    points = match.points_of(connection, person_id)
    active = suppression.active(connection, list(points))
    return Conversation(
        **standing,
        facts=tuple((row.key, row.value, row.sentence) for row in connection.execute(_FACTS, {"person": person_id})),
        suppressed=tuple(sorted({channel for channels in active.values() for channel in channels})),
        lines=tuple(Line(**row) for row in connection.execute(_LINES, {"person": person_id}).mappings()),
    )
