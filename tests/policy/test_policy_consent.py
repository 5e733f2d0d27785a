"""The cases of compliance.md, C1-C4 and C29: which consent carries what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.conftest import PROOF, Decide, check, consent, pewc, received

CASES: list[tuple[str, dict[str, Any], str]] = [
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
        {"purpose": "inquiry_response", "dnc": {"listed": False, "checked_at": "2026-11-20"}},
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
        "C29 a lender may not use what was given to us",
        {"sender": "Example Lending", "consents": [pewc()]},
        "BLOCK consent_not_transferable",
    ),
]


@pytest.mark.parametrize(("fields", "expected"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_what_consent_carries(decide: Decide, fields: dict[str, Any], expected: str) -> None:
    check(decide(**fields), expected)


@pytest.mark.parametrize(
    ("named", "decision"),
    [("+1 (312) 555-0100", "ALLOW"), ("3125550100", "ALLOW"), ("as given", "ALLOW"), ("+12125550177", "BLOCK")],
)
def test_written_consent_is_for_the_number_that_was_signed_for(decide: Decide, named: str, decision: str) -> None:
    signed = pewc(evidence={**PROOF, "number": named})
    assert decide(consents=[signed]).decision == decision
