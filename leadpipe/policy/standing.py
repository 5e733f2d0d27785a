"""What stands about one case: the refusal that covers the channel, the consent after it, the last request.

What lives here: reading a case's suppressions and consents (C2-C4, C9, C10). What does not: what follows from them
(``contactability``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from leadpipe.leads.place import Place
from leadpipe.policy.case import LEVELS, Case, Consent, Suppression
from leadpipe.policy.pack import Pack, PolicySettings

PHONE = frozenset({"sms", "whatsapp", "voice_ai"})
# Written proof needs each of these (C2); what was shown and how it came may be proven in either of two ways.
_PEWC_PROOF = (("signer",), ("number",), ("disclosure", "capture_id"), ("ip", "message_id"))
_OURS = frozenset({"ours", "us"})
# Of a number; what is shorter is none.
_FEWEST_DIGITS = 10
# Scopes that reach beyond the one inquiry.
_MARKETING_SCOPES = frozenset({"marketing", "all", "any", ""})
# Facts about an address, as opposed to a person's own refusal: no later consent makes them untrue. A source that holds
# the word is one: `soft_bounces`, `ses_complaint`, `fub_spam_report` ...
_FACTS = {
    "bounce": ("bounced", "C25"),
    "complain": ("complained", "C25"),
    "spam": ("complained", "C25"),
    "wrong_number": ("wrong_number", "C20"),
    "reassigned": ("reassigned", "C19"),
    "privacy_request": ("privacy_request", "C33"),
    "erased": ("suppressed_hash", "C34"),
    "minor": ("minor", "C50"),
}
# What one channel alone cannot carry, as told by the provider; another channel may.
_CHANNEL_CODES = frozenset({"63049", "63013"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the rules share about one case: where the person is, which refusal and which consent stand."""

    place: Place
    suppression: Suppression | None
    consent: Consent | None
    level: int
    is_in_session: bool


def facts_of(case: Case, place: Place, pack: Pack, settings: PolicySettings) -> Facts:
    """Place, the refusal that stands for the channel and the best consent that stands after it."""
    suppression = _standing_suppression(case, settings)
    consent, level = _best_consent(case, suppression, pack, settings)
    since = case.now - timedelta(minutes=pack.session_minutes)
    in_session = any(item.direction == "in" and item.channel == "whatsapp" and item.at > since for item in case.history)
    return Facts(place=place, suppression=suppression, consent=consent, level=level, is_in_session=in_session)


def fact_code(source: str) -> tuple[str, str] | None:
    """Code and rule when the source of a suppression is a fact about the address; None for a person's refusal."""
    if source.startswith("carrier_"):
        return "carrier_blocked", "C20"
    for word, (code, rule) in _FACTS.items():
        if word in source:
            return code, rule
    return None


def _covers(suppression: Suppression, channel: str) -> bool:
    """A STOP by any telephone channel ends them all (C9); email stays unless the words said so (``all``)."""
    if suppression.channel in {"all", channel}:
        return True
    is_of_channel = suppression.source in _CHANNEL_CODES or suppression.source.startswith("carrier_")
    return not is_of_channel and channel in PHONE and suppression.channel in PHONE | {"voice", "phone"}


def _standing_suppression(case: Case, settings: PolicySettings) -> Suppression | None:
    """A fact about the address before a refusal, of several the newest; a refusal that was taken back is none."""
    if not case.suppressions:
        return None
    covering = [s for s in case.suppressions if s.at <= case.now and _covers(s, case.channel)]
    facts = [s for s in covering if fact_code(s.source)]
    standing = facts or [s for s in covering if not _is_taken_back(s, case, settings)]
    return max(standing, key=lambda s: s.at, default=None)


def _is_taken_back(refusal: Suppression, case: Case, settings: PolicySettings) -> bool:
    """A fresh consent of the kind the channel needs, given after the refusal, lifts it (C9, C10)."""
    return any(
        consent.at > refusal.at
        and consent.at <= case.now
        and reaches(consent, case.channel)
        and (
            is_pewc(consent, settings, case.contact.phone)
            or (case.channel == "email" and worth_of(consent, settings) >= LEVELS["express"])
        )
        for consent in case.consents
    )


def is_pewc(consent: Consent, settings: PolicySettings, phone: str | None) -> bool:
    """Written consent counts only with its proof, only when it names us and for the number it names (C2, C3)."""
    evidence = consent.evidence
    return (
        consent.level == "pewc"
        and _is_ours(consent.seller, settings)
        and _is_ours(str(evidence.get("seller") or ""), settings)
        and all(any(evidence.get(name) for name in names) for names in _PEWC_PROOF)
        and _is_for(str(evidence["number"]), phone)
    )


def _is_for(named: str, phone: str | None) -> bool:
    """Whether the number signed for is this one; words that are no number ("as given") name the one on file."""
    digits, own = _digits(named), _digits(phone or "")
    return len(digits) < _FEWEST_DIGITS or not own or digits[-_FEWEST_DIGITS:] == own[-_FEWEST_DIGITS:]


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def _is_ours(seller: str, settings: PolicySettings) -> bool:
    return seller in _OURS or (bool(seller) and seller.casefold() == settings.brokerage_name.casefold())


def reaches(consent: Consent, channel: str) -> bool:
    """Whether a consent is for this channel."""
    return consent.channel in {channel, "all", "any"} or (consent.channel == "phone" and channel in PHONE)


def _best_consent(
    case: Case, suppression: Suppression | None, pack: Pack, settings: PolicySettings
) -> tuple[Consent | None, int]:
    best: Consent | None = None
    level = 0
    for consent in case.consents:
        if not reaches(consent, case.channel) or consent.at > case.now:
            continue
        if suppression is not None and consent.at <= suppression.at:
            continue
        worth = worth_of(consent, settings, case.contact.phone)
        if case.purpose == "marketing" and consent.scope not in _MARKETING_SCOPES:
            worth = min(worth, LEVELS["inquiry"])
        if worth > level and not is_over(consent, worth, case.now, pack):
            best, level = consent, worth
    return best, level


def worth_of(consent: Consent, settings: PolicySettings, phone: str | None = None) -> int:
    """The level a consent counts as by its proof and its seller (C2, C3), whatever it is called."""
    if consent.level == "pewc" and not is_pewc(consent, settings, phone):
        return LEVELS["inquiry"]
    if not _is_ours(consent.seller, settings):
        return min(LEVELS.get(consent.level, 0), LEVELS["inquiry"])
    return LEVELS.get(consent.level, 0)


def is_over(consent: Consent, worth: int, now: datetime, pack: Pack) -> bool:
    """Whether a consent of this worth has ended, by its own date or by an inquiry's age (C4)."""
    if consent.expires_at is not None and consent.expires_at <= now:
        return True
    return worth == LEVELS["inquiry"] and consent.at < now - timedelta(days=pack.inquiry_days)


def asked_at(case: Case) -> datetime | None:
    """When the person last asked us for something: the inquiry itself, or the consent it came with."""
    moments = [consent.at for consent in case.consents if LEVELS.get(consent.level, 0) and consent.at <= case.now]
    if case.relationship.inquiry_at is not None:
        moments.append(case.relationship.inquiry_at)
    return max(moments, default=None)


def add_months(at: datetime, months: int) -> datetime:
    """Calendar months later; the 31st falls back to the month's last day."""
    month = at.month - 1 + months
    year, month = at.year + month // 12, month % 12 + 1
    for day in (at.day, 30, 29, 28):
        try:
            return at.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")
