"""What a person of Follow Up Boss means to the ledger.

What lives here: payload -> ``Person``, with normalised contact points and the consents that the record proves. What
does not: storing people (``people``), judging consents (``policy``), what else a record can mean (``inquiries``,
``human_actions``).

House convention for consent, since the CRM has no field for it (FUB sheet 4.5): custom fields ``customConsentSms``
(``pewc`` or ``inquiry``), ``customConsentText``, ``customConsentAt``, ``customConsentIp``, ``customWhatsAppOptIn``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from leadpipe.crm.values import MAX_INT, read_time, read_whole, time_or_none
from leadpipe.errors import BadRecord
from leadpipe.leads.identity import EmailPoint, PhonePoint, normalise_email, normalise_phone

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ConsentProof:
    """A consent that a record proves, not yet tied to a contact point's row."""

    channel: str
    level: str
    scope: str
    source: str
    at: datetime
    address: str
    evidence: Row
    dedupe_key: str


@dataclass(frozen=True, kw_only=True)
class Person:
    """One CRM person as the ledger keeps it."""

    person_id: int
    first_name: str
    last_name: str
    stage: str
    source: str
    assigned_user_id: int | None
    assigned_to: str | None
    price_usd: int | None
    tags: tuple[str, ...]
    place: Row
    custom: Row
    crm_created_at: datetime
    crm_updated_at: datetime
    last_human_at: datetime | None
    last_two_way_at: datetime | None
    emails: tuple[EmailPoint, ...]
    phones: tuple[PhonePoint, ...]
    consents: tuple[ConsentProof, ...]
    created_via: str = ""
    set_aside: tuple[tuple[str, str], ...] = field(default=())
    """Contact entries that cannot be used: (raw value, reason). They go to quarantine; the lead stays."""


def read_person(payload: Row) -> Person:
    """A person payload as the ledger keeps it.

    Raises:
        BadRecord: no id or no creation time; the rest of a record may be missing or wrong without losing the lead.
    """
    try:
        person_id = int(payload["id"])
        created_at = read_time(payload.get("created"))
    except (KeyError, TypeError, ValueError):
        raise BadRecord("FUB person without a usable id or creation time") from None
    if not 0 < person_id <= MAX_INT:
        raise BadRecord("FUB person without a usable id")
    if created_at is None:
        raise BadRecord(f"FUB person {person_id} has no creation time")
    set_aside: list[tuple[str, str]] = []
    emails = _points(payload.get("emails"), normalise_email, set_aside)
    phones = _points(payload.get("phones"), normalise_phone, set_aside)
    custom = {
        key: value for key, value in payload.items() if key.startswith("custom") and value is not None and value != ""
    }
    times = {name: time_or_none(payload.get(name)) for name in _TIMES}
    human = [times[name] for name in ("lastOutgoingCall", "lastSentText", "lastSentEmail")]
    return Person(
        person_id=person_id,
        first_name=str(payload.get("firstName") or ""),
        last_name=str(payload.get("lastName") or ""),
        stage=str(payload.get("stage") or ""),
        source=str(payload.get("source") or ""),
        assigned_user_id=read_whole(payload.get("assignedUserId")) or None,
        assigned_to=str(payload.get("assignedTo") or "") or None,
        price_usd=read_whole(payload.get("price")),
        tags=_tags(payload.get("tags")),
        place=_place(payload),
        custom=custom,
        crm_created_at=created_at,
        crm_updated_at=time_or_none(payload.get("updated")) or created_at,
        last_human_at=max((at for at in human if at), default=None),
        last_two_way_at=_last_two_way(times),
        emails=tuple(emails),
        phones=tuple(phones),
        consents=tuple(_consents(person_id, custom, phones)),
        created_via=str(payload.get("createdVia") or ""),
        set_aside=tuple(set_aside),
    )


_TIMES = (
    "lastOutgoingCall",
    "lastIncomingCall",
    "lastSentText",
    "lastReceivedText",
    "lastSentEmail",
    "lastReceivedEmail",
)


def _last_two_way(times: dict[str, datetime | None]) -> datetime | None:
    """The later of the lead's own last words; a side that only we wrote is no two-way contact."""
    heard = [times[name] for name in ("lastIncomingCall", "lastReceivedText", "lastReceivedEmail")]
    return max((at for at in heard if at), default=None)


def _tags(value: object) -> tuple[str, ...]:
    return tuple(str(tag) for tag in value) if isinstance(value, list) else ()


def _points(entries: object, normalise: Any, set_aside: list[tuple[str, str]]) -> list[Any]:
    """Usable contact points, the primary first; the unusable ones are set aside with their reason."""
    rows: list[Row] = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    own = [entry for entry in rows if not entry.get("relationshipId")]
    own.sort(key=lambda entry: (not entry.get("isPrimary"), str(entry.get("status", "")).lower() != "valid"))
    points: dict[str, Any] = {}
    for entry in own:
        raw = str(entry.get("value") or "").strip()
        if not raw:
            continue
        point = normalise(raw)
        if point.reason:
            set_aside.append((raw, point.reason))
        else:
            points.setdefault(point.address, point)
    return list(points.values())


def _place(payload: Row) -> Row:
    """The lead's own address; the property they asked about says where they may live one day, not where they are."""
    addresses = payload.get("addresses")
    for address in addresses if isinstance(addresses, list) else []:
        if isinstance(address, dict) and (address.get("code") or address.get("city") or address.get("state")):
            return {
                "zip": str(address.get("code") or ""),
                "city": str(address.get("city") or ""),
                "state": str(address.get("state") or ""),
                "country": str(address.get("country") or ""),
                "basis": "address",
            }
    return {}


def _consents(person_id: int, custom: Row, phones: list[PhonePoint]) -> list[ConsentProof]:
    proofs: list[ConsentProof] = []
    level = str(custom.get("customConsentSms") or "").lower()
    at = time_or_none(custom.get("customConsentAt"))
    if level in {"pewc", "express", "inquiry"} and at and phones:
        text = str(custom.get("customConsentText") or "")
        ip = custom.get("customConsentIp")
        # Without the disclosure and where it was given it is no written consent (C2), however it is labelled.
        proven = level if level != "pewc" or (text and ip) else "inquiry"
        proofs.append(
            ConsentProof(
                channel="sms",
                level=proven,
                scope="marketing" if proven == "pewc" else "inquiry",
                source="web_form",
                at=at,
                address=phones[0].address,
                # The fields are for the team's own form, so its disclosure names the team.
                evidence={
                    "disclosure": text,
                    "ip": ip,
                    "number": "as given on the form",
                    "signer": "as given",
                    "seller": "ours",
                },
                dedupe_key=f"custom-sms:{person_id}:{level}:{at.isoformat()}",
            )
        )
    opted_in_at = time_or_none(custom.get("customWhatsAppOptIn"))
    if opted_in_at and phones:
        proofs.append(
            ConsentProof(
                channel="whatsapp",
                # A yes to this channel, without the proof that written consent needs.
                level="express",
                scope="marketing",
                source="web_form",
                at=opted_in_at,
                address=phones[0].address,
                evidence={"field": "customWhatsAppOptIn"},
                dedupe_key=f"custom-whatsapp:{person_id}:{opted_in_at.isoformat()}",
            )
        )
    return proofs
