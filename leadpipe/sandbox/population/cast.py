"""Who somebody is: name, place, addresses, consents; drawn from the seed and a serial number.

What lives here: the making of a person. What does not: their past (``past``), what they do (``crowd``).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from leadpipe.sandbox.fub.people import stamp
from leadpipe.sandbox.places import ABROAD, FIRST, LAST, PLACES, SOURCES, Abroad, Numbers, Place

Row = dict[str, Any]
DISCLOSURE = "I agree that Demo Realty may text me, also automatically; not a condition of buying."
TAGS = ("Buyer", "Seller", "Open House", "Relocation", "VIP")


@dataclass(kw_only=True, slots=True)
class Draft:
    """A person not yet in the CRM: the fields to create them with, and their usable addresses."""

    serial: int
    fields: Row
    emails: list[str]
    phones: list[str]
    place: Place
    abroad: Abroad | None
    speaks_spanish: bool
    dice: random.Random

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.fields['firstName']} {self.fields['lastName']}"


def dice_of(seed: int, serial: int, turn: int = 0) -> random.Random:
    """Dice of one person's one turn, the same whoever else is around and in whatever order things happen."""
    return random.Random(((seed * 1_000_003) + serial) * 1_009 + turn)


class Cast:
    """Makes people, each with a number of their own."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._serial = 0
        self._numbers = Numbers()

    def draw(self, now: datetime) -> Draft:
        """The next person.

        About 9 in 100 live abroad, 5 have no email, 20 no phone, 1 a phone that is none, half a percent neither; a
        fifth of Zillow's come with a relay address. 45 in 100 of those with a phone agreed to texts.
        """
        self._serial += 1
        serial, dice = self._serial, dice_of(self._seed, self._serial)
        first, last, place = dice.choice(FIRST), dice.choice(LAST), dice.choice(PLACES)
        abroad = self._abroad(dice) if dice.random() < 0.09 else None
        phone, abroad = self._phone(place, abroad)
        spanish = abroad.speaks_spanish if abroad else dice.random() < 0.1
        source = dice.choice(SOURCES)
        email = f"{first}.{last}{serial}@example.{dice.choice(('com', 'net', 'org'))}".lower()
        if source == "Zillow" and dice.random() < 0.2:
            email = f"{serial:x}lead{dice.randrange(16**6):06x}@convo.zillow.com"
        roll = dice.random()
        emails = [] if roll < 0.055 else [email]
        phones = [] if 0.05 <= roll < 0.255 else [phone]
        typed = [{"value": as_typed(value, dice)} for value in phones]
        if 0.255 <= roll < 0.265:
            phones, typed = [], [{"value": f"{serial:05d}".rjust(40, "5")}]
        fields: Row = {
            "firstName": first, "lastName": last, "source": source, "price": dice.randrange(180, 900) * 1000,
            "emails": [{"value": value} for value in emails], "phones": typed,
            "tags": dice.sample(TAGS, k=dice.randrange(0, 3)), "timeframeId": dice.choice((None, 1, 2, 3, 4)),
        }  # fmt: skip
        if abroad is None:
            fields["addresses"] = [
                {"type": "home", "street": "", "city": place.city, "state": place.state, "code": place.zip,
                 "country": "US"}
            ]  # fmt: skip
        if spanish and dice.random() < 0.7:
            fields["customLanguage"] = "Spanish"
        if dice.random() < 0.05:
            fields["socialData"] = {"name": f"{first} {last}", "age": "41", "location": place.city, "gender": ""}
        if phones:
            fields |= _consents(dice, at=now - timedelta(minutes=1), is_abroad=abroad is not None)
        return Draft(
            serial=serial, fields=fields, emails=emails, phones=phones, place=place, abroad=abroad,
            speaks_spanish=spanish, dice=dice,
        )  # fmt: skip

    def _abroad(self, dice: random.Random) -> Abroad:
        return dice.choices(ABROAD, weights=[abroad.weight for abroad in ABROAD])[0]

    def _phone(self, place: Place, abroad: Abroad | None) -> tuple[str, Abroad | None]:
        """A number of theirs; when a country's small range is used up, Mexico's takes over."""
        if abroad is None:
            return self._numbers.domestic(place.area), None
        try:
            return self._numbers.foreign(abroad), abroad
        except LookupError:
            return self._numbers.foreign(ABROAD[0]), ABROAD[0]


def _consents(dice: random.Random, *, at: datetime, is_abroad: bool) -> Row:
    """What the form they filled in proves (house convention of ``config``)."""
    found: Row = {}
    moment = stamp(at)
    if dice.random() < (0.9 if is_abroad else 0.45):
        found |= {
            "customConsentSms": "pewc" if dice.random() < 0.8 else "inquiry", "customConsentText": DISCLOSURE,
            "customConsentAt": moment, "customConsentIp": f"192.0.2.{dice.randrange(1, 255)}",
        }  # fmt: skip
    if dice.random() < (0.9 if is_abroad else 0.1):
        found["customWhatsAppOptIn"] = moment
    return found


def as_typed(phone: str, dice: random.Random) -> str:
    """A number as people type it; foreign ones with their country code."""
    if not phone.startswith("+1"):
        return phone
    digits = phone[2:]
    forms = (phone, f"({digits[:3]}) {digits[3:6]}-{digits[6:]}", f"{digits[:3]}-{digits[3:6]}-{digits[6:]}", digits)
    return dice.choice(forms)
