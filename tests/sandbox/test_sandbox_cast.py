"""Who the sandbox's people are and what they have been through; that the seed decides it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import phonenumbers
import pytest

from leadpipe.crm.mapping import read_person
from leadpipe.leads.identity import normalise_email, normalise_phone
from leadpipe.sandbox.places import ABROAD, PLACES, Numbers
from tests.sandbox.people import FOUR_HUNDRED, people_of

# who they are


def test_the_same_seed_makes_the_same_people_and_another_seed_others(start: Any) -> None:
    def cast(seed: int) -> list[Any]:
        sandbox = start(seed=seed, population={"aged": 150})
        volatile = {"lastSeenFub2"}
        events = [row for page in sandbox.fub().pages("events") for row in page]
        return [{k: v for k, v in row.items() if k not in volatile} for row in people_of(sandbox)], events

    assert cast(3) == cast(3)
    assert cast(3) != cast(4)


def test_every_number_is_given_once_and_invented(start: Any) -> None:
    sandbox = start(population={"aged": 3_000})
    phones = [phone for lead in sandbox.control.leads() for phone in lead["phones"]]
    assert len(phones) == len(set(phones)) > 2_000
    for phone in phones:
        assert "555" in phone or phone.startswith(("+447700900", "+3363998", "+3532091"))
        assert phonenumbers.is_possible_number(phonenumbers.parse(phone))
    assert any(not phone.startswith("+1") for phone in phones)


def test_a_range_that_is_used_up_says_so() -> None:
    numbers = Numbers()
    british = next(abroad for abroad in ABROAD if abroad.country == "GB")
    given = {numbers.foreign(british) for _ in range(1_000)}
    assert len(given) == 1_000
    with pytest.raises(LookupError, match=r"\+447700900"):
        numbers.foreign(british)
    assert numbers.domestic("281") == "+12815550100"


def test_places_are_in_one_time_zone_each_for_address_and_number_alike() -> None:
    from zoneinfo import ZoneInfo

    from leadpipe.leads.place import place_of

    noon = datetime(2026, 5, 12, 17, tzinfo=UTC)
    for place in PLACES:
        found = place_of(place.zip, place.state, "US", f"+1{place.area}")
        assert found.is_known and place.state in found.states, place
        hours = {noon.astimezone(ZoneInfo(each.zone)).hour for each in found.candidates}
        assert len(hours) <= 2, place


def test_the_cast_has_what_the_pipeline_must_cope_with(start: Any) -> None:
    sandbox = start(population={"aged": 1_500})
    rows = people_of(sandbox)
    phones = Counter(len(row["phones"]) for row in rows)
    emails = Counter(len(row["emails"]) for row in rows)
    assert phones[0] > 200 and emails[0] > 40
    assert any(not row["phones"] and not row["emails"] for row in rows)
    too_long = [row for row in rows if row["phones"] and len(row["phones"][0]["value"]) == 40]
    assert too_long and all(normalise_phone(row["phones"][0]["value"]).reason == "phone_too_long" for row in too_long)
    relays = [row for row in rows if row["emails"] and normalise_email(row["emails"][0]["value"]).is_relay]
    assert relays and {row["source"] for row in relays} == {"Zillow"}
    spellings = {row["phones"][0]["value"][0] for row in rows if row["phones"]}
    assert {"+", "("} <= spellings
    assert Counter(row["customLanguage"] for row in rows)["Spanish"] > 50
    assert any(isinstance(row["socialData"], dict) for row in rows) and any(row["socialData"] == [] for row in rows)
    levels = Counter(proof.level for row in rows for proof in read_person(row).consents if proof.channel == "sms")
    assert levels["pewc"] > 200 and levels["inquiry"] > 50
    abroad = [
        row for row in rows if row["customWhatsAppOptIn"] and not read_person(row).phones[0].address.startswith("+1")
    ]
    assert len(abroad) > 30
    addresses = Counter(row["emails"][0]["value"] for row in rows if row["emails"])
    assert any(count > 1 for count in addresses.values())


# the past


def test_the_past_lies_in_many_months_and_has_no_two_way_contact_of_late(start: Any) -> None:
    sandbox = start(population=FOUR_HUNDRED)
    now = sandbox.world.sandbox.now()
    rows = people_of(sandbox)
    months = {row["created"][:7] for row in rows}
    assert len(months) > 24
    for row in rows:
        person = read_person(row)
        assert timedelta(days=99) < now - person.crm_created_at < timedelta(days=1_100)
        assert person.last_two_way_at is None or now - person.last_two_way_at > timedelta(days=89)
        assert row["updated"] >= row["created"]


def test_outcomes_come_within_ninety_days_and_depend_on_what_the_lead_did(start: Any) -> None:
    sandbox = start(population={"aged": 3_000})
    store = sandbox.world.store
    created = {person.id: datetime.fromisoformat(person.shown["created"]) for person in store.people.all.rows.values()}
    met: dict[int, datetime] = {}
    for row in store.rows["appointments"].rows.values():
        person_id = next(each["personId"] for each in row["invitees"] if each["personId"])
        met[person_id] = datetime.fromisoformat(row["created"])
    for row in store.rows["deals"].rows.values():
        assert row["people"][0]["id"] in met
        assert row["commissionValue"] > 0 and row["stageName"] == "Closed"
    assert 0.05 < len(met) / 3_000 < 0.3
    assert all(timedelta(0) < at - created[person_id] < timedelta(days=90) for person_id, at in met.items())
    source = {person.id: person.shown["source"] for person in store.people.all.rows.values()}

    def rate(name: str) -> float:
        ids = [person_id for person_id, each in source.items() if each == name]
        return sum(person_id in met for person_id in ids) / len(ids)

    assert rate("Referral") > 2 * rate("Facebook")


def test_history_is_loaded_without_a_single_notification(start: Any) -> None:
    sandbox = start(population={"aged": 20})
    sandbox.fub().post("webhooks", {"event": "peopleCreated", "url": f"{sandbox.config.gateway_url}/fub/hook"})
    sandbox.control.populate(aged=50)
    sandbox.settle()
    assert sandbox.gateway.posted == []
    assert sandbox.control.summary()["people"] == 70
