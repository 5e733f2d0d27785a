"""Refusals carried out: which addresses a STOP, a complaint or a wrong number reaches, and ending contact there.

What lives here: from a turn to suppressions. What does not: telling a refusal (``optout``, ``classify``), the list
itself (``messaging.suppression``), plans and the CRM (``effects``).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.conversation import match
from leadpipe.conversation.classify import Reading
from leadpipe.conversation.optout import Words, covered, scope_of
from leadpipe.conversation.turn import Turn
from leadpipe.messaging import suppression

if TYPE_CHECKING:
    from sqlalchemy import Connection


def points_of(connection: Connection, turn: Turn) -> set[int]:
    """Addresses the turn may concern: those it came by, those our answered messages went to, the person's own."""
    points = {message.contact_point_id for message in turn.messages}
    for message in turn.messages:
        answered = match.our_message(connection, message.in_reply_to)
        if answered is not None:
            points.add(answered.contact_point_id)
    if turn.person_id is not None:
        points |= match.points_of(connection, turn.person_id).keys()
    return points


def suppress(connection: Connection, turn: Turn, reading: Reading, words: Words | None, *, now: datetime) -> None:
    """End contact on every address the refusal reaches: the one it came by, and the person's others of that kind."""
    newest = turn.newest
    source = words.source if words is not None else "model"
    if reading.intent == "wrong_number":
        _wrong_number(connection, turn, now)
        return
    scope = "all" if reading.intent == "complaint" else words.scope if words is not None else scope_of(turn.text)
    channels = covered(scope, newest.channel)
    kinds = _kinds(connection, points_of(connection, turn))
    wanted = {
        point: channels
        for point, kind in kinds.items()
        if channels == (suppression.ALL,) or (kind == "email") == (channels == ("email",))
    }
    if not wanted:
        # The words name a kind of address we do not have: then they mean the one they came by.
        wanted = {newest.contact_point_id: (suppression.ALL,)}
    for point, covers in sorted(wanted.items()):
        suppression.suppress(
            connection,
            contact_point_id=point,
            channels=covers,
            source=source,
            at=newest.received_at,
            now=now,
            person_id=turn.person_id,
            inbound_id=turn.id,
            evidence={"inbound_ids": turn.ids, "intent": reading.intent, "reader": reading.reader, "scope": scope},
        )


def end_contact(connection: Connection, turn: Turn, *, source: str, now: datetime) -> None:
    """End contact by every channel, on every address the turn may concern."""
    for point in sorted(points_of(connection, turn)):
        suppression.suppress(
            connection,
            contact_point_id=point,
            channels=(suppression.ALL,),
            source=source,
            at=turn.newest.received_at,
            now=now,
            person_id=turn.person_id,
            inbound_id=turn.id,
        )


def _kinds(connection: Connection, points: set[int]) -> dict[int, str]:
    rows = connection.execute(
        text("select id, kind from ledger.contact_points where id = any(:ids)"), {"ids": sorted(points)}
    )
    return {row.id: row.kind for row in rows}


def _wrong_number(connection: Connection, turn: Turn, now: datetime) -> None:
    newest = turn.newest
    if newest.channel != "email":
        suppression.wrong_number(
            connection,
            contact_point_id=newest.contact_point_id,
            source="wrong_number",
            at=newest.received_at,
            now=now,
            inbound_id=turn.id,
        )
        return
    suppression.suppress(
        connection,
        contact_point_id=newest.contact_point_id,
        channels=("email",),
        source="wrong_number",
        at=newest.received_at,
        now=now,
        inbound_id=turn.id,
    )
    suppression.detach(connection, contact_point_id=newest.contact_point_id, reason="wrong_number", now=now)
