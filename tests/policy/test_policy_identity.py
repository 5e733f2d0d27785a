"""The cases of compliance.md, C5, C26, C45-C47 and C49: what the channel, the state and the day allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leadpipe.policy.blackout import Blackout
from leadpipe.policy.pack import DEMO_POLICY
from tests.policy.conftest import MIAMI, Decide, at, check, pewc, sent, written_off

CASES: list[tuple[str, dict[str, Any], str]] = [
    # rule and what happens, the case, decision and code
    ("a text needs a number", {"phone": None}, "BLOCK no_contact_point"),
    ("a number that is none is none", {"phone": "555-0100"}, "BLOCK invalid_contact_point"),
    ("an email needs an address", {"channel": "email", "email": None}, "BLOCK no_contact_point"),
    ("an address that is none is none", {"channel": "email", "email": "ana at example"}, "BLOCK invalid_contact_point"),
    (
        "C5 an artificial voice is not supported",
        {"channel": "voice_ai", "consents": [pewc(channel="all")]},
        "BLOCK not_supported",
    ),
    (
        "C49 a call is not recorded",
        {"channel": "call_recording", "purpose": "conversation", "address": {"zip": "98101", "state": "WA"}},
        "BLOCK not_supported",
    ),
]


@pytest.mark.parametrize(("fields", "expected"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_what_a_channel_needs(decide: Decide, fields: dict[str, Any], expected: str) -> None:
    check(decide(**fields), expected)


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
        ("C11", "quiet_hours"),
    ]


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
