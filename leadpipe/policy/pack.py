"""Policy packs: dated rules as data, and the team's own settings for judging.

What lives here: their shapes. What does not: reading a pack from its file (``pack_file``), applying it (``verdict``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from email.utils import parseaddr
from functools import lru_cache

from pydantic import TypeAdapter

from leadpipe.policy.blackout import Blackout
from leadpipe.policy.home_states import office_state
from leadpipe.policy.housing import HousingModel
from leadpipe.policy.links import domain_of
from leadpipe.policy.patterns import Patterns
from leadpipe.settings import Settings
from leadpipe.store.inputs import Input

Hours = tuple[int, int] | None
# Values of the team by state, in order: ``(("CA", "01234567"), ...)``.
ByState = tuple[tuple[str, str], ...]


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


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """How soon a request about one's own data must be acknowledged and done (C33)."""

    acknowledge_business_days: int
    done_days: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """The rules in force on one day.

    Attributes:
        version: names the file and the hash of what is in force.
        text: the file.
        housing: what has learnt to tell forbidden preferences (C36); None in a pack of before it.
        housing_from: from which probability on it blocks.
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
    licences: Mapping[str, Mapping[str, str]]
    listing_hours: int
    available_statuses: frozenset[str]
    rebate_states: frozenset[str]
    refusals_minutes: int
    casl_inquiry_months: int
    casl_transaction_months: int
    is_us_whatsapp_marketing_paused: bool
    session_minutes: int
    patterns: Mapping[str, Patterns]
    housing: HousingModel | None
    housing_from: float
    email_rates: EmailRates | None
    warm_up_per_day: tuple[int, ...]
    revocation: Revocation | None
    privacy: Privacy
    fewer_email_days: int
    fewer_email_wait_days: int

    def as_input(self) -> Input:
        """The file as it is kept with the verdicts it gave."""
        return _pack_input(self)


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """What of the team's settings a verdict depends on.

    Attributes:
        own_domains: where links may lead: the team's own sites and mail, and the listing portals it allows.
        approved_offers: texts that may name money.
        licences: the brokerage's number by state; None asks nobody for licence texts (``policy check``, as the demo's
            brokerage has none), while a running system always says what it has.
        licence_links: the link that a state wants, by state.
        office_state: the state of the postal address, where the team is taken to be licensed while it names no licence;
            empty when the address shows none, None when nobody looked (the demo, and verdicts of before it was asked).
        assistant_name: how the assistant calls itself; empty does not ask for its disclosure.
    """

    brokerage_name: str
    postal_address: str = ""
    a2p_campaign_id: str = ""
    sms_disabled_states: frozenset[str] = frozenset()
    own_domains: frozenset[str] = frozenset()
    approved_offers: tuple[str, ...] = ()
    sms_provider: str = field(default="twilio")
    blackouts: tuple[Blackout, ...] = ()
    licences: ByState | None = None
    licence_links: ByState = ()
    office_state: str | None = None
    assistant_name: str = ""

    @staticmethod
    def of(settings: Settings, *, approved_offers: tuple[str, ...] = ()) -> PolicySettings:
        """The policy part of the running system's settings."""
        return PolicySettings(
            brokerage_name=settings.brokerage_name,
            postal_address=settings.postal_address,
            a2p_campaign_id=settings.a2p_campaign_id,
            sms_disabled_states=frozenset(settings.sms_disabled_states),
            own_domains=own_domains(settings),
            approved_offers=approved_offers,
            sms_provider=settings.sms_provider,
            blackouts=settings.blackouts,
            licences=settings.licences,
            licence_links=settings.licence_links,
            office_state=office_state(settings.postal_address),
            assistant_name=settings.assistant_name,
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


@lru_cache(maxsize=16)
def _domains(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(domain for name in names if (domain := domain_of(name)))


def own_domains(settings: Settings) -> frozenset[str]:
    """Where links in our words may lead: our mail, the gateway (unsubscribe links), and what the team names."""
    return _domains(
        (*settings.link_domains, parseaddr(settings.email_from)[1], settings.reply_domain, settings.public_base_url)
    )


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
    own_domains=frozenset({"demo-realty.example"}),
)
