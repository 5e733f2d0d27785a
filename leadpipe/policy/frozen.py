"""A case as it is kept with its verdict, and the case again from what was kept.

What lives here: the kept form, both ways. What does not: keeping it (``messaging``), judging it again (``explain``).

The kept form holds no address and no words: they are the message's own columns, so that erasing a person erases them
once. A consent's proof stays in its own row, which nothing changes and its id names. Everything else a rule reads is
here; a test builds cases of every field and judges each before and after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from leadpipe.leads.place import prefix_of
from leadpipe.policy.case import (
    Case,
    Consent,
    Contact,
    Dnc,
    HistoryItem,
    Home,
    Listing,
    Reassigned,
    Relationship,
    StateList,
    Suppression,
)

Frozen = Mapping[str, Any]


def frozen(case: Case) -> dict[str, Any]:
    """What the verdict depended on, as JSON's own types and times; unknowns are left out."""
    contact = case.contact
    kept: dict[str, Any] = {
        "judged_for": case.now,
        "place": [contact.zip, contact.city, contact.state, contact.country],
        "phone_prefix": prefix_of(contact.phone),
        "consents": [[c.id, c.level, c.channel, c.at] for c in case.consents],
        "suppressions": [[s.channel, s.source, s.at] for s in case.suppressions],
        "history": [[i.direction, i.channel, i.purpose, i.at] for i in case.history],
        "inquiry_at": case.relationship.inquiry_at,
        "dnc": [case.dnc.listed, case.dnc.checked_at],
        "state_lists": [[each.state, each.listed, each.checked_at] for each in case.state_lists],
        "reassigned": [case.reassigned.result, case.reassigned.checked_at],
        "refusals_read_at": case.refusals_read_at,
        "is_template": case.is_template,
    }
    # What the ledger never says, or hardly ever.
    if case.relationship.transaction_at is not None:
        kept["transaction_at"] = case.relationship.transaction_at
    if case.sender != "ours":
        kept["sender"] = case.sender
    if case.email_gap_days is not None:
        kept["email_gap_days"] = case.email_gap_days
    if case.listing is not None:
        kept["listing"] = _kept_listing(case.listing)
    if case.offered:
        kept["offered"] = [_kept_listing(each) for each in case.offered]
    if case.home is not None:
        kept["home"] = [case.home.state, case.home.price_usd, case.home.beds]
    if case.is_model_written:
        kept["is_model_written"] = True
    return kept


def consent_ids(kept: Frozen) -> list[int]:
    """Ids of the consents whose rows the case needs again."""
    return [entry[0] for entry in kept.get("consents", ()) if entry[0] is not None]


def judged_for(kept: Frozen) -> datetime:
    """The moment it was judged for."""
    return _time(kept["judged_for"])


def thawed(
    kept: Frozen,
    *,
    message_id: str,
    channel: str,
    purpose: str,
    address: str,
    consents: Mapping[int, Consent],
    subject: str | None,
    body: str | None,
) -> Case:
    """The case again.

    Args:
        kept: what ``frozen`` made, as it came back from JSON.
        message_id: the case's id.
        channel: of the message.
        purpose: of the message.
        address: the contact point's own; empty when it was erased.
        consents: the rows of ``consent_ids``, by id; one that is gone is left out.
        subject: of the message.
        body: the words to judge.
    """
    zip_code, city, state, country = kept["place"]
    is_email = channel == "email"
    return Case(
        id=message_id,
        now=judged_for(kept),
        channel=channel,
        purpose=purpose,
        contact=Contact(
            # An email's receiver is placed by the first digits of their number; the rest was never looked at.
            phone=(kept["phone_prefix"] or None) if is_email else (address or None),
            email=(address or None) if is_email else None,
            zip=zip_code,
            city=city,
            state=state,
            country=country,
        ),
        consents=tuple(consents[number] for number in consent_ids(kept) if number in consents),
        suppressions=tuple(Suppression(channel=c, source=s, at=_time(at)) for c, s, at in kept["suppressions"]),
        history=tuple(
            HistoryItem(direction=direction, channel=by, purpose=why, at=_time(at))
            for direction, by, why, at in kept["history"]
        ),
        dnc=_dnc(kept.get("dnc")),
        state_lists=tuple(
            StateList(state=where, listed=listed, checked_at=_day(on))
            for where, listed, on in kept.get("state_lists", ())
        ),
        reassigned=_reassigned(kept.get("reassigned")),
        relationship=Relationship(
            inquiry_at=_maybe(kept.get("inquiry_at")), transaction_at=_maybe(kept.get("transaction_at"))
        ),
        sender=kept.get("sender", "ours"),
        listing=_listing(*kept["listing"]) if kept.get("listing") else None,
        offered=tuple(_listing(*each) for each in kept.get("offered", ())),
        home=_home(kept.get("home")),
        is_model_written=bool(kept.get("is_model_written", False)),
        refusals_read_at=_maybe(kept.get("refusals_read_at")),
        email_gap_days=kept.get("email_gap_days"),
        subject=subject,
        body=body,
        is_template=bool(kept["is_template"]),
    )


def _dnc(kept: Sequence[Any] | None) -> Dnc:
    return Dnc(listed=kept[0], checked_at=_day(kept[1])) if kept else Dnc()


def _reassigned(kept: Sequence[Any] | None) -> Reassigned:
    return Reassigned(result=kept[0], checked_at=_day(kept[1])) if kept else Reassigned()


def _kept_listing(listing: Listing) -> list[Any]:
    return [listing.status, listing.checked_at, listing.state]


def _listing(status: str, checked_at: Any, state: str = "") -> Listing:
    return Listing(status=status, checked_at=_maybe(checked_at), state=state)


def _home(kept: Sequence[Any] | None) -> Home | None:
    return Home(state=kept[0], price_usd=kept[1], beds=kept[2]) if kept else None


def _time(value: Any) -> datetime:
    at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return at.astimezone(UTC)


def _maybe(value: Any) -> datetime | None:
    return None if value is None else _time(value)


def _day(value: Any) -> date | None:
    return None if value is None else value if isinstance(value, date) else date.fromisoformat(str(value))
