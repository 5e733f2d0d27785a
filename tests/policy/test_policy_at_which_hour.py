"""The cases of compliance.md, C11-C14 and section 9: at which hour."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leadpipe.policy.pack import DEMO_POLICY
from tests.policy.conftest import Decide, at, consent, pewc, received

# fmt: off
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
    ("C12 Omaha, Sunday 12:00", None, "2026-11-22T18:00:00Z", {"zip": "68102"}, "2026-11-22T19:00:00Z"),
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
    ("C13 402 goes west: 13:00", "+14025550100", "2026-11-22T19:00:00Z", {"zip": "68102"}, "2026-11-22T20:00:00Z"),
    ("9 nothing known, 12:00 Eastern", "+18005550100", "2026-11-24T17:00:00Z", {}, "2026-11-24T18:00:00Z"),
    ("9 nothing known, 13:00 Eastern", "+18005550100", "2026-11-24T18:00:00Z", {}, None),
    ("9 nothing known, 18:00 Eastern", "+18005550100", "2026-11-24T23:00:00Z", {}, "2026-11-25T18:00:00Z"),
    ("9 nothing known on a Saturday", "+18005550100", "2026-11-21T19:00:00Z", {}, "2026-11-23T18:00:00Z"),
    ("9 nothing known on Thanksgiving", "+18005550100", "2026-11-26T19:00:00Z", {}, "2026-11-27T18:00:00Z"),
]  # fmt: skip

# fmt: on


@pytest.mark.parametrize(
    ("phone", "now", "address", "until"), [pytest.param(*row[1:], id=row[0]) for row in HOURS_CASES]
)
def test_at_which_hour(decide: Decide, phone: str | None, now: str, address: dict[str, str], until: str | None) -> None:
    # A person known by address alone still needs a number to text; toll-free says nothing of a place.
    verdict = decide(now=now, phone=phone or "+18005550100", address=address, consents=[pewc()])
    if until is None:
        assert verdict.decision == "ALLOW", verdict.findings
    else:
        assert (verdict.decision, verdict.until) == ("HOLD", at(until))
        assert verdict.rule in {"C11", "C12", "C13"}


@pytest.mark.parametrize(
    ("case", "phone", "now", "address", "rule"),
    [
        ("Chicago 21:30: no hours of the state's own", "+13125550100", "2026-11-24T03:30:00Z", {"zip": "60614"}, "C11"),
        ("Chicago 07:00", "+13125550100", "2026-11-24T13:00:00Z", {"zip": "60614"}, "C11"),
        ("Miami 22:00: closed by both until eight", "+13055550100", "2026-11-24T03:00:00Z", {"zip": "33101"}, "C11"),
        ("Miami 20:15: the state closes first", "+13055550100", "2026-11-24T01:15:00Z", {"zip": "33101"}, "C12"),
        ("Houston, Sunday 11:00", "+12815550100", "2026-11-22T17:00:00Z", {"zip": "77084"}, "C12"),
        ("Los Angeles 18:30, New York number", "+12125550100", "2026-11-25T02:30:00Z", {"zip": "90012"}, "C13"),
        ("Atlanta 20:15, Miami number", "+13055550100", "2026-11-24T01:15:00Z", {"zip": "30301"}, "C13"),
        ("nothing known", "+18005550100", "2026-11-24T17:00:00Z", {}, "C13"),
    ],
)
def test_a_hold_names_the_plainest_rule_that_keeps_it_as_long(
    decide: Decide, case: str, phone: str, now: str, address: dict[str, str], rule: str
) -> None:
    verdict = decide(now=now, phone=phone, address=address, consents=[pewc()])
    assert (verdict.decision, verdict.rule) == ("HOLD", rule), case


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
