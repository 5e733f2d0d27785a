"""The cases of compliance.md, C30-C32: WhatsApp, Canada, the European Union and its neighbours."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.conftest import FOOTER, MIAMI, NO_ADDRESS, Decide, check, consent, received, sent

CASES: list[tuple[str, dict[str, Any], str]] = [
    # rule and what happens, the case, decision and code
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
    *(
        (
            f"C31 with {what} below it",
            {
                "channel": "email",
                "phone": "+14165550100",
                "address": NO_ADDRESS,
                "relationship": {"inquiry_at": "2026-08-01T10:00:00Z"},
                "subject": "Homes in Toronto",
                "body": f"Hi.\n\n{footer}",
            },
            expected,
        )
        for what, footer, expected in (
            ("the full footer", FOOTER, "ALLOW"),
            ("no address", "Demo Realty\nUnsubscribe: %%unsubscribe_url%%", "BLOCK missing_postal_address"),
            ("no way out", FOOTER.splitlines()[0], "BLOCK missing_unsubscribe"),
        )
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
]


@pytest.mark.parametrize(("fields", "expected"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_who_may_be_reached_abroad(decide: Decide, fields: dict[str, Any], expected: str) -> None:
    check(decide(**fields), expected)
