"""The cases of compliance.md, C22, C24 and C25: which addresses get no email."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.conftest import Decide, check, consent, pewc, written_off

CASES: list[tuple[str, dict[str, Any], str]] = [
    # rule and what happens, the case, decision and code
    (
        "C22 an unsubscribed address gets nothing",
        {"channel": "email", "suppressions": [written_off("one_click", "2026-11-02T00:00:00Z", "email")]},
        "BLOCK unsubscribed",
    ),
    *(
        (
            f"C22 opted out on 2 November, and at {now}",
            {
                "channel": "email",
                "now": now,
                "suppressions": [written_off("one_click", "2026-11-02T15:00:00Z", "email")],
            },
            "BLOCK unsubscribed",
        )
        # The law gives until 17 November (Veterans Day is skipped).
        for now in ("2026-11-02T15:00:01Z", "2026-11-17T16:00:00Z")
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
]


@pytest.mark.parametrize(("fields", "expected"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_which_addresses_get_email(decide: Decide, fields: dict[str, Any], expected: str) -> None:
    check(decide(**fields), expected)
