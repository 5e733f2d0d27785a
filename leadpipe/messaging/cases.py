"""From the ledger's rows to policy cases: what is known about the receivers of some messages.

What lives here: one reading per kind of fact, for one message or for tens of thousands. What does not: any rule and the
form in which a case is kept (``policy``), which homes a message speaks of (``homes``), what follows from a verdict
(``claim``, ``enqueue``, ``review``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple, cast

import orjson

from leadpipe.leads.place import state_of_code
from leadpipe.leads.place_tables import state_code
from leadpipe.messaging.content_template import values_for
from leadpipe.messaging.homes import NO_LOOKS, Looks, Offered, offered_in, read_looks
from leadpipe.messaging.protocol import UNSURE, WENT_OUT
from leadpipe.policy.case import (
    Case,
    Consent,
    Contact,
    Dnc,
    HistoryItem,
    Home,
    Reassigned,
    Relationship,
    StateList,
    Suppression,
)
from leadpipe.store.ledger import id_array

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection, Row

    from leadpipe.messaging.intent import Intent
    from leadpipe.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One message to judge.

    Attributes:
        is_template: WhatsApp only: the approved template says exactly this body (``content_template``).
        judged_for: the moment it is to leave when that lies ahead; None judges for now.
        offered: the homes that the message prints.
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
    is_template: bool = False
    judged_for: datetime | None = None
    offered: tuple[Offered, ...] = ()


def subject_of(stored: Row[Any] | Intent, *, judged_for: datetime | None = None) -> Subject:
    """What a message asks the gate, from its row or from the intent that becomes one."""
    is_whatsapp = stored.channel == "whatsapp"
    return Subject(
        message_id=stored.id,
        person_id=stored.person_id,
        contact_point_id=stored.contact_point_id,
        plan=stored.plan,
        step=stored.step,
        channel=stored.channel,
        purpose=stored.purpose,
        subject=stored.subject,
        body=stored.body,
        is_model_written=stored.is_model_written,
        is_template=is_whatsapp and values_for(stored.variables, stored.body) is not None,
        judged_for=judged_for,
        offered=offered_in(stored.variables),
    )


class _Refusal(NamedTuple):
    """The newest row about one channel of a contact point: a refusal, or its lifting."""

    channel: str
    action: str
    source: str
    at: datetime


# The mark of the last reading of the CRM's opt-outs (C45).
REFUSALS = "fub_refusals_read"
_NO_POINT = (0, "", None)
_NO_PERSON = (0, "", "", "", "", None, None, None, None, None, None, None)
# Where the MLS's number of the home they asked about stands among a person's facts.
_HOME_NUMBER = 7
_NO_PROOF: Mapping[str, Any] = {}
_NO_RELATIONSHIP = Relationship()
# Consents that may reach a channel, by the channel they name (``policy.standing``).
_REACHED_BY = {
    "email": ("email", "all", "any"),
    "sms": ("sms", "phone", "all", "any"),
    "whatsapp": ("whatsapp", "phone", "all", "any"),
}
# An act of the team in the CRM by its kind, as a message of that channel; a note reaches nobody.
_HUMAN_CHANNELS = {"text": "sms", "call": "call", "email": "email"}
# The purpose of what people of the team send by themselves: it counts for the law's limits, not as our introduction.
MANUAL = "manual"

_POINTS: LiteralString = "select id, kind, address from ledger.contact_points where id = any(%(points)s::bigint[])"
_PEOPLE: LiteralString = """
    select p.person_id, p.place->>'zip', p.place->>'city', p.place->>'state', p.place->>'country', i.asked_at,
      phone.address, i.home->>'mls_number', i.home->>'state', i.home->>'zip', i.home->>'price_usd', i.home->>'bedrooms'
    from ledger.people p
    left join (
      select person_id, max(occurred_at) as asked_at,
        (array_agg(property order by occurred_at desc) filter (where property <> '{}'::jsonb))[1] as home
      from ledger.inquiries
      where person_id = any(%(people)s::bigint[])
        and (%(by)s::timestamptz is null or occurred_at <= %(by)s::timestamptz)
      group by 1
    ) i using (person_id)
    left join (
      select distinct on (o.person_id) o.person_id, c.address
      from ledger.person_contact_points o
      cross join lateral (
        -- one look each: joined, all contact points would be read for every batch of some thousand people
        select id, address from ledger.contact_points where id = o.contact_point_id and kind = 'phone' offset 0
      ) c
      where o.person_id = any(%(people)s::bigint[]) and o.detached_at is null
      order by o.person_id, o.rank, c.id
    ) phone using (person_id)
    where p.person_id = any(%(people)s::bigint[])
    """
# Only written consent is worth its proof (C2), and proofs are the bulk of the bytes.
_CONSENTS: LiteralString = """
    select person_id, contact_point_id, id, level, channel, at, source, scope, seller, expires_at,
      case when level = 'pewc' then evidence::text end
    from ledger.consents
    where person_id = any(%(people)s::bigint[]) and channel = any(%(channels)s::text[])
    order by at, id
    """
# The newest row of each (point, channel) decides; a lift is kept, since it outlives older refusals of other channels.
_SUPPRESSIONS: LiteralString = """
    select distinct on (contact_point_id, channel) contact_point_id, channel, action, source, at
    from ledger.suppressions where contact_point_id = any(%(points)s::bigint[])
      and (%(by)s::timestamptz is null or at <= %(by)s::timestamptz)
    order by contact_point_id, channel, at desc, id desc
    """
# Also what another CRM person at the same address was sent, and wrote: it is one receiver.
_SENT: LiteralString = """
    select id::text, person_id, contact_point_id, channel, purpose, coalesce(accepted_at, changed_at)
    from ledger.messages where person_id = any(%(people)s::bigint[]) and state = any(%(out)s::text[])
    union
    select id::text, person_id, contact_point_id, channel, purpose, coalesce(accepted_at, changed_at)
    from ledger.messages where contact_point_id = any(%(points)s::bigint[]) and state = any(%(out)s::text[])
    """
_RECEIVED: LiteralString = """
    select id, person_id, contact_point_id, channel, received_at
    from ledger.inbound_messages where not is_auto_reply and person_id = any(%(people)s::bigint[])
    union
    select id, person_id, contact_point_id, channel, received_at
    from ledger.inbound_messages where not is_auto_reply and contact_point_id = any(%(points)s::bigint[])
    """
# Lists know numbers only; what none was asked about is unknown.
_CHECKS: LiteralString = (
    "select contact_point_id, list, result, checked_at from ledger.number_checks "
    "where contact_point_id = any(%(points)s::bigint[])"
)
# The newest wish of an address decides; only emails have one.
_WISHES: LiteralString = """
    select distinct on (contact_point_id) contact_point_id, gap_days from ledger.preferences
    where contact_point_id = any(%(points)s::bigint[]) and channel = 'email'
      and (%(by)s::timestamptz is null or at <= %(by)s::timestamptz)
    order by contact_point_id, at desc, id desc
    """
_READ: LiteralString = "select value->>'at' from ledger.watermarks where source = %(refusals)s"
_HUMAN: LiteralString = (
    "select person_id, kind, at from ledger.human_actions where person_id = any(%(people)s::bigint[])"
)
_QUESTIONS = (_POINTS, _PEOPLE, _CONSENTS, _SUPPRESSIONS, _SENT, _RECEIVED, _HUMAN, _CHECKS, _WISHES, _READ)
_Rows = list[tuple[Any, ...]]


def read_cases(
    connection: Connection,
    subjects: Sequence[Subject],
    *,
    now: datetime,
    settings: Settings,
    by: datetime | None = None,
) -> list[Case]:
    """The case of each subject, in order, all facts read in this transaction.

    A person or contact point that is not in the ledger yields a case without address or place, which no rule allows.

    Args:
        connection: the ledger.
        subjects: what is to be judged.
        now: the moment they are judged for unless they name their own.
        settings: the team's.
        by: refusals, wishes, inquiries, messages and acts of a later moment are passed over; None takes all there are.
    """
    if not subjects:
        return []
    facts = _Facts(connection, subjects, by)
    has_template = bool(settings.whatsapp_template_sid)
    return [facts.case(subject, subject.judged_for or now, has_template) for subject in subjects]


class _Facts:
    """Everything the ledger holds about a batch's receivers, by person and by contact point."""

    def __init__(self, connection: Connection, subjects: Sequence[Subject], by: datetime | None) -> None:
        self._by = by
        values = {
            "by": by,
            "people": id_array({s.person_id for s in subjects}),
            "points": id_array({s.contact_point_id for s in subjects}),
            "channels": sorted({reach for s in subjects for reach in _REACHED_BY[s.channel]}),
            "out": [str(state) for state in WENT_OUT | UNSURE],
            "refusals": REFUSALS,
        }
        points, people, consents, suppressions, sent, received, human, checks, wishes, read = _answers(
            connection, values
        )
        self._points: dict[int, tuple[Any, ...]] = {row[0]: row for row in points}
        self._people: dict[int, tuple[Any, ...]] = {row[0]: row for row in people}
        self._consents: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for row in consents:
            self._consents[row[0]].append(row)
        self._suppressions: dict[int, dict[str, _Refusal]] = defaultdict(dict)
        for point, *refusal in suppressions:
            self._suppressions[point][refusal[0]] = _Refusal(*refusal)
        self._checks: dict[int, dict[str, tuple[str, date]]] = defaultdict(dict)
        for point, name, result, checked_at in checks:
            self._checks[point][name] = (result, checked_at)
        self._email_gap_days: dict[int, int | None] = {row[0]: row[1] for row in wishes}
        # Before the first reading nobody is known either.
        self._refusals_read_at = datetime.fromisoformat(read[0][0]) if read else None
        self._by_person: dict[int, dict[str, HistoryItem]] = defaultdict(dict)
        self._by_point: dict[int, dict[str, HistoryItem]] = defaultdict(dict)
        self._keep_history(sent, received, human)
        self._looks = self._read_looks(connection, subjects)

    def _read_looks(self, connection: Connection, subjects: Sequence[Subject]) -> Looks:
        """What was last seen of the homes that these messages print, and of those their receivers asked about."""
        keys = {home.listing_key for subject in subjects for home in subject.offered}
        numbers = {number for row in self._people.values() if (number := row[_HOME_NUMBER])}
        return read_looks(connection, keys=keys, numbers=numbers) if keys or numbers else NO_LOOKS

    def _keep_history(self, sent: _Rows, received: _Rows, human: _Rows) -> None:
        for key, person, point, channel, purpose, at in sent:
            item = HistoryItem(at=at, direction="out", channel=channel, purpose=purpose)
            self._by_person[person][key] = item
            self._by_point[point][key] = item
        for key, person, point, channel, at in received:
            item = HistoryItem(at=at, direction="in", channel=channel)
            self._by_point[point][f"in {key}"] = item
            if person is not None:
                self._by_person[person][f"in {key}"] = item
        for number, (person, kind, at) in enumerate(human):
            if channel := _HUMAN_CHANNELS.get(kind):
                item = HistoryItem(at=at, direction="out", channel=channel, purpose=MANUAL)
                self._by_person[person][f"human {number}"] = item

    def case(self, subject: Subject, at: datetime, has_template: bool) -> Case:
        _, kind, address = self._points.get(subject.contact_point_id, _NO_POINT)
        person = self._people.get(subject.person_id, _NO_PERSON)
        _, zip_code, city, state, country, asked_at, phone, home_number, *home = person
        return Case(
            id=subject.message_id,
            now=at,
            channel=subject.channel,
            purpose=subject.purpose,
            contact=Contact(
                # Their number says where they are, also for an email (C13, C31, C32).
                phone=address if kind == "phone" else phone,
                email=address if kind == "email" else None,
                zip=zip_code or "",
                city=city or "",
                state=state or "",
                country=country or "",
            ),
            consents=self._consents_of(subject),
            suppressions=self._suppressions_of(subject),
            history=self._history_of(subject),
            **self._lists_of(subject),
            # At night the morning's messages are planned: they are judged again, with a newer reading, when they leave.
            refusals_read_at=None if subject.judged_for else self._refusals_read_at,
            email_gap_days=self._email_gap_days.get(subject.contact_point_id) if subject.channel == "email" else None,
            relationship=Relationship(inquiry_at=asked_at) if asked_at is not None else _NO_RELATIONSHIP,
            listing=self._looks.by_number.get(home_number),
            offered=tuple([self._looks.at(offered) for offered in subject.offered]),
            home=_home(*home),
            is_model_written=subject.is_model_written,
            subject=subject.subject or None,
            body=subject.body,
            is_template=subject.is_template and has_template,
        )

    def _lists_of(self, subject: Subject) -> dict[str, Any]:
        """What do-not-call lists and the reassigned-numbers database said of this number."""
        checks = self._checks.get(subject.contact_point_id)
        if not checks:
            return {}
        found: dict[str, Any] = {}
        lists: list[StateList] = []
        for name, (result, checked_at) in checks.items():
            if name == "dnc":
                found["dnc"] = Dnc(listed=result == "yes", checked_at=checked_at)
            elif name == "reassigned":
                found["reassigned"] = Reassigned(result=result, checked_at=checked_at)
            else:
                lists.append(StateList(state=name.partition(":")[2], listed=result == "yes", checked_at=checked_at))
        return found | {"state_lists": tuple(lists)}

    def _consents_of(self, subject: Subject) -> tuple[Consent, ...]:
        """The person's own consents that are for any address or for this one; nobody else's transfer (C29).

        Of the channel only, whatever else is judged at the same time: a message's case is the same alone.
        """
        found = self._consents.get(subject.person_id)
        if not found:
            return ()
        reach, mine = _REACHED_BY[subject.channel], (None, subject.contact_point_id)
        return tuple([_consent(row) for row in found if row[4] in reach and row[1] in mine])

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
        found = sorted(items.values(), key=lambda item: item.at)
        return tuple(found) if self._by is None else tuple([item for item in found if item.at <= self._by])


def _answers(connection: Connection, values: Mapping[str, Any]) -> list[_Rows]:
    """The answers to all questions, asked in one breath: a claim of fifty messages waits more than it reads."""
    driver = cast("psycopg.Connection[tuple[Any, ...]]", connection.connection.driver_connection)
    with driver.pipeline():
        asked = [driver.execute(question.encode(), values) for question in _QUESTIONS]
        return [cursor.fetchall() for cursor in asked]


def _home(state: str | None, zip_code: str | None, price_usd: str | None, beds: str | None) -> Home | None:
    """The home they asked about last, as the inquiry said; what is no whole number is unknown."""
    if not (state or zip_code or price_usd or beds):
        return None
    return Home(
        state=state_code(state or "") or state_of_code(zip_code or ""),
        price_usd=int(price_usd) if price_usd and price_usd.isdigit() else None,
        beds=int(beds) if beds and beds.isdigit() else None,
    )


_ONE_CONSENT: LiteralString = """
    select person_id, contact_point_id, id, level, channel, at, source, scope, seller, expires_at,
      case when level = 'pewc' then evidence::text end
    from ledger.consents where id = any(%(ids)s::bigint[])
    """


def read_consents(connection: Connection, ids: Iterable[int]) -> dict[int, Consent]:
    """These consents as a case holds them, by id; what is no longer there is left out."""
    driver = cast("psycopg.Connection[tuple[Any, ...]]", connection.connection.driver_connection)
    rows = driver.execute(_ONE_CONSENT.encode(), {"ids": id_array(ids)}).fetchall()
    return {row[2]: _consent(row) for row in rows}


def _consent(row: tuple[Any, ...]) -> Consent:
    _, _, consent_id, level, channel, at, source, scope, seller, expires_at, proof = row
    return Consent(
        id=consent_id,
        level=level,
        channel=channel,
        at=at,
        source=source,
        scope=scope,
        seller=seller,
        evidence=orjson.loads(proof) if proof else _NO_PROOF,
        expires_at=expires_at,
    )
