"""A turn's consequences, written in one transaction: suppressions, plans, pause, hand-off, CRM, conversation, read.

What lives here: carrying a ``decision`` out in the ledger. What does not: deciding it, reading it, sending an answer.

All or nothing: the mark "read", which lets held messages go, is the last thing of the same transaction. A reader that
dies before it has done nothing; the turn is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.conversation import crm_writes, handoff, privacy_words, refusals, takeover
from leadpipe.conversation.classify import Reading
from leadpipe.conversation.decision import OWN_WORDS, SURE_REFUSAL, Decision
from leadpipe.conversation.optout import Words
from leadpipe.conversation.qualification import Fact
from leadpipe.conversation.turn import Turn
from leadpipe.messaging import suppression
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.protocol import Event, Move, State, write
from leadpipe.privacy import requests

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

PLAN = "conversation"
# Who says to be under age is written to no more, by whatever plan and whoever resumes it (C50).
MINOR = "minor"
_CANCEL_WORDS = frozenset({"cancel", "cancelar", "cancel all"})


def conclude(
    connection: Connection,
    turn: Turn,
    reading: Reading,
    decision: Decision,
    *,
    settings: Settings,
    now: datetime,
    words: Words | None = None,
    facts: Sequence[Fact] = (),
    number: int | None = None,
    answer: str = "",
) -> bool:
    """Write everything that follows from a turn, and that it was read.

    Args:
        connection: in the caller's transaction.
        turn: what was read.
        reading: what it means.
        decision: what follows.
        settings: plans and team.
        now: when.
        words: the rule that read it, with its scope; None when a model did.
        facts: what the lead told us.
        number: of the turn; None takes the next.
        answer: what is being answered, for the note.

    Returns:
        False when another reader has read the turn meanwhile; then nothing was written.
    """
    suppression.lock_point(connection, refusals.points_of(connection, turn))
    if not _is_still_unread(connection, turn):
        return False
    person_id = turn.person_id
    if person_id is not None:
        _lock_person(connection, person_id)
    if decision.is_refusal:
        refusals.suppress(connection, turn, reading, words, now=now)
    if decision.reason == MINOR:
        refusals.end_contact(connection, turn, source=MINOR, now=now)
    if person_id is not None and (asked := privacy_words.asked(turn.text)):
        requests.receive(
            connection, person_id, kind=asked, received_at=turn.newest.received_at, now=now,
            zone=settings.team_timezone, inbound_id=turn.id, actor=acts.SYSTEM,
        )  # fmt: skip
    if person_id is None:
        _tell_of_stranger(connection, turn, reading, now)
    else:
        _keep_facts(connection, person_id, facts, now)
        number = number or next_number(connection, turn)
        cancel_earlier_answers(connection, person_id, number, now=now)
        _move_plans(connection, person_id, reading, decision, settings, now)
        _hand_over(connection, turn, person_id, reading, decision, words, settings, now)
        note = crm_writes.note_text(turn, reading, facts, answer)
        crm_writes.journal_turn(connection, turn, person_id, reading, decision, note, settings=settings, now=now)
        takeover.put_conversation(
            connection,
            person_id,
            state=decision.state,
            awaits=decision.awaits,
            reason=decision.reason or reading.intent,
            turns=number,
            last_inbound_at=turn.newest.received_at,
            now=now,
        )
    mark_read(connection, turn, reading, now=now)
    return True


def mark_read(connection: Connection, turn: Turn, reading: Reading, *, now: datetime) -> None:
    """The turn is read: what waited for that goes on at once. A stranger who became a person is named."""
    connection.execute(
        text(
            "update ledger.inbound_messages set read_at = :now, intent = :intent, sentiment = :sentiment, "
            "confidence = :confidence, reader = :reader, person_id = coalesce(:person, person_id), "
            "lease_owner = null, lease_expires_at = null where id = any(cast(:ids as bigint[]))"
        ),
        {
            "now": now,
            "intent": reading.intent,
            "sentiment": reading.sentiment,
            "confidence": reading.confidence,
            "reader": reading.reader,
            "person": turn.person_id,
            "ids": turn.ids,
        },
    )
    connection.execute(
        text(
            "update ledger.messages set not_before_at = :now, changed_at = :now where state = 'held' "
            "and code = 'unread_inbound' and (contact_point_id = any(:points) or person_id = :person)"
        ),
        {"now": now, "points": [m.contact_point_id for m in turn.messages], "person": turn.person_id},
    )


def next_number(connection: Connection, turn: Turn) -> int:
    """The turn's number: one more than this person, or anybody at the same address, ever had."""
    row = connection.execute(
        text(
            "select greatest((select turns from ledger.conversations where person_id = :person), "
            "(select max(occurrence) from ledger.messages where plan = :plan "
            "and (person_id = :person or contact_point_id = :point)), 0)"
        ),
        {"person": turn.person_id, "plan": PLAN, "point": turn.newest.contact_point_id},
    ).scalar()
    return int(row or 0) + 1


def cancel_earlier_answers(connection: Connection, person_id: int, number: int, *, now: datetime) -> None:
    """Answers to earlier turns that have not left are overtaken: the lead has written again."""
    rows = connection.execute(
        text(
            "select id::text as id, state from ledger.messages where person_id = :person and plan = :plan "
            "and occurrence < :number and state in ('queued', 'held', 'review') order by id for no key update"
        ),
        {"person": person_id, "plan": PLAN, "number": number},
    ).all()
    moves = [
        (State(row.state), Move(message_id=row.id, event=Event.CANCEL, to=State.CANCELLED, code="wrote_again"))
        for row in rows
    ]
    write(connection, moves, at=now)


def _is_still_unread(connection: Connection, turn: Turn) -> bool:
    rows = connection.execute(
        text(
            "select id from ledger.inbound_messages where id = any(cast(:ids as bigint[])) and read_at is null "
            "order by id for no key update"
        ),
        {"ids": turn.ids},
    ).all()
    return len(rows) == len(turn.ids)


def _lock_person(connection: Connection, person_id: int) -> None:
    connection.execute(
        text("select person_id from ledger.people where person_id = :id for no key update"), {"id": person_id}
    )


def _tell_of_stranger(connection: Connection, turn: Turn, reading: Reading, now: datetime) -> None:
    raise_alert(
        connection,
        kind="unknown_sender",
        dedupe_key=f"unknown_sender:{turn.newest.contact_point_id}:{now:%Y-%m-%d}",
        title=f"Somebody the CRM does not know wrote ({reading.intent})",
        body=f"Inbound message {turn.id} by {turn.newest.channel} has no person. Add the person in Follow Up Boss, or "
        f"leave it; a refusal is kept either way.",
        now=now,
    )


def _keep_facts(connection: Connection, person_id: int, facts: Sequence[Fact], now: datetime) -> None:
    if facts:
        connection.execute(
            text(
                "insert into ledger.qualifications (person_id, key, value, sentence, inbound_id, at) "
                "values (:person, :key, :value, :sentence, :inbound, :now)"
            ),
            [
                {
                    "person": person_id,
                    "key": fact.key,
                    "value": fact.value,
                    "sentence": fact.sentence,
                    "inbound": fact.inbound_id,
                    "now": now,
                }
                for fact in facts
            ],
        )


def _move_plans(
    connection: Connection, person_id: int, reading: Reading, decision: Decision, settings: Settings, now: datetime
) -> None:
    from leadpipe.outreach import events

    if decision.lifts_pause:
        connection.execute(
            text(
                "update ledger.people set automation_paused_at = null, automation_paused_reason = null "
                "where person_id = :id and automation_paused_reason = any(:own)"
            ),
            {"id": person_id, "own": sorted(OWN_WORDS)},
        )
    if decision.pause:
        takeover.pause(connection, person_id, reason=decision.pause, now=now)
    if decision.event is not None:
        events.note(
            connection, person_id, decision.event, settings=settings, now=now, detail={"intent": reading.intent}
        )
    if decision.event == "opt_out":
        handoff.close(connection, [person_id], by="opt_out", now=now)


def _hand_over(
    connection: Connection,
    turn: Turn,
    person_id: int,
    reading: Reading,
    decision: Decision,
    words: Words | None,
    settings: Settings,
    now: datetime,
) -> None:
    reason = decision.handoff
    if words is not None and words.keyword in _CANCEL_WORDS and _was_arranging(connection, person_id):
        reason = "cancel"
    if reason:
        handoff.open_handoff(
            connection, person_id=person_id, reason=reason, inbound_id=turn.id, settings=settings, now=now
        )
    if decision.tell:
        for each in _everyone_at(connection, turn, person_id):
            handoff.tell_once(
                connection, person_id=each, reason=decision.tell, inbound_id=turn.id, settings=settings, now=now
            )
    if reading.suppress and words is None and reading.confidence < SURE_REFUSAL:
        raise_alert(
            connection,
            kind="refusal_unsure",
            dedupe_key=f"refusal_unsure:{turn.id}",
            title=f"Lead {person_id} was taken for {reading.intent} ({reading.confidence:.0%} sure)",
            body=f"All contact by {turn.newest.channel} has ended. Read inbound message {turn.id}: "
            f"`leadpipe conversation show {person_id}`.",
            now=now,
            person_id=person_id,
        )


def _was_arranging(connection: Connection, person_id: int) -> bool:
    """Whether an appointment was being talked about: then CANCEL may mean that one (C6)."""
    reason = connection.execute(
        text("select reason from ledger.conversations where person_id = :id"), {"id": person_id}
    ).scalar()
    return reason == "appointment"


def _everyone_at(connection: Connection, turn: Turn, person_id: int) -> list[int]:
    """Everybody who had the address, so that each one's agent learns of it."""
    rows = connection.execute(
        text(
            "select own.person_id from ledger.person_contact_points own join ledger.people p using (person_id) "
            "where own.contact_point_id = :point and p.merged_into is null and p.deleted_at is null"
        ),
        {"point": turn.newest.contact_point_id},
    ).scalars()
    return sorted({person_id, *rows})
