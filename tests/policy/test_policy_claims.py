"""Claims about homes need a stored field or a person (C41); money, shouting and fees in words (C27, C39, C40)."""

from __future__ import annotations

from typing import Any

import pytest

from leadpipe.policy.case import Home
from leadpipe.policy.claims import unproven
from tests.policy.conftest import Decide, pewc

FIRST = "Demo Realty here about your inquiry. Reply STOP to opt out."
HOME = Home(state="IL", price_usd=450_000, beds=3)
BORNE_OUT = [
    "The price stated was $450,000.",
    "It was listed at $450k when you asked.",
    "It was 450,000 dollars.",
    "El precio era $450 mil.",
    "It has three bedrooms.",
    "A 3-bedroom home.",
    "Tiene 3 dormitorios.",
    "I passed your question on to Bo Lee.",
    "You asked on 2026-03-01.",
    "Bo Lee works 9 to 5.",
    "Bo Lee has your question about the garage.",
]
UNPROVEN = [
    "The price is $449,000.",
    "It is around $460k.",
    "Se vende en $500 mil.",
    "It has 4 bedrooms.",
    "Two bedrooms upstairs.",
    "It has 2 baths.",
    "About 1,800 sq ft.",
    "It sits on 0.5 acres.",
    "Built in 1999.",
    "Values rose 4%.",
    "The HOA is 210 a month.",
]
FEATURES = [
    "It has a pool.",
    "There is a fenced yard.",
    "Comes with a two-car garage.",
    "A new roof was put on.",
    "It is under contract.",
    "It was sold last week.",
    "Tiene una piscina.",
]


@pytest.mark.parametrize("words", BORNE_OUT)
def test_what_is_stored_may_be_said(words: str) -> None:
    assert not unproven(words, HOME)


@pytest.mark.parametrize("words", UNPROVEN)
def test_what_is_not_stored_may_not(words: str) -> None:
    assert unproven(words, HOME)


def test_of_an_unknown_home_no_figure_is_borne_out() -> None:
    assert unproven("It has 3 bedrooms.", None)
    assert unproven("It is $450,000.", Home(state="IL"))
    assert not unproven("I passed it on.", None)


@pytest.mark.parametrize("words", UNPROVEN + FEATURES)
def test_a_models_unproven_word_waits_for_a_person_and_a_templates_does_not(decide: Decide, words: str) -> None:
    home = {"state": "IL", "price_usd": 450_000, "beds": 3}
    case: dict[str, Any] = {"body": f"{words} {FIRST}", "home": home, "consents": [pewc()]}
    by_model = decide(is_model_written=True, **case)
    assert (by_model.decision, by_model.code, by_model.rule) == ("REVIEW", "claim_unproven", "C41")
    assert decide(**case).decision == "ALLOW"


@pytest.mark.parametrize("words", BORNE_OUT)
def test_a_models_proven_word_goes(decide: Decide, words: str) -> None:
    home = {"state": "IL", "price_usd": 450_000, "beds": 3}
    assert decide(is_model_written=True, body=f"{words} {FIRST}", home=home, consents=[pewc()]).decision == "ALLOW"


VERDICTS = {
    # whoever wrote it
    ("REVIEW", "claim_unproven"): [
        "This home could be worth a lot",
        "It is worth about $500,000",
        "It would sell for $500,000",
        "Your satisfaction is guaranteed",
        "A great investment",
        "Su casa vale mucho",
        "Es una excelente inversi\u00f3n",
        "A monthly payment of $1,900",
        "Only $5,000 down",
        "No money down",
        "With 5% down",
        "At a 6.1% fixed rate",
    ],
    ("REVIEW", "agency_fees"): [
        "Our services are free",
        "A free buyer's agent for you",
        "The standard commission applies",
        "Commission is 6%",
    ],
    ("BLOCK", "offer_not_approved"): [
        "We'll pay $500 of it",
        "We will cover your closing costs",
        "Get $1,000 off",
        "A 500 dollar bonus",
        "We credit 1% to you",
        "Una tarjeta de regalo para usted",
        "Un descuento en la comisi\u00f3n",
        "Le pagamos la mudanza",
    ],
    ("BLOCK", "respa_referral"): ["Recomiende a un amigo", "Refer a friend to us"],
    ("BLOCK", "shouted_money"): ["MAKE $5,000 NOW", "SAVE BIG $900", "Get your FREE CASH", "$500 OFF TODAY"],
}
ALLOWED = [
    "What price would make selling worth it?",
    "- 12 OAK TERRACE LANE, HOUSTON TX, $450,000, 3 bed",
    "Reply STOP or HELP",
    "No cost and no obligation",
    "The commission is agreed with your agent",
    "Free on Tuesday at 5?",
    "What is your budget, around $400,000?",
    "We will take you there",
]


@pytest.mark.parametrize(
    ("decision", "code", "words"), [(*verdict, words) for verdict, each in VERDICTS.items() for words in each]
)
def test_words_nobody_may_say_freely(decide: Decide, decision: str, code: str, words: str) -> None:
    verdict = decide(body=f"{words}. {FIRST}", consents=[pewc()])
    found = {(finding.decision, finding.code) for finding in verdict.findings}
    assert (decision, code) in found
    assert verdict.decision != "ALLOW"


@pytest.mark.parametrize("words", ALLOWED)
def test_plain_words_go(decide: Decide, words: str) -> None:
    verdict = decide(body=f"{words} {FIRST}", consents=[pewc()])
    assert verdict.decision == "ALLOW", verdict.findings
