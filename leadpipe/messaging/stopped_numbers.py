"""The numbers and addresses that a stop names: whose they are, and how they are shown.

What lives here: from a telephone number or email address as typed to the receiver's contact point, and to the channels
that send by it where it is our own. What does not: the switch (``switch``), which keeps the ids and never an address.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.leads.identity import normalise_email, normalise_phone

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

# What names a number of ours; where one of them cannot be read, a number of ours may look like nobody's.
OWN_SETTINGS = ("email_from", "sms_number", "whatsapp_number")
_POINT = text("select id from ledger.contact_points where kind = :kind and address = :address")
_SHOWN = text("select id, kind, address from ledger.contact_points where id = any(cast(:ids as bigint[])) order by id")


@dataclass(frozen=True, kw_only=True)
class Named:
    """What one number means: a receiver, our own sender, or (a tester's) both; neither when nobody has it."""

    contact_points: tuple[int, ...] = ()
    channels: tuple[str, ...] = ()
    shown: str = ""

    @property
    def is_known(self) -> bool:
        """Whether anybody has it."""
        return bool(self.contact_points or self.channels)


def named(connection: Connection, settings: Settings, raw: str) -> Named:
    """Whose number or address ``raw`` is, however it is written; WhatsApp's ``whatsapp:`` may stand before it."""
    kind, address = _normalised(raw)
    if not address:
        return Named(shown=masked(kind, raw))
    points = connection.execute(_POINT, {"kind": kind, "address": address}).scalars()
    return Named(
        contact_points=tuple(points),
        channels=tuple(channel for channel, own in _own(settings) if own == address),
        shown=masked(kind, address),
    )


def shown(connection: Connection, contact_points: Sequence[int]) -> list[str]:
    """Each of these receivers, masked."""
    found = {row.id: masked(row.kind, row.address) for row in connection.execute(_SHOWN, {"ids": list(contact_points)})}
    return [found.get(point, f"contact point {point}") for point in contact_points]


def masked(kind: str, address: str) -> str:
    """Enough for whoever knows the address to tell it from others, and no way to write to it."""
    if address.startswith("erased:"):
        return f"an erased {kind}"
    if kind == "email":
        name, _, domain = address.rpartition("@")
        return f"{name[0] if len(name) > 2 else ''}***@{domain}"
    digits = "".join(letter for letter in address if letter.isdigit())
    return f"***{digits[-4:] if len(digits) > 7 else ''}"


def _normalised(raw: str) -> tuple[str, str]:
    if "@" in raw:
        return "email", normalise_email(raw).address
    return "phone", normalise_phone(raw.strip().removeprefix("whatsapp:")).address


def _own(settings: Settings) -> list[tuple[str, str]]:
    """Each channel that sends by a number or address of the settings, with it. An SMS pool's number stops its pool."""
    mine = {
        "email": parseaddr(settings.email_from)[1],
        "sms": settings.sms_number,
        "whatsapp": settings.whatsapp_number,
    }
    return [(channel, _normalised(raw)[1]) for channel, raw in mine.items() if raw]
