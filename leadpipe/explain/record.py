"""What the ledger holds about one message: the row, its evidence, its verdicts, the texts it was made from.

What lives here: one read of it all. What does not: deciding again (``replay``), telling it to a person (``message``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import text

from leadpipe.errors import Rejected
from leadpipe.explain.again import address_of
from leadpipe.messaging.cases import read_consents
from leadpipe.policy.frozen import consent_ids
from leadpipe.store import inputs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.policy.case import Consent
    from leadpipe.store.inputs import Kept, Kind

_MESSAGE = text(
    """
    select m.id::text as id, m.person_id, m.contact_point_id, m.plan, m.plan_version, m.step, m.occurrence, m.channel,
      m.purpose, m.template, m.template_version, m.subject, m.body, m.segments, m.score_pct, m.is_model_written,
      m.evidence, m.evidence_hash, m.state, m.code, m.due_at, m.not_before_at, m.created_at, m.accepted_at,
      c.kind, c.address, e.reason as enrolment_reason, e.opened_at
    from ledger.messages m
    left join ledger.contact_points c on c.id = m.contact_point_id
    left join ledger.enrolments e on e.id = m.enrolment_id
    where m.id = cast(:id as uuid)
    """
)
_VERDICTS = text(
    "select id, moment, decision, code, rule, until_at, pack_version, detail, judged_at from ledger.verdicts "
    "where message_id = cast(:id as uuid) and judged_at <= :by order by id"
)
_EVENTS = text(
    "select from_state, to_state, event, code, at from ledger.message_events "
    "where message_id = cast(:id as uuid) and at <= :by order by id"
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One verdict as it was kept.

    Attributes:
        case: the case's kept form; None when nobody kept it (versions before 0007).
    """

    moment: str
    decision: str
    code: str
    rule: str
    until: datetime | None
    pack_version: str
    findings: list[dict[str, Any]]
    evidence: Mapping[str, Any]
    case: Mapping[str, Any] | None
    settings_version: str
    judged_at: datetime
    pack: Kept | None = None
    settings: Kept | None = None


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One message with everything that was kept of it; ``row`` is the ledger's row with its address and passage."""

    row: Any
    evidence: Mapping[str, Any]
    verdicts: tuple[Judged, ...]
    events: tuple[Any, ...]
    consents: Mapping[int, Consent]
    template: Kept | None = None
    plan: Kept | None = None
    answers: Kept | None = None
    prompt: Kept | None = None
    missing: tuple[str, ...] = field(default=())

    @property
    def address(self) -> str:
        """The address it goes to; empty when it was erased."""
        return address_of(self.row.kind, self.row.address)


def is_message_id(word: str) -> bool:
    """Whether a word on the command line can be a message's id."""
    try:
        UUID(word)
    except ValueError:
        return False
    return True


def read(connection: Connection, message_id: str, *, by: datetime) -> Recorded:
    """The message and what was kept of it up to ``by``.

    Raises:
        Rejected: there is no such message.
    """
    row = connection.execute(_MESSAGE, {"id": message_id}).one_or_none()
    if row is None:
        raise Rejected(f"there is no message {message_id}; take an id from `leadpipe messages list` or marts")
    evidence = row.evidence if isinstance(row.evidence, dict) else {}
    desk = _Finder(connection)
    verdicts = tuple(
        _judged(each, evidence, desk) for each in connection.execute(_VERDICTS, {"id": message_id, "by": by})
    )
    wanted = {number for each in verdicts if each.case for number in consent_ids(each.case)}
    is_answer = row.plan == "conversation"
    made_at = row.created_at
    return Recorded(
        row=row,
        evidence=evidence,
        verdicts=verdicts,
        events=tuple(connection.execute(_EVENTS, {"id": message_id, "by": by})),
        consents=read_consents(connection, wanted) if wanted else {},
        template=desk.find("template", row.template_version, made_at) if row.template else None,
        plan=None if is_answer else desk.find("plan", row.plan_version, made_at),
        answers=desk.find("answers", str(evidence.get("answers_version", "")), made_at) if is_answer else None,
        prompt=desk.find("prompt", row.plan_version, made_at) if row.is_model_written else None,
    )


class _Finder:
    """Kept texts, each read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: dict[tuple[str, str], Kept | None] = {}

    def find(self, kind: Kind, version: str, by: datetime) -> Kept | None:
        key = (kind, version)
        if key not in self._found:
            self._found[key] = inputs.find(self._connection, kind, version, by=by)
        return self._found[key]


def _judged(row: Any, evidence: Mapping[str, Any], desk: _Finder) -> Judged:
    detail: Mapping[str, Any] = row.detail if isinstance(row.detail, dict) else {}
    case = evidence.get("policy") if row.moment == "enqueue" else detail.get("case")
    version = str(detail.get("settings", ""))
    return Judged(
        moment=row.moment,
        decision=row.decision,
        code=row.code or "",
        rule=row.rule or "",
        until=row.until_at,
        pack_version=row.pack_version,
        findings=list(detail.get("findings", ())),
        evidence=detail.get("evidence", {}),
        case=case,
        settings_version=version,
        judged_at=row.judged_at,
        pack=desk.find("pack", row.pack_version, row.judged_at),
        settings=desk.find("settings", version, row.judged_at) if version else None,
    )
