"""Whether this person may be reached by this channel for this purpose at all: identity, revocation, consent, DNC.

What lives here: the rules that do not depend on the hour or the words (C1-C6, C8-C10, C16, C18, C20, C22, C24-C26,
C30-C32, C47). What does not: what stands about the person (``standing``), the rules' order and what the whole amounts
to (``verdict``).

Each rule returns findings; an empty return means the rule is content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from leadpipe.leads.identity import normalise_email
from leadpipe.policy.case import LEVELS, Case, Suppression
from leadpipe.policy.pack import Pack, PolicySettings
from leadpipe.policy.standing import PHONE, Facts, add_months, asked_at, fact_code, reaches

_E164 = re.compile(r"\+[1-9]\d{6,14}")
# Numbers and addresses that a list of ours or of the team's names.
_LISTED = frozenset({"import", "internal_dnc"})

Found = tuple[str, str, str]


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
    if fact := fact_code(refusal.source):
        yield "BLOCK", *fact
    elif refusal.source in _LISTED:
        yield "BLOCK", "internal_dnc", "C18"
    elif case.channel == "email":
        yield "BLOCK", "unsubscribed", "C22"
    elif _asks_anew(case, refusal):
        yield "REVIEW", "revoked_then_new_inquiry", "C10"
    else:
        yield "BLOCK", "revoked", "C9"


def _asks_anew(case: Case, refusal: Suppression) -> bool:
    """A new inquiry after the refusal may be answered by one text, if a person says so."""
    asked = asked_at(case)
    if case.purpose != "inquiry_response" or asked is None or asked <= refusal.at:
        return False
    return not any(i.direction == "out" and i.channel in PHONE and i.at > asked for i in case.history)


def _confirmation(case: Case, refusal: Suppression | None, pack: Pack) -> Iterator[Found]:
    """One confirmation, within five minutes of the refusal (C8)."""
    if refusal is None or case.now - refusal.at > timedelta(minutes=pack.confirmation_minutes):
        yield "BLOCK", "confirmation_late", "C8"
        return
    if any(i.purpose == "optout_confirmation" and i.direction == "out" and i.at >= refusal.at for i in case.history):
        yield "BLOCK", "confirmation_repeated", "C8"


def consent(case: Case, facts: Facts, pack: Pack) -> Iterator[Found]:
    """The level each purpose needs (C1-C4), Canada's and Europe's own besides (C31, C32)."""
    if case.purpose == "optout_confirmation":
        return
    countries = facts.place.countries
    if "CA" in countries:
        yield from _casl(case, facts, pack)
    if "EU" in countries:
        yield from _gdpr(case, facts)
    # Canada's law knows no level above express consent; the telephone rules below are those of the other places.
    if case.channel != "email" and countries != ("CA",):
        yield from _telephone(case, facts)


def _telephone(case: Case, facts: Facts) -> Iterator[Found]:
    if case.purpose == "marketing":
        needed = LEVELS["express"] if case.channel == "whatsapp" else LEVELS["pewc"]
        if facts.level < needed:
            yield "BLOCK", f"consent_marketing_{case.channel}", "C1"
        return
    wrote = any(item.direction == "in" and item.channel == case.channel for item in case.history)
    if facts.level < LEVELS["inquiry"] and not (case.purpose == "conversation" and wrote):
        had = any(reaches(c, case.channel) for c in case.consents)
        yield ("BLOCK", "consent_expired", "C4") if had else ("BLOCK", "consent_missing", "C1")


def _casl(case: Case, facts: Facts, pack: Pack) -> Iterator[Found]:
    if facts.level >= LEVELS["express"]:
        return
    ends = [
        add_months(at, months)
        for at, months in (
            (asked_at(case), pack.casl_inquiry_months),
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
    asked = asked_at(case)
    if case.purpose == "inquiry_response" and any(
        item.direction == "out" and item.purpose == "inquiry_response" and (asked is None or item.at > asked)
        for item in case.history
    ):
        yield "BLOCK", "gdpr_answered_once", "C32"


def registry(case: Case, facts: Facts, pack: Pack) -> Iterator[Found]:
    """The do-not-call registry (C16): written consent or a relationship excuses, a stale file does not."""
    if case.channel not in {"sms", "whatsapp"} or case.purpose not in {"marketing", "inquiry_response"}:
        return
    if "US" not in facts.place.countries or facts.level >= LEVELS["pewc"]:
        return
    asked, bought = asked_at(case), case.relationship.transaction_at
    if asked and case.now < add_months(asked, pack.dnc_inquiry_months):
        return
    if bought and case.now < add_months(bought, pack.dnc_transaction_months):
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
        is_us = facts.place.phone_country == "US"
        if is_us and case.purpose == "marketing" and pack.is_us_whatsapp_marketing_paused:
            yield "BLOCK", "wa_us_marketing_paused", "C30"
        elif not case.is_template:
            yield "BLOCK", "wa_template_required", "C30"
