"""The cases of compliance.md, C15: how often."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.conftest import MIAMI, Decide, at, pewc, received, sent

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
