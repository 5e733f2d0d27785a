"""The kinds of values that settings have, each read from text and refused with words of our own.

What lives here: lists, states, addresses, moments, URLs, secrets. What does not: which setting is of which kind
(``settings``), where a value stands (``setting_sources``).

A refusal names what to write. It repeats the value unless that may be a secret.
"""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from leadpipe.leads.identity import normalise_email
from leadpipe.leads.place_tables import PROVINCES, US_STATES
from leadpipe.policy.blackout import Blackout, blackout_list

# Shorter ones can be tried through; `openssl rand -hex 24` makes 48.
SECRET_CHARACTERS = 16
_STATES = US_STATES | PROVINCES.keys()


class StateValue(NamedTuple):
    """One value of the team for one state, written ``CA=01234567``."""

    state: str
    value: str

    def __str__(self) -> str:
        """As a setting is written."""
        return f"{self.state}={self.value}"


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine; an empty or unreadable URL is not."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _comma_list(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _by_state(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs: list[StateValue] = []
    for part in value.split(","):
        state, sign, text = (each.strip() for each in part.partition("="))
        if part.strip() and not (sign and text and state.upper() in _STATES):
            raise ValueError(f"'{part.strip()}' is no STATE=VALUE; write pairs like CA=01234567,TX=9001234")
        if part.strip():
            pairs.append(StateValue(state.upper(), text))
    return tuple(pairs)


def _states(named: tuple[str, ...]) -> tuple[str, ...]:
    for state in named:
        if state.upper() not in _STATES:
            raise ValueError(f"'{state}' is no state; write two letters each, separated by commas, like TX,FL")
    return tuple(state.upper() for state in named)


def _without_semicolons(named: tuple[str, ...]) -> tuple[str, ...]:
    for name in named:
        if ";" in name:
            raise ValueError(f"'{name}' is one name with a semicolon; separate names by commas")
    return named


def _contacts(named: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_contact(text) for text in named)


def _contact(text: str) -> str:
    """The address as the ledger keeps it, so that a capital letter leaves nobody out."""
    if text.startswith("+"):
        if not (text[1:].isascii() and text[1:].isdigit() and 8 <= len(text) <= 16):
            raise ValueError(f"'{text}' is no E.164 number; write one like +13125550101")
        return text
    email = normalise_email(text)
    if email.reason:
        raise ValueError(f"'{text}' is no email and no E.164 number; write ana@example.com,+13125550101")
    return email.address


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is no IANA time zone; write one like America/Chicago") from None
    return name


def _unless_empty(value: object) -> object:
    """A line like ``LEADPIPE_PLANS_PATH=`` sets nothing; as a path it would be the current folder."""
    return None if isinstance(value, str) and not value.strip() else value


def _moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"'{value}' is no ISO time with a zone; write one like 2026-11-24T08:00:00-06:00")
    return at


def _url(text: str) -> str:
    if not text:
        return text
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    if not is_whole or text.split() != [text]:
        # The value is not repeated: an address may hold a password.
        raise ValueError("this is no URL; write it whole, like https://hooks.example.com")
    return text


def _hard_to_guess(secret: SecretStr) -> SecretStr:
    count = len(secret.get_secret_value())
    if 0 < count < SECRET_CHARACTERS:
        raise ValueError(
            f"{count} characters can be guessed; write at least {SECRET_CHARACTERS}, e.g. of `openssl rand -hex 24`"
        )
    return secret


def _age_key(secret: SecretStr) -> SecretStr:
    if key := secret.get_secret_value():
        from leadpipe.store.sealed import is_key

        if not is_key(key):
            raise ValueError(
                "this is no key of age's; write age1... (seals only) or AGE-SECRET-KEY-1... (`leadpipe backup "
                "--new-key` makes a pair)"
            )
    return secret


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)]
Names = Annotated[CommaList, AfterValidator(_without_semicolons)]
States = Annotated[CommaList, AfterValidator(_states)]
Contacts = Annotated[CommaList, AfterValidator(_contacts)]
ByState = Annotated[tuple[StateValue, ...], NoDecode, BeforeValidator(_by_state)]
Blackouts = Annotated[tuple[Blackout, ...], NoDecode, BeforeValidator(blackout_list)]
Zone = Annotated[str, AfterValidator(_zone)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Url = Annotated[str, AfterValidator(_url)]
Unguessable = Annotated[SecretStr, AfterValidator(_hard_to_guess)]
AgeKey = Annotated[SecretStr, AfterValidator(_age_key)]
MaybePath = Annotated[Path | None, BeforeValidator(_unless_empty)]
MaybeText = Annotated[str | None, BeforeValidator(_unless_empty)]
