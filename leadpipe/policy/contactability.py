"""Whether this person may be reached by this channel for this purpose at all: identity, revocation, consent, DNC.

What lives here: the rules that do not depend on the hour or the words (C1-C6, C8-C10, C16-C20, C22, C24-C26, C29-C32,
C46, C47, C49). What does not: what stands about the person (``standing``), the rules' order and what the whole amounts
to (``verdict``).

Each rule returns findings; an empty return means the rule is content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from leadpipe.leads.identity import normalise_email
from leadpipe.policy.case import LEVELS, Case, Suppression
from leadpipe.policy.pack import Pack, PolicySettings
from leadpipe.policy.standing import PHONE, Facts, add_months, asked_at, fact_code, reaches

_E164 = re.compile(r"\+[1-9]\d{6,14}")
# Numbers and addresses that a list of ours or of the team's names.
_LISTED = frozenset({"import", "internal_dnc"})

Found = tuple[str, str, str]


def identity(case: Case) -> Iterator[Found]:
    """An address of the right kind must be there; artificial voices and recordings are not supported (C5, C49)."""
    if case.channel == "voice_ai":
        yield "BLOCK", "not_supported", "C5"
    elif case.channel == "call_recording":
        yield "BLOCK", "not_supported", "C49"
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
    if case.sender != "ours" and not any(c.seller.casefold() == case.sender.casefold() for c in case.consents):
        yield "BLOCK", "consent_not_transferable", "C29"
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
    """The do-not-call lists (C16, C17): written consent or a relationship excuses, a stale file does not."""
    if case.channel not in {"sms", "whatsapp"} or case.purpose not in {"marketing", "inquiry_response"}:
        return
    if "US" not in facts.place.countries or facts.level >= LEVELS["pewc"]:
        return
    yield from _national(case, pack)
    # What excuses from the national registry does not excuse from a state's own list; only consent does.
    for listed in case.state_lists:
        if listed.state not in facts.place.states:
            continue
        if listed.listed:
            yield "BLOCK", "state_dnc", "C17"
        elif not _is_fresh(listed.checked_at, pack.state_list_days.get(listed.state, pack.dnc_file_days), case):
            yield "BLOCK", "state_dnc_stale", "C17"


def _national(case: Case, pack: Pack) -> Iterator[Found]:
    asked, bought = asked_at(case), case.relationship.transaction_at
    if asked and case.now < add_months(asked, pack.dnc_inquiry_months):
        return
    if bought and case.now < add_months(bought, pack.dnc_transaction_months):
        return
    if case.dnc.listed:
        yield "BLOCK", "dnc", "C16"
    elif case.dnc.listed is None:
        yield "BLOCK", "dnc_unknown", "C16"
    elif not _is_fresh(case.dnc.checked_at, pack.dnc_file_days, case):
        yield "BLOCK", "dnc_stale", "C16"


def _is_fresh(checked_at: date | None, days: int, case: Case) -> bool:
    return checked_at is not None and (case.now.date() - checked_at).days <= days


def reassigned(case: Case, facts: Facts, pack: Pack) -> Iterator[Found]:
    """Whether the number may have changed hands since they last agreed or wrote (C19)."""
    if case.channel != "sms" or case.purpose == "optout_confirmation" or facts.place.phone_country != "US":
        return
    is_always = bool(pack.rnd_always_states & set(facts.place.states))
    answer = case.reassigned
    if answer.result == "yes":
        yield "BLOCK", "reassigned", "C19"
    elif not is_always and _is_known_theirs(case, facts, pack):
        return
    elif answer.result is None:
        yield "BLOCK", "rnd_missing", "C19"
    elif not _is_fresh(answer.checked_at, pack.rnd_answer_days, case):
        yield "BLOCK", "rnd_stale", "C19"
    elif answer.result == "no_data" and is_always:
        yield "BLOCK", "rnd_no_data", "C19"
    elif answer.result == "no_data" and case.purpose == "marketing":
        yield "REVIEW", "rnd_no_data", "C19"


def _is_known_theirs(case: Case, facts: Facts, pack: Pack) -> bool:
    """They wrote from the number, or agreed for it, within the last weeks."""
    since = case.now - timedelta(days=pack.rnd_consent_days)
    if facts.consent is not None and facts.consent.at > since:
        return True
    return any(item.direction == "in" and item.channel in PHONE and item.at > since for item in case.history)


def emergency(case: Case, facts: Facts, settings: PolicySettings) -> Iterator[Found]:
    """A declared emergency where they may be (C46): no solicitation, and answers only if a person says so."""
    if case.purpose not in {"marketing", "inquiry_response"}:
        return
    for blackout in settings.blackouts:
        if blackout.state in facts.place.states and blackout.begins_at <= case.now < blackout.ends_at:
            yield ("BLOCK" if case.purpose == "marketing" else "REVIEW"), "emergency", "C46"
            return


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
