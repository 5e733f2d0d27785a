"""Refusals that a lead told an agent, as the CRM holds them: notes, notes of calls, texts to an agent's number, tags.

What lives here: such a record -> suppressions. What does not: reading the words (``conversation.noted``, ``optout``),
refusals that the CRM itself counts (``optouts``), the list (``messaging.suppression``).

They are found by webhook within seconds, else by the next poll, and count from the moment the agent wrote them down. A
record is obeyed once: what takes it back later (START, a newer written consent) is not undone by reading it again. A
note of a person pauses automation besides, whatever it says (``conversation.takeover``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.conversation.noted import refusal_in, tag_scope, tags_known
from leadpipe.conversation.optout import Scope, read_words
from leadpipe.crm.human_actions import HUMAN_SYSTEMS
from leadpipe.crm.values import read_id, read_time
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.suppression import ALL, PHONE_CHANNELS, lock_point, suppress

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.crm.mapping import Person
    from leadpipe.settings import Settings

Row = dict[str, Any]
NOTE, CALL, TEXT, TAG = "agent_note", "agent_call", "crm_text", "agent_tag"
# A first sync reads years of notes: they are obeyed, and nobody is told of each.
TELL_WITHIN = timedelta(days=7)
_COVERS: dict[Scope, tuple[str, ...]] = {"email": ("email",), "phone": PHONE_CHANNELS}

_POINTS = text(
    """
    select c.id, c.kind
    from ledger.person_contact_points own join ledger.contact_points c on c.id = own.contact_point_id
    where own.person_id = :person and own.detached_reason is distinct from 'wrong_number' order by c.id
    """
)
# Addresses for which this record was obeyed before.
_OBEYED = text(
    """
    select contact_point_id from ledger.suppressions
    where contact_point_id = any(:points) and source = :source and evidence ->> 'crm' = :record
    """
)
_PERSON = text("select coalesce(merged_into, person_id) from ledger.people where person_id = :person")


@dataclass(frozen=True, kw_only=True)
class Noted:
    """One refusal as the CRM holds it.

    Attributes:
        record: the record's id there, or the tag.
    """

    person_id: int
    source: str
    record: str
    scope: Scope
    at: datetime


def store_activities(
    engine: Engine, rows: Mapping[str, Sequence[Row]], *, settings: Settings | None, now: datetime
) -> int:
    """Obey the refusals in these records, by collection; returns how many suppressions are new.

    Args:
        engine: the ledger.
        rows: ``notes``, ``calls``, ``textMessages`` as the CRM gave them.
        settings: plans to end; None leaves their ends to the next step.
        now: when.
    """
    return _store(engine, list(_noted(rows, now)), settings=settings, now=now)


def store_tags(engine: Engine, people: Sequence[Person], *, settings: Settings | None, now: datetime) -> int:
    """Obey the team's tags for refusals (``LEADPIPE_OPTOUT_TAGS``); returns how many suppressions are new."""
    known = tags_known(settings.optout_tags) if settings is not None else frozenset[str]()
    found = [
        Noted(person_id=person.person_id, source=TAG, record=tag, scope=scope, at=min(person.crm_updated_at, now))
        for person in people
        for tag in person.tags
        if (scope := tag_scope(tag, known)) is not None
    ]
    return _store(engine, found, settings=settings, now=now)


def _noted(rows: Mapping[str, Sequence[Row]], now: datetime) -> Iterator[Noted]:
    for collection, source, field in (
        ("notes", NOTE, "body"),
        ("calls", CALL, "note"),
        ("textMessages", TEXT, "message"),
    ):
        for row in rows.get(collection, ()):
            words = row.get(field)
            if not isinstance(words, str) or not words.strip() or not _is_of_people(row, source):
                continue
            scope = _text_scope(words) if source == TEXT else refusal_in(words)
            person_id, record_id = _whole(row.get("personId")), read_id(row)
            if scope is not None and person_id and record_id:
                yield Noted(person_id=person_id, source=source, record=str(record_id), scope=scope, at=_at(row, now))


def _is_of_people(row: Row, source: str) -> bool:
    """A note that a person wrote, or a text that the lead did; what systems write quotes others, ours too."""
    if source == TEXT:
        return bool(row.get("isIncoming"))
    return str(row.get("systemName") or "") in HUMAN_SYSTEMS and row.get("isExternal") is not True


def _text_scope(words: str) -> Scope | None:
    """A lead's own text to an agent's number at the CRM: it ends what a STOP to ours would (C9)."""
    found = read_words(words)
    if found is None or found.kind not in {"stop", "complaint"}:
        return None
    return "all" if found.covers("sms") == (ALL,) else "phone"


def _whole(value: object) -> int:
    return int(str(value)) if str(value or "").isdigit() else 0


def _at(row: Row, now: datetime) -> datetime:
    # A note that was edited counts from its last words.
    for name in ("sent", "updated", "created"):
        try:
            at = read_time(row.get(name))
        except ValueError:
            at = None
        if at is not None:
            return min(at, now)
    return now


def _store(engine: Engine, found: Sequence[Noted], *, settings: Settings | None, now: datetime) -> int:
    count = 0
    for noted in found:
        with engine.begin() as connection:
            count += _obey(connection, noted, settings, now)
    return count


def _obey(connection: Connection, noted: Noted, settings: Settings | None, now: datetime) -> int:
    person_id = connection.execute(_PERSON, {"person": noted.person_id}).scalar()
    if person_id is None:
        return 0
    wanted = _reached(connection, person_id, noted.scope)
    names = {"points": sorted(wanted), "source": noted.source, "record": noted.record}
    obeyed = set(connection.execute(_OBEYED, names).scalars())
    fresh = {point: channels for point, channels in wanted.items() if point not in obeyed}
    if not fresh:
        return 0
    # All at once: whoever waits for a call holds nothing that its sender could wait for.
    lock_point(connection, fresh)
    for point, channels in sorted(fresh.items()):
        suppress(
            connection,
            contact_point_id=point,
            channels=channels,
            source=noted.source,
            at=noted.at,
            now=now,
            person_id=person_id,
            evidence={"crm": noted.record, "scope": noted.scope},
        )
    if settings is not None:
        from leadpipe.outreach import events

        events.note(connection, person_id, "opt_out", settings=settings, now=now)
    if noted.at > now - TELL_WITHIN:
        _tell(connection, noted, person_id, now)
    return len(fresh)


def _reached(connection: Connection, person_id: int, scope: Scope) -> dict[int, tuple[str, ...]]:
    """The person's addresses with the channels that end there; words that name a kind nobody has mean them all."""
    points = connection.execute(_POINTS, {"person": person_id}).all()
    channels = _COVERS.get(scope, (ALL,))
    kind = {"email": "email", "phone": "phone"}.get(scope)
    reached = {point.id: channels for point in points if kind is None or point.kind == kind}
    return reached or {point.id: (ALL,) for point in points}


def _tell(connection: Connection, noted: Noted, person_id: int, now: datetime) -> None:
    what = {NOTE: "A note", CALL: "The note of a call", TEXT: "A text to an agent", TAG: "A tag"}[noted.source]
    which = f"the tag '{noted.record}'" if noted.source == TAG else f"record {noted.record}"
    ends = {"email": "Email", "phone": "Texts and WhatsApp"}.get(noted.scope, "All contact")
    raise_alert(
        connection,
        kind="verbal_refusal",
        dedupe_key=f"verbal_refusal:{noted.source}:{noted.record[:100]}:{person_id}",
        title=f"{what} says that lead {person_id} wants no contact",
        body=f"{ends} by leadpipe has ended for person {person_id}, read from {which} in Follow Up Boss. If that is "
        "not what was meant: their own START, or a newer written consent, takes it back.",
        now=now,
        person_id=person_id,
    )
