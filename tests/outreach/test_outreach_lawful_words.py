"""What the built-in templates say, anywhere, breaks no rule about words: licence, links and disclosure included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from leadpipe.leads.place import place_of, prefix_of
from leadpipe.messaging.gate import policy_of
from leadpipe.outreach import template_sources, templates
from leadpipe.outreach.facts import know
from leadpipe.outreach.offers import offer_to
from leadpipe.outreach.variables import variables_for
from leadpipe.policy import content
from leadpipe.policy.case import Case, Contact, Home
from leadpipe.policy.pack_file import load_pack
from leadpipe.policy.standing import facts_of
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.environment import sandbox_environment
from leadpipe.sandbox.places import PLACES
from leadpipe.settings import Settings
from tests.outreach.test_outreach_pairs import market_of, row

NOW = datetime(2026, 3, 3, 18, 0, tzinfo=UTC)
SETTINGS = Settings(
    _env_file=None,  # pyright: ignore[reportCallIssue]
    **{name.removeprefix("LEADPIPE_").lower(): value for name, value in sandbox_environment(SandboxConfig()).items()},
)
LISTING = {
    "address": "12 OAK TERRACE ST.UNIT 5", "price_usd": 430_000, "beds": 3, "baths": 2,
    "url": "https://portal.example/homes/12", "attribution": "Listed by Example Homes. Invented listing.",
}  # fmt: skip


def found_in(template: str, place: Any, language: str, settings: Settings = SETTINGS) -> list[content.Found]:
    """What the gate says of a first message from this template to somebody there."""
    address = {"zip": place.zip, "city": place.city, "state": place.state, "country": "US"}
    home = {"street": "9 Elm St.Apt 2 evil-homes.com", "city": place.city, "state": place.state, "zip": place.zip}
    person = row(
        "Lakisha", place=address, phone=f"+1{place.area}5550100", property=home,
        custom={"customLanguage": "Spanish" if language == "es" else ""},
    )  # fmt: skip
    variables = variables_for(
        know(person), settings, now=NOW, listings=[LISTING], market=market_of(place.zip), offer=offer_to(person, NOW)
    )
    words = templates.render(template, variables)
    channel = "email" if words.subject else "whatsapp" if "whatsapp" in template else "sms"
    case = Case(
        id="m", now=NOW, channel=channel, purpose="inquiry_response", subject=words.subject or None, body=words.text,
        contact=Contact(phone=person.phone, email="a@example.com", **address), home=Home(state=place.state),
    )  # fmt: skip
    pack, policy = load_pack(NOW.date()), policy_of(settings, NOW.date())
    where = place_of(place.zip, place.state, "US", prefix_of(person.phone), place.city)
    return content.lint(case, facts_of(case, where, pack, policy), pack, policy)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("template", sorted(template_sources.template_names()))
def test_no_template_breaks_a_rule_anywhere_the_sandbox_has_people(template: str, language: str) -> None:
    for place in PLACES:
        assert found_in(template, place, language) == [], place


def test_without_the_teams_licences_exactly_the_states_that_want_them_are_blocked() -> None:
    bare = SETTINGS.model_copy(update={"licences": (), "licence_links": ()})
    blocked = {
        place.state
        for place in PLACES
        if ("BLOCK", "missing_license", "C40") in found_in("welcome_email", place, "en", bare)
    }
    assert blocked == set(load_pack(NOW.date()).licences)


def test_a_portal_that_the_team_allows_keeps_its_link_and_another_loses_it() -> None:
    allowed = SETTINGS.model_copy(update={"link_domains": ("portal.example",)})
    known = know(row())

    def links(settings: Settings) -> list[str]:
        return [home["url"] for home in variables_for(known, settings, now=NOW, listings=[LISTING])["listings"]]

    assert (links(SETTINGS), links(allowed)) == ([""], [LISTING["url"]])
    assert found_in("property_alert_email", PLACES[0], "en", allowed) == []


def test_what_a_portal_typed_as_a_street_becomes_no_link() -> None:
    made = variables_for(
        know(row(property={"street": "9 Elm St.Apt 2 evil-homes.com", "city": "St.Louis"})), SETTINGS, now=NOW
    )
    assert made["property_address"] == "9 Elm St. Apt 2 evil-homes. com"
    assert made["place"] == "St. Louis"
