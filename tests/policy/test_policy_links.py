"""Links in words lead to our own domains, however they are written (C27)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leadpipe.policy.links import domain_of, hosts_in, is_own
from leadpipe.policy.pack import DEMO_POLICY, PolicySettings, own_domains
from leadpipe.settings import Settings
from tests.policy.conftest import Decide, pewc

FIRST = "Demo Realty here about your inquiry. Reply STOP to opt out."
OWN = [
    "https://demo-realty.example/homes/12?a=1#top",
    "http://demo-realty.example",
    "HTTPS://Demo-Realty.EXAMPLE/x",
    "demo-realty.example",
    "www.demo-realty.example/iabs",
    "homes.demo-realty.example.",
    "https://demo-realty.example:8443/x",
    "hello@demo-realty.example",
    "https://ana@demo-realty.example/",
]
FOREIGN = [
    "https://evil-homes.com/x",
    "http://evil-homes.com",
    "evil-homes.com",
    "EVIL-HOMES.COM",
    "www.evil-homes.com",
    "Look:evil-homes.com/deal.",
    "(evil-homes.com)",
    "see evil-homes.com, please",
    "evil.homes",
    "zillow.com/homedetails/12",
    "call.me",
    "https://203.0.113.9/x",
    "http://[2001:db8::1]/x",
    "//evil-homes.com/x",
    "https:evil-homes.com",
    "ftp://evil-homes.com",
    "write to bo@evil-homes.com",
    # what pretends to be ours
    "https://demo-realty.example@evil-homes.com/",
    "https://demo-realty.example:pass@evil-homes.com/",
    "https://evil-homes.com/demo-realty.example",
    "https://evil-homes.com?demo-realty.example",
    "https://demo-realty.example.evil-homes.com/",
    "https://evildemo-realty.example/",
    "demo-realty.example.com",
    "https://demo-rea1ty.example/",
    # letters of another alphabet (Cyrillic e, o; Greek o), and how the resolver writes them
    "https://d\u0435mo-realty.example/",
    "d\u0435mo-realty.example",
    "dem\u043e-realty.example",
    "https://dem\u03bf-realty.example/",
    "https://xn--dmo-realty-6fg.example/",
    "xn--dmo-realty-6fg.example",
    # letters nobody sees, full-width forms, dots of other scripts
    "evil-\u200bhomes.com",
    "evil\u00ad-homes.com",
    "\uff45\uff56\uff49\uff4c-homes.com",
    "evil-homes\u3002com",
    "evil-homes\uff0ecom",
]
NONE = [
    "12.5 acres, 2.5 baths, $450,000.00",
    "3 bd. 2 ba. on Main St.",
    "Open 9 a.m. to 5 p.m. on the 3rd.",
    "St. Louis, Mt. Pleasant",
    "e.g. a yard, i.e. grass",
    "Mr. Smith of the U.S. office",
    "It is quiet...and green",
    "and/or, 24/7, 50/50",
    "Unsubscribe: %%unsubscribe_url%%",
    "Hi, still looking? Reply YES.",
    "v1.2.3 of the list",
    "St.Paul and Ft.Worth",
]


@pytest.mark.parametrize("words", FOREIGN)
def test_a_link_to_somebody_else_is_found_and_blocked(decide: Decide, words: str) -> None:
    verdict = decide(body=f"{words} {FIRST}", consents=[pewc()])
    assert (verdict.decision, verdict.code, verdict.rule) == ("BLOCK", "foreign_link", "C27"), hosts_in(words)


@pytest.mark.parametrize("words", OWN)
def test_a_link_of_ours_goes(decide: Decide, words: str) -> None:
    assert hosts_in(words), "no link was found, so nothing was tried"
    assert decide(body=f"{words} {FIRST}", consents=[pewc()]).decision == "ALLOW", hosts_in(words)


@pytest.mark.parametrize("words", NONE)
def test_what_no_device_underlines_is_no_link(words: str) -> None:
    assert hosts_in(words) == ()


def test_one_foreign_link_among_our_own_is_enough(decide: Decide) -> None:
    words = f"https://demo-realty.example/a evil-homes.com https://demo-realty.example/b {FIRST}"
    assert decide(body=words, consents=[pewc()]).code == "foreign_link"


def test_the_subject_is_read_as_well(decide: Decide) -> None:
    footer = "Demo Realty, 100 Main Street, Suite 5, Houston, TX 77002\nUnsubscribe: %%unsubscribe_url%%"
    verdict = decide(channel="email", subject="New on evil-homes.com", body=f"Hi.\n\n{footer}")
    assert verdict.code == "foreign_link"


def test_a_brokerage_whose_name_looks_like_a_link_may_say_its_name(decide: Decide) -> None:
    settings = replace(DEMO_POLICY, brokerage_name="Homes.com Realty")
    words = "Homes.com Realty here about your inquiry. Reply STOP to opt out."
    consent = pewc(seller="Homes.com Realty")
    assert decide(settings, body=words, consents=[consent]).code != "foreign_link"
    assert decide(settings, body=f"{words} homes.com", consents=[consent]).code == "foreign_link"


def test_without_own_domains_every_link_is_foreign(decide: Decide) -> None:
    nobody = replace(DEMO_POLICY, own_domains=frozenset())
    assert decide(nobody, body=f"https://demo-realty.example {FIRST}", consents=[pewc()]).code == "foreign_link"


@pytest.mark.parametrize(
    ("changes", "domains"),
    [
        ({}, {"127.0.0.1"}),
        ({"email_from": "Acme <hello@acme.example>"}, {"127.0.0.1", "acme.example"}),
        ({"reply_domain": "in.acme.example"}, {"127.0.0.1", "in.acme.example"}),
        ({"public_base_url": "https://hooks.acme.example:8443/x"}, {"hooks.acme.example"}),
        ({"link_domains": ("Portal.Example", "https://mls.example/x")}, {"127.0.0.1", "portal.example", "mls.example"}),
        ({"link_domains": ("m\u00fcller.example",)}, {"127.0.0.1", "xn--mller-kva.example"}),
    ],
)
def test_own_domains_are_those_of_our_mail_the_gateway_and_what_the_team_names(
    changes: dict[str, Any], domains: set[str]
) -> None:
    settings = Settings.model_construct(
        **{"email_from": "", "reply_domain": "", "link_domains": (), "public_base_url": "http://127.0.0.1:8801"}
        | changes
    )
    assert own_domains(settings) == domains


def test_a_name_below_ours_is_ours_and_one_that_ends_alike_is_not() -> None:
    assert is_own("a.b.example", ["b.example"])
    assert not is_own("ab.example", ["b.example"])
    assert not is_own("example", ["b.example"])
    assert not is_own("b.example", [""])
    assert domain_of("not a name") != ""
    assert domain_of("") == ""


def test_the_running_systems_settings_carry_them() -> None:
    settings = Settings.model_construct(**{name: field.default for name, field in Settings.model_fields.items()})
    assert PolicySettings.of(settings).own_domains == own_domains(settings) != frozenset()
