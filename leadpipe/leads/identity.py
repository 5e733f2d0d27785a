"""Contact points in one form: E.164 phones and lower-cased emails.

What lives here: normalising one raw value, with the reason when it cannot be used. What does not: which person owns
it (``crm.people``), where it is (``leads.place``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# Zillow hands out one relay address per conversation: it is no identity and no marketing address (zillow sheet 5).
RELAY_DOMAINS = ("convo.zillow.com",)
ROLE_NAMES = frozenset(
    "abuse admin billing bounce contact hello help hostmaster info mailer-daemon marketing noreply no-reply office "
    "postmaster privacy sales security support team webmaster".split()
)
# E.164 allows 15 digits; what is longer was never a number.
MAX_DIGITS = 15
_EMAIL = re.compile(r"[^@\s,;<>\"()\[\]]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}")


@dataclass(frozen=True, kw_only=True)
class ContactPoint:
    """One usable address, or the reason why the raw value is none (``reason`` set, ``address`` empty)."""

    address: str = ""
    reason: str = ""
    is_relay: bool = False
    is_role: bool = False


class EmailPoint(ContactPoint):
    """An email address."""


class PhonePoint(ContactPoint):
    """A phone number in E.164."""


# Judging asks twice about each address.
@lru_cache(maxsize=8192)
def normalise_email(raw: str) -> EmailPoint:
    """The address trimmed and lower-cased; ``email_malformed`` when it cannot be one."""
    address = raw.strip().strip("<>").lower()
    if not _EMAIL.fullmatch(address) or ".." in address:
        return EmailPoint(reason="email_malformed")
    name, _, domain = address.partition("@")
    return EmailPoint(
        address=address,
        is_relay=any(domain == relay or domain.endswith("." + relay) for relay in RELAY_DOMAINS),
        is_role=name.split("+", 1)[0] in ROLE_NAMES,
    )


def normalise_phone(raw: str, *, region: str = "US") -> PhonePoint:
    """The number in E.164.

    Reasons: ``phone_too_long``, ``phone_unreadable``, ``phone_not_possible``. Possible is enough: carriers open number
    blocks faster than any table knows them, and a wrong guess would lose a lead.
    """
    import phonenumbers

    digits = sum(letter.isdigit() for letter in raw)
    if digits > MAX_DIGITS:
        return PhonePoint(reason="phone_too_long")
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return PhonePoint(reason="phone_unreadable")
    if not phonenumbers.is_possible_number(number):
        return PhonePoint(reason="phone_not_possible")
    return PhonePoint(address=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
