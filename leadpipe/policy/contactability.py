"""Whether this person may be reached by this channel for this purpose at all: identity, revocation, consent, DNC.

What lives here: the rules that do not depend on the hour or the words (C1-C6, C8-C10, C16, C18, C20, C22, C24-C26,
C30-C32, C47). What does not: their order and what the whole amounts to (``verdict``).

Each rule returns findings; an empty return means the rule is content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from leadpipe.leads.identity import normalise_email
from leadpipe.leads.place import Place
from leadpipe.policy.case import LEVELS, Case, Consent, Suppression
from leadpipe.policy.pack import Pack, PolicySettings

PHONE = frozenset({"sms", "whatsapp", "voice_ai"})
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_PEWC_PROOF = ("signer", "number", "seller", "disclosure")
# How a suppression's source reads as a code: a fact about the address, or the person's own refusal.
_SUPPRESSION_CODES = {
    "bounce": ("bounced", "C25"),
    "soft_bounces": ("bounced", "C25"),
    "complaint": ("complained", "C25"),
    "wrong_number": ("wrong_number", "C20"),
    "import": ("internal_dnc", "C18"),
    "internal_dnc": ("internal_dnc", "C18"),
    "privacy_request": ("privacy_request", "C33"),
    "erased": ("suppressed_hash", "C34"),
}

Found = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the rules share about one case: where the person is, which refusal and which consent stand."""

    place: Place
    suppression: Suppression | None
    consent: Consent | None
    level: int
    is_in_session: bool


def facts_of(case: Case, place: Place, pack: Pack) -> Facts:
    """Place, the newest refusal that covers the channel and the best consent that stands after it."""
    suppression = _standing_suppression(case)
    consent, level = _best_consent(case, suppression, pack)
    since = case.now - timedelta(minutes=pack.session_minutes)
    in_session = any(item.direction == "in" and item.channel == "whatsapp" and item.at > since for item in case.history)
    return Facts(place=place, suppression=suppression, consent=consent, level=level, is_in_session=in_session)


def _covers(suppression: Suppression, channel: str) -> bool:
    """A STOP by any telephone channel ends them all (C9); email stays unless the words said so (``all``)."""
    if suppression.channel == "all" or suppression.channel == channel:
        return True
    is_refusal = suppression.source not in {"63049", "63013"} and not suppression.source.startswith("carrier_")
    return is_refusal and channel in PHONE and suppression.channel in PHONE | {"voice", "phone"}


def _standing_suppression(case: Case) -> Suppression | None:
    standing = [s for s in case.suppressions if s.at <= case.now and _covers(s, case.channel)]
    if not standing:
        return None
    newest = max(standing, key=lambda s: s.at)
    if newest.source in _SUPPRESSION_CODES and newest.source not in {"import", "internal_dnc"}:
        return newest
    # A fresh written consent, given after the refusal, lifts it (C9, C10).
    fresh = any(c.at > newest.at and is_pewc(c) and _reaches(c, case.channel) for c in case.consents)
    return None if fresh else newest


def is_pewc(consent: Consent) -> bool:
    """Written consent counts only with its proof and only when it names us (C2, C3)."""
    evidence = consent.evidence
    return (
        consent.level == "pewc"
        and consent.seller in {"ours", "us"}
        and all(evidence.get(name) for name in _PEWC_PROOF)
        and bool(evidence.get("ip") or evidence.get("message_id"))
    )


def _reaches(consent: Consent, channel: str) -> bool:
    return consent.channel in {channel, "all", "any"} or (consent.channel == "phone" and channel in PHONE)


def _best_consent(case: Case, suppression: Suppression | None, pack: Pack) -> tuple[Consent | None, int]:
    best: Consent | None = None
    level = 0
    for consent in case.consents:
        if not _reaches(consent, case.channel) or consent.at > case.now:
            continue
        if suppression is not None and consent.at <= suppression.at:
            continue
        if (consent.expires_at and consent.expires_at <= case.now) or _is_inquiry_over(consent, case, pack):
            continue
        worth = _level(consent)
        if worth > level:
            best, level = consent, worth
    return best, level


def _level(consent: Consent) -> int:
    if consent.level == "pewc" and not is_pewc(consent):
        return LEVELS["inquiry"]
    if consent.seller not in {"ours", "us"}:
        return min(LEVELS[consent.level], LEVELS["inquiry"])
    return LEVELS[consent.level]


def _is_inquiry_over(consent: Consent, case: Case, pack: Pack) -> bool:
    return _level(consent) == LEVELS["inquiry"] and consent.at < case.now - timedelta(days=pack.inquiry_days)


def identity(case: Case) -> Iterator[Found]:
    """An address of the right kind must be there; voice is not supported (C5)."""
    if case.channel == "voice_ai":
        yield "BLOCK", "not_supported", "C5"
    elif case.channel == "email":
        if not case.contact.email:
            yield "BLOCK", "no_contact_point", "identity"
        elif normalise_email(case.contact.email).reason:
            yield "BLOCK", "invalid_contact_point", "identity"
    elif not case.contact.phone:
        yield "BLOCK", "no_contact_point", "identity"
    elif not _E164.fullmatch(case.contact.phone):
        yield "BLOCK", "invalid_contact_point", "identity"


def revocation(case: Case, facts: Facts, pack: Pack) -> Iterator[Found]:
    """Refusals, bounces, complaints, wrong numbers (C6, C8-C10, C18, C20, C22, C25)."""
    refusal = facts.suppression
    if case.purpose == "optout_confirmation":
        yield from _confirmation(case, refusal, pack)
        return
    if refusal is None:
        return
    if refusal.source in _SUPPRESSION_CODES:
        code, rule = _SUPPRESSION_CODES[refusal.source]
        yield "BLOCK", code, rule
        return
    asked = case.relationship.inquiry_at
    if case.channel in PHONE and case.purpose == "inquiry_response" and asked and asked > refusal.at:
        yield "REVIEW", "revoked_then_new_inquiry", "C10"
    elif case.channel == "email":
        yield "BLOCK", "unsubscribed", "C22"
    else:
        yield "BLOCK", "revoked", "C9"


def _confirmation(case: Case, refusal: Suppression | None, pack: Pack) -> Iterator[Found]:
    """One confirmation, within five minutes of the refusal (C8)."""
    if refusal is None or case.now - refusal.at > timedelta(minutes=pack.confirmation_minutes):
        yield "BLOCK", "confirmation_late", "C8"
        return
    if any(i.purpose == "optout_confirmation" and i.direction == "out" and i.at >= refusal.at for i in case.history):
        yield "BLOCK", "confirmation_repeated", "C8"


def consent(case: Case, facts: Facts, pack: Pack) -> Iterator[Found]:
    """The level each purpose needs (C1-C4), Canada's and Europe's own (C31, C32)."""
    if case.purpose == "optout_confirmation":
        return
    if facts.place.country == "CA":
        yield from _casl(case, facts, pack)
        return
    if facts.place.country == "EU":
        yield from _gdpr(case, facts)
        if case.channel == "email":
            return
    if case.channel == "email":
        return
    if case.purpose == "marketing":
        needed = LEVELS["express"] if case.channel == "whatsapp" else LEVELS["pewc"]
        if facts.level < needed:
            yield "BLOCK", f"consent_marketing_{case.channel}", "C1"
        return
    wrote = any(item.direction == "in" and item.channel == case.channel for item in case.history)
    if facts.level < LEVELS["inquiry"] and not (case.purpose == "conversation" and wrote):
        had = any(_reaches(c, case.channel) for c in case.consents)
        yield ("BLOCK", "consent_expired", "C4") if had else ("BLOCK", "consent_missing", "C1")


def _casl(case: Case, facts: Facts, pack: Pack) -> Iterator[Found]:
    if facts.level >= LEVELS["express"]:
        return
    ends = [
        _add_months(at, months)
        for at, months in (
            (case.relationship.inquiry_at, pack.casl_inquiry_months),
            (case.relationship.transaction_at, pack.casl_transaction_months),
        )
        if at
    ]
    if not ends:
        yield "BLOCK", "casl_no_consent", "C31"
    elif case.now >= max(ends):
        yield "BLOCK", "casl_implied_expired", "C31"


def _gdpr(case: Case, facts: Facts) -> Iterator[Found]:
    if case.purpose == "marketing" and facts.level < LEVELS["express"]:
        yield "BLOCK", "gdpr_no_optin", "C32"
    asked = case.relationship.inquiry_at
    if case.purpose == "inquiry_response" and any(
        item.direction == "out" and item.purpose == "inquiry_response" and (asked is None or item.at > asked)
        for item in case.history
    ):
        yield "BLOCK", "gdpr_answered_once", "C32"


def registry(case: Case, facts: Facts, pack: Pack) -> Iterator[Found]:
    """The do-not-call registry (C16): written consent or a relationship excuses, a stale file does not."""
    if case.channel not in {"sms", "whatsapp"} or case.purpose not in {"marketing", "inquiry_response"}:
        return
    if facts.place.country != "US" or facts.level >= LEVELS["pewc"]:
        return
    asked, bought = case.relationship.inquiry_at, case.relationship.transaction_at
    if asked and case.now < _add_months(asked, pack.dnc_inquiry_months):
        return
    if bought and case.now < _add_months(bought, pack.dnc_transaction_months):
        return
    if case.dnc.listed:
        yield "BLOCK", "dnc", "C16"
    elif case.dnc.listed is None:
        yield "BLOCK", "dnc_unknown", "C16"
    elif case.dnc.checked_at is None or (case.now.date() - case.dnc.checked_at).days > pack.dnc_file_days:
        yield "BLOCK", "dnc_stale", "C16"


def channel(case: Case, facts: Facts, pack: Pack, settings: PolicySettings) -> Iterator[Found]:
    """Relay addresses, 10DLC, states without texts, WhatsApp's session and the United States (C24, C26, C30, C47)."""
    if case.channel == "email" and case.contact.email and case.purpose == "marketing":
        point = normalise_email(case.contact.email)
        if point.is_relay or point.is_role:
            yield "BLOCK", "relay_address", "C24"
    if case.channel == "sms":
        if case.contact.phone and case.contact.phone.startswith("+1") and not settings.a2p_campaign_id:
            yield "BLOCK", "a2p_unregistered", "C26"
        off = [s for s in facts.place.states if s in settings.sms_disabled_states]
        if off and case.purpose == "marketing":
            yield "BLOCK", "state_sms_disabled", "C47"
    if case.channel == "whatsapp" and not facts.is_in_session:
        is_us = facts.place.country == "US"
        if is_us and case.purpose == "marketing" and pack.is_us_whatsapp_marketing_paused:
            yield "BLOCK", "wa_us_marketing_paused", "C30"
        elif not case.is_template:
            yield "BLOCK", "wa_template_required", "C30"


def _add_months(at: datetime, months: int) -> datetime:
    """Calendar months later; the 31st falls back to the month's last day."""
    month = at.month - 1 + months
    year, month = at.year + month // 12, month % 12 + 1
    for day in (at.day, 30, 29, 28):
        try:
            return at.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")
