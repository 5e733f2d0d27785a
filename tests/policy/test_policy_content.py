"""What words may not say and must say, with the examples of compliance.md."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from leadpipe.outreach.template_sources import folder
from leadpipe.policy import content
from leadpipe.policy.pack import DEMO_POLICY
from leadpipe.policy.verdict import Verdict
from tests.policy.conftest import FOOTER, Decide, case_of, pewc, received, sent

STOP = "Reply STOP to opt out."
FIRST = f"Demo Realty here about your inquiry. {STOP}"


def codes(verdict: Verdict) -> list[str]:
    return [finding.code for finding in verdict.findings]


@pytest.fixture
def text(decide: Decide) -> Any:
    """A function that judges words as a first text of ours with written consent."""
    return lambda words, **more: decide(**({"consents": [pewc()], "body": f"{words} {FIRST}"} | more))


BLOCKED = {
    "C36": [
        "This one is perfect for young families",
        "Great for empty nesters",
        "No kids please",
        "Adults only building",
        "In a Christian community",
        "Near the temple, ideal for Hindu buyers",
        "An exclusive white neighborhood",
        "An integrated area",
        "English speakers preferred",
        "No Section 8",
        "For able-bodied people",
        "A bachelor pad for men",
        "A safe area with people like you",
        "You'd fit in better in Eastside",
        "Most Asian buyers choose Irvine",
        "It is a very safe neighborhood",
        "There are good schools nearby",
        "A family-friendly neighborhood",
        "ADULTS\nONLY",
        "A Korean neighborhood",
        "Mostly older residents live there",
        "Professionals only",
        "No single mothers",
        "A gay-friendly community",
        "Not suitable for children",
        "Ideal para familias jóvenes",
        "Es una zona muy segura",
        "Solo adultos",
        "En una comunidad cristiana",
    ],
    "C39": ["Bring a friend and get a gift card", "We pay you cash back", "A guaranteed sale"],
    "C27": ["See it at https://bit.ly/abc", "Near the casino", "Cannabis welcome", "Cigars on us", "Make money fast"],
    "C42": ["No worries, I'm a real person", "I am not a bot", "This is not an automated machine, I'm not a robot"],
}
ALLOWED = [
    "3 bedrooms, fenced yard, 0.4 miles to the light-rail stop",
    "It has a walk-in closet and a family room",
    "On a quiet street",
    "Wheelchair ramp at the entry",
    "With a mother-in-law suite",
    "We follow the fair housing laws",
    "Homes for sale in White Plains and on Church Street",
    "A free home-value report",
    "A 55+ community",
    "Can you stop by at 5?",
    "The automated assistant of Demo Realty writes this",
    "Safe travels!",
    "Near the Indian Hills trail, three blocks from the Polish Museum",
    "La casa tiene tres dormitorios y una sala familiar",
    "I can't advise on the make-up of a neighbourhood, but the district's site lists its schools",
]


@pytest.mark.parametrize(("rule", "words"), [(rule, words) for rule, each in BLOCKED.items() for words in each])
def test_words_that_break_a_rule_are_blocked_by_it(text: Any, rule: str, words: str) -> None:
    verdict = text(words)
    assert (verdict.decision, verdict.rule) == ("BLOCK", rule), codes(verdict)


def test_c27_a_public_shortener_is_blocked_as_one(text: Any) -> None:
    assert text("See it at https://bit.ly/abc").code == "public_shortener"


def test_c42_a_denial_is_blocked_as_one(text: Any) -> None:
    assert text("I am not a bot").code == "ai_denial"


@pytest.mark.parametrize("words", ALLOWED)
def test_words_that_break_none_go(text: Any, words: str) -> None:
    assert text(words).decision == "ALLOW", codes(text(words))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Wine tasting open house on Saturday", "shaft_alcohol"),
        ("Use our lender and we pay your appraisal", "respa_affiliated"),
    ],
)
def test_words_in_doubt_wait_for_a_person(text: Any, words: str, code: str) -> None:
    verdict = text(words)
    assert (verdict.decision, verdict.code) == ("REVIEW", code)


def test_a_reward_for_a_referral_is_named_as_one(text: Any) -> None:
    verdict = text("Refer a friend and get a 500 dollar gift card")
    assert (verdict.code, codes(verdict)) == ("respa_referral", ["respa_referral", "offer_not_approved"])


def test_the_subject_is_read_as_well_as_the_words(decide: Decide) -> None:
    verdict = decide(channel="email", subject="Perfect for families", body=f"Hi.\n\n{FOOTER}")
    assert (verdict.code, verdict.rule) == ("fair_housing", "C36")


def test_an_approved_offers_words_may_name_money_and_nothing_else_may(text: Any) -> None:
    offer = "You get cash back of 500 dollars."
    settings = replace(DEMO_POLICY, approved_offers=(offer,))
    assert text(offer).code == "offer_not_approved"
    assert text(offer, settings=settings).decision == "ALLOW"
    assert text(offer + " And gift cards.", settings=settings).code == "offer_not_approved"


@pytest.mark.parametrize(
    ("offer", "state", "expected"),
    [
        ("You get a $1,000 credit at closing.", "OR", "BLOCK rebate_state"),
        ("You get a $1,000 credit at closing.", "IL", "ALLOW"),
        ("We will prepare a report on recent sales.", "OR", "ALLOW"),
    ],
    ids=["money to Oregon", "money to Illinois", "a report to Oregon"],
)
def test_c39_an_approved_offer_of_money_goes_to_no_state_that_bars_it(
    decide: Decide, offer: str, state: str, expected: str
) -> None:
    oregon = {"zip": "97201", "city": "Portland", "state": "OR", "country": "US"}
    lead: dict[str, Any] = {"address": oregon, "phone": "+15035550100"} if state == "OR" else {}
    settings = replace(DEMO_POLICY, approved_offers=(offer,))
    verdict = decide(settings, body=f"{FIRST} {offer}", consents=[pewc()], **lead)
    assert f"{verdict.decision} {verdict.code}".strip() == expected


EMAILS: list[tuple[str, str, str, str]] = [
    ("C21 a reply that is none", "Re: your offer", f"Hi.\n\n{FOOTER}", "deceptive_subject"),
    ("C21 a forward that is none", "FWD: hello", f"Hi.\n\n{FOOTER}", "deceptive_subject"),
    ("C21 no postal address", "Hello", "Hi. Demo Realty. Unsubscribe: %%unsubscribe_url%%", "missing_postal_address"),
    ("C21 no way out", "Hello", f"Hi.\n\n{FOOTER.splitlines()[0]}", "missing_unsubscribe"),
    ("C40 no brokerage", "Hello", f"Hi.\n\n{FOOTER.replace('Demo Realty, ', '')}", "missing_brokerage"),
]


@pytest.mark.parametrize(("subject", "body", "code"), [pytest.param(*row[1:], id=row[0]) for row in EMAILS])
def test_an_email_that_lacks_its_duties_is_blocked(decide: Decide, subject: str, body: str, code: str) -> None:
    verdict = decide(channel="email", subject=subject, body=body)
    assert (verdict.decision, verdict.code) == ("BLOCK", code)


def test_an_email_with_its_duties_goes_and_a_real_reply_may_say_so(decide: Decide) -> None:
    body = f"Hi.\n\n{FOOTER}"
    assert decide(channel="email", subject="Still looking?", body=body).decision == "ALLOW"
    assert decide(channel="email", subject="Re: a question", body=body, purpose="conversation").decision == "ALLOW"


TEXTS: list[tuple[str, dict[str, Any], str]] = [
    ("C40 a first text names the brokerage", {"body": f"Hi, it's Ana about 12 Oak St. {STOP}"}, "missing_brokerage"),
    ("C28 and the way out", {"body": "Hi, Ana of Demo Realty about 12 Oak St."}, "first_sms_missing_identity"),
    (
        "C28 'stop by' is no way out",
        {"body": "Demo Realty here. Can you stop by at 5? Reply soon."},
        "first_sms_missing_identity",
    ),
    ("C28 both and it goes", {"body": FIRST}, ""),
    *(
        (f"C28 {hint} is a way out", {"body": f"Demo Realty here. {hint}"}, "")
        for hint in ("Text STOP to end.", "STOP to opt out", "Reply with STOP", "STOP=end", "Responda STOP para salir")
    ),
    (
        "C28 a later text need not repeat it",
        {"body": "Any news?", "purpose": "transactional", "history": [sent("2026-11-20T16:00:00Z")]},
        "",
    ),
    (
        "C28 unless a month has passed",
        {"body": "Any news?", "purpose": "transactional", "history": [sent("2026-10-20T16:00:00Z")]},
        "stop_hint_due",
    ),
    (
        "C28 what an agent wrote by hand introduces nobody",
        {"body": "Any news?", "history": [sent("2026-11-20T16:00:00Z", purpose="manual")]},
        "missing_brokerage",
    ),
    (
        "C40 on WhatsApp too",
        {
            "channel": "whatsapp",
            "purpose": "conversation",
            "body": "Hi, it's Ana",
            "history": [received("2026-11-24T15:50:00Z", "whatsapp")],
        },
        "missing_brokerage",
    ),
]


@pytest.mark.parametrize(("fields", "code"), [pytest.param(*row[1:], id=row[0]) for row in TEXTS])
def test_a_text_says_who_writes_and_how_to_end_it(decide: Decide, fields: dict[str, Any], code: str) -> None:
    verdict = decide(**({"consents": [pewc()]} | fields))
    assert (verdict.decision, verdict.code) == (("BLOCK", code) if code else ("ALLOW", "")), codes(verdict)


def test_without_words_the_content_rules_are_listed_as_skipped(decide: Decide) -> None:
    verdict = decide(consents=[pewc()])
    assert verdict.decision == "ALLOW"
    assert {(f.rule, f.decision) for f in verdict.findings} == {(rule, "SKIPPED") for rule in content.RULES}


@pytest.mark.parametrize("path", sorted(folder().glob("[a-z]*.txt")), ids=lambda path: path.name)
def test_the_built_in_templates_break_no_rule(path: Any) -> None:
    from datetime import date

    from leadpipe.leads.place import place_of
    from leadpipe.policy.pack_file import load_pack
    from leadpipe.policy.standing import facts_of

    words = re.sub(r"\{[{%].*?[}%]\}", "", path.read_text(encoding="utf-8"))
    case = case_of(channel="email", body=f"{words}\n\n{FOOTER}", purpose="marketing")
    pack = load_pack(date(2026, 11, 24))
    facts = facts_of(case, place_of("60614", "IL", "US", "", "Chicago"), pack, DEMO_POLICY)
    assert content.lint(case, facts, pack, DEMO_POLICY) == []


VA = {"zip": "23219", "city": "Richmond", "state": "VA", "country": "US"}

TEXT = "Hi, this is the assistant for Ana, Demo Realty. Reply STOP to opt out."


@pytest.mark.parametrize(
    ("body", "history", "purpose", "expected"),
    [
        ("Are you still looking? Reply STOP to opt out.", [], "marketing", "BLOCK missing_identity"),
        ("Still looking?", [sent("2026-11-20T16:00:00Z")], "marketing", "BLOCK missing_identity"),
        (TEXT, [], "marketing", "ALLOW"),
        ("Yes, at five.", [sent("2026-11-24T15:40:00Z"), received("2026-11-24T15:50:00Z")], "conversation", "ALLOW"),
    ],
    ids=["the first", "a later one", "that names us", "in a conversation"],
)
def test_c48_in_virginia_every_text_names_the_business(
    decide: Decide, body: str, history: list[dict[str, Any]], purpose: str, expected: str
) -> None:
    verdict = decide(address=VA, phone="+18045550100", purpose=purpose, body=body, history=history, consents=[pewc()])
    assert f"{verdict.decision} {verdict.code}".strip() == expected


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ({"status": "Pending", "checked_at": "2026-11-24T14:00:00Z"}, "BLOCK stale_listing"),
        ({"status": "Active", "checked_at": "2026-11-23T15:59:00Z"}, "BLOCK stale_listing"),
        (None, "BLOCK stale_listing"),
        ({"status": "Active"}, "BLOCK stale_listing"),
        ({"checked_at": "2026-11-24T14:00:00Z"}, "BLOCK stale_listing"),
        ({"status": "Active", "checked_at": "2026-11-23T16:00:00Z"}, "ALLOW"),
    ],
    ids=[
        "it went pending",
        "nobody looked for a day",
        "nobody looked",
        "nobody says when",
        "nobody says how it stands",
        "it is for sale",
    ],
)
def test_c41_a_home_is_called_available_only_by_who_looked(
    decide: Decide, listing: dict[str, str] | None, expected: str
) -> None:
    body = f"{TEXT} 12 Oak St is still available."
    verdict = decide(body=body, listing=listing, consents=[pewc()])
    assert f"{verdict.decision} {verdict.code}".strip() == expected


ACTIVE = {"status": "Active", "checked_at": "2026-11-24T13:00:00Z"}
PENDING = {"status": "Pending", "checked_at": "2026-11-24T14:00:00Z"}
OLD = {"status": "Active", "checked_at": "2026-11-23T10:00:00Z"}


@pytest.mark.parametrize(
    ("words", "offered", "listing", "expected"),
    [
        ("Homes that fit.", [ACTIVE, ACTIVE], None, "ALLOW"),
        ("Homes that fit.", [ACTIVE, PENDING], None, "BLOCK stale_listing"),
        ("Homes that fit.", [OLD], None, "BLOCK stale_listing"),
        ("Homes that fit.", [{}], None, "BLOCK stale_listing"),
        ("Homes that fit.", [], PENDING, "ALLOW"),
        ("They are available.", [ACTIVE], None, "ALLOW"),
        ("They are available.", [ACTIVE], ACTIVE, "ALLOW"),
        ("They are available.", [ACTIVE], PENDING, "BLOCK stale_listing"),
        ("Todas est\u00e1 en venta.", [], OLD, "BLOCK stale_listing"),
    ],
    ids=[
        "all for sale", "one went pending", "30 hours ago", "nobody looked", "no word of the one they asked about",
        "of those it lists", "and of the one they asked about", "which went pending", "in Spanish, 30 hours ago",
    ],
)  # fmt: skip
def test_c41_homes_that_a_message_lists_are_for_sale_whatever_its_words(
    decide: Decide, words: str, offered: list[dict[str, str]], listing: dict[str, str] | None, expected: str
) -> None:
    verdict = decide(body=f"{TEXT} {words}", offered=offered, listing=listing, consents=[pewc()])
    assert f"{verdict.decision} {verdict.code}".strip() == expected
    seen = [*offered, *([listing] if listing else [])]
    assert [home["status"] for home in verdict.evidence().get("homes", [])] == [each.get("status", "") for each in seen]


@pytest.mark.parametrize(
    "claim",
    ["A great investment!", "It will appreciate.", "At a 5.9% rate today.", "Your home is worth $510,000."],
)
def test_c41_promises_and_values_wait_for_a_person(decide: Decide, claim: str) -> None:
    verdict = decide(body=f"{TEXT} {claim}", consents=[pewc()])
    assert (verdict.decision, verdict.code) == ("REVIEW", "claim_unproven")


@pytest.mark.parametrize(
    "words",
    [
        "whites only", "blacks not welcome", "No Muslims", "no gays", "immigrants not welcome", "must be a citizen",
        "No felons", "Not suitable for disabled people", "no pregnant women", "no niños", "Section 8 not accepted",
        "we don't take vouchers", "single women preferred", "The schools there are excellent", "safe streets",
        "a crime-free area", "Good area for kids", "kid-friendly", "mostly professionals live there",
        "A great place for a growing family", "perfect for yоung famіlies", "perfect for young fami\u200blies",
        "solo adultos", "buenas escuelas", "zona muy segura",
    ],
)  # fmt: skip
def test_who_is_wanted_and_how_safe_a_place_is_nobody_may_say(text: Any, words: str) -> None:
    assert "fair_housing" in codes(text(words))


@pytest.mark.parametrize(
    "words",
    [
        "3 bedrooms, fenced yard, 0.4 miles to the light-rail stop", "family room", "quiet street",
        "wheelchair ramp at entry", "mother-in-law suite", "single-family home", "no pets in the building",
        "Are you still looking for a family home?", "It is safe to ignore this if you have moved.",
        "Here is the school district's site", "The rate of new listings rose", "no obligation",
        "men's shed in the yard",
        "I can't advise on the make-up of a neighborhood, but here is how to research it",
    ],
)  # fmt: skip
def test_what_describes_a_home_and_nobody_in_it_passes(text: Any, words: str) -> None:
    assert not {"fair_housing", "claim_unproven", "ai_denial"} & set(codes(text(words)))


@pytest.mark.parametrize(
    "words",
    [
        "No, I'm not an AI", "I am not an AI", "No bots here, just me", "I am human, promise",
        "You are talking to a human", "Soy una persona real", "I'm a real person",
    ],
)  # fmt: skip
def test_nobody_denies_that_an_assistant_writes(text: Any, words: str) -> None:
    assert "ai_denial" in codes(text(words))


@pytest.mark.parametrize(
    "words",
    [
        "Rates are 6.1% now", "interest rates from 5.9%", "You could get a 5.5% mortgage", "This will double in value",
        "a can't lose investment", "Your home's value is $510,000", "worth about 500k",
    ],
)  # fmt: skip
def test_rates_values_and_promises_wait_for_a_person(text: Any, words: str) -> None:
    assert "claim_unproven" in codes(text(words))
