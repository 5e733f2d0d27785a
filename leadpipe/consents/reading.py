"""What one line of a file of consents amounts to, before it is known whose it is.

What lives here: the level each consent gets and why (C2, C3). What does not: columns (``mapping``), finding the person
and storing (``importing``), what a stored consent is worth later (``policy.standing``, which asks the same proof).

A file says what it likes; a consent is what it can prove. A bare "yes" is an ``inquiry``. ``pewc`` needs every part of
its proof and our own name as the seller; ``express`` needs when and how it was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from leadpipe.consents.mapping import FLAGS, Columns
from leadpipe.errors import BadRecord
from leadpipe.leads.identity import normalise_email, normalise_phone

CHANNELS = ("sms", "email", "whatsapp", "phone", "all")
LEVELS = ("inquiry", "express", "pewc")
# Each group is proven by any of its fields; the words are for people.
_PEWC = (
    (("signer",), "signer"),
    (("number",), "number"),
    (("seller",), "seller"),
    (("disclosure", "capture_id"), "disclosure or capture_id"),
    (("purpose",), "purpose"),
    (("at",), "time"),
    (("ip", "message_id"), "ip or message_id"),
)
_EXPRESS = (
    (("address",), "the number or address it is for"),
    (("at",), "time"),
    (("disclosure", "capture_id", "message_id", "ip"), "disclosure, capture_id, message_id or ip"),
)
_KEPT = ("signer", "number", "seller", "disclosure", "capture_id", "purpose", "ip", "message_id")
_OURS = frozenset({"ours", "us"})
_LONGEST_SCOPE = 60


@dataclass(frozen=True, kw_only=True)
class Given:
    """One consent of a line.

    Attributes:
        person_id: as the file names them; None when it does not.
        address: the number or the email it is for, normalised; empty when the line names none of that kind.
        kind: of that address.
        known_by: kind and address by which the person is found where neither id nor address names them.
        asked: the level the file claims.
        level: the level it gets.
        missing: what of the proof is not there.
        why: why it gets less than it claims, in words.
        at: when it was given; None: the file does not say.
    """

    person_id: int | None
    address: str
    kind: str
    known_by: tuple[str, str] | None
    channel: str
    asked: str
    level: str
    missing: tuple[str, ...] = ()
    why: str = ""
    scope: str = "inquiry"
    seller: str = ""
    source: str = "import"
    at: datetime | None = None
    expires_at: datetime | None = None
    evidence: Mapping[str, str] = field(default_factory=dict[str, str])


def read_line(row: Mapping[str, str], columns: Columns, *, brokerage_name: str, now: datetime) -> list[Given]:
    """The consents that a line gives; none when all it says is no.

    Raises:
        BadRecord: the line cannot be read; the message says why, without a contact detail.
    """
    values = columns.values(row)
    wanted = list(_wanted(values, columns))
    if not wanted:
        return []
    at, expires_at = (_time(values.get(name, ""), name, columns) for name in ("at", "expires_at"))
    if at is not None and at > now:
        raise BadRecord("its time lies ahead")
    person_id = _person_id(values.get("person_id", ""))
    phone, email = _phone(values.get("phone", ""), "phone"), _email(values.get("email", ""))
    signed = _signed_number(values.get("number", ""))
    if person_id is None and not (phone or email or signed):
        raise BadRecord("names nobody: no person_id, phone or email")
    return [
        _given(
            channel, asked, values,
            person_id=person_id, phone=signed or phone, email=email, at=at, expires_at=expires_at,
            is_number=bool(signed), brokerage_name=brokerage_name,
        )
        for channel, asked in wanted
    ]  # fmt: skip


def _wanted(values: Mapping[str, str], columns: Columns) -> Iterator[tuple[str, str]]:
    """Channel and level that each part of the line claims."""
    level = values.get("level", "").casefold()
    if level and level not in {*LEVELS, "none"}:
        raise BadRecord(f"level {level[:20]!r} is none of {', '.join(LEVELS)}")
    if channel := values.get("channel", "").casefold():
        if channel not in CHANNELS:
            raise BadRecord(f"channel {channel[:20]!r} is none of {', '.join(CHANNELS)}")
        if level != "none":
            yield channel, level or "inquiry"
    for flag, channel in FLAGS.items():
        is_yes = columns.is_yes(values.get(flag, ""))
        if is_yes is None:
            raise BadRecord(f"{flag} says {values[flag][:20]!r}, which is neither yes nor no")
        if is_yes and level != "none":
            yield channel, level or "inquiry"


def _given(
    channel: str,
    asked: str,
    values: Mapping[str, str],
    *,
    person_id: int | None,
    phone: str,
    email: str,
    at: datetime | None,
    expires_at: datetime | None,
    is_number: bool,
    brokerage_name: str,
) -> Given:
    kind = "email" if channel == "email" or (channel == "all" and not phone) else "phone"
    # All channels: it is the person's, whatever the address.
    address = "" if channel == "all" and person_id is not None else email if kind == "email" else phone
    seller = values.get("seller", "")
    proven = {name for name in _KEPT if values.get(name)} | ({"at"} if at else set())
    if not is_number:
        proven.discard("number")
    if address:
        proven.add("address")
    needed = {"pewc": _PEWC, "express": _EXPRESS}.get(asked, ())
    missing = tuple(words for names, words in needed if not proven & set(names))
    is_ours = not seller or seller.casefold() in _OURS or seller.casefold() == brokerage_name.casefold()
    level, why = asked, ""
    if asked != "inquiry" and missing:
        level, why = "inquiry", f"missing: {', '.join(missing)}"
    elif asked != "inquiry" and not is_ours:
        level, why = "inquiry", "it names another seller than us"
    other = ("email", email) if kind == "phone" else ("phone", phone)
    return Given(
        person_id=person_id,
        address=address,
        kind=kind,
        known_by=other if other[1] and not address else None,
        channel=channel,
        asked=asked,
        level=level,
        missing=missing,
        why=why,
        scope=_scope(values.get("purpose", "")) if level != "inquiry" else "inquiry",
        seller="ours" if is_ours else seller,
        source=values.get("source") or "import",
        at=at,
        expires_at=expires_at,
        evidence={name: values[name] for name in _KEPT if values.get(name)},
    )


def _scope(purpose: str) -> str:
    """What it is for: marketing where the purpose says so, else the purpose itself, which reaches no further."""
    said = purpose.casefold()
    if any(word in said for word in ("market", "promo", "advert", "offers")):
        return "marketing"
    return said[:_LONGEST_SCOPE] or "inquiry"


def _person_id(raw: str) -> int | None:
    if not raw:
        return None
    if not raw.isascii() or not raw.isdigit() or not 0 < int(raw) < 2**63:
        raise BadRecord("person_id is no number")
    return int(raw)


def _phone(raw: str, name: str) -> str:
    if not raw:
        return ""
    point = normalise_phone(raw)
    if point.reason:
        raise BadRecord(f"{name} holds no telephone number")
    return point.address


def _signed_number(raw: str) -> str:
    """The number that was consented to; words instead of a number prove nothing and cost no line."""
    point = normalise_phone(raw) if raw else None
    return point.address if point is not None and not point.reason else ""


def _email(raw: str) -> str:
    if not raw:
        return ""
    point = normalise_email(raw)
    if point.reason:
        raise BadRecord("email holds no address")
    return point.address


def _time(raw: str, name: str, columns: Columns) -> datetime | None:
    """A time in UTC; a day alone is its first moment, so that it never counts as later than it was."""
    if not raw:
        return None
    try:
        at = datetime.fromisoformat(raw) if not columns.time_format else datetime.strptime(raw, columns.time_format)  # noqa: DTZ007 - the zone follows
    except ValueError:
        known = columns.time_format or "ISO (2025-11-24T14:05:00)"
        raise BadRecord(f"{name} is no time of the form {known}; a mapping's time_format says another") from None
    return (at if at.tzinfo else at.replace(tzinfo=columns.zone)).astimezone(UTC)
