"""The cases of compliance.md by rule number: who may be written to at all, for what, how often, at which hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from leadpipe.policy.pack import DEMO_POLICY, Blackout
from tests.policy.conftest import PROOF, Decide, consent, pewc, received, sent, written_off

NOT_LISTED = {"listed": False, "checked_at": "2026-11-20"}
MIAMI = {"zip": "33101", "city": "Miami", "state": "FL", "country": "US"}
NO_ADDRESS: dict[str, str] = {}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


DALLAS = {"zip": "75201", "city": "Dallas", "state": "TX", "country": "US"}
PORTLAND = {"zip": "04101", "city": "Portland", "state": "ME", "country": "US"}
# Within the 90 days that an inquiry carries, beyond the three months that excuse from the registry's question.
OLD_INQUIRY = consent("inquiry", "2026-11-20T15:00:00Z")


def rnd(result: str, checked_at: str = "2026-11-20") -> dict[str, str]:
    """An answer of the reassigned-numbers database."""
    return {"result": result, "checked_at": checked_at}


CONTACT_CASES: list[tuple[str, dict[str, Any], str]] = [
    # rule and what happens, the case, decision and code
    (
        "C1 nine months after an inquiry a text of marketing is blocked",
        {"consents": [consent("inquiry", "2026-02-24T10:00:00Z")]},
        "BLOCK consent_marketing_sms",
    ),
    (
        "C1 the same lead may get the email",
        {"channel": "email", "consents": [consent("inquiry", "2026-02-24T10:00:00Z")]},
        "ALLOW",
    ),
    ("C1 written consent carries a text of marketing", {"consents": [pewc()]}, "ALLOW"),
    (
        "C1 express consent does not",
        {"consents": [consent("express", "2026-11-01T10:00:00Z")]},
        "BLOCK consent_marketing_sms",
    ),
    (
        "C1 an answer needs at least the inquiry",
        {"purpose": "inquiry_response", "dnc": NOT_LISTED},
        "BLOCK consent_missing",
    ),
    ("C1 a text about an appointment needs it too", {"purpose": "transactional"}, "BLOCK consent_missing"),
    (
        "C1 whoever texts us may be answered",
        {"purpose": "conversation", "history": [received("2026-11-24T15:50:00Z")]},
        "ALLOW",
    ),
    (
        "C1 consent given tomorrow carries nothing today",
        {"consents": [pewc("2026-11-25T10:00:00Z")]},
        "BLOCK consent_marketing_sms",
    ),
    *(
        (
            f"C2 written consent without {name} is worth an inquiry",
            {"consents": [pewc(evidence={k: v for k, v in PROOF.items() if k != name})]},
            "BLOCK consent_marketing_sms",
        )
        for name in PROOF
    ),
    (
        "C2 a capture of the form proves the disclosure as well as its text",
        {"consents": [pewc(evidence=PROOF | {"disclosure": "", "capture_id": "cap-1"})]},
        "ALLOW",
    ),
    (
        "C2 a message id proves the way as well as an address",
        {"consents": [pewc(evidence=PROOF | {"ip": None, "message_id": "SM1"})]},
        "ALLOW",
    ),
    (
        "C2 'sms_ok = Y' of an import is no written consent",
        {"consents": [pewc(evidence={"sms_ok": "Y"})]},
        "BLOCK consent_marketing_sms",
    ),
    (
        "C2 consent to be asked about one home is not consent to marketing",
        {"consents": [pewc(scope="inquiry:77")]},
        "BLOCK consent_marketing_sms",
    ),
    (
        "C3 a portal's form for its partners carries the first answer",
        {
            "purpose": "inquiry_response",
            "consents": [consent("pewc", "2026-11-24T15:00:00Z", seller="portal and partners", evidence=PROOF)],
        },
        "ALLOW",
    ),
    (
        "C3 and no monthly text about the market",
        {"consents": [pewc(seller="portal and partners")]},
        "BLOCK consent_marketing_sms",
    ),
    (
        "C3 consent that names our brokerage is ours",
        {"consents": [pewc(seller="Demo Realty", evidence=PROOF | {"seller": "Demo Realty"})]},
        "ALLOW",
    ),
    (
        "C4 a portal lead is answered on the day",
        {"purpose": "inquiry_response", "consents": [consent("inquiry", "2026-11-24T15:00:00Z", scope="inquiry:9")]},
        "ALLOW",
    ),
    (
        "C4 and not after 120 days",
        {"purpose": "inquiry_response", "consents": [consent("inquiry", "2026-07-27T15:00:00Z", scope="inquiry:9")]},
        "BLOCK consent_expired",
    ),
    (
        "C4 a consent ends when it says so",
        {"consents": [pewc(expires_at="2026-11-24T16:00:00Z")]},
        "BLOCK consent_marketing_sms",
    ),
    (
        "C5 an artificial voice is not supported",
        {"channel": "voice_ai", "consents": [pewc(channel="all")]},
        "BLOCK not_supported",
    ),
    (
        "C6 after STOP nothing goes",
        {"consents": [pewc()], "suppressions": [written_off("stop_keyword")]},
        "BLOCK revoked",
    ),
    (
        "C8 the confirmation of a STOP goes within five minutes",
        {
            "purpose": "optout_confirmation",
            "now": "2026-11-24T15:05:00Z",
            "suppressions": [written_off("stop_keyword", "2026-11-24T15:00:00Z")],
        },
        "ALLOW",
    ),
    (
        "C8 and at any hour",
        {
            "purpose": "optout_confirmation",
            "now": "2026-11-24T09:01:00Z",
            "suppressions": [written_off("stop_keyword", "2026-11-24T09:00:00Z")],
        },
        "ALLOW",
    ),
    (
        "C8 not half a minute later",
        {
            "purpose": "optout_confirmation",
            "now": "2026-11-24T15:05:30Z",
            "suppressions": [written_off("stop_keyword", "2026-11-24T15:00:00Z")],
        },
        "BLOCK confirmation_late",
    ),
    (
        "C8 and not twice",
        {
            "purpose": "optout_confirmation",
            "now": "2026-11-24T15:02:00Z",
            "suppressions": [written_off("stop_keyword", "2026-11-24T15:00:00Z")],
            "history": [sent("2026-11-24T15:00:20Z", purpose="optout_confirmation")],
        },
        "BLOCK confirmation_repeated",
    ),
    (
        "C9 STOP by text ends WhatsApp",
        {
            "channel": "whatsapp",
            "phone": "+447911123456",
            "address": NO_ADDRESS,
            "consents": [consent("express", "2026-01-01T00:00:00Z", "whatsapp")],
            "suppressions": [written_off("stop_keyword")],
        },
        "BLOCK revoked",
    ),
    ("C9 and leaves email", {"channel": "email", "suppressions": [written_off("stop_keyword")]}, "ALLOW"),
    (
        "C9 unless the words meant all contact",
        {"channel": "email", "suppressions": [written_off("phrase", channel="all")]},
        "BLOCK unsubscribed",
    ),
    (
        "C9 a fresh written consent lifts it",
        {"consents": [pewc("2026-11-10T00:00:00Z")], "suppressions": [written_off("stop_keyword")]},
        "ALLOW",
    ),
    (
        "C9 an older one does not",
        {"consents": [pewc("2026-10-10T00:00:00Z")], "suppressions": [written_off("stop_keyword")]},
        "BLOCK revoked",
    ),
    (
        "C10 whoever refused and asks anew gets the email",
        {
            "channel": "email",
            "purpose": "inquiry_response",
            "suppressions": [written_off("stop_keyword")],
            "relationship": {"inquiry_at": "2026-11-24T15:00:00Z"},
        },
        "ALLOW",
    ),
    (
        "C10 and a text if a person releases it",
        {
            "purpose": "inquiry_response",
            "suppressions": [written_off("stop_keyword")],
            "consents": [consent("inquiry", "2026-11-24T15:00:00Z")],
            "relationship": {"inquiry_at": "2026-11-24T15:00:00Z"},
        },
        "REVIEW revoked_then_new_inquiry",
    ),
    (
        "C10 one text, not two",
        {
            "purpose": "inquiry_response",
            "suppressions": [written_off("stop_keyword")],
            "consents": [consent("inquiry", "2026-11-24T15:00:00Z")],
            "history": [sent("2026-11-24T15:10:00Z", purpose="inquiry_response")],
        },
        "BLOCK revoked",
    ),
    (
        "C10 a new inquiry never brings marketing back",
        {"suppressions": [written_off("stop_keyword")], "consents": [consent("inquiry", "2026-11-24T15:00:00Z")]},
        "BLOCK revoked",
    ),
    (
        "C16 a listed number that asked ten weeks ago may be answered",
        {
            "purpose": "inquiry_response",
            "dnc": {"listed": True, "checked_at": "2026-11-20"},
            "consents": [consent("inquiry", "2026-09-10T10:00:00Z")],
            "relationship": {"inquiry_at": "2026-09-10T10:00:00Z"},
        },
        "ALLOW",
    ),
    (
        "C16 one that asked more than three months ago may not",
        {
            "purpose": "inquiry_response",
            "dnc": {"listed": True, "checked_at": "2026-11-20"},
            "consents": [consent("express", "2026-01-10T10:00:00Z")],
            "relationship": {"inquiry_at": "2026-08-20T10:00:00Z"},
        },
        "BLOCK dnc",
    ),
    (
        "C16 a closing within 18 months is a relationship",
        {
            "purpose": "inquiry_response",
            "dnc": {"listed": True, "checked_at": "2026-11-20"},
            "consents": [consent("express", "2026-01-10T10:00:00Z")],
            "relationship": {"transaction_at": "2025-06-15T10:00:00Z"},
        },
        "ALLOW",
    ),
    (
        "C16 and ends with the eighteenth month",
        {
            "purpose": "inquiry_response",
            "now": "2026-12-15T16:00:00Z",
            "dnc": {"listed": True, "checked_at": "2026-12-10"},
            "consents": [consent("express", "2026-01-10T10:00:00Z")],
            "relationship": {"transaction_at": "2025-06-15T10:00:00Z"},
        },
        "BLOCK dnc",
    ),
    (
        "C16 a file of 35 days says nothing",
        {
            "purpose": "inquiry_response",
            "dnc": {"listed": False, "checked_at": "2026-10-20"},
            "consents": [consent("express", "2026-01-10T10:00:00Z")],
        },
        "BLOCK dnc_stale",
    ),
    (
        "C16 nor does no file",
        {"purpose": "inquiry_response", "consents": [consent("express", "2026-01-10T10:00:00Z")]},
        "BLOCK dnc_unknown",
    ),
    (
        "C16 a fresh file that does not list the number does",
        {"purpose": "inquiry_response", "dnc": NOT_LISTED, "consents": [consent("express", "2026-01-10T10:00:00Z")]},
        "ALLOW",
    ),
    (
        "C16 written consent that names us excuses from the registry",
        {"consents": [pewc()], "dnc": {"listed": True, "checked_at": "2026-11-20"}},
        "ALLOW",
    ),
    (
        "C18 an opt-out of 2019 stands",
        {
            "consents": [pewc("2018-03-01T00:00:00Z")],
            "suppressions": [written_off("internal_dnc", "2019-03-01T00:00:00Z")],
        },
        "BLOCK internal_dnc",
    ),
    (
        "C20 a wrong number stays wrong",
        {"consents": [pewc()], "suppressions": [written_off("wrong_number")]},
        "BLOCK wrong_number",
    ),
    (
        "C20 whatever consent comes later",
        {"consents": [pewc("2026-11-20T00:00:00Z")], "suppressions": [written_off("wrong_number")]},
        "BLOCK wrong_number",
    ),
    ("C20 the person's email stays", {"channel": "email", "suppressions": [written_off("wrong_number")]}, "ALLOW"),
    (
        "C22 an unsubscribed address gets nothing",
        {"channel": "email", "suppressions": [written_off("one_click", "2026-11-02T00:00:00Z", "email")]},
        "BLOCK unsubscribed",
    ),
    (
        "C22 not even an answer",
        {
            "channel": "email",
            "purpose": "inquiry_response",
            "suppressions": [written_off("one_click", "2026-11-02T00:00:00Z", "email")],
        },
        "BLOCK unsubscribed",
    ),
    (
        "C22 until they say yes again",
        {
            "channel": "email",
            "consents": [consent("express", "2026-11-20T00:00:00Z", "email")],
            "suppressions": [written_off("one_click", "2026-11-02T00:00:00Z", "email")],
        },
        "ALLOW",
    ),
    (
        "C22 unsubscribing from email leaves texts",
        {"consents": [pewc()], "suppressions": [written_off("one_click", channel="email")]},
        "ALLOW",
    ),
    *(
        (f"C24 {address} gets no marketing", {"channel": "email", "email": address}, "BLOCK relay_address")
        for address in ("abc123@convo.zillow.com", "noreply@example.com", "info@example.com")
    ),
    (
        "C24 a relay carries the answer to its inquiry",
        {"channel": "email", "purpose": "inquiry_response", "email": "abc123@convo.zillow.com"},
        "ALLOW",
    ),
    (
        "C25 a bounced address is dead",
        {"channel": "email", "suppressions": [written_off("bounce", channel="email")]},
        "BLOCK bounced",
    ),
    (
        "C25 a complaint ends email",
        {"channel": "email", "suppressions": [written_off("complaint", channel="email")]},
        "BLOCK complained",
    ),
    (
        "C25 a bounce stands though they opted in again after leaving",
        {
            "channel": "email",
            "consents": [consent("express", "2026-11-20T00:00:00Z", "email")],
            "suppressions": [
                written_off("bounce", "2026-10-01T00:00:00Z", "email"),
                written_off("one_click", "2026-11-02T00:00:00Z", "email"),
            ],
        },
        "BLOCK bounced",
    ),
    (
        "C30 WhatsApp templates of marketing do not reach US numbers",
        {
            "channel": "whatsapp",
            "phone": "+13055550100",
            "consents": [consent("express", "2026-01-01T00:00:00Z", "whatsapp")],
            "relationship": {"inquiry_at": "2026-11-01T00:00:00Z"},
        },
        "BLOCK wa_us_marketing_paused",
    ),
    (
        "C30 whoever wrote three hours ago gets free words",
        {
            "channel": "whatsapp",
            "purpose": "conversation",
            "phone": "+13055550100",
            "address": MIAMI,
            "history": [received("2026-11-24T13:00:00Z", "whatsapp")],
            "is_template": False,
        },
        "ALLOW",
    ),
    (
        "C30 after a day only a template",
        {
            "channel": "whatsapp",
            "purpose": "conversation",
            "history": [received("2026-11-23T15:00:00Z", "whatsapp")],
            "is_template": False,
        },
        "BLOCK wa_template_required",
    ),
    (
        "C30 a British number that opted in gets the template",
        {
            "channel": "whatsapp",
            "phone": "+447911123456",
            "address": NO_ADDRESS,
            "consents": [consent("express", "2026-01-01T00:00:00Z", "whatsapp")],
        },
        "ALLOW",
    ),
    (
        "C30 without opt-in nothing by WhatsApp",
        {"channel": "whatsapp", "phone": "+5215512345678", "address": NO_ADDRESS},
        "BLOCK consent_marketing_whatsapp",
    ),
    *(
        (
            f"C31 Canada seven months after an inquiry: no {channel}",
            {
                "channel": channel,
                "phone": "+14165550100",
                "address": NO_ADDRESS,
                "relationship": {"inquiry_at": "2026-04-10T10:00:00Z"},
            },
            "BLOCK casl_implied_expired",
        )
        for channel in ("email", "sms")
    ),
    (
        "C31 within six months it is implied",
        {
            "channel": "email",
            "phone": "+14165550100",
            "address": NO_ADDRESS,
            "relationship": {"inquiry_at": "2026-08-01T10:00:00Z"},
        },
        "ALLOW",
    ),
    (
        "C31 two years after a contract too",
        {
            "channel": "email",
            "phone": "+14165550100",
            "address": NO_ADDRESS,
            "relationship": {"transaction_at": "2025-01-10T10:00:00Z"},
        },
        "ALLOW",
    ),
    (
        "C31 without any relation nothing",
        {"channel": "email", "phone": "+14165550100", "address": NO_ADDRESS},
        "BLOCK casl_no_consent",
    ),
    (
        "C31 a postal code makes it Canada as well",
        {"channel": "email", "address": {"zip": "M5V 2T6", "city": "Toronto", "state": "ON", "country": ""}},
        "BLOCK casl_no_consent",
    ),
    (
        "C31 a US number does not undo a Canadian address, nor the other way round",
        {"address": {"state": "Ontario", "country": "Canada"}, "relationship": {"inquiry_at": "2026-11-01T10:00:00Z"}},
        "BLOCK consent_marketing_sms",
    ),
    *(
        (
            f"C32 Germany without opt-in: no {channel}",
            {"channel": channel, "phone": "+491701234567", "address": NO_ADDRESS},
            "BLOCK gdpr_no_optin",
        )
        for channel in ("email", "sms")
    ),
    (
        "C32 a German address counts though the number is American",
        {"channel": "email", "address": {"city": "Berlin", "country": "Germany"}},
        "BLOCK gdpr_no_optin",
    ),
    (
        "C32 an inquiry from there is answered once",
        {"channel": "email", "purpose": "inquiry_response", "phone": "+491701234567", "address": NO_ADDRESS},
        "ALLOW",
    ),
    (
        "C32 and not again",
        {
            "channel": "email",
            "purpose": "inquiry_response",
            "phone": "+491701234567",
            "address": NO_ADDRESS,
            "relationship": {"inquiry_at": "2026-11-20T10:00:00Z"},
            "history": [sent("2026-11-20T10:01:00Z", "email", "inquiry_response")],
        },
        "BLOCK gdpr_answered_once",
    ),
    ("a text needs a number", {"phone": None}, "BLOCK no_contact_point"),
    ("a number that is none is none", {"phone": "555-0100"}, "BLOCK invalid_contact_point"),
    ("an email needs an address", {"channel": "email", "email": None}, "BLOCK no_contact_point"),
    ("an address that is none is none", {"channel": "email", "email": "ana at example"}, "BLOCK invalid_contact_point"),
    (
        "C17 on the state's own list",
        {
            "address": DALLAS,
            "phone": "+12145550100",
            "purpose": "inquiry_response",
            "consents": [OLD_INQUIRY],
            "dnc": NOT_LISTED,
            "state_lists": [{"state": "TX", "listed": True, "checked_at": "2026-11-01"}],
        },
        "BLOCK state_dnc",
    ),
    (
        "C17 which written consent excuses",
        {
            "address": DALLAS,
            "phone": "+12145550100",
            "consents": [pewc()],
            "state_lists": [{"state": "TX", "listed": True, "checked_at": "2026-11-01"}],
        },
        "ALLOW",
    ),
    (
        "C17 a copy of the list older than its state allows tells nothing",
        {
            "address": DALLAS,
            "phone": "+12145550100",
            "purpose": "inquiry_response",
            "consents": [OLD_INQUIRY],
            "dnc": NOT_LISTED,
            "state_lists": [{"state": "TX", "listed": False, "checked_at": "2026-09-01"}],
        },
        "BLOCK state_dnc_stale",
    ),
    (
        "C17 another state's list is of no concern",
        {
            "purpose": "inquiry_response",
            "consents": [OLD_INQUIRY],
            "dnc": NOT_LISTED,
            "state_lists": [{"state": "TX", "listed": True, "checked_at": "2026-11-01"}],
        },
        "ALLOW",
    ),
    (
        "C19 an aged lead whose number nobody looked up",
        {"consents": [pewc("2024-05-01T10:00:00Z")], "reassigned": None},
        "BLOCK rnd_missing",
    ),
    ("C19 the number is somebody else's now", {"consents": [pewc()], "reassigned": rnd("yes")}, "BLOCK reassigned"),
    (
        "C19 also where they agreed last week: the answer is about a later day",
        {"consents": [pewc("2026-11-17T10:00:00Z")], "reassigned": rnd("yes")},
        "BLOCK reassigned",
    ),
    ("C19 an answer holds for 31 days", {"consents": [pewc()], "reassigned": rnd("no", "2026-10-24")}, "ALLOW"),
    (
        "C19 and not for 32",
        {"consents": [pewc()], "reassigned": rnd("no", "2026-10-23")},
        "BLOCK rnd_stale",
    ),
    ("C19 without data a person decides", {"consents": [pewc()], "reassigned": rnd("no_data")}, "REVIEW rnd_no_data"),
    (
        "C19 an appointment with an old client needs no such person",
        {"purpose": "transactional", "consents": [pewc()], "reassigned": rnd("no_data")},
        "ALLOW",
    ),
    (
        "C19 consent of the last 45 days needs no look",
        {"consents": [pewc("2026-10-11T10:00:00Z")], "reassigned": None},
        "ALLOW",
    ),
    (
        "C19 nor does who wrote within them",
        {"consents": [pewc()], "history": [received("2026-10-20T10:00:00Z")], "reassigned": None},
        "ALLOW",
    ),
    (
        "C19 Maine wants it always",
        {"address": PORTLAND, "phone": "+12075550100", "consents": [pewc("2026-11-20T10:00:00Z")], "reassigned": None},
        "BLOCK rnd_missing",
    ),
    (
        "C19 and takes no data for no",
        {"address": PORTLAND, "phone": "+12075550100", "consents": [pewc()], "reassigned": rnd("no_data")},
        "BLOCK rnd_no_data",
    ),
    ("C19 email asks for no number", {"channel": "email", "reassigned": rnd("yes")}, "ALLOW"),
    (
        "C29 a lender may not use what was given to us",
        {"sender": "Example Lending", "consents": [pewc()]},
        "BLOCK consent_not_transferable",
    ),
    (
        "C33 a request to be forgotten ends every channel",
        {"channel": "email", "suppressions": [written_off("privacy_request", channel="all")]},
        "BLOCK privacy_request",
    ),
    (
        "C34 who was erased and comes back from the CRM",
        {"channel": "email", "suppressions": [written_off("erased", channel="all")]},
        "BLOCK suppressed_hash",
    ),
    (
        "C49 a call is not recorded",
        {"channel": "call_recording", "purpose": "conversation", "address": {"zip": "98101", "state": "WA"}},
        "BLOCK not_supported",
    ),
    (
        "C50 who says to be under age hears nothing more",
        {"channel": "email", "suppressions": [written_off("minor", channel="all")]},
        "BLOCK minor",
    ),
    (
        "C50 whatever they agree to later",
        {"consents": [pewc("2026-11-20T10:00:00Z")], "suppressions": [written_off("minor", channel="all")]},
        "BLOCK minor",
    ),
]


@pytest.mark.parametrize(("fields", "expected"), [pytest.param(*row[1:], id=row[0]) for row in CONTACT_CASES])
def test_who_may_be_reached(decide: Decide, fields: dict[str, Any], expected: str) -> None:
    verdict = decide(**fields)
    assert f"{verdict.decision} {verdict.code}".strip() == expected
    assert (verdict.decision == "ALLOW") == (not [f for f in verdict.findings if f.decision != "SKIPPED"])


def test_c26_without_a_campaign_every_text_is_blocked_and_email_is_not(decide: Decide) -> None:
    unregistered = replace(DEMO_POLICY, a2p_campaign_id="")
    assert decide(unregistered, consents=[pewc()]).code == "a2p_unregistered"
    assert decide(unregistered, channel="email").decision == "ALLOW"


def test_c47_marketing_texts_wait_for_the_brokers_switch_in_a_state(decide: Decide) -> None:
    switched_off = replace(DEMO_POLICY, sms_disabled_states=frozenset({"FL"}))
    florida: dict[str, Any] = {"address": MIAMI, "phone": "+13055550100"}
    assert decide(switched_off, consents=[pewc()], **florida).code == "state_sms_disabled"
    assert decide(switched_off, channel="email", **florida).decision == "ALLOW"
    assert decide(consents=[pewc()], **florida).decision == "ALLOW"


def test_every_failing_rule_is_kept_and_the_first_in_gate_order_decides(decide: Decide) -> None:
    verdict = decide(
        now="2026-11-24T03:30:00Z", suppressions=[written_off("stop_keyword")], history=[sent("2026-11-23T15:00:00Z")]
    )
    assert (verdict.decision, verdict.code, verdict.rule) == ("BLOCK", "revoked", "C9")
    assert [(f.rule, f.code) for f in verdict.findings if f.decision != "SKIPPED"] == [
        ("C9", "revoked"),
        ("C1", "consent_marketing_sms"),
        ("C16", "dnc_unknown"),
        ("C15", "frequency"),
        ("C12", "quiet_hours"),
    ]


FREQUENCY_CASES: list[tuple[str, dict[str, Any], str | None]] = [
    (
        "C15 Florida: after three texts a day the fourth waits until the first is a day old",
        {
            "address": MIAMI,
            "phone": "+13055550100",
            "purpose": "transactional",
            "now": "2026-11-24T21:00:00Z",
            "history": [sent(f"2026-11-24T{hour}:00:00Z", purpose="transactional") for hour in (14, 17, 20)],
        },
        "2026-11-25T14:00:00Z",
    ),
    (
        "C15 Florida: calls and manual texts count, answers too",
        {
            "address": MIAMI,
            "phone": "+13055550100",
            "purpose": "conversation",
            "now": "2026-11-24T21:00:00Z",
            "history": [
                sent("2026-11-24T14:00:00Z", "call", "manual"),
                sent("2026-11-24T17:00:00Z", "sms", "manual"),
                sent("2026-11-24T20:00:00Z", "whatsapp", "conversation"),
                received("2026-11-24T20:55:00Z"),
            ],
        },
        "2026-11-25T14:00:00Z",
    ),
    (
        "C15 Oregon: answering them is no solicitation",
        {
            "address": {"zip": "97201", "city": "Portland", "state": "OR"},
            "phone": "+15035550100",
            "purpose": "conversation",
            "now": "2026-11-24T21:00:00Z",
            "history": [
                *(sent(f"2026-11-24T{hour}:00:00Z", purpose="conversation") for hour in (17, 18, 19)),
                received("2026-11-24T20:55:00Z"),
            ],
        },
        None,
    ),
    (
        "C15 Illinois has no such limit",
        {
            "purpose": "transactional",
            "now": "2026-11-24T21:00:00Z",
            "history": [sent(f"2026-11-24T{hour}:00:00Z", purpose="transactional") for hour in (14, 17, 20)],
        },
        None,
    ),
    (
        "C15 one text of marketing a day, and then again legal hours",
        {
            "address": {"zip": "77084", "state": "TX"},
            "phone": "+12815550100",
            "now": "2026-11-21T22:00:00Z",
            "history": [sent("2026-11-21T15:30:00Z")],
        },
        "2026-11-22T18:00:00Z",
    ),
    (
        "C15 three texts of marketing in seven days",
        {"history": [sent(f"2026-11-{day}T16:00:00Z") for day in (18, 20, 22)]},
        "2026-11-25T16:00:00Z",
    ),
    (
        "C15 one email of marketing a day",
        {"channel": "email", "history": [sent("2026-11-24T10:00:00Z", "email")]},
        "2026-11-25T10:00:00Z",
    ),
    (
        "C15 four emails of marketing in thirty days",
        {"channel": "email", "history": [sent(f"2026-11-{day:02}T10:00:00Z", "email") for day in (1, 8, 15, 20)]},
        "2026-12-01T10:00:00Z",
    ),
    (
        "C15 an answer does not wait for the caps of marketing",
        {"channel": "email", "purpose": "inquiry_response", "history": [sent("2026-11-24T15:00:00Z", "email")]},
        None,
    ),
    ("C15 a day later the cap is free", {"history": [sent("2026-11-23T16:00:00Z")]}, None),
]


@pytest.mark.parametrize(("fields", "until"), [pytest.param(*row[1:], id=row[0]) for row in FREQUENCY_CASES])
def test_how_often(decide: Decide, fields: dict[str, Any], until: str | None) -> None:
    verdict = decide(**({"consents": [pewc()]} | fields))
    if until is None:
        assert verdict.decision == "ALLOW", verdict.findings
    else:
        assert (verdict.decision, verdict.code, verdict.until) == ("HOLD", "frequency", at(until))


HOURS_CASES: list[tuple[str, str | None, str, dict[str, str], str | None]] = [
    # rule and place, phone, now, address, held until (None: goes)
    ("C11 Chicago 20:30", "+13125550100", "2026-11-24T02:30:00Z", {"zip": "60614"}, None),
    ("C11 Chicago 21:30", "+13125550100", "2026-11-24T03:30:00Z", {"zip": "60614"}, "2026-11-24T14:00:00Z"),
    ("C11 eight o'clock is open", "+13125550100", "2026-11-24T14:00:00Z", {"zip": "60614"}, None),
    ("C11 a second before is not", "+13125550100", "2026-11-24T13:59:59Z", {"zip": "60614"}, "2026-11-24T14:00:00Z"),
    ("C11 two minutes are left to the carrier", "+13125550100", "2026-11-25T02:57:59Z", {"zip": "60614"}, None),
    ("C11 and then it is closed", "+13125550100", "2026-11-25T02:58:00Z", {"zip": "60614"}, "2026-11-25T14:00:00Z"),
    ("C12 Miami 20:15", "+13055550100", "2026-11-24T01:15:00Z", {"zip": "33101"}, "2026-11-24T13:00:00Z"),
    ("C12 Pensacola is Central: 19:15", None, "2026-11-24T01:15:00Z", {"zip": "32501"}, None),
    ("C12 Pensacola 07:30", None, "2026-11-24T13:30:00Z", {"zip": "32501"}, "2026-11-24T14:00:00Z"),
    ("C12 Houston, Sunday 11:00", "+12815550100", "2026-11-22T17:00:00Z", {"zip": "77084"}, "2026-11-22T18:00:00Z"),
    ("C12 El Paso, Sunday 11:30", "+19155550100", "2026-11-22T18:30:00Z", {"zip": "79936"}, "2026-11-22T19:00:00Z"),
    ("C12 Connecticut 08:30", "+12035550100", "2026-11-24T13:30:00Z", {"zip": "06510"}, "2026-11-24T14:00:00Z"),
    ("C12 Kentucky 09:15", "+15025550100", "2026-11-24T14:15:00Z", {"zip": "40202"}, "2026-11-24T15:00:00Z"),
    ("C12 Baton Rouge on a Sunday", "+12255550100", "2026-11-22T18:00:00Z", {"zip": "70801"}, "2026-11-23T14:00:00Z"),
    ("C12 Providence, Sat. 17:30", "+14015550100", "2026-11-21T22:30:00Z", {"zip": "02903"}, "2026-11-23T14:00:00Z"),
    ("C12 Baton Rouge, Thanksgiving", "+12255550100", "2026-11-26T16:00:00Z", {"zip": "70801"}, "2026-11-27T14:00:00Z"),
    ("C12 Salt Lake City, 24 July", "+18015550100", "2026-07-24T16:00:00Z", {"zip": "84101"}, "2026-07-25T14:00:00Z"),
    ("C12 Omaha, Sunday 12:00", "+14025550100", "2026-11-22T18:00:00Z", {"zip": "68102"}, "2026-11-22T19:00:00Z"),
    ("C12 Sioux Falls on a Saturday", "+16055550100", "2026-11-21T18:00:00Z", {"zip": "57104"}, "2026-11-23T16:00:00Z"),
    ("C13 Los Angeles, 212 number", "+12125550100", "2026-11-24T14:30:00Z", {"zip": "90001"}, "2026-11-24T16:00:00Z"),
    ("C13 and late", "+12125550100", "2026-11-25T02:30:00Z", {"zip": "90001"}, "2026-11-25T16:00:00Z"),
    ("C13 Phoenix in summer 08:30", "+16025550100", "2026-07-15T15:30:00Z", {"zip": "85001"}, None),
    ("C13 Window Rock follows Denver: 21:30", None, "2026-07-16T03:30:00Z", {"zip": "86515"}, "2026-07-16T14:00:00Z"),
    ("C13 New York the day clocks jump", "+12125550100", "2027-03-14T12:00:00Z", {"zip": "10001"}, None),
    ("C13 and the day before", "+12125550100", "2027-03-13T12:59:00Z", {"zip": "10001"}, "2027-03-13T13:00:00Z"),
    ("C13 clocks jump in between", "+12125550100", "2027-03-14T02:30:00Z", {"zip": "10001"}, "2027-03-14T12:00:00Z"),
    ("C13 Atlanta, 305 number", "+13055550100", "2026-11-24T01:15:00Z", {"zip": "30301"}, "2026-11-24T13:00:00Z"),
    ("C13 an area code in two zones: both", "+18505550100", "2026-11-24T13:30:00Z", {}, "2026-11-24T14:00:00Z"),
    ("9 nothing known, 12:00 Eastern", "+18005550100", "2026-11-24T17:00:00Z", {}, "2026-11-24T18:00:00Z"),
    ("9 nothing known, 13:00 Eastern", "+18005550100", "2026-11-24T18:00:00Z", {}, None),
    ("9 nothing known, 18:00 Eastern", "+18005550100", "2026-11-24T23:00:00Z", {}, "2026-11-25T18:00:00Z"),
    ("9 nothing known on a Saturday", "+18005550100", "2026-11-21T19:00:00Z", {}, "2026-11-23T18:00:00Z"),
    ("9 nothing known on Thanksgiving", "+18005550100", "2026-11-26T19:00:00Z", {}, "2026-11-27T18:00:00Z"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("phone", "now", "address", "until"), [pytest.param(*row[1:], id=row[0]) for row in HOURS_CASES]
)
def test_at_which_hour(decide: Decide, phone: str | None, now: str, address: dict[str, str], until: str | None) -> None:
    # A person known by address alone still needs a number to text; toll-free says nothing of a place.
    verdict = decide(now=now, phone=phone or "+18005550100", address=address, consents=[pewc()])
    if until is None:
        assert verdict.decision == "ALLOW", verdict.findings
    else:
        assert (verdict.decision, verdict.rule, verdict.until) == ("HOLD", "C12", at(until))


def test_c14_at_night_email_goes_and_the_text_waits_for_the_morning(decide: Decide) -> None:
    night: dict[str, Any] = {
        "now": "2026-11-25T05:40:00Z",
        "purpose": "inquiry_response",
        "consents": [consent("inquiry", "2026-11-25T05:39:00Z")],
    }
    assert decide(channel="email", **night).decision == "ALLOW"
    text = decide(**night)
    assert (text.decision, text.until) == ("HOLD", at("2026-11-25T14:00:00Z"))


@pytest.mark.parametrize(
    ("minutes_ago", "decision"),
    [pytest.param(29, "ALLOW", id="wrote 29 minutes ago"), pytest.param(30, "HOLD", id="wrote 30 minutes ago")],
)
def test_c14_who_just_texted_is_answered_at_night(decide: Decide, minutes_ago: int, decision: str) -> None:
    heard = received(f"2026-11-25T05:{40 - minutes_ago:02}:00Z")
    verdict = decide(now="2026-11-25T05:40:00Z", purpose="conversation", history=[heard])
    assert verdict.decision == decision


def test_c14_but_not_with_an_offer_and_not_because_of_an_email(decide: Decide) -> None:
    offer = "We will prepare a report on recent sales."
    settings = replace(DEMO_POLICY, approved_offers=(offer,))
    night: dict[str, Any] = {"now": "2026-11-25T05:40:00Z", "purpose": "conversation"}
    texted = [received("2026-11-25T05:30:00Z")]
    words = "Demo Realty: {} Reply STOP to opt out."
    assert decide(settings, body=words.format("Yes."), history=texted, **night).decision == "ALLOW"
    assert decide(settings, body=words.format(offer), history=texted, **night).decision == "HOLD"
    mailed = [received("2026-11-25T05:30:00Z", "email"), received("2026-11-20T05:30:00Z")]
    assert decide(history=mailed, **night).decision == "HOLD"


VA = {"zip": "23219", "city": "Richmond", "state": "VA", "country": "US"}
TEXT = "Hi, this is the assistant for Ana, Demo Realty. Reply STOP to opt out."


@pytest.mark.parametrize(
    ("body", "history", "purpose", "expected"),
    [
        ("Are you still looking? Reply STOP to opt out.", [], "marketing", "BLOCK missing_identity"),
        ("Still looking?", [sent("2026-11-20T16:00:00Z")], "marketing", "BLOCK missing_identity"),
        (TEXT, [], "marketing", "ALLOW"),
        ("Yes, at five.", [sent("2026-11-24T15:40:00Z"), received("2026-11-24T15:50:00Z")], "conversation", "ALLOW"),
    ],
    ids=["the first", "a later one", "that names us", "in a conversation"],
)
def test_c48_in_virginia_every_text_names_the_business(
    decide: Decide, body: str, history: list[dict[str, Any]], purpose: str, expected: str
) -> None:
    verdict = decide(address=VA, phone="+18045550100", purpose=purpose, body=body, history=history, consents=[pewc()])
    assert f"{verdict.decision} {verdict.code}".strip() == expected


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ({"status": "Pending", "checked_at": "2026-11-24T14:00:00Z"}, "BLOCK stale_listing"),
        ({"status": "Active", "checked_at": "2026-11-23T15:59:00Z"}, "BLOCK stale_listing"),
        (None, "BLOCK stale_listing"),
        ({"status": "Active", "checked_at": "2026-11-23T16:00:00Z"}, "ALLOW"),
    ],
    ids=["it went pending", "nobody looked for a day", "nobody looked", "it is for sale"],
)
def test_c41_a_home_is_called_available_only_by_who_looked(
    decide: Decide, listing: dict[str, str] | None, expected: str
) -> None:
    body = f"{TEXT} 12 Oak St is still available."
    verdict = decide(body=body, listing=listing, consents=[pewc()])
    assert f"{verdict.decision} {verdict.code}".strip() == expected


@pytest.mark.parametrize(
    "claim",
    ["A great investment!", "It will appreciate.", "At a 5.9% rate today.", "Your home is worth $510,000."],
)
def test_c41_promises_and_values_wait_for_a_person(decide: Decide, claim: str) -> None:
    verdict = decide(body=f"{TEXT} {claim}", consents=[pewc()])
    assert (verdict.decision, verdict.code) == ("REVIEW", "claim_unproven")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"consents": [pewc()]}, "HOLD refusals_not_read"),
        ({"channel": "email"}, "HOLD refusals_not_read"),
        ({"channel": "email", "purpose": "inquiry_response"}, "ALLOW"),
        ({"consents": [pewc()], "refusals_read_at": "2026-11-24T15:45:00Z"}, "ALLOW"),
    ],
    ids=["a text", "an email", "the first answer by email", "read lately"],
)
def test_c45_without_the_crms_refusals_of_the_last_quarter_hour_messages_wait(
    decide: Decide, fields: dict[str, Any], expected: str
) -> None:
    verdict = decide(**{"refusals_read_at": "2026-11-24T15:44:00Z"} | fields)
    assert f"{verdict.decision} {verdict.code}".strip() == expected


@pytest.mark.parametrize(
    ("purpose", "now", "expected"),
    [
        ("marketing", "2026-11-24T16:00:00Z", "BLOCK emergency"),
        ("inquiry_response", "2026-11-24T16:00:00Z", "REVIEW emergency"),
        ("marketing", "2026-11-28T16:00:00Z", "ALLOW"),
    ],
)
def test_c46_while_a_state_of_emergency_lasts_nobody_there_is_solicited(
    decide: Decide, purpose: str, now: str, expected: str
) -> None:
    storm = Blackout(state="LA", begins_at=at("2026-11-23T00:00:00Z"), ends_at=at("2026-11-27T00:00:00Z"))
    verdict = decide(
        settings=replace(DEMO_POLICY, blackouts=(storm,)),
        address={"zip": "70112", "city": "New Orleans", "state": "LA", "country": "US"},
        phone="+15045550100", purpose=purpose, now=now, consents=[pewc("2026-11-20T10:00:00Z")],
    )  # fmt: skip
    assert f"{verdict.decision} {verdict.code}".strip() == expected
