"""What a turn leaves in the CRM: one note, tags, a stage, journalled with the turn's own transaction.

What lives here: the records and their words. What does not: the journal (``crm.writeback_journal``), its
carrying out (``crm.writeback``), tasks (``handoff``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.conversation.classify import Reading
from leadpipe.conversation.decision import Decision
from leadpipe.conversation.qualification import Fact
from leadpipe.conversation.turn import Turn
from leadpipe.crm.writeback_journal import WriteBack, journal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

# In the CRM's budget: the agent's task first, then what was said, then marks.
NOTE_PRIORITY, STAGE_PRIORITY, TAG_PRIORITY = 20, 22, 25


def journal_turn(
    connection: Connection,
    turn: Turn,
    person_id: int,
    reading: Reading,
    decision: Decision,
    note: str,
    *,
    settings: Settings,
    now: datetime,
) -> None:
    """One note for the turn, and its tags and stage; journalling a turn again adds nothing."""
    payload: dict[str, Any] = {
        "subject": f"Conversation: {reading.intent.replace('_', ' ')}",
        "body": note,
    }
    writes = [
        WriteBack(person_id=person_id, kind="note", marker=f"turn:{turn.id}", payload=payload, priority=NOTE_PRIORITY)
    ]
    if decision.tags:
        writes.append(
            WriteBack(
                person_id=person_id,
                kind="tags",
                marker=f"tags:{turn.id}",
                payload={"tags": list(decision.tags)},
                priority=TAG_PRIORITY,
            )
        )
    if decision.moves_stage and settings.not_interested_stage:
        writes.append(
            WriteBack(
                person_id=person_id,
                kind="stage",
                marker=f"stage:{turn.id}",
                # Where the lead stands as this is decided: a later move of the team's is not undone.
                payload={"stage": settings.not_interested_stage, "from": _stage(connection, person_id)},
                priority=STAGE_PRIORITY,
            )
        )
    journal(connection, writes, now=now)


def _stage(connection: Connection, person_id: int) -> str:
    known = connection.execute(text("select stage from ledger.people where person_id = :id"), {"id": person_id})
    return known.scalar() or ""


def note_text(turn: Turn, reading: Reading, facts: Sequence[Fact], answer: str) -> str:
    """The note of a turn: what was said, how it was read, what was learnt and what is answered."""
    by = {"sms": "text", "whatsapp": "WhatsApp", "email": "email"}[turn.newest.channel]
    lines = [f"Lead wrote by {by}:", *(f"> {line}" for line in turn.text.splitlines()), ""]
    lines.append(f"Read as {reading.intent.replace('_', ' ')} ({reading.confidence:.0%}, {reading.reader}).")
    lines += [f"{fact.key.replace('_', ' ')}: {fact.value}" for fact in facts]
    if answer:
        lines += ["", answer]
    return "\n".join(lines)
