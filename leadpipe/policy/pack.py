"""Policy packs: dated rules as data, and the team's own settings for judging.

What lives here: reading and typing a pack for a day. What does not: applying it (``verdict``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from leadpipe.errors import ConfigurationError
from leadpipe.settings import Settings
from leadpipe.store.inputs import Input

Hours = tuple[int, int] | None
# What every part says of itself.
_ABOUT = frozenset({"name", "effective_from", "effective_to", "source", "confidence"})


@dataclass(frozen=True, kw_only=True)
class Window:
    """Opening hours of a week, closed-open, local; None is closed. ``holidays`` missing means as any day."""

    weekdays: Hours
    saturday: Hours
    sunday: Hours
    holidays: Hours | str = "as_any_day"

    def on(self, weekday: int, *, is_holiday: bool) -> Hours:
        """The hours of one day; a holiday can only shorten them."""
        hours = self.weekdays if weekday < 5 else self.saturday if weekday == 5 else self.sunday
        if not is_holiday or isinstance(self.holidays, str):
            return hours
        if hours is None or self.holidays is None:
            return None
        both = (max(hours[0], self.holidays[0]), min(hours[1], self.holidays[1]))
        return both if both[0] < both[1] else None


@dataclass(frozen=True, kw_only=True)
class Cap:
    """At most ``count`` messages of a channel and purpose in a rolling window."""

    channel: str
    purpose: str
    count: int
    hours: int


@dataclass(frozen=True, kw_only=True)
class Blackout:
    """A declared emergency in a state (C46), closed-open."""

    state: str
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class EmailRates:
    """How much of our email may come back (C23, C25): shares of what was sent within ``days``.

    A limit counts once at least ``min_sent`` were sent and ``min_complaints`` or ``min_bounces`` came back.
    """

    days: int
    min_sent: int
    min_complaints: int
    complaints_alert: float
    complaints_stop: float
    complaints_hard: float
    min_bounces: int
    bounces_stop: float


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """How soon a refusal must be obeyed (C7): our own aim, when a person is told, and the law's last day."""

    target_seconds: int
    alert_minutes: int
    legal_business_days: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """The rules in force on one day.

    Attributes:
        version: names the file and the hash of what is in force.
        text: the file.
        email_rates: None in a pack of before there were any; no verdict depends on it, on the warm-up or the clock.
        warm_up_per_day: aged addresses a day that may get marketing email, by week since the first; then no limit.
    """

    version: str
    text: str
    federal: Window
    close_early_minutes: int
    universal: Window
    universal_zones: tuple[str, ...]
    states: Mapping[str, Window]
    canada: Window
    caps: tuple[Cap, ...]
    states_3_per_24h: frozenset[str]
    states_exempting_replies: frozenset[str]
    inquiry_days: int
    confirmation_minutes: int
    conversation_minutes: int
    dnc_inquiry_months: int
    dnc_transaction_months: int
    dnc_file_days: int
    state_list_days: Mapping[str, int]
    rnd_consent_days: int
    rnd_answer_days: int
    rnd_always_states: frozenset[str]
    identity_states: frozenset[str]
    listing_hours: int
    available_statuses: frozenset[str]
    refusals_minutes: int
    casl_inquiry_months: int
    casl_transaction_months: int
    is_us_whatsapp_marketing_paused: bool
    session_minutes: int
    patterns: Mapping[str, re.Pattern[str]]
    email_rates: EmailRates | None
    warm_up_per_day: tuple[int, ...]
    revocation: Revocation | None
    fewer_email_days: int
    fewer_email_wait_days: int

    def as_input(self) -> Input:
        """The file as it is kept with the verdicts it gave."""
        return _pack_input(self)


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """What of the team's settings a verdict depends on."""

    brokerage_name: str
    postal_address: str = ""
    a2p_campaign_id: str = ""
    sms_disabled_states: frozenset[str] = frozenset()
    own_domains: frozenset[str] = frozenset()
    approved_offers: tuple[str, ...] = ()
    sms_provider: str = field(default="twilio")
    blackouts: tuple[Blackout, ...] = ()

    @staticmethod
    def of(settings: Settings, *, approved_offers: tuple[str, ...] = ()) -> PolicySettings:
        """The policy part of the running system's settings."""
        return PolicySettings(
            brokerage_name=settings.brokerage_name,
            postal_address=settings.postal_address,
            a2p_campaign_id=settings.a2p_campaign_id,
            sms_disabled_states=frozenset(settings.sms_disabled_states),
            approved_offers=approved_offers,
            sms_provider=settings.sms_provider,
        )

    def as_json(self) -> str:
        """The settings as they are kept with the verdicts they were part of; the same settings give the same bytes."""
        plain = _adapter().dump_python(self, mode="json")
        unordered = [each.name for each in fields(self) if isinstance(getattr(self, each.name), frozenset)]
        return json.dumps(plain | {name: sorted(plain[name]) for name in unordered}, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> PolicySettings:
        """The settings again; one that this version does not know is passed over."""
        kept, known = json.loads(text), {each.name for each in fields(PolicySettings)}
        return _adapter().validate_python({name: value for name, value in kept.items() if name in known})

    @property
    def version(self) -> str:
        """Hash of the settings."""
        return _settings_input(self).version

    def as_input(self) -> Input:
        """The settings as they are kept."""
        return _settings_input(self)


# Every claim names both; their texts are hashed once.
@lru_cache(maxsize=64)
def _pack_input(pack: Pack) -> Input:
    return Input(kind="pack", version=pack.version, name=pack.version.rpartition("-")[0], content=pack.text)


@lru_cache(maxsize=16)
def _settings_input(settings: PolicySettings) -> Input:
    content = settings.as_json()
    version = hashlib.sha256(content.encode()).hexdigest()[:12]
    return Input(kind="settings", version=version, name="policy settings", content=content)


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[PolicySettings]:
    return TypeAdapter(PolicySettings)


DEMO_POLICY = PolicySettings(
    brokerage_name="Demo Realty",
    postal_address="100 Main Street, Suite 5, Houston, TX 77002",
    a2p_campaign_id="CM-demo",
)


def load_pack(day: date, folder: Path | None = None) -> Pack:
    """The pack in force on ``day``: the newest file not after it, of it the parts in effect.

    Raises:
        ConfigurationError: no pack covers the day, or a part is missing; without rules nothing may be sent (C45).
    """
    return _load(day, folder or Path(__file__).parent / "packs")


@lru_cache(maxsize=64)
def _load(day: date, folder: Path) -> Pack:
    names = (
        sorted(path for path in folder.glob("*.yaml") if path.stem <= day.isoformat())
        or sorted(folder.glob("*.yaml"))[:1]
    )
    if not names:
        raise ConfigurationError(f"no policy pack in {folder}; nothing can be judged")
    return read_pack(names[-1].read_bytes(), day, name=names[-1].name)


def read_pack(raw: bytes, day: date, *, name: str) -> Pack:
    """The pack of one file, of it the parts in effect on ``day``.

    Raises:
        ConfigurationError: a part is missing.
    """
    data = yaml.safe_load(raw)
    parts: dict[str, dict[str, Any]] = {}
    for part in data["parts"]:
        until = part.get("effective_to")
        if part["effective_from"] <= day and (until is None or day < until):
            parts[part["name"]] = part
    try:
        return _typed(data["version"], raw, parts)
    except KeyError as error:
        raise ConfigurationError(f"policy pack {name}: {error.args[0]} is missing on {day}") from error


def _typed(version: str, raw: bytes, parts: dict[str, dict[str, Any]]) -> Pack:
    content = parts["content"]
    skipped = _ABOUT
    whatsapp = parts.get("whatsapp", {"us_marketing_paused": False, "session_hours": 24, "session_margin_minutes": 5})
    # A pack of before anybody could wish for less judges nobody who did.
    wishes = parts.get("preferences", {"fewer_email_days": 30, "wait_days": 3})
    in_force = "|".join(sorted(parts))
    return Pack(
        version=f"{version}-{hashlib.sha256(raw + in_force.encode()).hexdigest()[:10]}",
        text=raw.decode("utf-8"),
        federal=_window(parts["federal_hours"]["window"]),
        close_early_minutes=parts["federal_hours"]["close_early_minutes"],
        universal=_window(parts["universal_window"]["window"]),
        universal_zones=tuple(parts["universal_window"]["zones"]),
        states={state: _window(window) for state, window in parts["state_hours"]["states"].items()},
        canada=_window(parts["canada_hours"]["window"]),
        caps=tuple(Cap(**cap) for cap in parts["frequency"]["caps"]),
        states_3_per_24h=frozenset(parts["frequency"]["states_3_per_24h"]),
        states_exempting_replies=frozenset(parts["frequency"]["states_exempting_replies"]),
        inquiry_days=parts["consent"]["inquiry_days"],
        confirmation_minutes=parts["consent"]["confirmation_minutes"],
        conversation_minutes=parts["consent"]["conversation_minutes"],
        dnc_inquiry_months=parts["dnc"]["inquiry_months"],
        dnc_transaction_months=parts["dnc"]["transaction_months"],
        dnc_file_days=parts["dnc"]["file_days"],
        state_list_days=parts["state_lists"]["file_days"],
        rnd_consent_days=parts["reassigned"]["consent_days"],
        rnd_answer_days=parts["reassigned"]["answer_days"],
        rnd_always_states=frozenset(parts["reassigned"]["always_states"]),
        identity_states=frozenset(parts["identity"]["states"]),
        listing_hours=parts["listings"]["hours"],
        available_statuses=frozenset(parts["listings"]["available"]),
        refusals_minutes=parts["freshness"]["refusals_minutes"],
        casl_inquiry_months=parts["casl"]["inquiry_months"],
        casl_transaction_months=parts["casl"]["transaction_months"],
        is_us_whatsapp_marketing_paused=whatsapp["us_marketing_paused"],
        session_minutes=whatsapp["session_hours"] * 60 - whatsapp["session_margin_minutes"],
        patterns={
            name: re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
            for name, patterns in content.items()
            if name not in skipped
        },
        email_rates=EmailRates(**_plain(parts["email_rates"])) if "email_rates" in parts else None,
        warm_up_per_day=tuple(parts["warm_up"]["per_day_by_week"]) if "warm_up" in parts else (),
        revocation=Revocation(**_plain(parts["revocation"])) if "revocation" in parts else None,
        fewer_email_days=wishes["fewer_email_days"],
        fewer_email_wait_days=wishes["wait_days"],
    )


def _plain(part: dict[str, Any]) -> dict[str, Any]:
    """A part without what says where it comes from."""
    return {name: value for name, value in part.items() if name not in _ABOUT}


def _window(data: dict[str, Any]) -> Window:
    def hours(name: str) -> Hours:
        value = data[name]
        return None if value is None else (int(value[0]), int(value[1]))

    return Window(
        weekdays=hours("weekdays"),
        saturday=hours("saturday"),
        sunday=hours("sunday"),
        holidays=hours("holidays") if "holidays" in data else "as_any_day",
    )
