"""The cases of compliance.md, C16, C17 and C19: what registries and databases know of a number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.conftest import DALLAS, PORTLAND, Decide, check, consent, pewc, received

NOT_LISTED = {"listed": False, "checked_at": "2026-11-20"}
# Within the 90 days that an inquiry carries, beyond the three months that excuse from the registry's question.
OLD_INQUIRY = consent("inquiry", "2026-11-20T15:00:00Z")


def rnd(result: str, checked_at: str = "2026-11-20") -> dict[str, str]:
    """An answer of the reassigned-numbers database."""
    return {"result": result, "checked_at": checked_at}


CASES: list[tuple[str, dict[str, Any], str]] = [
    # rule and what happens, the case, decision and code
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
    *(
        (
            f"C16 three months after the inquiry, {now[:10]}: {expected}",
            {
                "purpose": "inquiry_response",
                "now": now,
                "dnc": {"listed": True, "checked_at": "2026-12-01"},
                "consents": [consent("express", "2026-01-10T10:00:00Z")],
                "relationship": {"inquiry_at": "2026-09-10T10:00:00Z"},
            },
            expected,
        )
        for now, expected in (("2026-12-09T16:00:00Z", "ALLOW"), ("2026-12-10T16:00:00Z", "BLOCK dnc"))
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
]


@pytest.mark.parametrize(("fields", "expected"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_what_lists_say_of_a_number(decide: Decide, fields: dict[str, Any], expected: str) -> None:
    check(decide(**fields), expected)


def test_c17_an_aged_lead_on_texass_list_without_consent_breaks_both_rules(decide: Decide) -> None:
    verdict = decide(
        address=DALLAS,
        phone="+12145550100",
        dnc=NOT_LISTED,
        state_lists=[{"state": "TX", "listed": True, "checked_at": "2026-11-01"}],
    )
    found = {(finding.rule, finding.decision, finding.code) for finding in verdict.findings}
    assert verdict.decision == "BLOCK"
    assert found >= {("C1", "BLOCK", "consent_marketing_sms"), ("C17", "BLOCK", "state_dnc")}
