"""The people of the sandbox: who they are, what they answer, that the seed decides it, what the truth says."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import phonenumbers
import pytest

from leadpipe.crm.mapping import read_human_action, read_inquiry, read_person
from leadpipe.errors import TransientError
from leadpipe.leads.identity import normalise_email, normalise_phone
from leadpipe.sandbox.places import ABROAD, PLACES, Numbers
from leadpipe.sandbox.population.answers import STOPPERS, WEIGHTS, react, sentences
from leadpipe.sandbox.state import AcceptedMessage

FOUR_HUNDRED = {"aged": 400}


def people_of(sandbox: Any) -> list[dict[str, Any]]:
    return [
        row for page in sandbox.fub().pages("people", {"fields": "allFields", "includeTrash": "true"}) for row in page
    ]


def accept(sandbox: Any, lead: dict[str, Any], *, channel: str = "email", plan: str = "new_lead") -> None:
    """A message for somebody, as a provider would accept it."""
    world = sandbox.world
    to = lead["emails"][0] if channel == "email" else lead["phones"][0]
    message = AcceptedMessage(
        provider="ses" if channel == "email" else "twilio", channel=channel, to=to, from_="us", body="Hi",
        subject="Homes",
        accepted_at=world.sandbox.now(), accepted_wall_at=world.sandbox.wall(), plan=plan, provider_id="0100-1",
        reply_to="reply+m-1@in.demo-realty.example",
        headers={"List-Unsubscribe": f"<{sandbox.config.gateway_url}/u/token>"},
    )  # fmt: skip

    async def take() -> None:
        world.sandbox.accept(message)

    sandbox.board.run(take())


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


# arriving


def test_everyone_arrives_and_the_last_one_before_the_window_ends(start: Any) -> None:
    sandbox = start(population=FOUR_HUNDRED)
    sandbox.fub().post("webhooks", {"event": "eventsCreated", "url": f"{sandbox.config.gateway_url}/fub/hook"})
    answer = sandbox.control.populate(new=40, per_second=40)
    assert answer == {"people": 400, "arriving": 40, "over_seconds": 1.0}
    sandbox.wait(lambda: sandbox.control.summary()["leads_new"] >= 40, 10)
    new = [lead for lead in sandbox.control.leads() if lead["is_new"]]
    created = sorted(datetime.fromisoformat(lead["created_wall_at"]) for lead in new)
    assert created[-1] - created[0] < timedelta(seconds=3)
    sandbox.settle()
    told = {int(n) for each in sandbox.gateway.posted for n in json.loads(each.body)["resourceIds"]}
    rows = [row for page in sandbox.fub().pages("events") for row in page if row["id"] in told]
    inquiries = [inquiry for row in rows if (inquiry := read_inquiry(row)) is not None]
    assert {lead["person_id"] for lead in new if lead["state"] != "merged"} <= {i.person_id for i in inquiries}
    assert any(inquiry.property.get("mls_number") for inquiry in inquiries)


def test_new_people_browse_ask_twice_come_twice_and_some_have_talked_to_an_agent(start: Any) -> None:
    sandbox = start(population=FOUR_HUNDRED)
    sandbox.control.populate(new=300, seconds=1)
    sandbox.wait(lambda: sandbox.control.summary()["leads_new"] >= 300, 30)
    sandbox.settle()
    store, leads = sandbox.world.store, sandbox.control.leads()
    new = {lead["person_id"]: lead for lead in leads if lead["is_new"]}
    by_person = Counter(row["personId"] for row in store.rows["events"].rows.values() if row["personId"] in new)
    kinds = Counter(row["type"] for row in store.rows["events"].rows.values() if row["personId"] in new)
    assert max(by_person.values()) >= 2
    assert kinds["Viewed Property"] > 10 and kinds["Seller Inquiry"] > 10 and kinds["Registration"] > 10
    transferred = [lead for lead in new.values() if lead["state"] == "agent_called"]
    assert transferred and not any(lead["contactable"] for lead in transferred)
    acted = {
        action.person_id
        for name in ("calls", "textMessages", "notes")
        for row in store.rows[name].rows.values()
        if (action := read_human_action(name, row)) is not None
    }
    acted |= {row["personId"] for row in store.rows["emails"].rows.values()}
    acted |= {row["id"] for row in people_of(sandbox) if row["stage"] == "Under Contract"}
    assert {lead["person_id"] for lead in transferred} <= acted
    # Nobody was written to here, so whoever an agent spoke to is no contactable lead any more.
    assert not any(lead["contactable"] for lead in new.values() if lead["person_id"] in acted)
    again = [lead for lead in leads if lead["inquired_again_at"]]
    assert len(again) >= 5 and not any(lead["is_new"] for lead in again)
    merged = [lead for lead in leads if lead["state"] == "merged"]
    assert merged
    assert all(store.people.all.rows[lead["person_id"]].get("stage") == "Trash" for lead in merged)
    errors = sandbox.http.get(f"{sandbox.url}/_control/errors").json()
    assert errors == []


# answering


def test_what_somebody_does_depends_on_nobody_else() -> None:
    def reactions() -> list[Any]:
        return [
            react(random.Random(n), channel="email", share=0.5, speaks_spanish=n % 3 == 0, pace=1) for n in range(400)
        ]

    first = reactions()
    assert first == reactions()
    said = [each.says[0] for each in first if each.says]
    assert 150 < len(said) < 250
    assert {each.intent for each in said} == set(WEIGHTS)
    assert all(2 <= each.after_seconds <= 18 for each in said)
    assert {each.act for each in first} >= {"", "unsubscribe", "away"}
    seconds = [each for each in first if len(each.says) == 2]
    assert seconds
    assert not any(each.says[0].intent in STOPPERS for each in seconds)
    spanish = {words for many in sentences()["es"].values() for words in many}
    assert any(each.words in spanish for each in said)


def test_a_text_is_never_followed_by_an_unsubscribe_link() -> None:
    found = [react(random.Random(n), channel="sms", share=0.0, speaks_spanish=False, pace=1) for n in range(300)]
    assert {each.act for each in found} == {""}


def test_people_answer_by_the_same_channel_and_the_truth_keeps_what_they_meant(start: Any) -> None:
    sandbox = start(population=FOUR_HUNDRED, aged_answer_share=1.0)
    leads = [lead for lead in sandbox.control.leads() if lead["emails"]][:60]
    for lead in leads:
        accept(sandbox, lead)
    sandbox.settle()
    truth = {row["person_id"]: row for row in sandbox.control.leads()}
    answered = [truth[lead["person_id"]] for lead in leads if truth[lead["person_id"]]["replies"]]
    assert len(answered) > 45
    channels = Counter(reply["channel"] for row in answered for reply in row["replies"])
    assert channels["email"] > 40
    for row in answered:
        for reply in row["replies"]:
            assert reply["is_taken"] is True
            assert reply["from"] in [*row["emails"], *row["phones"]]
        stops = [reply for reply in row["replies"] if reply["intent"] in STOPPERS]
        assert bool(stops) == (row["opted_out_at"] is not None) == (row["state"] == "opted_out")
    summary = sandbox.control.summary()
    assert summary["opt_outs"] == sum(1 for row in truth.values() if row["opted_out_at"])
    assert sum(summary["replies"].values()) == sum(len(row["replies"]) for row in truth.values())
    assert len(summary["replies"]) >= 6


def test_who_has_opted_out_says_nothing_more(start: Any) -> None:
    sandbox = start(population=FOUR_HUNDRED, aged_answer_share=1.0)
    lead = next(row for row in sandbox.control.leads() if row["phones"])
    sandbox.call("inbound", **{"channel": "sms", "from": lead["phones"][0], "body": "STOP", "intent": "opt_out"})
    before = sandbox.truth_of(lead["person_id"])
    accept(sandbox, lead, channel="sms")
    sandbox.settle()
    assert sandbox.truth_of(lead["person_id"]) == before
    assert before["opted_out"] == [
        {"channel": "sms", "words": "STOP", "at": before["opted_out"][0]["at"], "wall_at": before["opted_out_wall_at"]}
    ]


def test_a_conversation_ends_after_a_few_turns(start: Any) -> None:
    sandbox = start(population=FOUR_HUNDRED, aged_answer_share=1.0, new_answer_share=1.0)
    lead = next(row for row in sandbox.control.leads() if row["emails"])
    for _ in range(25):
        accept(sandbox, lead, plan="conversation")
        sandbox.settle()
    assert 1 <= len(sandbox.truth_of(lead["person_id"])["replies"]) <= 5


def test_one_click_unsubscribes_by_post_only_after_a_scanner_looked(start: Any) -> None:
    sandbox = start(population={"aged": 2_000}, aged_answer_share=0.0)
    for lead in [row for row in sandbox.control.leads() if row["emails"]][:400]:
        accept(sandbox, lead)
    sandbox.settle()
    visits = sandbox.gateway.at("/u/token")
    assert [each.method for each in visits].count("GET") == [each.method for each in visits].count("POST") > 2
    posted = next(each for each in visits if each.method == "POST")
    assert posted.form == {"List-Unsubscribe": "One-Click"}
    gone = [row for row in sandbox.control.leads() if row["opted_out"] and row["opted_out"][0]["words"] == "one-click"]
    assert len(gone) == len(visits) / 2
    spam = [
        row for row in sandbox.control.leads() if row["opted_out"] and row["opted_out"][0]["words"] == "complaint event"
    ]
    assert len(spam) == sum('\\"eventType\\": \\"Complaint\\"' in each.body.decode() for each in sandbox.gateway.posted)
    automatic = [each for each in sandbox.gateway.at("/ses/inbound")]
    assert automatic and not any(row["replies"] for row in sandbox.control.leads())


def test_with_sns_there_is_no_way_back_but_the_list(start: Any) -> None:
    import boto3

    sandbox = start(population=FOUR_HUNDRED, aged_answer_share=1.0)
    lead = next(row for row in sandbox.control.leads() if row["phones"])
    world = sandbox.world
    from leadpipe.sandbox.population.answers import Said

    async def answer(words: str) -> None:
        message = AcceptedMessage(
            provider="sns", channel="sms", to=lead["phones"][0], from_="sns", body="x", accepted_at=world.sandbox.now(),
            accepted_wall_at=world.sandbox.wall(),
        )  # fmt: skip
        one = world.population.leads[lead["person_id"]]
        said = Said(intent="opt_out", words=words, after_seconds=0)
        await world.population._say(one, message, said, random.Random(1))

    sandbox.board.run(answer("please leave me alone"))
    assert sandbox.truth_of(lead["person_id"])["replies"] == []
    sandbox.board.run(answer("STOP"))
    assert sandbox.gateway.posted == []
    before = sandbox.truth_of(lead["person_id"])
    assert (before["opted_out_at"], before["replies"][0]["is_taken"]) == (None, False)
    session = boto3.session.Session("a", "b", region_name="us-east-1")
    sns = session.client("sns", endpoint_url=f"{sandbox.url}/sns")
    assert sns.list_phone_numbers_opted_out()["phoneNumbers"] == [lead["phones"][0]]
    assert sandbox.truth_of(lead["person_id"])["opted_out_at"]


# agents


def test_agents_look_after_most_tasks_by_themselves(start: Any) -> None:
    sandbox = start(population={"aged": 60})
    people = [lead["person_id"] for lead in sandbox.control.leads()][:40]
    for person in people:
        sandbox.fub().post("tasks", {"personId": person, "name": "Call back", "assignedUserId": 2})
    sandbox.settle()
    store = sandbox.world.store
    done = [row for row in store.rows["tasks"].rows.values() if row["isCompleted"]]
    assert 20 < len(done) < 40
    rows = [(name, row) for name in ("calls", "notes") for row in store.rows[name].rows.values()]
    acts = [action for name, row in rows if (action := read_human_action(name, row)) is not None]
    acts = [action for action in acts if action.at >= sandbox.world.sandbox.started_at]
    assert {action.kind for action in acts} == {"call", "note"}
    assert len(store.rows["emails"]) > 0
    bought = [row for row in store.rows["deals"].rows.values() if row["stageName"] == "Under Contract"]
    assert bought
    assert all(store.people.all.rows[row["people"][0]["id"]].get("stage") == "Under Contract" for row in bought)


@pytest.mark.parametrize(
    ("what", "field", "is_changed"),
    [("reassign", "assignedUserId", True), ("reprice", "price", True), ("stop_stage", "stage", True),
     ("note", "stage", False)],
)  # fmt: skip
def test_an_agent_acts_when_told(start: Any, what: str, field: str, is_changed: bool) -> None:
    sandbox = start(population={"aged": 40})
    person = next(row["person_id"] for row in sandbox.control.leads()
                  if sandbox.fub().get(f"people/{row['person_id']}")["stage"] == "Lead")  # fmt: skip
    before = sandbox.fub().get(f"people/{person}")[field]
    assert sandbox.call("act", person_id=person, what=what) == {"done": True}
    assert (sandbox.fub().get(f"people/{person}")[field] != before) is is_changed
    assert sandbox.call("act", person_id=1, what=what) == {"done": False}


def test_an_unknown_act_or_a_bad_body_is_a_400_that_says_why(sandbox: Any) -> None:
    for name, body, words in (
        ("act", {"person_id": 1, "what": "dance"}, "an agent cannot 'dance'"),
        ("population", {"leads": 5}, "leads"),
        ("config", {"colour": "red"}, "colour"),
        ("inbound", {"channel": "sms"}, "from"),
        ("clock", {"jump_seconds": "soon"}, "soon"),
    ):
        answer = sandbox.http.post(f"{sandbox.url}/_control/{name}", json=body)
        assert answer.status_code == 400
        assert words in answer.json()["error"]
    assert sandbox.http.post(f"{sandbox.url}/_control/clock", content=b"[]").status_code == 400


# the truth


def test_the_truths_rows_have_the_keys_that_the_contract_names(start: Any) -> None:
    sandbox = start(population={"aged": 3})
    accept(sandbox, next(row for row in sandbox.control.leads() if row["emails"]))
    (message,) = sandbox.control.messages()
    assert {"provider", "channel", "to", "body", "accepted_at", "plan", "step", "our_id"} <= set(message)
    lead = sandbox.control.leads()[0]
    assert {"person_id", "created_at", "state", "opted_out_at", "phones", "emails", "replies"} <= set(lead)
    assert datetime.fromisoformat(lead["created_at"]).tzinfo is not None


# the clock


def test_the_calendar_starts_on_a_tuesday_at_ten_in_chicago(sandbox: Any) -> None:
    from zoneinfo import ZoneInfo

    now = sandbox.control.clock().now.astimezone(ZoneInfo("America/Chicago"))
    assert (now.strftime("%A"), now.hour, now.minute) == ("Tuesday", 10, 0)
    import holidays

    week = [now.date() + timedelta(days=days) for days in range(8)]
    assert not set(week) & set(holidays.country_holidays("US", years=now.year))


def test_a_jump_moves_the_calendar_and_not_latencies(start: Any) -> None:
    sandbox = start(population={"aged": 5})
    before = sandbox.control.clock()
    after = sandbox.control.jump(timedelta(days=1))
    assert timedelta(days=1) <= after.now - before.now < timedelta(days=1, seconds=10)
    assert after.offset - before.offset == timedelta(days=1)
    accept(sandbox, next(row for row in sandbox.control.leads() if row["emails"]))
    (message,) = sandbox.control.messages()
    simulated, wall = (datetime.fromisoformat(message[key]) for key in ("accepted_at", "accepted_wall_at"))
    assert abs((simulated - wall) - after.offset) < timedelta(seconds=1)


def test_nothing_is_posted_while_the_clock_moves(start: Any) -> None:
    sandbox = start(jump_hold_seconds=2.0)
    sandbox.fub().post("webhooks", {"event": "peopleCreated", "url": f"{sandbox.config.gateway_url}/fub/hook"})
    sandbox.control.jump(timedelta(days=1))
    sandbox.fub().post("people", {"firstName": "Ana"})
    import time

    time.sleep(0.25)
    assert sandbox.gateway.posted == []
    sandbox.wait(lambda: len(sandbox.gateway.posted) == 1)


def test_a_clock_never_goes_back_by_the_command_and_the_control_client_reports_errors(sandbox: Any) -> None:
    from leadpipe.sandbox.calendar import read_span

    for text in ("-1d", "1", "d", "1x", "", "+1d2"):
        with pytest.raises(ValueError, match="no length of time"):
            read_span(text)
    assert read_span("+1d") == timedelta(days=1)
    assert read_span("1d12h") == timedelta(hours=36)
    assert read_span("+90m") == timedelta(minutes=90)
    assert read_span("+0s") == timedelta(0)
    with pytest.raises(TransientError, match="HTTP 400"):
        sandbox.control.populate(people=3)
