"""People who differ only in a name or a ZIP code get equal words, offers, homes, channels and times (C37)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leadpipe.market.criteria import _criteria
from leadpipe.market.recommend import chosen
from leadpipe.outreach import template_sources, templates, walk
from leadpipe.outreach.facts import PersonRow, know
from leadpipe.outreach.offers import offer_to
from leadpipe.outreach.plan import SendStep, load_plans
from leadpipe.outreach.timing import spread
from leadpipe.outreach.variables import market_variables, variables_for
from leadpipe.outreach.zone import zone_of
from leadpipe.settings import Settings
from tests.outreach.conftest import PEWC, AddPerson, Ask, World
from tests.people_in_pairs import NAMES, PAIRS, Pair

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)
TEAM = Settings.model_construct(
    **{name: field.default for name, field in Settings.model_fields.items()}
    | {
        "brokerage_name": "Demo Realty",
        "postal_address": "1 Example Street, Austin, TX 78701",
        "licences": (("CA", "01234567"), ("TX", "9000001"), ("IL", "4"), ("NY", "5")),
        "licence_links": (("TX", "https://demo-realty.example/iabs"),),
    }
)
HOME = {"street": "12 Oak St", "city": "Houston", "state": "TX", "zip": "77007", "price_usd": "450000", "bedrooms": "3"}
LISTING = {"address": "9 Elm Ave", "price_usd": 430_000, "beds": 3, "baths": 2, "url": "", "attribution": "Listed by X"}
STEPS = [(plan, step) for plan in load_plans().values() for step in plan.steps if isinstance(step, SendStep)]


def row(first_name: str = "Emily", *, pair: Pair | None = None, zip_code: str = "77007", **changes: Any) -> PersonRow:
    place = {"zip": zip_code, "city": pair.city if pair else "Houston", "state": pair.state if pair else "TX"}
    fields: dict[str, Any] = {
        "person_id": 7, "first_name": first_name, "assigned_to": "Bo Lee", "assigned_user_id": 7, "stage": "Lead",
        "price_usd": 450_000, "place": place | {"country": "US"}, "custom": {}, "last_human_at": None,
        "last_two_way_at": None, "automation_paused_at": None, "automation_paused_reason": None,
        "crm_created_at": NOW - timedelta(days=200), "is_gone": False, "email_id": 1, "direct_id": 1, "phone_id": 2,
        "whatsapp_id": 2, "phone": f"+1{pair.area if pair else '713'}5550100", "has_sms_pewc": True,
        "has_whatsapp": True, "knows_timeline": False, "knows_budget": False, "knows_place": False, "side": None,
        "event_id": 1, "inquiry_type": "Property Inquiry", "property": {}, "asked_at": NOW, "is_busy": False,
    }  # fmt: skip
    return PersonRow(**fields | changes)


def market_of(zip_code: str) -> dict[str, Any]:
    """The same fact for every ZIP code, as where prices are alike."""
    found = market_variables(zip_code=zip_code, change_12m_pct=2.1, month=date(2026, 1, 31), now=NOW)
    assert found is not None
    return found


def worlds() -> Iterator[dict[str, Any]]:
    """What a template may meet: side, language, home, market, offer, listings, each there and not there."""
    for side, language, has_home, has_more in itertools.product(
        ("buy", "sell"), ("English", "Spanish"), (True, False), (True, False)
    ):
        yield {"side": side, "custom": {"customLanguage": language}, "property": HOME if has_home else {},
               "has_more": has_more}  # fmt: skip


def rendered(template: str, person: PersonRow, *, has_more: bool) -> templates.Rendered:
    known = know(person, has_market_trend=has_more, has_offer=has_more)
    variables = variables_for(
        known,
        TEAM,
        now=NOW,
        listings=[LISTING] if has_more or "property_alert" in template else [],
        market=market_of(known.zip) if has_more or template == "market_update" else None,
        offer=offer_to(person, NOW) if has_more or template == "offer_email" else None,
    )
    return templates.render(template, variables)


def without(words: str, name: str) -> str:
    assert name in words
    return words.replace(name, "<name>")


@pytest.mark.parametrize("template", sorted(template_sources.template_names()))
def test_every_template_says_the_same_to_every_name(template: str) -> None:
    for world in worlds():
        has_more = world.pop("has_more")
        said = {
            (
                without(found.text, name),
                found.subject,
                json.dumps(dict(found.content_variables)).replace(name, "<name>"),
            )
            for name, _ in NAMES
            if (found := rendered(template, row(name, **world), has_more=has_more))
            if name.isascii()
        }
        assert len(said) == 1, (template, world)
        for name, _ in NAMES:  # letters beyond ASCII change no word either
            assert without(rendered(template, row(name, **world), has_more=has_more).text, name) == next(iter(said))[0]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.city)
@pytest.mark.parametrize("template", sorted(template_sources.template_names()))
def test_every_template_says_the_same_to_both_of_two_zips(template: str, pair: Pair) -> None:
    for world in worlds():
        has_more = world.pop("has_more")
        home = {**HOME, "city": pair.city, "state": pair.state} if world.pop("property") else {}
        said = []
        for zip_code in pair.zips:
            own = home and {**home, "zip": zip_code}
            found = rendered(template, row(pair=pair, zip_code=zip_code, property=own, **world), has_more=has_more)
            said.append((found.text.replace(zip_code, "<zip>"), found.subject.replace(zip_code, "<zip>")))
        assert said[0] == said[1], (template, world)


def test_every_plan_takes_the_same_way_at_the_same_time_for_every_name_and_either_zip() -> None:
    groups = [[row(name) for name, _ in NAMES]]
    groups += [[row(pair=pair, zip_code=code) for code in pair.zips] for pair in PAIRS]
    for people in groups:
        for plan in load_plans().values():
            found = set()
            for person in people:
                known, zone = know(person, has_market_trend=True, has_offer=True), zone_of(person, "America/Chicago")
                stands = [walk.enter(plan, known.facts, NOW, zone)]
                while stands[-1].step is not None and len(stands) < 12:
                    stands.append(walk.after(plan, stands[-1].step, known.facts, NOW, zone))
                offer = offer_to(person, NOW)
                found.add((known.facts, known.side, zone, tuple(stands), offer.id if offer else None))
            assert len(found) == 1, plan.name


def test_a_greeting_never_falls_back_for_one_group_only() -> None:
    from leadpipe.outreach.variables import clean_name

    assert [clean_name(name) for name, _ in NAMES] == [name for name, _ in NAMES]
    assert {clean_name(last) == last for _, last in NAMES} == {True}


def test_homes_are_chosen_by_what_was_asked_for_never_by_who_asks() -> None:
    wishes = {_criteria({"zip": "77007", "budget_high_usd": "500000"}, {}, "Property Inquiry", None) for _ in NAMES}
    assert len(wishes) == 1
    from leadpipe.market.listing import read_listing

    for pair in PAIRS:
        picks = []
        for code in pair.zips:
            homes = [
                read_listing(
                    {"ListingKey": f"L{n}", "ListPrice": 400_000 + 20_000 * n, "StandardStatus": "Active",
                     "BedroomsTotal": 3, "PostalCode": code, "City": pair.city, "UnparsedAddress": f"{n} Elm Ave"},
                    dataset="x",
                )
                for n in range(8)
            ]  # fmt: skip
            wish = _criteria({"zip": code, "budget_high_usd": "500000"}, {}, "Property Inquiry", None)
            assert wish is not None
            picks.append([home["listing_key"] for home in chosen(homes, wish, checked_at=NOW)])
        assert picks[0] == picks[1] != []


@pytest.mark.usefixtures("live")
def test_through_the_ledger_every_name_and_both_zips_get_the_same_welcome_and_the_same_night(
    add_person: AddPerson, ask: Ask, planning_world: World, live: datetime
) -> None:
    from leadpipe.outreach.first_touch import plan_new_leads

    world = planning_world
    new, aged = {}, {}
    people = [(name, last, "77004") for name, last in NAMES] + [("Emily", "Walsh", "77018")]
    for number, (name, last, zip_code) in enumerate(people, start=1):
        own = {"firstName": name, "lastName": last, **PEWC,
               "addresses": [{"city": "Houston", "state": "TX", "code": zip_code, "country": "US"}]}  # fmt: skip
        new[add_person(number, **own)] = (name, zip_code)
        ask(number, number)
        aged[add_person(100 + number, age=timedelta(days=400), **own)] = (name, zip_code)
    intents = plan_new_leads(
        world.engine, list(new), listings_by_person={}, market_facts={}, settings=world.settings, clock=world.clock
    )
    assert {intent.person_id for intent in intents} == set(new)
    welcomes = {
        (i.plan, i.step, i.channel, i.purpose, i.priority, i.due_at, i.subject, without(i.body, new[i.person_id][0]))
        for i in intents
    }
    assert len(welcomes) == 1
    world.plan()
    rows = [found for found in world.queue() if found["person_id"] in aged]
    assert {found["person_id"] for found in rows if found["outcome"] == "planned"} == set(aged)
    nights = {
        (
            found["plan"], found["step"], found["channel"], found["template"], found["outcome"], found["subject"],
            found["due_at"] - spread(found["person_id"], _spread_of(found["plan"], found["step"])),
            without(found["body"], aged[found["person_id"]][0]).replace(aged[found["person_id"]][1], "<zip>"),
        )
        for found in rows
    }  # fmt: skip
    assert len(nights) == len({(found["plan"]) for found in rows})


def _spread_of(plan: str, step: str) -> int:
    return next(each.spread_minutes for of, each in STEPS if (of.name, each.id) == (plan, step)) if step else 0


def test_every_template_of_every_plan_was_rendered_here() -> None:
    assert {step.template for _, step in STEPS} <= template_sources.template_names()
    assert {path.name.split(".")[1] for path in Path(template_sources.folder()).glob("[a-z]*.*.txt")} == {"es"}
