"""What may have gone out already, from an installation whose last hours this ledger does not know.

What lives here: which waiting messages are in doubt after a take-over, and the passages whose steps are. What does not:
taking over (``take_over``), what becomes of a message in doubt (it waits for a person's release, ``batch``).

The gap begins where the ledger ends and is over when the former installation certainly sent nothing any more. In doubt
is what it may have sent in between:

- what waited already and was due before the silence;
- every step of a passage that had one due before the silence, until a person releases one of them;
- what is made anew, while catching up, for people who were there before the silence: the former may have made the same;
- for as many nights as lie in the gap, what is made anew after that too: it may have planned those nights, whose people
  come first again. What the person asked for since is not in doubt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

# The reason that a message in doubt keeps while it waits for a person.
CODE = "restored"
# What a person asked for by writing to us; whoever wrote before the silence was read while catching up.
ANSWERS = ("conversation", "optout_confirmation")
# In the context of an enrolment: its steps are in doubt.
PASSAGE_KEY = "in_doubt"
# The nightly run is over by this hour of the team's day; a gap that contains it contains a planned night.
NIGHT_ENDS_HOUR = 6
NIGHTLY = timedelta(hours=24)
# No passage in doubt asks a person for longer.
LONGEST = timedelta(days=60)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)

_IN_DOUBT = text(
    """
    select m.id::text from ledger.messages m
    join ledger.people p on p.person_id = m.person_id
    left join ledger.enrolments e on e.id = m.enrolment_id
    where m.id = any(cast(:ids as uuid[]))
      and (
        (m.created_at <= :taken_at and m.due_at < :until)
        or coalesce(e.context ? :passage_key, false)
        or (m.created_at > :taken_at and m.created_at <= :ends_at and p.crm_created_at < :until
            and (m.created_at <= :caught_up_at or m.purpose <> all(:answers))
            and not exists (
              select 1 from ledger.inquiries i where i.person_id = m.person_id and i.occurred_at >= :until)))
      and not exists (select 1 from ledger.message_events v where v.message_id = m.id and v.event = 'release')
    """
)
_DOUBT_PASSAGES = text(
    """
    update ledger.enrolments set context = context || jsonb_build_object(cast(:passage_key as text), true)
    where state in ('open', 'paused') and (next_due_at is null or next_due_at < :until)
    """
)
_SETTLE_PASSAGES = text(
    """
    update ledger.enrolments e set context = e.context - cast(:passage_key as text)
    from ledger.messages m
    where m.id = any(cast(:ids as uuid[])) and e.id = m.enrolment_id and e.context ? :passage_key
      and exists (select 1 from ledger.message_events v where v.message_id = m.id and v.event = 'release')
    """
)


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """The gap of one take-over.

    Attributes:
        since: where the ledger that was taken over ends.
        until: from when on the former installation certainly sent nothing.
        taken_at: when the right was taken.
        caught_up_at: when all from outside had been read again; None while it has not.
        nights: nightly runs that lie in the gap.
    """

    since: datetime
    until: datetime
    taken_at: datetime
    caught_up_at: datetime | None
    nights: int

    @property
    def ends_at(self) -> datetime:
        """Until when messages made anew are in doubt."""
        return self.caught_up_at + NIGHTLY * self.nights if self.caught_up_at is not None else NEVER

    def is_over(self, now: datetime) -> bool:
        """Whether nothing of it is left to look for."""
        return self.caught_up_at is not None and now > self.ends_at + LONGEST


def nights_between(since: datetime, until: datetime, zone: str) -> int:
    """How many nightly runs the team's calendar has between two moments."""

    def night(at: datetime) -> int:
        return (at.astimezone(ZoneInfo(zone)) - timedelta(hours=NIGHT_ENDS_HOUR)).date().toordinal()

    return max(night(until) - night(since), 0)


def in_doubt(connection: Connection, message_ids: Sequence[str], doubt: Doubt | None, *, now: datetime) -> set[str]:
    """Those of these messages that must wait for a person; what a person released is in doubt no more."""
    if doubt is None or not message_ids or doubt.is_over(now):
        return set()
    return set(connection.execute(_IN_DOUBT, _parameters(doubt) | {"ids": list(message_ids)}).scalars())


def settle_passages(connection: Connection, message_ids: Collection[str], doubt: Doubt | None) -> None:
    """End the doubt about passages of which a person has released a message: the next steps leave by themselves."""
    if doubt is not None and message_ids:
        connection.execute(_SETTLE_PASSAGES, {"ids": list(message_ids), "passage_key": PASSAGE_KEY})


def doubt_passages(connection: Connection, *, until: datetime) -> int:
    """Put every passage in doubt that has a step due before ``until``; returns how many."""
    return connection.execute(_DOUBT_PASSAGES, {"until": until, "passage_key": PASSAGE_KEY}).rowcount


def _parameters(doubt: Doubt) -> dict[str, Any]:
    return {
        "taken_at": doubt.taken_at,
        "until": doubt.until,
        "caught_up_at": doubt.caught_up_at or doubt.ends_at,
        "ends_at": doubt.ends_at,
        "answers": list(ANSWERS),
        "passage_key": PASSAGE_KEY,
    }
