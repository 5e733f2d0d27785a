"""The revocation clock: from a person's own refusal until nothing goes to them any more (C7).

What lives here: measuring the last day's refusals, and finding what may still hold one. What does not: obeying a
refusal (``messaging.suppression``), telling people (``work.watch``), the limits (part ``revocation`` of the pack).

A refusal by webhook takes a second; one in free words until it is read, one that an agent notes in the CRM, or whose
webhook was lost, until the next poll. Meanwhile an unread answer holds everything to that person. Facts about an
address (bounces, wrong numbers) are no refusals, and what was said before the address was known here, or before
leadpipe went live, says nothing about its speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.errors import ConfigurationError
from leadpipe.policy.deadlines import last_business_day
from leadpipe.policy.pack_file import load_pack

if TYPE_CHECKING:
    from sqlalchemy import Connection

WINDOW = timedelta(days=1)
# Sources of refusals that a person made, by whatever way; the others are facts or lists.
BY_PERSON = (
    "stop_keyword", "phrase", "model", "21610", "63014", "one_click", "preference_page", "agent_note", "agent_call",
    "agent_tag", "crm_text", "unsubscribe", "fub_unsubscribe", "fub_unsubscribed_event", "fub_spam_report",
)  # fmt: skip
_MEASURED = text(
    """
    select s.id, s.person_id, s.source, s.at, extract(epoch from s.recorded_at - s.at)::float8 as seconds
    from ledger.suppressions s join ledger.contact_points c on c.id = s.contact_point_id
    where s.recorded_at > :since and s.action = 'suppress' and s.source = any(:sources) and s.at >= c.created_at
      and s.at >= coalesce(
        (select (value ->> 'at')::timestamptz from ledger.controls where key = 'go_live'), '-infinity')
    order by seconds desc, s.id
    """
)
# An answer nobody has read, or a notice whose effect failed, may be a refusal.
_UNREAD = text(
    """
    select 'message' as what, id, received_at as at from ledger.inbound_messages
    where read_at is null and not is_auto_reply and received_at <= :before
    union all
    select 'notice', id, received_at from ledger.inbox
    where state = 'new' and source in ('twilio_inbound', 'ses_inbound') and received_at <= :before
    order by at, id
    """
)


@dataclass(frozen=True, kw_only=True)
class Late:
    """One refusal that took too long, or may be taking too long.

    Attributes:
        what: ``refusal``, ``message`` (unread) or ``notice`` (not applied), with its id in the ledger.
        last_day: the last day the law gives.
    """

    what: str
    id: int
    person_id: int | None
    source: str
    at: datetime
    seconds: float
    last_day: date


@dataclass(frozen=True, kw_only=True)
class Revocations:
    """How fast the last day's refusals were obeyed, and what may still be one.

    Attributes:
        slowest_seconds: None when there was none.
        late: those over the limit that people are told of, the slowest first.
        waiting: unread for longer than that limit, the oldest first.
    """

    count: int
    count_within_target: int
    slowest_seconds: float | None
    target_seconds: int
    alert_minutes: int
    late: tuple[Late, ...]
    waiting: tuple[Late, ...]

    @property
    def words(self) -> str:
        """The figure in words."""
        if self.slowest_seconds is None:
            return "no refusal within a day"
        return (
            f"{self.count_within_target} of {self.count} refusals of the last day obeyed within {self.target_seconds} "
            f"s, the slowest after {self.slowest_seconds:.0f} s"
        )


def measure(connection: Connection, *, now: datetime, zone: str) -> Revocations:
    """Measure the last day; ``zone`` is where a business day begins.

    Raises:
        ConfigurationError: the policy pack of the day has no part ``revocation``.
    """
    limits = load_pack(now.date()).revocation
    if limits is None:
        raise ConfigurationError(f"the policy pack of {now:%Y-%m-%d} has no part revocation; add it")
    found = connection.execute(_MEASURED, {"since": now - WINDOW, "sources": list(BY_PERSON)}).all()
    unread = connection.execute(_UNREAD, {"before": now - timedelta(minutes=limits.alert_minutes)}).all()

    def late(what: str, row_id: int, at: datetime, seconds: float, person_id: int | None, source: str) -> Late:
        last_day = last_business_day(at, limits.legal_business_days, zone)
        return Late(what=what, id=row_id, person_id=person_id, source=source, at=at, seconds=seconds, last_day=last_day)

    return Revocations(
        count=len(found),
        count_within_target=sum(row.seconds <= limits.target_seconds for row in found),
        slowest_seconds=max(0.0, found[0].seconds) if found else None,
        target_seconds=limits.target_seconds,
        alert_minutes=limits.alert_minutes,
        late=tuple(
            late("refusal", row.id, row.at, row.seconds, row.person_id, row.source)
            for row in found
            if row.seconds > limits.alert_minutes * 60
        ),
        waiting=tuple(late(row.what, row.id, row.at, (now - row.at).total_seconds(), None, "") for row in unread),
    )
