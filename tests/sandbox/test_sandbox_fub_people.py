"""Follow Up Boss: people and the events that bring them (FUB sheet 4, 5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from leadpipe.crm.inquiries import read_inquiry
from leadpipe.crm.mapping import read_person
from leadpipe.errors import Rejected

LEAD = {"firstName": "Mara", "lastName": "Velde", "emails": [{"value": "mara@example.com"}],
        "phones": [{"value": "(530) 555-0142"}]}  # fmt: skip


def test_a_person_shows_the_default_fields_and_nothing_hidden(sandbox: Any) -> None:
    person = sandbox.fub().post("people", {**LEAD, "background": "b", "customLanguage": "es"})
    shown = sandbox.fub().get(f"people/{person['id']}")
    assert shown["emails"] == [
        {"value": "mara@example.com", "type": "home", "status": "Valid", "isPrimary": 1, "relationshipId": 0}
    ]
    phone = shown["phones"][0]
    assert (phone["value"], phone["normalized"], phone["isLandline"]) == ("(530) 555-0142", "5305550142", False)
    assert (shown["name"], shown["stage"], shown["stageId"], shown["contacted"], shown["claimed"]) == (
        "Mara Velde", "Lead", 2, 0, True
    )  # fmt: skip
    assert shown["collaborators"][0]["assigned"] is True
    assert not {"background", "lastCommunication", "customLanguage"} & set(shown)


def test_all_fields_adds_the_hidden_ones_and_every_custom_field_empty_as_null(sandbox: Any) -> None:
    person = sandbox.fub().post("people", {**LEAD, "background": "b", "customLanguage": "es"})
    shown = sandbox.fub().get(f"people/{person['id']}", {"fields": "allFields"})
    assert (shown["background"], shown["customLanguage"], shown["customConsentSms"]) == ("b", "es", None)
    assert set(shown) >= {"lastReceivedText", "textsReceived", "propertiesViewed", "nextTask"}
    some = sandbox.fub().get(f"people/{person['id']}", {"fields": "customLanguage"})
    assert some == {"id": person["id"], "customLanguage": "es"}


def test_the_answer_to_post_is_shorter(sandbox: Any) -> None:
    created = sandbox.fub().post("people", LEAD)
    assert created["delayed"] is None
    assert not {"dealStatus", "collaborators", "firstToClaimOffer", "teamLeaders"} & set(created)
    assert "collaborators" in sandbox.fub().get(f"people/{created['id']}")


def test_social_data_is_an_empty_list_or_an_object(sandbox: Any) -> None:
    empty = sandbox.fub().post("people", LEAD)["id"]
    filled = sandbox.world.store.people.create({"socialData": {"age": "41"}}).id
    assert sandbox.fub().get(f"people/{empty}")["socialData"] == []
    assert sandbox.fub().get(f"people/{filled}")["socialData"] == {"age": "41"}


def test_our_mapping_reads_what_the_sandbox_writes(sandbox: Any) -> None:
    created = sandbox.fub().post("people", {**LEAD, "price": 450_000, "customConsentSms": "pewc",
                                            "customConsentAt": "2026-05-12T15:00:00Z"})  # fmt: skip
    person = read_person(sandbox.fub().people([created["id"]])[0])
    assert person.emails[0].address == "mara@example.com"
    assert person.phones[0].address == "+15305550142"
    assert person.price_usd == 450_000
    assert len(person.consents) == 1


def test_a_post_makes_a_duplicate_unless_told_not_to(sandbox: Any) -> None:
    first = sandbox.raw("POST", "people", json=LEAD)
    again = sandbox.raw("POST", "people", json=LEAD)
    known = sandbox.raw("POST", "people?deduplicate=true", json={**LEAD, "firstName": "Other"})
    assert (first.status_code, again.status_code, known.status_code) == (201, 201, 200)
    assert again.json()["id"] != first.json()["id"] == known.json()["id"]
    assert known.json()["firstName"] == "Mara"


def test_check_duplicate_gives_no_id(sandbox: Any) -> None:
    sandbox.fub().post("people", {**LEAD, "assignedUserId": 3})
    found = sandbox.fub().get("people/checkDuplicate", {"phone": "+1 530 555 0142"})
    assert found == {"found": True, "matchedBy": "phone", "assignedTo": "Priya Shah"}
    assert sandbox.fub().get("people/checkDuplicate", {"email": "x@example.com"}) == {"found": False}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"nickname": "M", "price": 5, "x": 1}, "Invalid fields in the request body: nickname, x."),
        ({"customUnheard": "x"}, "Invalid fields in the request body: customUnheard."),
        ({"source": "Zillow"}, "Invalid fields in the request body: source."),
        ({"id": 1, "created": ""}, "Invalid fields in the request body: id, created."),
        ({"stage": "Nonsense"}, "Invalid value for 'stage' field."),
        ({"emails": "a@example.com"}, "Invalid value for 'emails' field."),
    ],
)
def test_a_bad_update_is_refused_and_applies_nothing(sandbox: Any, body: dict[str, Any], words: str) -> None:
    person = sandbox.fub().post("people", LEAD)["id"]
    answer = sandbox.raw("PUT", f"people/{person}", json={"firstName": "New", **body})
    assert (answer.status_code, answer.json()["errorMessage"]) == (400, words)
    assert sandbox.fub().get(f"people/{person}")["firstName"] == "Mara"


def test_tags_replace_unless_they_merge(sandbox: Any) -> None:
    fub = sandbox.fub()
    person = fub.post("people", {**LEAD, "tags": ["Buyer"]})["id"]
    assert fub.put(f"people/{person}", {"tags": ["VIP", "Buyer"]}, {"mergeTags": "true"})["tags"] == ["Buyer", "VIP"]
    assert fub.put(f"people/{person}", {"tags": ["VIP"]})["tags"] == ["VIP"]


def test_phones_replace_the_whole_array_and_null_clears_a_custom_field(sandbox: Any) -> None:
    fub = sandbox.fub()
    person = fub.post("people", {**LEAD, "customLanguage": "es"})["id"]
    changed = fub.put(f"people/{person}", {"phones": [{"value": "+15305550199"}], "customLanguage": None})
    assert [phone["value"] for phone in changed["phones"]] == ["+15305550199"]
    assert fub.get(f"people/{person}", {"fields": "allFields"})["customLanguage"] is None


def test_a_change_moves_updated_and_a_note_does_not(sandbox: Any) -> None:
    fub = sandbox.fub()
    created = fub.post("people", LEAD)
    sandbox.control.jump(timedelta(minutes=5))
    fub.post("notes", {"personId": created["id"], "body": "x"})
    assert fub.get(f"people/{created['id']}")["updated"] == created["updated"]
    assert fub.put(f"people/{created['id']}", {"price": 1})["updated"] > created["updated"]


def test_contacted_is_a_number_and_pauses_action_plans(sandbox: Any) -> None:
    fub = sandbox.fub()
    person = fub.post("people", LEAD)["id"]
    plan = fub.post("actionPlansPeople", {"personId": person, "actionPlanId": 1})
    assert plan["status"] == "Running"
    assert fub.put(f"people/{person}", {"contacted": True})["contacted"] == 1
    assert fub.get(f"actionPlansPeople/{plan['id']}")["status"] == "Paused"


def test_a_deleted_person_is_gone_with_their_notes_and_a_trashed_one_is_not(sandbox: Any) -> None:
    fub = sandbox.fub()
    gone, trashed = fub.post("people", LEAD)["id"], fub.post("people", {"firstName": "T"})["id"]
    note = fub.post("notes", {"personId": gone, "body": "x"})["id"]
    assert sandbox.raw("DELETE", f"people/{gone}").json() == {}
    fub.put(f"people/{trashed}", {"stage": "Trash"})
    assert fub.find("people", gone) is None
    assert fub.find("notes", note) is None
    assert fub.get(f"people/{trashed}")["stage"] == "Trash"
    assert fub.get("people")["people"] == []


def test_a_merge_moves_data_to_the_winner_and_the_losers_to_trash_without_a_pointer(sandbox: Any) -> None:
    fub = sandbox.fub()
    winner = fub.post("people", LEAD)["id"]
    loser = fub.post("people", {"emails": [{"value": "other@example.com"}, {"value": "MARA@example.com"}]})["id"]
    note = fub.post("notes", {"personId": loser, "body": "x"})["id"]
    sandbox.call("merge", **{"winner": winner, "losers": [loser]})
    assert [entry["value"] for entry in fub.get(f"people/{winner}")["emails"]] == [
        "mara@example.com",
        "other@example.com",
    ]
    left = fub.get(f"people/{loser}", {"fields": "allFields"})
    assert (left["stage"], len(left["emails"])) == ("Trash", 2)
    assert str(winner) not in str(left)
    assert fub.get(f"notes/{note}")["personId"] == winner
    assert [row["id"] for row in fub.get("notes", {"personId": winner})["notes"]] == [note]


def test_an_unclaimed_lead_shows_next_to_nothing_until_somebody_claims_it(sandbox: Any) -> None:
    fub = sandbox.fub()
    person = sandbox.world.store.people.create({**LEAD, "claimed": False}).id
    assert fub.get("people")["people"] == []
    shown = fub.get("people", {"includeUnclaimed": "true"})["people"][0]
    assert set(shown) == {"id", "created", "name", "firstName", "lastName", "source", "sourceId", "delayed", "picture",
                          "claimed"}  # fmt: skip
    assert [row["id"] for row in fub.get("people/unclaimed")["people"]] == [person]
    assert fub.post("people/claim", {"personId": person})["emails"]
    lost = sandbox.raw("POST", "people/claim", json={"personId": person})
    assert lost.status_code == 409
    assert sandbox.raw("POST", "people/ignoreUnclaimed", json={"personId": person}).status_code == 204
    assert sandbox.raw("POST", "people/ignoreUnclaimed", json={"personId": 1}).status_code == 404


# events


def event(**changes: Any) -> dict[str, Any]:
    return {"source": "portal.example", "system": "Portal", "type": "Property Inquiry", "person": LEAD} | changes


HOME = {"street": "12 Oak St", "city": "Houston", "state": "TX", "code": "77084", "price": 350_000, "bedrooms": 3,
        "mlsNumber": "M1"}  # fmt: skip


def test_an_event_creates_or_matches_a_person_and_answers_the_person(sandbox: Any) -> None:
    first = sandbox.raw("POST", "events", json=event(property=HOME))
    again = sandbox.raw("POST", "events", json=event(person={"phones": [{"value": "5305550142"}]}))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["price"], first.json()["source"]) == (350_000, "portal.example")


def test_an_event_for_an_unknown_id_is_a_404_and_a_bad_one_a_400(sandbox: Any) -> None:
    assert sandbox.raw("POST", "events", json=event(person={"id": 77})).status_code == 404
    assert sandbox.raw("POST", "events", json=event(person={"nickname": "x"})).status_code == 400
    assert sandbox.raw("POST", "events", json={}).status_code == 400


def test_an_archived_source_takes_the_event_and_ignores_the_lead(sandbox: Any) -> None:
    answer = sandbox.raw("POST", "events", json=event(source="Archived Portal"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert sandbox.fub().get("people")["people"] == []
    assert sandbox.fub().post("events", event(source="Archived Portal")) == {}


@pytest.mark.parametrize(("home", "kind"), [(HOME, "Property Inquiry"), (None, "General Inquiry")])
def test_an_inquiry_becomes_one_about_a_property_or_a_general_one(sandbox: Any, home: Any, kind: str) -> None:
    sandbox.fub().post("events", event(type="Inquiry", property=home))
    assert sandbox.fub().get("events")["events"][0]["type"] == kind


def test_an_event_reads_back_with_its_numbers_as_text(sandbox: Any) -> None:
    person = sandbox.fub().post("events", event(property=HOME))["id"]
    row = sandbox.fub().events([1])[0]
    assert (row["personId"], row["property"]["price"], row["property"]["bedrooms"]) == (person, "350000", "3")
    assert row["property"]["forRent"] == "0"
    assert row["propertySearch"] is None
    inquiry = read_inquiry(row)
    assert inquiry is not None
    assert (inquiry.property["price_usd"], inquiry.property["zip"]) == ("350000", "77084")


def test_events_are_listed_by_person_and_by_kinds(sandbox: Any) -> None:
    fub = sandbox.fub()
    person = fub.post("events", event(property=HOME))["id"]
    fub.post("events", event(type="Viewed Property", property=HOME))
    fub.post("events", {"source": "x", "type": "Registration", "person": {"emails": [{"value": "b@example.com"}]}})
    assert len(fub.get("events", {"personId": person})["events"]) == 2
    kinds = fub.get("events", {"type": "Registration,Viewed Property"})["events"]
    assert [row["type"] for row in kinds] == ["Registration", "Viewed Property"]
    assert len(fub.get("events", {"hasProperty": "true"})["events"]) == 2


def test_a_new_person_may_not_be_there_at_once(sandbox: Any) -> None:
    sandbox.control.set_faults({"fub_not_ready": {"value": 2.0}})
    person = sandbox.fub().post("events", event())["id"]
    assert sandbox.fub().find("people", person) is None
    with pytest.raises(Rejected, match="404"):
        sandbox.fub().post("notes", {"personId": person, "body": "x"})
    assert sandbox.wait(lambda: sandbox.fub().find("people", person))
