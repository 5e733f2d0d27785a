"""What leads tell us, found with its sentence."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadpipe.conversation.qualification import FAMILIES, facts_in, sentences

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)


def told(text: str) -> dict[str, str]:
    return {fact.key: fact.value for fact in facts_in([(1, text)], now=NOW)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hoping to buy in about 3 months", {"timeline_months": "3", "side": "buy"}),
        ("within 30 days", {"timeline_months": "1"}),
        ("in 2-3 months", {"timeline_months": "3"}),
        ("a couple of years from now maybe, in a couple of years", {"timeline_months": "24"}),
        ("as soon as possible", {"timeline_months": "1"}),
        ("next year probably", {"timeline_months": "12"}),
        ("this spring", {"timeline_months": "1"}),
        ("next spring", {"timeline_months": "12"}),
        ("by June", {"timeline_months": "3"}),
        ("after the summer", {"timeline_months": "6"}),
        ("en unos 3 meses", {"timeline_months": "3"}),
        ("lo antes posible", {"timeline_months": "1"}),
        ("We have been looking for 6 months", {}),
        ("I am 45 years old", {}),
        ("hace 2 años", {}),
        ("Our budget is around $450,000", {"budget_usd": "450000"}),
        ("under 400k", {"budget_high_usd": "400000"}),
        ("no more than 1.2 million", {"budget_high_usd": "1200000"}),
        ("1.2 million max", {"budget_high_usd": "1200000"}),
        ("at least 300k", {"budget_low_usd": "300000"}),
        ("between 300 and 400k", {"budget_low_usd": "300000", "budget_high_usd": "400000"}),
        ("$350,000 - $425,000", {"budget_low_usd": "350000", "budget_high_usd": "425000"}),
        ("pre-approved up to 380k", {"budget_high_usd": "380000"}),
        ("budget is 450", {"budget_usd": "450000"}),
        ("menos de 300 mil", {"budget_high_usd": "300000"}),
        ("the HOA is $300 a month", {}),
        ("rent is 2,000 per month", {}),
        ("call me at 512-555-0101", {}),
        ("it was built in 1985", {}),
        ("we like 78704", {"zip": "78704"}),
        ("I live at 12345 Oak St", {}),
        ("in Austin, TX", {"city": "Austin", "state": "TX"}),
        ("near Cedar Park please", {"city": "Cedar Park"}),
        ("en Houston", {"city": "Houston"}),
        ("in March", {"timeline_months": "12"}),
        ("selling our house", {"side": "sell"}),
        ("sell our house and buy a bigger one", {"side": "both"}),
        ("we don't want to sell", {}),
        ("vender mi casa", {"side": "sell"}),
        ("3 bedrooms", {"bedrooms": "3"}),
        ("three bed two bath", {"bedrooms": "3"}),
        ("4 recámaras", {"bedrooms": "4"}),
        ("ok thanks", {}),
        ("", {}),
    ],
)
def test_what_is_said_is_found_and_what_is_not_said_is_not(text: str, expected: dict[str, str]) -> None:
    assert told(text) == expected


def test_each_fact_keeps_its_sentence_and_its_message() -> None:
    messages = [(7, "Hi there. We want 3 bedrooms under $400,000! Thanks."), (8, "In about 2 months")]
    found = {fact.key: (fact.sentence, fact.inbound_id) for fact in facts_in(messages, now=NOW)}
    assert found == {
        "budget_high_usd": ("We want 3 bedrooms under $400,000!", 7),
        "bedrooms": ("We want 3 bedrooms under $400,000!", 7),
        "timeline_months": ("In about 2 months", 8),
    }


def test_the_last_word_on_a_subject_counts() -> None:
    assert told("under 300k. no wait, between 350k and 400k") == {
        "budget_low_usd": "350000",
        "budget_high_usd": "400000",
    }


def test_nothing_protected_is_kept_as_a_fact() -> None:
    """C37, C38: family, faith, health and origin are no facts of ours, however plainly they are said."""
    text = "I'm a single mother of two, Catholic, in a wheelchair, originally from Mexico. We want 3 bedrooms."
    assert set(told(text)) <= {"bedrooms"}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error_and_sentences_are_the_leads_own(text: str) -> None:
    for fact in facts_in([(1, text)], now=NOW):
        assert fact.sentence in text
        assert fact.key in FAMILIES
        assert fact.value


@settings(max_examples=100, deadline=None)
@given(st.integers(20, 5_000).map(lambda n: n * 1_000))
def test_an_amount_reads_the_same_however_it_is_written(dollars: int) -> None:
    for written in (f"${dollars:,}", f"{dollars:,}", f"{dollars // 1000}k", f"${dollars // 1000}K"):
        assert told(f"our budget is {written}") == {"budget_usd": str(dollars)}, written


def test_figures_are_not_cut_in_two() -> None:
    assert sentences("It is $450,000.50 now. Yes!") == ["It is $450,000.50 now.", "Yes!"]
