"""Why one message went, waits, or did not go: what is told about it.

What lives here: the sentences about a message and the verdicts behind them. What does not: reading (``record``), one
verdict's layout (``judged``), printing (``cli.explain``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.explain.judged import Told, of_kept, utc
from leadpipe.explain.wording import STATES, WENT, means
from leadpipe.messaging.segments import count_segments

if TYPE_CHECKING:
    from leadpipe.explain.record import Recorded


@dataclass(frozen=True, kw_only=True)
class MessageTold:
    """What is told about a message; ``verdicts`` oldest first."""

    message_id: str
    person_id: int
    plan: str
    step: str
    channel: str
    purpose: str
    segments: int
    state: str
    code: str
    sentences: tuple[str, ...]
    verdicts: tuple[Told, ...]
    events: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "message_id": self.message_id,
            "person_id": self.person_id,
            "plan": self.plan,
            "step": self.step,
            "channel": self.channel,
            "purpose": self.purpose,
            "segments": self.segments,
            "state": self.state,
            "code": self.code or None,
            "why": list(self.sentences),
            "verdicts": [verdict.as_json() for verdict in self.verdicts],
            "events": list(self.events),
        }


def tell(found: Recorded) -> MessageTold:
    """What is told about a message, from what was kept of it up to the moment it was read for."""
    row = found.row
    last = found.events[-1] if found.events else None
    state, code = (last.to_state, last.code or "") if last else (row.state, row.code or "")
    verdicts = tuple(of_kept(judged, row.channel, found.consents) for judged in found.verdicts)
    return MessageTold(
        message_id=row.id,
        person_id=row.person_id,
        plan=row.plan,
        step=row.step,
        channel=row.channel,
        purpose=row.purpose,
        segments=row.segments,
        state=state,
        code=code,
        sentences=tuple(_sentences(found, state, code, last.at if last else row.created_at, verdicts)),
        verdicts=verdicts,
        events=tuple(
            {"at": e.at, "event": e.event, "from": e.from_state, "to": e.to_state, "code": e.code} for e in found.events
        ),
    )


def _sentences(found: Recorded, state: str, code: str, at: datetime, verdicts: tuple[Told, ...]) -> Iterator[str]:
    row, evidence = found.row, found.evidence
    about = f"Message {row.id}, {_by(row.channel)} to person {row.person_id},"
    why = f": {means(code)}" if code and state not in WENT else ""
    until = f" until {utc(row.not_before_at)}" if state == "held" and row.not_before_at else ""
    yield f"{about} {STATES.get(state, state)}{until}{why} ({utc(at)})."
    yield f"It was made {utc(row.created_at)}, due {utc(row.due_at)}: {_reason(found)}."
    if row.score_pct is not None:
        version = f" by model {evidence['model_version']}" if evidence.get("model_version") else ""
        yield f"The lead's score was {row.score_pct:.1f} %{version}."
    for told in verdicts:
        when = {"enqueue": "When it was made", "claim": "When it was to leave", "release": "When a person released it"}
        ahead = f", for {utc(told.judged_for)}" if told.judged_at and told.judged_for > told.judged_at else ""
        yield f"{when.get(told.moment, told.moment)} ({utc(told.judged_at)}{ahead}), {told.sentence()}."
    if row.channel == "sms" and row.segments:
        yield _size(row)
    if row.is_model_written:
        yield f"A model wrote its words ({evidence.get('model') or 'name not kept'})."


def _reason(found: Recorded) -> str:
    row, evidence = found.row, found.evidence
    if row.plan == "conversation":
        return f"it answers what they wrote ({evidence.get('intent') or 'read'} by {evidence.get('reader') or 'rules'})"
    said = f"plan {row.plan}, step {row.step}, for the {_nth(row.occurrence)} time"
    if evidence.get("reason"):
        return f"{said}; {evidence['reason']}"
    begun = {"inquiry": "they made an inquiry", "created": "they are a new lead", "new_listing": "new homes fit them"}
    reason = begun.get(row.enrolment_reason or "", row.enrolment_reason)
    return f"{said}; {reason}" if reason else said


def _size(row: Any) -> str:
    """What the text costs, and which letter makes it cost more."""
    found = count_segments(row.body or "")
    many = f"It takes {row.segments} segment{'s' if row.segments > 1 else ''}"
    if found.count != row.segments:  # its words were erased
        return f"{many}."
    why = f", since {found.not_gsm!r} is outside the GSM alphabet" if found.not_gsm else ""
    return f"{many} ({found.encoding}, {found.units} units{why})."


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _by(channel: str) -> str:
    return {"email": "by email", "sms": "by text", "whatsapp": "by WhatsApp"}.get(channel, channel)
