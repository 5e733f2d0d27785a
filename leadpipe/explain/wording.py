"""What codes and rules mean, in words for a person who asks.

What lives here: a sentence a code, the rules with their gates in the order they are asked. What does not: the rules
(``policy``), which findings there are (``message``, ``lead_sentences``). A test compares the codes
with ``docs/policy.md``.
"""

from __future__ import annotations

from typing import NamedTuple

# Codes of verdicts, by what they mean.
CODES = {
    "no_contact_point": "no address of the kind the channel needs",
    "invalid_contact_point": "the address cannot be one",
    "not_supported": "an artificial voice",
    "revoked": "they refused texts (STOP)",
    "unsubscribed": "they refused email",
    "revoked_then_new_inquiry": "they refused, then asked again: one text, if a person releases it",
    "internal_dnc": "on the team's own list",
    "bounced": "the address bounced",
    "complained": "they reported an email as spam",
    "wrong_number": "the number is not theirs",
    "carrier_blocked": "the carrier will not carry to the number",
    "privacy_request": "they asked to be deleted",
    "suppressed_hash": "they were erased",
    "minor": "they said to be under age",
    "confirmation_late": "more than five minutes after the STOP",
    "confirmation_repeated": "the STOP was confirmed already",
    "consent_marketing_sms": "marketing by text needs written consent that names us, with proof",
    "consent_marketing_whatsapp": "marketing by WhatsApp needs a yes to WhatsApp",
    "consent_missing": "not even an inquiry came from this number",
    "consent_expired": "the inquiry is older than 90 days, or the consent ended",
    "casl_no_consent": "Canada: neither consent nor relation",
    "casl_implied_expired": "Canada: inquiry or contract too long ago",
    "gdpr_no_optin": "EU, EEA, United Kingdom, Switzerland: marketing without opt-in",
    "gdpr_answered_once": "there an inquiry is answered once",
    "dnc": "on the do-not-call registry, without relation or written consent",
    "dnc_stale": "the registry's file is older than 31 days",
    "dnc_unknown": "the number was never looked up",
    "state_dnc": "on a state's own do-not-call list, without written consent",
    "state_dnc_stale": "that list's file is older than its state allows",
    "reassigned": "the number belongs to somebody else by now",
    "rnd_missing": "they neither agreed nor wrote within 45 days, and the number was not looked up",
    "rnd_stale": "it was looked up more than 31 days ago",
    "rnd_no_data": "the database knows nothing: a person must look; in Maine nothing goes",
    "consent_not_transferable": "consent given to us does not carry a partner's message",
    "emergency": "a state of emergency where they may be: no marketing, and answers only by a person",
    "relay_address": "a portal's relay or a role address gets no marketing",
    "a2p_unregistered": "no 10DLC campaign is set",
    "state_sms_disabled": "texts of marketing are switched off in a state they may be in",
    "wa_us_marketing_paused": "WhatsApp does not deliver marketing to US numbers",
    "wa_template_required": "free words more than a day after they wrote",
    "fair_housing": "words that discriminate or steer",
    "respa_referral": "a reward for a referral",
    "offer_not_approved": "money that no approved offer names",
    "respa_affiliated": "a partner's service: a person must look",
    "rebate_state": "an approved offer of money, in a state that bars rebates to the client",
    "shaft": "what carriers filter",
    "shaft_alcohol": "alcohol: a person must look",
    "shouted_money": "money in capital letters, which carriers filter",
    "foreign_link": "a link to a domain that is neither ours nor one the team allows (LEADPIPE_LINK_DOMAINS)",
    "agency_fees": "calls an agent's service free or a commission fixed: a person must look",
    "license_state": "a home is in a state that neither a licence nor the office is of: a person must look "
    "(LEADPIPE_LICENCES)",
    "missing_license": "a state wants a licence text that is not there (LEADPIPE_LICENCES, LEADPIPE_LICENCE_LINKS)",
    "missing_disclosure": "an email, or a first text, that does not say an assistant writes",
    "public_shortener": "a public link shortener",
    "ai_denial": "denies being a machine",
    "stale_listing": "offers a home, or calls it available, that is not, or that nobody looked at for a day",
    "claim_unproven": "a promise, a rate, a home's value, or a model's word about a home that nothing stored bears "
    "out: a person must look",
    "missing_identity": "a text to Virginia without the brokerage's name",
    "deceptive_subject": "a subject that pretends to be a reply",
    "missing_postal_address": "an email without postal address",
    "missing_unsubscribe": "an email without the way out",
    "missing_brokerage": "an email, or a first text, without the brokerage's name",
    "first_sms_missing_identity": "a first text without the way out",
    "stop_hint_due": "a month without the way out",
    "frequency": "written to as often as law or house rule allow",
    "fewer_emails": "they asked for fewer emails, and had one lately",
    "refusals_not_read": "the CRM's own opt-outs were not read for 15 minutes",
    "quiet_hours": "outside legal hours where they may be",
    "quiet_hours_unknown_place": "outside legal hours, which count everywhere while their place is unknown",
    "never_open": "no hour within a fortnight is legal in all places",
}
# Codes that messages end or wait with besides: what overtook them, what the house itself decided.
ENDINGS = {
    "sending_off": "sending is off (LEADPIPE_SENDING), so it is only recorded",
    "not_on_allowlist": "the address is not on LEADPIPE_ALLOWLIST",
    "channel_off": "no provider is set up for this channel",
    "shadow": "it is one of the plan's first messages, which a person releases (LEADPIPE_SHADOW_FIRST)",
    "model_text": "a model wrote its words, so a person must release it",
    "needs_review": "a person must release it",
    "unread_inbound": "a message of theirs was not read yet",
    "one_at_a_time": "another message had just gone to them (LEADPIPE_MIN_GAP_MINUTES)",
    "complaint_rate": "too many reported such emails as spam, and its plan or domain rests (`leadpipe sending status`)",
    "bounce_rate": "too many such emails came back, and its plan or domain rests (`leadpipe sending status`)",
    "warm_up": "in a domain's first weeks few aged addresses a day get marketing email, and the day's were used up",
    "stale": "it could not leave in time and would have come too late (LEADPIPE_STALE_AFTER_HOURS)",
    "not_released": "nobody released it in time",
    "rejected": "a person rejected it",
    "reply": "they answered first",
    "replied": "they answered first",
    "wrote_again": "they wrote again, and a newer answer replaced it",
    "opt_out": "they refused meanwhile",
    "human_acted": "somebody of the team acted first",
    "higher_plan": "a plan that goes first took them up",
    "new_inquiry": "they asked anew, and that is answered instead",
    "merged": "the CRM merged them into another record",
    "person_deleted": "they were deleted in the CRM",
    "gone": "they were merged into another record or deleted in the CRM",
    "automation_paused": "automation is paused for them",
    "stop_stage": "their stage ends every plan (LEADPIPE_STOP_STAGES)",
    "enrolment_ended": "their passage through the plan had ended",
    "contact_point_detached": "the address is no longer theirs",
    "same_contact_point": "another record with the same address has the message",
    "plan_removed": "the plan is no longer there",
    "plan_paused": "the plan is paused",
    "step_removed": "the plan no longer has the step",
    "already_met": "the plan had met them in this round already",
    "outranked": "a plan that goes first has them",
    "overtaken": "a refusal or a stop came between claim and call",
}
# What a planning decided about a lead, as ``outreach.queue`` and first touch say it.
OUTCOMES = {
    "planned": "a message was planned",
    "queued": "a message waits for its time",
    "held": "a message is held until it is legal",
    "blocked": "a rule blocks the message",
    "review": "a message waits for a person's release",
    "not_due": "inside the plan; its next step is due later",
    "waits": "another message is under way, or another record has the same address",
    "outranked": "a plan that goes first has them",
    "no_channel": "no step of the plan has a channel that reaches them",
    "stopped": "stage, pause, refusal or deletion ends every plan",
    "exhausted": "the plan met them as often as it may",
    "not_aged": "there was contact within LEADPIPE_AGED_AFTER_DAYS",
    "finished": "they went through the plan, and the next round is not due",
    "control_group": "they are in the plan's control group, which gets nothing",
    "enrolled": "the welcome began",
    "not_new": "they are not new: nothing of theirs waits for a first answer",
    "before_go_live": "they came before the team went live",
    "bulk_import": "they came with a bulk import and made no inquiry",
    "no_contact_point": "no address that may be used for an answer",
    "answered_within_24h": "their last inquiry was answered within the day",
    "same_contact_point": "another record with the same address has the message",
    "human_acted": "somebody of the team acted first",
    "gone": "they were merged into another record or deleted in the CRM",
    "stop_stage": "their stage ends every plan",
    "automation_paused": "automation is paused for them",
    "plan_paused": "the plan is paused",
}
WENT = frozenset({"accepted", "sent", "delivered"})
# States of a message, after "it".
STATES = {
    "queued": "waits for its time",
    "held": "is held",
    "blocked": "did not go",
    "review": "waits for a person's release",
    "sending": "is on its way to the provider",
    "accepted": "went: the provider took it",
    "sent": "went: the carrier took it",
    "delivered": "went and arrived",
    "undelivered": "went and could not be delivered",
    "bounced": "went and came back",
    "complained": "went, and they reported it as spam",
    "refused": "did not go: the provider refused it",
    "unknown": "may have gone: the provider gave no answer, and it is looked up",
    "parked": "may have gone: nobody could find out, a person must say",
    "cancelled": "did not go: it was cancelled",
    "expired": "did not go: its time had passed",
}


class Rule(NamedTuple):
    """One rule as it is asked of a message: its gate, what it asks, and the channels it looks at."""

    gate: str
    rule: str
    asks: str
    channels: tuple[str, ...]


_EVERY = ("email", "sms", "whatsapp")
_PHONE = ("sms", "whatsapp")
RULES = (
    Rule("identity", "identity", "an address of the right kind", _EVERY),
    Rule("refusals", "C9", "no STOP, whichever channel it came by", _PHONE),
    Rule("refusals", "C10", "no refusal before their last request", _PHONE),
    Rule("refusals", "C18", "not on the team's own list", _EVERY),
    Rule("refusals", "C20", "the number is theirs and can be reached", _PHONE),
    Rule("refusals", "C22", "no refusal of email", ("email",)),
    Rule("refusals", "C25", "no bounce, no complaint", _EVERY),
    Rule("refusals", "C45", "their refusals in the CRM were read lately", _EVERY),
    Rule("refusals", "C50", "not a minor", _EVERY),
    Rule("refusals", "C33", "no request to be deleted", _EVERY),
    Rule("refusals", "C34", "not erased", _EVERY),
    Rule("consent", "C1", "the consent this purpose needs", _PHONE),
    Rule("consent", "C4", "an inquiry that still carries", _PHONE),
    Rule("consent", "C29", "consent given to whom the message is from", _PHONE),
    Rule("consent", "C31", "Canada's consent", _EVERY),
    Rule("consent", "C32", "Europe's opt-in", _EVERY),
    Rule("do-not-call", "C16", "not on the registry, or excused", _PHONE),
    Rule("do-not-call", "C17", "not on their state's own list", _PHONE),
    Rule("number", "C19", "the number still theirs", _PHONE),
    Rule("emergency", "C46", "no state of emergency where they may be", _PHONE),
    Rule("channel", "C24", "no relay or role address for marketing", ("email",)),
    Rule("channel", "C26", "a registered campaign", ("sms",)),
    Rule("channel", "C30", "WhatsApp's session and template", ("whatsapp",)),
    Rule("channel", "C47", "texts switched on in their state", ("sms",)),
    Rule("words", "C21", "honest subject, postal address, way out", ("email",)),
    Rule("words", "C27", "nothing that carriers filter, links on our own domains", _EVERY),
    Rule("words", "C28", "who writes, and how to stop", ("sms",)),
    Rule("words", "C36", "Fair Housing", _EVERY),
    Rule("words", "C39", "money only as approved", _EVERY),
    Rule("words", "C40", "the brokerage's name, and what their state wants of a licence", _EVERY),
    Rule("words", "C41", "claims about homes as stored", _EVERY),
    Rule("words", "C42", "an assistant says that it is one, and never denies it", _EVERY),
    Rule("words", "C48", "the brokerage's name in every text to Virginia", ("sms",)),
    Rule("frequency", "C15", "not written to too often", _EVERY),
    Rule("hours", "C11", "federal hours", _PHONE),
    Rule("hours", "C12", "hours of their state", _PHONE),
    Rule("hours", "C13", "hours of every place they may be in", _PHONE),
)


def means(code: str) -> str:
    """What a code says, in words; an unknown one (a provider's) as it stands."""
    return CODES.get(code) or ENDINGS.get(code) or code.replace("_", " ")


def outcome_means(outcome: str) -> str:
    """What a planning's outcome says, in words."""
    return OUTCOMES.get(outcome, outcome.replace("_", " "))
