"""Unsubscribe links: a signed, opaque token that never expires.

What lives here: making and reading the token. What does not: what following it does (``gateway.unsubscribe``).
The token names the contact point by its id and the message by its own, never by an address (messaging sheet 4.2), and
carries no time: a link in an old mail works for ever (C22).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadpipe.errors import BadRecord, ConfigurationError

if TYPE_CHECKING:
    from itsdangerous import URLSafeSerializer

    from leadpipe.settings import Settings

_SALT = "leadpipe.unsubscribe"


@dataclass(frozen=True, kw_only=True)
class Link:
    """What a token names."""

    contact_point_id: int
    message_id: str


def one_click_url(settings: Settings, contact_point_id: int, message_id: str = "") -> str:
    """The address for the List-Unsubscribe header and for the link in the words of an email."""
    return f"{settings.public_base_url.rstrip('/')}/u/{make_token(settings, contact_point_id, message_id)}"


def make_token(settings: Settings, contact_point_id: int, message_id: str = "") -> str:
    """The signed token; the same input gives the same token.

    Raises:
        ConfigurationError: no ``unsubscribe_secret`` is set.
    """
    return str(_serializer(settings).dumps([contact_point_id, message_id]))


def read_token(settings: Settings, token: str) -> Link:
    """What the token names.

    Raises:
        BadRecord: not one of our tokens, or changed on its way.
    """
    from itsdangerous import BadSignature

    try:
        point, message_id = _serializer(settings).loads(token)
        return Link(contact_point_id=int(point), message_id=str(message_id))
    except (BadSignature, ValueError, TypeError):
        raise BadRecord("unsubscribe token is not one of ours") from None


def _serializer(settings: Settings) -> URLSafeSerializer:
    from itsdangerous import URLSafeSerializer

    secret = settings.unsubscribe_secret.get_secret_value()
    if not secret:
        raise ConfigurationError("LEADPIPE_UNSUBSCRIBE_SECRET is empty; set it once and keep it for ever")
    return URLSafeSerializer(secret, salt=_SALT)
