"""Suppressions: who must not be reached, by which channel, since when, and how START lifts one.

What lives here: the append-only list, its meaning, and its effect on what waits. What does not: reading an opt-out out
of words (``conversation.optout``), the judging of a message (``gate``).

The newest row of (contact point, channel or ``all``) decides, by the lead's own moment. Every writer first waits until
no call to the contact point is under way and locks its row; the claim takes the same locks (design section 5), so a
suppression and a send have an order, and no call begins after the suppression's commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.crm.optout_tags import journal_tag
from leadpipe.messaging.protocol import Cancelled, cancel_waiting
from leadpipe.messaging.under_way import wait_until_ended

if TYPE_CHECKING:
    from sqlalchemy import Connection

ALL = "all"
# A STOP by text ends every telephone channel of the account; email stays unless the words say so (C9).
PHONE_CHANNELS = ("sms", "whatsapp")
# Only a refusal that the person made can be taken back by the person. A bounce or a wrong number is a fact.
LIFTABLE_SOURCES = frozenset(
    {
        "stop_keyword", "phrase", "model", "21610", "63014", "one_click", "preference_page", "agent_note", "agent_call",
        "crm_text", "agent_tag",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """One active suppression of a contact point."""

    contact_point_id: int
    channel: str
    source: str
    at: datetime


def lock_point(connection: Connection, contact_point_ids: Iterable[int], *, waits: bool = True) -> None:
    """Lock these contact points until the transaction ends, in id order, so that two lockers never deadlock.

    Calls to them that are under way have ended when this returns (``under_way``), unless the caller ``waits`` for none:
    a sender's loop, whose own calls would wait for it.
    """
    ids = sorted(set(contact_point_ids))
    if waits:
        wait_until_ended(connection, ids)
    connection.execute(
        text("select id from ledger.contact_points where id = any(:ids) order by id for no key update"), {"ids": ids}
    )


def active(connection: Connection, contact_point_ids: Sequence[int]) -> dict[int, dict[str, Suppression]]:
    """Active suppressions by contact point and channel (``email``, ``sms``, ``whatsapp``); no entry means none."""
    rows = connection.execute(
        text(
            "select contact_point_id, channel, action, source, at from ledger.suppressions "
            "where contact_point_id = any(:ids) order by at, id"
        ),
        {"ids": list(set(contact_point_ids))},
    )
    found: dict[int, dict[str, Suppression]] = {}
    for row in rows:
        channels = ("email", *PHONE_CHANNELS) if row.channel == ALL else (row.channel,)
        point = found.setdefault(row.contact_point_id, {})
        for channel in channels:
            if row.action == "suppress":
                point[channel] = Suppression(
                    contact_point_id=row.contact_point_id, channel=channel, source=row.source, at=row.at
                )
            else:
                point.pop(channel, None)
    return {point: channels for point, channels in found.items() if channels}


def last_id(connection: Connection) -> int:
    """The newest row of all; whoever holds a contact point's lock knows that its later rows are newer."""
    return int(connection.execute(text("select coalesce(max(id), 0) from ledger.suppressions")).scalar_one())


def suppress(
    connection: Connection,
    *,
    contact_point_id: int,
    channels: Sequence[str],
    source: str,
    at: datetime,
    now: datetime,
    person_id: int | None = None,
    inbound_id: int | None = None,
    evidence: Mapping[str, Any] | None = None,
    waits: bool = True,
) -> list[Cancelled]:
    """Suppress the point on these channels, for every person and plan, and cancel all that waits there.

    A channel that is already suppressed gets no second row, unless this one cannot be taken back and that one can; what
    waits is cancelled all the same. A refusal that the
    CRM cannot know of is journalled as a tag there. ``source`` is
    ``stop_keyword``, ``phrase``, ``model``, ``21610``, ``bounce``, ``complaint``, ``one_click`` ...; ``at`` is the
    lead's own moment (a late webhook tells of an earlier STOP), ``now`` when leadpipe learnt of it; ``waits`` as in
    ``lock_point``.
    """
    lock_point(connection, [contact_point_id], waits=waits)
    known = active(connection, [contact_point_id]).get(contact_point_id, {})
    fresh = [c for c in channels if not _covers(known, c, source)]
    _append(
        connection,
        contact_point_id,
        fresh,
        "suppress",
        source,
        at=at,
        now=now,
        person_id=person_id,
        inbound_id=inbound_id,
        evidence=evidence,
    )
    # Also when the channel was off already: a complaint after an unsubscribe is news to the team.
    journal_tag(connection, contact_point_id=contact_point_id, source=source, now=now)
    affected = None if ALL in channels else list(channels)
    return cancel_waiting(
        connection, code=f"suppressed_{source}", at=now, contact_point_id=contact_point_id, channels=affected
    )


def _covers(known: Mapping[str, Suppression], channel: str, source: str) -> bool:
    """Whether what is known would outlast a START as well: what nobody can take back is more than a refusal."""
    wanted = ("email", *PHONE_CHANNELS) if channel == ALL else (channel,)
    return all(
        each in known and (source in LIFTABLE_SOURCES or known[each].source not in LIFTABLE_SOURCES) for each in wanted
    )


def lift(
    connection: Connection,
    *,
    contact_point_id: int,
    channel: str,
    at: datetime,
    now: datetime,
    source: str = "start_keyword",
    person_id: int | None = None,
    inbound_id: int | None = None,
) -> bool:
    """START: restore the one channel it arrived on (C10). True when there was something to lift.

    Bounces, complaints and wrong numbers stay; so does a refusal newer than ``at``.
    """
    lock_point(connection, [contact_point_id])
    known = active(connection, [contact_point_id]).get(contact_point_id, {}).get(channel)
    if known is None or known.source not in LIFTABLE_SOURCES or known.at > at:
        return False
    _append(
        connection,
        contact_point_id,
        [channel],
        "lift",
        source,
        at=at,
        now=now,
        person_id=person_id,
        inbound_id=inbound_id,
        evidence=None,
    )
    return True


def detach(
    connection: Connection, *, contact_point_id: int, reason: str, now: datetime, waits: bool = True
) -> list[int]:
    """Take the point from every person who has it (wrong number, C20) and return those people's ids.

    The people stay and their other contact points too; a later CRM sync does not attach it again.
    """
    lock_point(connection, [contact_point_id], waits=waits)
    rows = connection.execute(
        text(
            "update ledger.person_contact_points set detached_at = :now, detached_reason = :reason "
            "where contact_point_id = :id and (detached_at is null or detached_reason = 'gone_from_crm') "
            "returning person_id"
        ),
        {"now": now, "reason": reason, "id": contact_point_id},
    )
    return sorted(row[0] for row in rows)


def wrong_number(
    connection: Connection,
    *,
    contact_point_id: int,
    source: str,
    at: datetime,
    now: datetime,
    inbound_id: int | None = None,
    waits: bool = True,
) -> list[int]:
    """A number that is not theirs: suppressed on every phone channel and detached from all people (C20)."""
    suppress(
        connection,
        contact_point_id=contact_point_id,
        channels=PHONE_CHANNELS,
        source=source,
        at=at,
        now=now,
        inbound_id=inbound_id,
        waits=waits,
    )
    return detach(connection, contact_point_id=contact_point_id, reason="wrong_number", now=now, waits=waits)


def _append(
    connection: Connection,
    contact_point_id: int,
    channels: Sequence[str],
    action: str,
    source: str,
    *,
    at: datetime,
    now: datetime,
    person_id: int | None,
    inbound_id: int | None,
    evidence: Mapping[str, Any] | None,
) -> None:
    if not channels:
        return
    connection.execute(
        text(
            "insert into ledger.suppressions (contact_point_id, channel, action, source, person_id, inbound_id, "
            "evidence, at, recorded_at) values (:point, :channel, :action, :source, :person, :inbound, "
            "cast(:evidence as jsonb), :at, :now)"
        ),
        [
            {
                "point": contact_point_id,
                "channel": channel,
                "action": action,
                "source": source,
                "person": person_id,
                "inbound": inbound_id,
                "evidence": json.dumps(dict(evidence or {}), default=str),
                "at": at,
                "now": now,
            }
            for channel in channels
        ],
    )
