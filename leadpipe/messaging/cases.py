"""From the ledger's rows to policy cases: what is known about the receivers of some messages.

What lives here: one reading per kind of fact, for one message or for tens of thousands, and the frozen form of what was
read. What does not: any rule (``policy``), what follows from a verdict (``claim``, ``enqueue``, ``review``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.leads.place import prefix_of
from leadpipe.messaging.protocol import UNSURE, WENT_OUT
from leadpipe.policy.case import Case, Consent, Contact, HistoryItem, Relationship, Suppression

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One message to judge.

    Attributes:
        judged_for: the moment it is to leave when that lies ahead; None judges for now.
    """

    message_id: str
    person_id: int
    contact_point_id: int
    plan: str
    step: str
    channel: str
    purpose: str
    subject: str
    body: str
    is_model_written: bool
    judged_for: datetime | None = None


_NOWHERE: Mapping[str, str] = {}
_NO_RELATIONSHIP = Relationship()
# An act of the team in the CRM by its kind, as a message of that channel; a note reaches nobody.
_HUMAN_CHANNELS = {"text": "sms", "call": "call", "email": "email"}
_MANUAL = "manual"

_POINTS = text("select id, kind, address from ledger.contact_points where id = any(:points)")
_PEOPLE = text(
    """
    select p.person_id, p.place, i.asked_at
    from ledger.people p
    left join (
      select person_id, max(occurred_at) as asked_at from ledger.inquiries where person_id = any(:people) group by 1
    ) i using (person_id)
    where p.person_id = any(:people)
    """
)
_CONSENTS = text(
    """
    select id, person_id, contact_point_id, channel, level, scope, seller, source, evidence, at, expires_at
    from ledger.consents where person_id = any(:people) order by at, id
    """
)
# The newest row of each (point, channel) decides; a lift is kept, since it outlives older refusals of other channels.
_SUPPRESSIONS = text(
    """
    select distinct on (contact_point_id, channel) contact_point_id, channel, action, source, at
    from ledger.suppressions where contact_point_id = any(:points)
    order by contact_point_id, channel, at desc, id desc
    """
)
# Also what another CRM person at the same address was sent: it is one receiver.
_SENT = text(
    """
    select id, person_id, contact_point_id, channel, purpose, coalesce(accepted_at, changed_at) as at
    from ledger.messages where person_id = any(:people) and state = any(:out)
    union
    select id, person_id, contact_point_id, channel, purpose, coalesce(accepted_at, changed_at)
    from ledger.messages where contact_point_id = any(:points) and state = any(:out)
    """
)
_RECEIVED = text(
    """
    select id, person_id, contact_point_id, channel, received_at as at
    from ledger.inbound_messages where not is_auto_reply and person_id = any(:people)
    union
    select id, person_id, contact_point_id, channel, received_at
    from ledger.inbound_messages where not is_auto_reply and contact_point_id = any(:points)
    """
)
_HUMAN = text("select person_id, kind, at from ledger.human_actions where person_id = any(:people)")


def read_cases(connection: Connection, subjects: Sequence[Subject], *, now: datetime, settings: Settings) -> list[Case]:
    """The case of each subject, in order, all facts read in this transaction.

    A person or contact point that is not in the ledger yields a case without address or place, which no rule allows.
    """
    if not subjects:
        return []
    facts = _Facts(connection, subjects)
    has_template = bool(settings.whatsapp_template_sid)
    return [facts.case(subject, subject.judged_for or now, has_template) for subject in subjects]


class _Facts:
    """Everything the ledger holds about a batch's receivers, by person and by contact point."""

    def __init__(self, connection: Connection, subjects: Sequence[Subject]) -> None:
        people = sorted({s.person_id for s in subjects})
        points = sorted({s.contact_point_id for s in subjects})
        ids: dict[str, Any] = {"people": people, "points": points}
        self._points = {row.id: row for row in connection.execute(_POINTS, {"points": points})}
        self._people = {row.person_id: row for row in connection.execute(_PEOPLE, {"people": people})}
        self._consents: dict[int, list[tuple[int | None, Consent]]] = defaultdict(list)
        for row in connection.execute(_CONSENTS, {"people": people}):
            self._consents[row.person_id].append((row.contact_point_id, _consent(row)))
        self._suppressions: dict[int, dict[str, Any]] = defaultdict(dict)
        for row in connection.execute(_SUPPRESSIONS, {"points": points}):
            self._suppressions[row.contact_point_id][row.channel] = row
        self._by_person: dict[int, dict[str, HistoryItem]] = defaultdict(dict)
        self._by_point: dict[int, dict[str, HistoryItem]] = defaultdict(dict)
        self._read_history(connection, ids)

    def _read_history(self, connection: Connection, ids: dict[str, Any]) -> None:
        out = [str(state) for state in WENT_OUT | UNSURE]
        for row in connection.execute(_SENT, ids | {"out": out}):
            item = HistoryItem(at=row.at, direction="out", channel=row.channel, purpose=row.purpose)
            self._by_person[row.person_id][f"m{row.id}"] = item
            self._by_point[row.contact_point_id][f"m{row.id}"] = item
        for row in connection.execute(_RECEIVED, ids):
            item = HistoryItem(at=row.at, direction="in", channel=row.channel)
            self._by_point[row.contact_point_id][f"i{row.id}"] = item
            if row.person_id is not None:
                self._by_person[row.person_id][f"i{row.id}"] = item
        for number, row in enumerate(connection.execute(_HUMAN, {"people": ids["people"]})):
            if channel := _HUMAN_CHANNELS.get(row.kind):
                item = HistoryItem(at=row.at, direction="out", channel=channel, purpose=_MANUAL)
                self._by_person[row.person_id][f"h{number}"] = item

    def case(self, subject: Subject, at: datetime, has_template: bool) -> Case:
        point = self._points.get(subject.contact_point_id)
        person = self._people.get(subject.person_id)
        place = person.place if person is not None else _NOWHERE
        is_email = point is not None and point.kind == "email"
        address = point.address if point is not None else None
        return Case(
            id=subject.message_id,
            now=at,
            channel=subject.channel,
            purpose=subject.purpose,
            contact=Contact(
                phone=None if is_email else address,
                email=address if is_email else None,
                zip=place.get("zip") or "",
                city=place.get("city") or "",
                state=place.get("state") or "",
                country=place.get("country") or "",
            ),
            consents=self._consents_of(subject),
            suppressions=self._suppressions_of(subject),
            history=self._history_of(subject),
            relationship=(
                Relationship(inquiry_at=person.asked_at)
                if person is not None and person.asked_at is not None
                else _NO_RELATIONSHIP
            ),
            subject=subject.subject or None,
            body=subject.body,
            is_template=subject.channel == "whatsapp" and has_template,
        )

    def _consents_of(self, subject: Subject) -> tuple[Consent, ...]:
        """The person's own consents that are for any address or for this one; nobody else's transfer (C29)."""
        found = self._consents.get(subject.person_id)
        if not found:
            return ()
        return tuple(consent for point, consent in found if point is None or point == subject.contact_point_id)

    def _suppressions_of(self, subject: Subject) -> tuple[Suppression, ...]:
        """Refusals that stand.

        START lifts the channel it came by: older refusals by another channel no longer reach it, whatever their words
        covered (C10).
        """
        rows = self._suppressions.get(subject.contact_point_id)
        if not rows:
            return ()
        own = rows.get(subject.channel)
        lifted_at = own.at if own is not None and own.action == "lift" else None
        return tuple(
            Suppression(channel=row.channel, at=row.at, source=row.source)
            for row in rows.values()
            if row.action == "suppress" and (lifted_at is None or row.at > lifted_at)
        )

    def _history_of(self, subject: Subject) -> tuple[HistoryItem, ...]:
        by_person = self._by_person.get(subject.person_id)
        by_point = self._by_point.get(subject.contact_point_id)
        if not by_person and not by_point:
            return ()
        items = {**(by_person or {}), **(by_point or {})}
        return tuple(sorted(items.values(), key=lambda item: item.at))


def _consent(row: Any) -> Consent:
    return Consent(
        id=row.id,
        level=row.level,
        channel=row.channel,
        at=row.at,
        source=row.source,
        scope=row.scope,
        seller=row.seller,
        evidence=row.evidence,
        expires_at=row.expires_at,
    )


def frozen(case: Case) -> dict[str, Any]:
    """What the verdict depended on, as JSON: no address, no words (they are the message's own columns).

    A consent's proof stays in its row; which parts of it were there is what the rule asks.
    """
    contact, asked = case.contact, case.relationship.inquiry_at
    return {
        "judged_for": case.now,
        "place": {"zip": contact.zip, "city": contact.city, "state": contact.state, "country": contact.country},
        "phone_prefix": prefix_of(contact.phone),
        "consents": [
            {
                "id": consent.id,
                "level": consent.level,
                "channel": consent.channel,
                "at": consent.at,
                "scope": consent.scope,
                "seller": consent.seller,
                "source": consent.source,
                "expires_at": consent.expires_at,
                "proof": sorted(name for name, value in consent.evidence.items() if value),
            }
            for consent in case.consents
        ],
        "suppressions": [{"channel": s.channel, "at": s.at, "source": s.source} for s in case.suppressions],
        "history": [
            {"at": i.at, "direction": i.direction, "channel": i.channel, "purpose": i.purpose} for i in case.history
        ],
        "inquiry_at": asked,
        "is_template": case.is_template,
    }
