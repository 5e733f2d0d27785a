"""One case to judge: a message to a contact at a moment, with everything known about both.

What lives here: the shapes and their reading from JSON. What does not: rules. What is missing is unknown, and unknown
is not allowed where a rule needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from leadpipe.errors import BadRecord

CHANNELS = ("email", "sms", "whatsapp", "voice_ai", "call_recording")
PURPOSES = ("inquiry_response", "conversation", "transactional", "marketing", "optout_confirmation")
# What the reassigned-numbers database answers: the number changed hands since the date asked for, did not, unknown.
RND_RESULTS = ("yes", "no", "no_data")
LEVELS = {"none": 0, "inquiry": 1, "express": 2, "pewc": 3}


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """Who is written to; place fields are the person's own, not those of a home they asked about."""

    phone: str | None = None
    email: str | None = None
    zip: str = ""
    city: str = ""
    state: str = ""
    country: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Consent:
    """One consent with its proof (C2)."""

    level: str
    channel: str
    at: datetime
    source: str = ""
    scope: str = "marketing"
    seller: str = "ours"
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    expires_at: datetime | None = None
    id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Suppression:
    """One revocation, bounce, complaint or wrong number."""

    channel: str
    at: datetime
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryItem:
    """One message that went out or came in."""

    at: datetime
    direction: str
    channel: str
    purpose: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dnc:
    """The number's state on the do-not-call registry; None is unknown."""

    listed: bool | None = None
    checked_at: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StateList:
    """The number's state on the do-not-call list of one state (C17)."""

    state: str
    listed: bool
    checked_at: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reassigned:
    """What the reassigned-numbers database said (``yes``, ``no``, ``no_data``); None was never asked (C19)."""

    checked_at: date | None = None
    result: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What the listing service said of one home, and when (C41); where it stands (C40).

    Attributes:
        status: as the service names it; empty when nobody knows.
        checked_at: None when nobody looked.
        state: two letters; empty when nobody knows.
    """

    status: str
    checked_at: datetime | None
    state: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """What is stored of the home they asked about: its state (C40), and what words about it may say (C41)."""

    state: str = ""
    price_usd: int | None = None
    beds: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Relationship:
    """Established business relationship (C16)."""

    inquiry_at: datetime | None = None
    transaction_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One message to judge.

    Attributes:
        body: the words; None leaves the content rules skipped.
        is_template: an approved WhatsApp template rather than free text. A case from JSON that does not say is one:
            outside the session nothing else can be meant.
        sender: who the message is for when that is not us, such as a lender (C29).
        listing: the home that the words speak of, which may call it available; None when nobody looked.
        offered: the homes that the message prints as for sale, whatever its words.
        home: the home they asked about; None when they asked about none.
        is_model_written: whether a model chose the words.
        refusals_read_at: when the CRM's own opt-outs were last read (C45); None where there is nothing to read.
        email_gap_days: the person asked for no more than one marketing email in so many days; None did not.
    """

    id: str
    now: datetime
    channel: str
    purpose: str
    contact: Contact
    consents: tuple[Consent, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    history: tuple[HistoryItem, ...] = ()
    dnc: Dnc = Dnc()
    state_lists: tuple[StateList, ...] = ()
    reassigned: Reassigned = Reassigned()
    relationship: Relationship = Relationship()
    sender: str = "ours"
    listing: Listing | None = None
    offered: tuple[Listing, ...] = ()
    home: Home | None = None
    is_model_written: bool = False
    refusals_read_at: datetime | None = None
    email_gap_days: int | None = None
    subject: str | None = None
    body: str | None = None
    is_template: bool = False

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Case:
        """A case as ``leadpipe policy check`` reads it.

        Raises:
            BadRecord: a required field is missing or a value has no meaning; the message names the field.
        """
        for name in ("id", "now", "channel", "purpose", "contact"):
            if row.get(name) is None:
                raise BadRecord(f"field {name} is missing")
        if row["channel"] not in CHANNELS:
            raise BadRecord(f"field channel: {row['channel']!r} is none of {', '.join(CHANNELS)}")
        if row["purpose"] not in PURPOSES:
            raise BadRecord(f"field purpose: {row['purpose']!r} is none of {', '.join(PURPOSES)}")
        contact = row["contact"]
        address = contact.get("address") or {}
        return Case(
            id=str(row["id"]),
            now=_time(row, "now"),
            channel=row["channel"],
            purpose=row["purpose"],
            contact=Contact(
                phone=contact.get("phone"),
                email=contact.get("email"),
                **{name: str(address.get(name) or "") for name in ("zip", "city", "state", "country")},
            ),
            # What is not said counts as unknown: a consent of no date permits nothing, a refusal of no date or channel
            # stands for every channel, a message of no date was sent now.
            consents=tuple(_consent(entry) for entry in row.get("consents") or () if entry.get("at")),
            suppressions=tuple(
                Suppression(
                    channel=str(entry.get("channel") or "all"),
                    at=_time(entry if entry.get("at") else {"at": row["now"]}, "at"),
                    source=entry.get("source") or "",
                )
                for entry in row.get("suppressions") or ()
            ),
            history=tuple(
                HistoryItem(
                    at=_time(entry if entry.get("at") else {"at": row["now"]}, "at"),
                    direction=str(entry.get("direction") or "out"),
                    channel=str(entry.get("channel") or row["channel"]),
                    purpose=entry.get("purpose") or "",
                )
                for entry in row.get("history") or ()
            ),
            dnc=Dnc(**_dated(row.get("dnc"), "listed")),
            state_lists=tuple(_state_list(entry) for entry in row.get("state_lists") or ()),
            reassigned=_reassigned(row.get("reassigned")),
            sender=str(row.get("sender") or "ours"),
            listing=_listing(row["listing"]) if row.get("listing") else None,
            offered=tuple(_listing(entry) for entry in row.get("offered") or ()),
            home=_home(row.get("home")),
            is_model_written=bool(row.get("is_model_written", False)),
            refusals_read_at=_time(row, "refusals_read_at") if row.get("refusals_read_at") else None,
            email_gap_days=_days(row, "email_gap_days"),
            relationship=Relationship(
                **{
                    name: _time(row["relationship"], name)
                    for name in ("inquiry_at", "transaction_at")
                    if (row.get("relationship") or {}).get(name)
                }
            ),
            subject=row.get("subject"),
            body=row.get("body"),
            is_template=bool(row.get("is_template", True)),
        )


def _time(row: Mapping[str, Any], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(str(row[name]).replace("Z", "+00:00"))
    except (KeyError, ValueError) as error:
        raise BadRecord(f"field {name}: {row.get(name)!r} is no ISO time") from error
    if at.tzinfo is None:
        raise BadRecord(f"field {name}: {row[name]!r} has no time zone")
    return at.astimezone(UTC)


def _days(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or value < 1:
        raise BadRecord(f"field {name}: {value!r} is no number of days")
    return value


def _dated(row: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    if not row:
        return {}
    checked = row.get("checked_at")
    try:
        return {name: row.get(name), "checked_at": date.fromisoformat(str(checked)[:10]) if checked else None}
    except ValueError as error:
        raise BadRecord(f"field checked_at: {checked!r} is no date") from error


def _state_list(entry: Mapping[str, Any]) -> StateList:
    if not entry.get("state") or not isinstance(entry.get("listed"), bool):
        raise BadRecord("field state_lists: each entry names a state and says listed: true or false")
    return StateList(state=str(entry["state"]).upper(), **_dated(entry, "listed"))


def _reassigned(row: Mapping[str, Any] | None) -> Reassigned:
    if row and row.get("result") is not None and row["result"] not in RND_RESULTS:
        raise BadRecord(f"field reassigned.result: {row['result']!r} is none of {', '.join(RND_RESULTS)}")
    return Reassigned(**_dated(row, "result"))


def _listing(row: Mapping[str, Any]) -> Listing:
    return Listing(
        status=str(row.get("status") or ""),
        checked_at=_time(row, "checked_at") if row.get("checked_at") else None,
        state=str(row.get("state") or "").upper(),
    )


def _home(row: Mapping[str, Any] | None) -> Home | None:
    if not row:
        return None
    counts: dict[str, int | None] = {}
    for name in ("price_usd", "beds"):
        value = row.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise BadRecord(f"field home.{name}: {value!r} is no whole number")
        counts[name] = value
    return Home(state=str(row.get("state") or "").upper(), **counts)


def _consent(entry: Mapping[str, Any]) -> Consent:
    if entry.get("level") not in LEVELS:
        raise BadRecord(f"field consents.level: {entry.get('level')!r} is none of {', '.join(LEVELS)}")
    return Consent(
        level=entry["level"],
        channel=str(entry.get("channel") or ""),
        at=_time(entry, "at"),
        source=str(entry.get("source") or ""),
        scope=str(entry.get("scope") or "marketing"),
        seller=str(entry.get("seller") or ""),
        evidence=entry.get("evidence") or {},
        expires_at=_time(entry, "expires_at") if entry.get("expires_at") else None,
    )
