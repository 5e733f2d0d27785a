"""What states want to read of a licence (C40), that an assistant says it is one (C42), and money by state (C39)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from leadpipe.errors import ConfigurationError
from leadpipe.policy.home_states import licensed_states, office_state
from leadpipe.policy.licences import licence_text
from leadpipe.policy.pack import DEMO_POLICY, PolicySettings
from leadpipe.policy.pack_file import load_pack
from leadpipe.setting_loading import load_settings
from leadpipe.settings import Settings
from tests.policy.conftest import Decide, pewc, sent

NUMBERS, LINKS = (("CA", "01234567"), ("NV", "B.77")), (("TX", "https://demo-realty.example/iabs"),)
TEAM = replace(DEMO_POLICY, licences=NUMBERS, licence_links=LINKS)
CALIFORNIA = {"zip": "90011", "city": "Los Angeles", "state": "CA", "country": "US"}
TEXAS = {"zip": "77007", "city": "Houston", "state": "TX", "country": "US"}
NOWHERE = {"zip": "", "city": "", "state": "", "country": ""}
FIRST = "Demo Realty here about your inquiry. Reply STOP to opt out."
FOOTER = "Demo Realty, 100 Main Street, Suite 5, Houston, TX 77002\nUnsubscribe: %%unsubscribe_url%%"
NUMBER, LINK = "CA license 01234567", "https://demo-realty.example/iabs"
NOON = {"now": "2026-11-24T20:00:00Z", "consents": [pewc()]}
OFFERED = {"status": "Active", "checked_at": "2026-11-24T19:00:00Z"}


def codes(verdict: Any) -> set[str]:
    return {finding.code for finding in verdict.findings}


@pytest.mark.parametrize(
    ("address", "phone", "words", "is_missing"),
    [
        (CALIFORNIA, "+13235550100", "", True),
        (CALIFORNIA, "+13235550100", NUMBER, False),
        (CALIFORNIA, "+13235550100", "CA license 01234568", True),
        (TEXAS, "+17135550100", "", True),
        (TEXAS, "+17135550100", LINK, False),
        # an area code triggers its state's rules (C13)
        (CALIFORNIA, "+17135550100", NUMBER, True),
        (CALIFORNIA, "+17135550100", f"{NUMBER}. {LINK}", False),
        ({"zip": "60614", "city": "Chicago", "state": "IL", "country": "US"}, "+13125550100", "", False),
        ({"zip": "10001", "city": "New York", "state": "NY", "country": "US"}, "+12125550100", "", False),
        # nobody knows where they are: everything the team has
        (NOWHERE, None, "", True),
        (NOWHERE, None, f"{NUMBER}. {LINK}", False),
    ],
)
def test_an_email_holds_what_the_states_they_may_be_in_want(
    decide: Decide, address: dict[str, str], phone: str | None, words: str, is_missing: bool
) -> None:
    body = f"Hi.\n\n{words}\n{FOOTER}"
    verdict = decide(TEAM, channel="email", subject="Hello", body=body, address=address, phone=phone, **NOON)
    assert (verdict.code == "missing_license") is is_missing, codes(verdict)
    assert verdict.rule == ("C40" if is_missing else "")


def test_a_first_text_holds_it_and_a_later_one_need_not(decide: Decide) -> None:
    at = {"address": CALIFORNIA, "phone": "+13235550100"} | NOON
    assert decide(TEAM, body=FIRST, **at).code == "missing_license"
    assert decide(TEAM, body=f"{FIRST} {NUMBER}", **at).decision == "ALLOW"
    before = [sent("2026-11-10T20:00:00Z")]
    assert decide(TEAM, body=FIRST, history=before, **at).decision == "ALLOW"


@pytest.mark.parametrize("address", [CALIFORNIA, TEXAS])
def test_without_the_setting_nothing_goes_where_a_state_wants_it(decide: Decide, address: dict[str, str]) -> None:
    bare = replace(DEMO_POLICY, licences=(), licence_links=())
    body = f"Hi. {NUMBER} {LINK}\n\n{FOOTER}"
    phone = "+13235550100" if address is CALIFORNIA else "+17135550100"
    verdict = decide(bare, channel="email", subject="Hello", body=body, address=address, phone=phone, **NOON)
    assert verdict.code == "missing_license"


def test_the_demo_has_no_licences_and_is_asked_for_none(decide: Decide) -> None:
    assert DEMO_POLICY.licences is None
    body = f"Hi.\n\n{FOOTER}"
    assert decide(channel="email", subject="Hello", body=body, address=CALIFORNIA, **NOON).decision == "ALLOW"


def test_a_home_in_a_state_without_licence_waits_for_a_person(decide: Decide) -> None:
    body = f"Hi.\n\n{FOOTER}"
    asked = {"channel": "email", "subject": "Hello", "body": body} | NOON
    verdict = decide(TEAM, home={"state": "UT"}, **asked)
    assert (verdict.decision, verdict.code, verdict.rule) == ("REVIEW", "license_state", "C40")
    assert decide(TEAM, home={"state": "nv"}, **asked).decision == "ALLOW"
    assert decide(TEAM, home={"price_usd": 1}, **asked).decision == "ALLOW"
    assert decide(replace(TEAM, licences=()), home={"state": "UT"}, **asked).decision == "ALLOW"


# who names no licence has the one of the office, and an address without a state is no permission
STATES: list[tuple[str, tuple[tuple[str, str], ...] | None, str | None, dict[str, Any], str]] = [
    ("C40 a listed state", NUMBERS, "TX", {"home": {"state": "NV"}}, "ALLOW"),
    ("C40 an office does not add to what is listed", NUMBERS, "TX", {"home": {"state": "TX"}}, "REVIEW license_state"),
    ("C40 nothing listed, the office's state", (), "TX", {"home": {"state": "TX"}}, "ALLOW"),
    ("C40 nothing listed, another state", (), "TX", {"home": {"state": "UT"}}, "REVIEW license_state"),
    ("C40 nothing listed, no state in the address", (), "", {"home": {"state": "TX"}}, "REVIEW license_state"),
    ("C40 and no home", (), "", {}, "ALLOW"),
    ("C40 and a home of no state", (), "", {"home": {"beds": 3}}, "ALLOW"),
    ("C40 the demo is not asked", None, None, {"home": {"state": "UT"}}, "ALLOW"),
    ("C40 kept before it was asked", (), None, {"home": {"state": "UT"}}, "ALLOW"),
    ("C40 a home the message lists", (), "TX", {"offered": [OFFERED | {"state": "OK"}]}, "REVIEW license_state"),
    ("C40 one of them", (), "TX", {"offered": [OFFERED, OFFERED | {"state": "OK"}]}, "REVIEW license_state"),
    ("C40 homes it lists, all at home", (), "TX", {"offered": [OFFERED | {"state": "TX"}]}, "ALLOW"),
]


@pytest.mark.parametrize(
    ("numbers", "office", "about", "expected"), [pytest.param(*row[1:], id=row[0]) for row in STATES]
)
def test_homes_are_written_about_where_the_team_is_licensed(
    decide: Decide, numbers: Any, office: str | None, about: dict[str, Any], expected: str
) -> None:
    team = replace(DEMO_POLICY, licences=numbers, office_state=office)
    verdict = decide(team, channel="email", subject="Hello", body=f"Hi.\n\n{FOOTER}", **about, **NOON)
    assert f"{verdict.decision} {verdict.code}".strip() == expected, codes(verdict)


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("1 Example Street, Austin, TX 78701", "TX"),
        ("12345 Main Street, Reno, Nevada 89501-1234, USA", "NV"),
        ("5 B St\nChicago IL 60614, U.S.A.", "IL"),
        ("12 King St, Toronto, ON M5V 2T6, Canada", "ON"),
        ("12345 Main Street, Reno", ""),
        ("PO Box 5, Springfield, IL", ""),
        ("", ""),
    ],
)
def test_the_offices_state_is_that_of_its_zip_code(address: str, state: str) -> None:
    assert office_state(address) == state


def test_the_running_system_asks_by_its_own_address() -> None:
    settings = Settings.model_construct(
        **{name: field.default for name, field in Settings.model_fields.items()}
        | {"postal_address": "1 Example Street, Austin, TX 78701"}
    )
    assert licensed_states(PolicySettings.of(settings)) == {"TX"}
    assert licensed_states(PolicySettings.of(settings.model_copy(update={"licences": NUMBERS}))) == {"CA", "NV"}
    assert licensed_states(PolicySettings.of(settings.model_copy(update={"postal_address": "1 Main"}))) == set()
    assert licensed_states(DEMO_POLICY) is None


def test_the_text_for_a_template_holds_what_the_gate_looks_for() -> None:
    day = date(2026, 11, 24)
    assert licence_text(CALIFORNIA, "+1323", NUMBERS, LINKS, day) == NUMBER
    assert licence_text(TEXAS, "", NUMBERS, LINKS, day) == f"Texas Information About Brokerage Services: {LINK}"
    assert licence_text(TEXAS, "+1323", NUMBERS, LINKS, day).count(". ") == 1
    assert licence_text({"zip": "60614"}, "+1312", NUMBERS, LINKS, day) == ""
    assert licence_text({}, "", NUMBERS, LINKS, day).count(". ") == 1
    assert licence_text({"country": "GB"}, "+4477", NUMBERS, LINKS, day) == ""
    assert licence_text(CALIFORNIA, "+1323", (), (), day) == ""


def test_the_pack_says_which_state_wants_what_and_how_sure_that_is() -> None:
    import yaml

    part = next(
        each for each in yaml.safe_load(load_pack(date(2026, 11, 24)).text)["parts"] if each["name"] == "licences"
    )
    assert part["confidence"] == "C"
    assert {kind for wanted in part["states"].values() for kind in wanted} <= {"number", "link"}
    assert all("{}" in words for wanted in part["states"].values() for words in wanted.values())


def test_licences_are_read_as_pairs_and_a_mistake_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADPIPE_LICENCES", "ca=01234567, TX = 9-001 ,")
    monkeypatch.setenv("LEADPIPE_LICENCE_LINKS", "TX=https://acme.example/iabs?a=1")
    settings = load_settings(env_file=None)
    assert settings.licences == (("CA", "01234567"), ("TX", "9-001"))
    assert settings.licence_links == (("TX", "https://acme.example/iabs?a=1"),)
    for wrong in ("CA", "CA=", "California=1", "=1"):
        monkeypatch.setenv("LEADPIPE_LICENCES", wrong)
        with pytest.raises(ConfigurationError, match="LEADPIPE_LICENCES.*CA=01234567"):
            load_settings(env_file=None)


# the assistant says that it is one

ASSISTANT = replace(DEMO_POLICY, assistant_name="automated assistant")
SAYS = [
    "This is the automated assistant for Bo Lee",
    "an AI assistant writes",
    "your virtual real-estate assistant",
    "Le escribe el asistente autom\u00e1tico",
    "You are writing with a computer program",
]


@pytest.mark.parametrize("words", SAYS)
def test_words_that_say_an_assistant_writes_go(decide: Decide, words: str) -> None:
    assert decide(ASSISTANT, body=f"{words}. {FIRST}", **NOON).decision == "ALLOW"
    body = f"Hi.\n\n{words}\n{FOOTER}"
    assert decide(ASSISTANT, channel="email", subject="Hello", body=body, **NOON).decision == "ALLOW"


def test_an_email_or_first_text_without_disclosure_is_blocked_and_a_later_text_is_not(decide: Decide) -> None:
    verdict = decide(ASSISTANT, body=f"Ana here. {FIRST}", **NOON)
    assert (verdict.code, verdict.rule) == ("missing_disclosure", "C42")
    assert decide(ASSISTANT, channel="email", subject="Hello", body=f"Hi.\n\n{FOOTER}", **NOON).code == verdict.code
    before = [sent("2026-11-10T20:00:00Z")]
    assert decide(ASSISTANT, body=FIRST, history=before, **NOON).decision == "ALLOW"


def test_a_name_alone_discloses_nothing(decide: Decide) -> None:
    named = replace(DEMO_POLICY, assistant_name="Ana")
    assert decide(named, body=f"Ana here. {FIRST}", **NOON).code == "missing_disclosure"


# money by state

CREDIT = "Approved: a 1,000 dollar buyer credit."


@pytest.mark.parametrize(
    ("address", "home", "code"),
    [
        ({"zip": "97214", "city": "Portland", "state": "OR", "country": "US"}, None, "rebate_state"),
        ({"zip": "60614", "city": "Chicago", "state": "IL", "country": "US"}, None, ""),
        ({"zip": "60614", "city": "Chicago", "state": "IL", "country": "US"}, {"state": "TN"}, "rebate_state"),
    ],
)
def test_approved_money_does_not_go_where_a_state_bars_it(
    decide: Decide, address: dict[str, str], home: dict[str, str] | None, code: str
) -> None:
    settings = replace(DEMO_POLICY, approved_offers=(CREDIT,))
    phone = "+15035550100" if code and home is None else "+13125550100"
    verdict = decide(settings, body=f"{CREDIT} {FIRST}", address=address, phone=phone, home=home, **NOON)
    assert verdict.code == code, codes(verdict)


def test_an_approved_report_is_no_money_anywhere(decide: Decide) -> None:
    report = "If you like, we will prepare a report, at no cost."
    settings = replace(DEMO_POLICY, approved_offers=(report,))
    oregon = {"zip": "97214", "city": "Portland", "state": "OR", "country": "US"}
    assert decide(settings, body=f"{report} {FIRST}", address=oregon, phone="+15035550100", **NOON).decision == "ALLOW"


def test_an_offer_that_has_ended_is_approved_no_more() -> None:
    from leadpipe.messaging.gate import policy_of
    from leadpipe.outreach.offers import load_offers

    settings = Settings.model_construct(**{name: field.default for name, field in Settings.model_fields.items()})
    ends = max(offer.ends_on for offer in load_offers())
    assert policy_of(settings, ends).approved_offers
    assert policy_of(settings, date(ends.year + 1, 1, 1)).approved_offers == ()
