"""The people of the sandbox: how they come, what they answer, what agents do, what the truth keeps of it."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from leadpipe.crm.human_actions import read_human_action
from leadpipe.crm.inquiries import read_inquiry
from leadpipe.sandbox.population.answers import STOPPERS, WEIGHTS, react, sentences
from leadpipe.sandbox.state import AcceptedMessage
from tests.sandbox.people import FOUR_HUNDRED, accept, people_of

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
