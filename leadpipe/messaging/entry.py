"""A message's first move: from an intent and its verdict to a row in its first state, for many at once.

What lives here: writing the row, its evidence and its first event, and letting the two intent keys drop repeats. What
does not: choosing the state (``enqueue``), any later move (``protocol``).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString, cast

import orjson

from leadpipe.messaging.gate import write_rows
from leadpipe.messaging.protocol import NEEDS_REASON, Event, IllegalMove, State, database_refusals, is_legal
from leadpipe.messaging.segments import count_segments
from leadpipe.store.ledger import id_array

if TYPE_CHECKING:
    from psycopg import Cursor
    from sqlalchemy import Connection

    from leadpipe.messaging.intent import Intent


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One intent with the state it starts in.

    Attributes:
        inputs: what the verdict depended on (``cases.frozen``).
        not_before_at: for ``held``: when to look again.
    """

    intent: Intent
    state: State
    code: str | None
    not_before_at: datetime | None
    inputs: dict[str, Any]


# Up to so many messages are written row by row.
FEW = 50
_COLUMNS = (
    "id, person_id, contact_point_id, enrolment_id, plan, plan_version, step, occurrence, channel, purpose, template, "
    "template_version, subject, body, segments, score_pct, priority, is_model_written, evidence, evidence_hash, state, "
    "code, due_at, not_before_at, expires_at, created_at, changed_at"
)


def evidence_of(intent: Intent, inputs: dict[str, Any]) -> tuple[str, str]:
    """The frozen evidence as canonical JSON, and its SHA-256: the same inputs give the same bytes anywhere."""
    frozen = _dumped({**intent.evidence, "variables": intent.variables, "policy": inputs})
    return frozen.decode(), hashlib.sha256(frozen).hexdigest()


def digest(evidence: Mapping[str, Any]) -> str:
    """The hash of evidence that came back from the ledger; the one it was written under, unless it was changed."""
    return hashlib.sha256(_dumped(dict(evidence))).hexdigest()


def _dumped(value: dict[str, Any]) -> bytes:
    options = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    try:
        found = orjson.dumps(value, option=options, default=str)
    except orjson.JSONEncodeError:
        # Half of a surrogate pair, which no UTF-8 can hold.
        found = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False)
        found = found.encode("utf-8", "replace")
    if b"\\u0000" in found:
        found = orjson.dumps(_without_nul(orjson.loads(found)), option=options)
    return found


def _without_nul(value: Any) -> Any:
    """The same JSON value, every string as PostgreSQL can hold it."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_without_nul(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(each) for name, each in cast("dict[str, Any]", value).items()}
    return value


def storable(words: str) -> str:
    """Words as PostgreSQL can hold them: without NUL and without halves of surrogate pairs."""
    if "\x00" in words:
        words = words.replace("\x00", "")
    return words if words.isascii() else words.encode("utf-8", "replace").decode()


_KNOWN: LiteralString = """
    select person_id, contact_point_id from ledger.messages
    where plan = %(plan)s and step = %(step)s and occurrence = %(occurrence)s
      and (person_id = any(%(people)s::bigint[]) or contact_point_id = any(%(points)s::bigint[]))
    """


def known_intents(connection: Connection, intents: Sequence[Intent]) -> set[str]:
    """Ids of those intents that the ledger already has by either key, or whose person was erased since."""
    cursor = _cursor(connection)
    by_step: dict[tuple[str, str, int], list[Intent]] = defaultdict(list)
    for intent in intents:
        by_step[intent.plan, intent.step, intent.occurrence].append(intent)
    known: set[str] = set()
    for (plan, step, occurrence), group in by_step.items():
        met = cursor.execute(
            _KNOWN.encode(),
            {
                "plan": plan,
                "step": step,
                "occurrence": occurrence,
                "people": id_array({i.person_id for i in group}),
                "points": id_array({i.contact_point_id for i in group}),
            },
        ).fetchall()
        people, points = {person for person, _ in met}, {point for _, point in met}
        known |= {i.id for i in group if i.person_id in people or i.contact_point_id in points}
    # A plan that was made before an erasure still holds their name; there are few of them, by their own index.
    erased = {row[0] for row in cursor.execute(b"select person_id from ledger.people where erased_at is not null")}
    return known | {i.id for i in intents if i.person_id in erased}


def enter(connection: Connection, entries: Sequence[Entry], *, now: datetime) -> set[str]:
    """Write the messages and their first events; returns the ids written. What either key knows is left out.

    Raises:
        IllegalMove: a message may not start in the state given, or not without a reason.
    """
    for entry in entries:
        if not is_legal(Event.ENQUEUE, None, entry.state):
            raise IllegalMove(f"message {entry.intent.id}: none starts as {entry.state}")
        if entry.state in NEEDS_REASON and not entry.code:
            raise IllegalMove(f"message {entry.intent.id}: none starts as {entry.state} without a reason")
    cursor = _cursor(connection)
    rows = [_row(entry, now) for entry in entries]
    with database_refusals():
        written = _insert_few(cursor, rows) if len(rows) <= FEW else _insert_many(cursor, rows)
    _append_events(connection, (entry for entry in entries if entry.intent.id in written), now)
    return written


def _insert_few(cursor: Cursor[Any], rows: Sequence[tuple[Any, ...]]) -> set[str]:
    """Row by row in one round trip: a temporary table for every new lead would wear out the catalog."""
    if not rows:
        return set()
    places = ", ".join(["%s"] * len(rows[0]))
    cursor.executemany(
        f"insert into ledger.messages ({_COLUMNS}) values ({places}) "  # noqa: S608 - fixed columns
        "on conflict do nothing returning id::text".encode(),
        rows,
        returning=True,
    )
    return {row[0] for result in cursor.results() for row in result.fetchall()}


def _insert_many(cursor: Cursor[Any], rows: Sequence[tuple[Any, ...]]) -> set[str]:
    cursor.execute(
        "create temp table if not exists entering_messages on commit drop as "  # noqa: S608 - fixed columns
        f"select {_COLUMNS} from ledger.messages with no data".encode()
    )
    cursor.execute(b"truncate entering_messages")
    with cursor.copy(f"copy entering_messages ({_COLUMNS}) from stdin".encode()) as copy:
        for row in rows:
            copy.write_row(row)
    written = cursor.execute(
        f"insert into ledger.messages ({_COLUMNS}) select {_COLUMNS} from entering_messages "  # noqa: S608 - fixed
        "on conflict do nothing returning id::text".encode()
    )
    return {row[0] for row in written}


def _row(entry: Entry, now: datetime) -> tuple[Any, ...]:
    intent = entry.intent
    evidence, evidence_hash = evidence_of(intent, entry.inputs)
    segments = 0 if intent.channel == "email" else count_segments(intent.body).count
    return (
        intent.id,
        intent.person_id,
        intent.contact_point_id,
        intent.enrolment_id,
        intent.plan,
        intent.plan_version,
        intent.step,
        intent.occurrence,
        intent.channel,
        intent.purpose,
        intent.template,
        intent.template_version,
        storable(intent.subject),
        storable(intent.body),
        segments,
        intent.score_pct,
        intent.priority,
        intent.is_model_written,
        evidence,
        evidence_hash,
        str(entry.state),
        entry.code,
        intent.due_at,
        entry.not_before_at,
        intent.expires_at,
        now,
        now,
    )


def _append_events(connection: Connection, entries: Iterable[Entry], now: datetime) -> None:
    write_rows(
        connection,
        "message_events (message_id, to_state, event, code, at)",
        ((e.intent.id, str(e.state), str(Event.ENQUEUE), e.code, now) for e in entries),
    )


def _cursor(connection: Connection) -> Cursor[Any]:
    return cast("Cursor[Any]", connection.connection.cursor())
