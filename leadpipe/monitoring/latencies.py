"""How long things took lately: webhooks to arrive, and each hop of a first touch.

What lives here: two measurements over the last hour and their quantiles. What does not: counts of what waits
(``figures``). Grain: one value per notice, and one per hop of a first message.

The hops of a first touch, each from the moment before it:

    receipt    the CRM's event -> its notice stored by the gateway (no notice came: the poll found it, no value)
    read       stored -> the person read from the CRM and stored
    plan       read -> the passage through the plan opened
    gate       passage opened -> the first verdict on its message
    accepted   verdict -> the provider took it
    delivered  taken -> the provider reported its delivery
    total      the CRM's event -> the provider took it
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

WINDOW = timedelta(hours=1)
QUANTILES = (0.5, 0.95, 1.0)
HOPS = ("receipt", "read", "plan", "gate", "accepted", "delivered", "total")
# The newest rows tell how late webhooks are now; a burst need not be read whole.
MAX_NOTICES = 2_000
MAX_TOUCHES = 2_000
Seconds = dict[str, list[float]]

# Bounded by id, so that a source that has fallen silent is not searched for through all history.
_NOTICES = text(
    """
    select kind, body, received_at from ledger.inbox
    where id > (select coalesce(max(id), 0) - 4 * :most from ledger.inbox)
      and source = 'fub' and received_at > :since
    order by id desc limit :most
    """
)
# A person who was just created waits since then; one who was there before, since they asked again.
_TOUCHES = text(
    """
    with recent as (
      select m.id, m.person_id, m.enrolment_id, m.accepted_at, e.opened_at,
        (e.context ->> 'event_id')::bigint as event_id,
        row_number() over (partition by m.enrolment_id order by m.accepted_at) as nth
      from ledger.messages m
      join ledger.enrolments e on e.id = m.enrolment_id
      where m.id in (select message_id from ledger.attempts where started_at > :since)
        and m.plan = 'new_lead' and m.accepted_at is not null
      order by m.accepted_at desc limit :most
    )
    select r.person_id, r.event_id, r.opened_at, r.accepted_at,
      case when r.opened_at > p.crm_created_at + interval '1 day'
        then coalesce(i.occurred_at, r.opened_at) else p.crm_created_at end as asked_at,
      case when r.opened_at > p.crm_created_at + interval '1 day'
        then i.first_seen_at else p.first_seen_at end as read_at,
      (select min(v.judged_at) from ledger.verdicts v where v.message_id = r.id) as judged_at,
      (select min(v.at) from ledger.message_events v where v.message_id = r.id and v.to_state = 'delivered')
        as delivered_at
    from recent r
    join ledger.people p on p.person_id = r.person_id
    left join ledger.inquiries i on i.event_id = r.event_id
    where r.nth = 1
    """
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One notice of the CRM: of what, when it happened there and when it was stored here."""

    kind: str
    ids: tuple[int, ...]
    happened_at: datetime
    received_at: datetime

    @property
    def lag_seconds(self) -> float:
        """How long it took. The CRM tells whole seconds, so this is up to a second too long."""
        return (self.received_at - self.happened_at).total_seconds()


def first_touch_hops(connection: Connection, arrivals: Iterable[Arrival], *, now: datetime) -> Seconds:
    """Seconds of each hop of the first messages whose calls began within the last hour, by hop."""
    receipts: dict[tuple[str, int], datetime] = {}
    for arrival in arrivals:
        # Newest first: a repetition of the same notice gives way to what came before it.
        receipts.update({(arrival.kind, each): arrival.received_at for each in arrival.ids})
    found: Seconds = {hop: [] for hop in HOPS}
    for row in connection.execute(_TOUCHES, {"since": now - WINDOW, "most": MAX_TOUCHES}).mappings():
        for hop, seconds in _hops({str(name): value for name, value in row.items()}, receipts):
            found[hop].append(seconds)
    return found


def arrivals(connection: Connection, *, now: datetime) -> list[Arrival]:
    """The newest notices of the last hour that tell when they happened, newest first."""
    rows = connection.execute(_NOTICES, {"since": now - WINDOW, "most": MAX_NOTICES})
    found: list[Arrival] = []
    for kind, body, received_at in rows:
        try:
            notice = json.loads(bytes(body))
            notice = notice[0] if isinstance(notice, list) else notice
            created = datetime.fromisoformat(notice["eventCreated"])
            ids = tuple(int(each) for each in notice.get("resourceIds") or ())
        except (ValueError, KeyError, TypeError, IndexError):
            continue  # stored all the same, and shown by the inbox; it has no time to measure from
        if created.tzinfo is not None:
            found.append(Arrival(kind=kind, ids=ids, happened_at=created, received_at=received_at))
    return found


def _hops(row: Mapping[str, Any], receipts: Mapping[tuple[str, int], datetime]) -> Iterable[tuple[str, float]]:
    received = [
        receipts[key]
        for key in (("peopleCreated", row["person_id"]), ("eventsCreated", row["event_id"] or 0))
        if key in receipts
    ]
    moments: Sequence[tuple[str, datetime | None]] = (
        ("receipt", min(received, default=None)),
        ("read", row["read_at"]),
        ("plan", row["opened_at"]),
        ("gate", row["judged_at"]),
        ("accepted", row["accepted_at"]),
        ("delivered", row["delivered_at"]),
    )
    before = row["asked_at"]
    for hop, moment in moments:
        if moment is None:
            continue
        if hop != "read" or received:
            yield hop, max(0.0, (moment - before).total_seconds())
        before = moment
    yield "total", max(0.0, (row["accepted_at"] - row["asked_at"]).total_seconds())


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that ``share`` of them do not pass; never one between two."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
