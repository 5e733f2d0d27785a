"""Whose message an inbound one is: the contact point, our message it answers, the person.

What lives here: looking up and, for a stranger's address, creating the contact point. What does not: what the message
means (``classify``) or does (``effects``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.leads.identity import normalise_email

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class OurMessage:
    """The message of ours that an inbound one answers."""

    id: str
    person_id: int
    contact_point_id: int


def contact_point_id(connection: Connection, channel: str, address: str, *, now: datetime) -> int:
    """The row of this normalised address; a stranger's gets one, so that their STOP holds too."""
    kind = "email" if channel == "email" else "phone"
    point = normalise_email(address) if kind == "email" else None
    connection.execute(
        text(
            "insert into ledger.contact_points (kind, address, is_relay, is_role, created_at) "
            "values (:kind, :address, :relay, :role, :now) on conflict (kind, address) do nothing"
        ),
        {
            "kind": kind,
            "address": address,
            "relay": point is not None and point.is_relay,
            "role": point is not None and point.is_role,
            "now": now,
        },
    )
    return connection.execute(
        text("select id from ledger.contact_points where kind = :kind and address = :address"),
        {"kind": kind, "address": address},
    ).scalar_one()


def our_message(connection: Connection, message_id: str | None) -> OurMessage | None:
    """The message answered, by our id; None when it names none of ours."""
    if not message_id:
        return None
    row = connection.execute(
        text("select id::text as id, person_id, contact_point_id from ledger.messages where id = cast(:id as uuid)"),
        {"id": message_id},
    ).one_or_none()
    return OurMessage(id=row.id, person_id=row.person_id, contact_point_id=row.contact_point_id) if row else None


_CANONICAL = text(
    """
    with recursive chain as (
      select person_id, merged_into, 0 as hops from ledger.people where person_id = :id
      union all
      select p.person_id, p.merged_into, c.hops + 1 from chain c
      join ledger.people p on p.person_id = c.merged_into where c.hops < 10
    ) select person_id from chain where merged_into is null limit 1
    """
)
# The person we wrote to last at this address; else the one the CRM has had longest. A number that the CRM has dropped
# still names its owner; one that was called wrong does not.
_OWNER = text(
    """
    select own.person_id
    from ledger.person_contact_points own
    join ledger.people p using (person_id)
    left join lateral (
      select max(m.accepted_at) as at from ledger.messages m
      where m.person_id = own.person_id and m.contact_point_id = own.contact_point_id
    ) written on true
    where own.contact_point_id = :point and (own.detached_at is null or own.detached_reason = 'gone_from_crm')
    order by own.detached_at is not null, p.merged_into is not null or p.deleted_at is not null,
      written.at desc nulls last, p.crm_created_at, own.person_id
    limit 1
    """
)


def canonical(connection: Connection, person_id: int) -> int:
    """The person this one was merged into, or the same."""
    return connection.execute(_CANONICAL, {"id": person_id}).scalar() or person_id


def owner(connection: Connection, contact_point_id: int, answered: OurMessage | None) -> int | None:
    """Who wrote: the person of the message answered, else the address's owner; None for a stranger."""
    person_id = answered.person_id if answered else None
    if person_id is None:
        person_id = connection.execute(_OWNER, {"point": contact_point_id}).scalar()
    return canonical(connection, person_id) if person_id is not None else None


def points_of(connection: Connection, person_id: int) -> dict[int, str]:
    """The person's contact points and their kind, detached ones left out."""
    rows = connection.execute(
        text(
            "select c.id, c.kind from ledger.person_contact_points own "
            "join ledger.contact_points c on c.id = own.contact_point_id "
            "where own.person_id = :person and own.detached_at is null"
        ),
        {"person": person_id},
    )
    return {row.id: row.kind for row in rows}
