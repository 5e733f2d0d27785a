"""Opt-outs that the CRM knows of: its own unsubscribe link, its spam reports, its ``Unsubscribed`` events.

What lives here: such a record -> suppressions. What does not: the list itself (``messaging.suppression``), words in a
reply (``conversation``). Facts: FUB sheet 4.5, which lists these as the only signals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.crm.values import read_id, read_time
from leadpipe.leads.identity import normalise_email
from leadpipe.messaging.suppression import lock_point, suppress
from leadpipe.messaging.under_way import AT_ONCE

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Row = dict[str, Any]
# Person, source, the address named if any, when, the event's id.
_Wanted = tuple[int, str, str, datetime, "int | None"]
# Marketing-mail events that end email, and the source each suppression names.
KINDS = {"unsubscribe": "fub_unsubscribe", "spamreport": "fub_spam_report"}
EVENT_TYPE = "Unsubscribed"

_POINTS = text(
    """
    select own.person_id, c.id, c.address
    from ledger.person_contact_points own join ledger.contact_points c on c.id = own.contact_point_id
    where own.person_id = any(:people) and c.kind = 'email' and own.detached_reason is distinct from 'wrong_number'
    order by c.id
    """
)


def store_em_events(engine: Engine, rows: Iterable[Row], *, now: datetime) -> int:
    """Suppress email for the person of each event: the address it names, else every address they have.

    Returns how many suppressions are new. Events of people unknown to us, or without a person, change nothing.
    """
    wanted = [
        (int(row["personId"]), KINDS[str(row["type"])], str(row.get("recipient") or ""), _at(row, now), read_id(row))
        for row in rows
        if row.get("type") in KINDS and str(row.get("personId") or "").isdigit()
    ]
    return _suppress(engine, wanted, now=now)


def store_lead_events(engine: Engine, rows: Iterable[Row], *, now: datetime) -> int:
    """The same for lead events of type ``Unsubscribed``; returns how many suppressions are new."""
    wanted = [
        (int(row["personId"]), "fub_unsubscribed_event", "", _at(row, now), read_id(row))
        for row in rows
        if row.get("type") == EVENT_TYPE and str(row.get("personId") or "").isdigit()
    ]
    return _suppress(engine, wanted, now=now)


def _suppress(engine: Engine, wanted: Sequence[_Wanted], *, now: datetime) -> int:
    return sum(
        _suppress_some(engine, wanted[start : start + AT_ONCE], now=now) for start in range(0, len(wanted), AT_ONCE)
    )


def _suppress_some(engine: Engine, wanted: Sequence[_Wanted], *, now: datetime) -> int:
    with engine.begin() as connection:
        before = _count(connection)
        points = connection.execute(_POINTS, {"people": sorted({each[0] for each in wanted})}).all()
        lock_point(connection, [point.id for point in points])
        for person_id, source, recipient, at, event_id in sorted(wanted, key=lambda each: each[0]):
            named = normalise_email(recipient).address if recipient else ""
            own = [point for point in points if point.person_id == person_id]
            for point in [p for p in own if p.address == named] or own:
                suppress(
                    connection,
                    contact_point_id=point.id,
                    channels=("email",),
                    source=source,
                    at=at,
                    now=now,
                    person_id=person_id,
                    evidence={"fub_event_id": event_id},
                )
        return _count(connection) - before


def _count(connection: Connection) -> int:
    # Within one transaction, and by source: what others write meanwhile does not show in the difference that matters.
    sources = [*KINDS.values(), "fub_unsubscribed_event"]
    return int(
        connection.execute(
            text("select count(*) from ledger.suppressions where source = any(:sources)"), {"sources": sources}
        ).scalar_one()
    )


def _at(row: Row, now: datetime) -> datetime:
    try:
        return read_time(row.get("occurred") or row.get("created")) or now
    except ValueError:
        return now
