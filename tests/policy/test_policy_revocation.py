"""The cases of compliance.md, C6-C10, C18, C20, C33, C34 and C50: what a refusal, a wrong number and an erasure end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.conftest import NO_ADDRESS, Decide, check, consent, pewc, sent, written_off

CASES: list[tuple[str, dict[str, Any], str]] = [
    # rule and what happens, the case, decision and code
    (
        "C6 after STOP nothing goes",
        {"consents": [pewc()], "suppressions": [written_off("stop_keyword")]},
        "BLOCK revoked",
    ),
    *(
        (
            f"C7 STOP on 20 November, and at {now}",
            {
                "now": now,
                "consents": [pewc()],
                "suppressions": [written_off("stop_keyword", "2026-11-20T15:00:00Z")],
            },
            expected,
        )
        # The law gives until 7 December (Thanksgiving is skipped), leadpipe not a second.
        for now, expected in (
            ("2026-11-20T14:59:59Z", "ALLOW"),
            ("2026-11-20T15:00:00Z", "BLOCK revoked"),
            ("2026-11-20T15:00:01Z", "BLOCK revoked"),
            ("2026-12-07T16:00:00Z", "BLOCK revoked"),
        )
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


@pytest.mark.parametrize(("fields", "expected"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_what_a_refusal_ends(decide: Decide, fields: dict[str, Any], expected: str) -> None:
    check(decide(**fields), expected)
