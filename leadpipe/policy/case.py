"""One case to judge: a message to a contact at a moment, with everything known about both.

What lives here: the shapes. What does not: reading them from JSON (``case_reading``) or from the ledger
(``messaging.cases``), rules. What is missing is unknown, and unknown is not allowed where a rule needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

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
