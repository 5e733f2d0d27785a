"""What people ask about their own data, with the law's clock (C33): from receipt until it was done.

What lives here: taking a request in, and which are open. What does not: doing it (``erase``, ``export``), telling a
request from a lead's words (``conversation.privacy_words``), the days (part ``privacy`` of the pack).

A request is an act of the audit log. From its receipt nothing goes to who asked to be deleted; an erasure, or an
export, that came after it answers it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.errors import Rejected
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.suppression import ALL, lock_point, suppress
from leadpipe.policy.deadlines import last_business_day
from leadpipe.policy.pack_file import load_pack
from leadpipe.privacy.subject import subject_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

ACT = "privacy_request"
Kind = Literal["delete", "export"]
_DONE = {"delete": "leadpipe person erase {} --yes", "export": "leadpipe person export {}"}
_OPEN = text(
    """
    select a.id, a.person_id, a.detail ->> 'kind' as kind, (a.detail ->> 'received_at')::timestamptz as received_at,
      (a.detail ->> 'acknowledge_by')::date as acknowledge_by, (a.detail ->> 'done_by')::date as done_by
    from ledger.acts a
    where a.kind = :act and not exists (
      select 1 from ledger.erasures e where a.detail ->> 'kind' = 'delete' and e.state = 'done'
        and a.person_id = any(e.person_ids) and e.done_at >= a.at
      union all
      select 1 from ledger.acts x where a.detail ->> 'kind' = 'export' and x.kind = 'export'
        and x.person_id = a.person_id and x.at >= a.at)
    order by done_by, a.id
    """
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One open request; the days are the team's own, the last that the law gives."""

    id: int
    person_id: int
    kind: str
    received_at: datetime
    acknowledge_by: date
    done_by: date

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)

    @property
    def command(self) -> str:
        """What answers it."""
        return _DONE[self.kind].format(self.person_id)


def receive(
    connection: Connection,
    person_id: int,
    *,
    kind: Kind,
    received_at: datetime,
    now: datetime,
    zone: str,
    inbound_id: int | None = None,
    actor: str | None = None,
) -> Request:
    """Take a request in; the same one that is still open is returned as it is.

    Args:
        connection: in the caller's transaction.
        person_id: any record of the person.
        kind: to be deleted, or told everything held.
        received_at: when it was made, which starts the clock; not after ``now``.
        now: when leadpipe learnt of it.
        zone: where the team's days begin.
        inbound_id: the message it stands in.
        actor: who took it in; None is who runs this process.

    Raises:
        Rejected: the ledger does not know the person, or ``received_at`` lies ahead.
    """
    if received_at > now:
        raise Rejected(f"a request is received by now; {received_at:%Y-%m-%d %H:%M} UTC lies ahead")
    subject = subject_of(connection, person_id)
    if kind == "delete":
        _silence(connection, [*subject.points, *subject.shared], subject.people, now, inbound_id)
    for known in open_requests(connection):
        if known.kind == kind and known.person_id in subject.people:
            return known
    limits = load_pack(now.date()).privacy
    acknowledge_by = last_business_day(received_at, limits.acknowledge_business_days, zone)
    done_by = received_at.astimezone(ZoneInfo(zone)).date() + timedelta(days=limits.done_days)
    detail: dict[str, Any] = {
        "kind": kind, "received_at": received_at, "acknowledge_by": acknowledge_by, "done_by": done_by,
    }  # fmt: skip
    act_id = acts.record(
        connection,
        kind=ACT,
        actor=actor,
        person_id=person_id,
        detail=detail | ({"inbound_id": inbound_id} if inbound_id is not None else {}),
        now=now,
    )
    made = Request(id=act_id, person_id=person_id, **detail)
    asks = "to be deleted" if kind == "delete" else "what is held about them"
    silent = " Nothing is sent to them any more." if kind == "delete" else ""
    raise_alert(
        connection,
        kind=ACT,
        dedupe_key=f"{ACT}:{act_id}",
        title=f"Person {person_id} asks {asks}",
        body=f"Tell them by {acknowledge_by} that you have it; the law's last day to do it is {done_by}: "
        f"`{made.command}`.{silent} `leadpipe conversation show {person_id}` shows what they wrote.",
        now=now,
        person_id=person_id,
    )
    return made


def _silence(
    connection: Connection,
    points: list[int],
    people: tuple[int, ...],
    now: datetime,
    inbound_id: int | None,
) -> None:
    """Nothing goes to any address of theirs from here on, and what waits is cancelled."""
    from leadpipe.crm.sweep import end_plans

    lock_point(connection, points)
    # As of now, so that no refusal of meanwhile, which a START takes back, is the newest.
    for point in sorted(points):
        suppress(connection, contact_point_id=point, channels=[ALL], source=ACT, at=now, now=now, inbound_id=inbound_id)
    end_plans(connection, people, reason=ACT, now=now)


def open_requests(connection: Connection) -> list[Request]:
    """Requests that nothing has answered yet, the most urgent first."""
    return [Request(**row) for row in connection.execute(_OPEN, {"act": ACT}).mappings()]
