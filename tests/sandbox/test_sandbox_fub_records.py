"""Follow Up Boss: notes, calls, texts, tasks, deals, appointments, small tables (FUB sheet 7)."""

from __future__ import annotations

from typing import Any

import pytest

from leadpipe.crm import custom_fields, tables
from leadpipe.crm.human_actions import read_human_action
from leadpipe.errors import ConfigurationError, Rejected


@pytest.fixture
def person(sandbox: Any) -> int:
    return sandbox.fub().post("people", {"firstName": "Ana", "phones": [{"value": "+12815550101"}]})["id"]


def act(sandbox: Any, person: int, what: str) -> None:
    sandbox.call("act", **{"person_id": person, "what": what})


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("notes", {"personId": 1}, "Missing required field in the request: body."),
        ("notes", {"personId": 1, "body": "x", "colour": "red"}, "Invalid fields in the request body: colour."),
        ("calls", {"personId": 1, "phone": "2815550101"}, "Missing required field in the request: isIncoming."),
        ("calls", {"personId": 1, "phone": "2815550101", "isIncoming": True, "outcome": "Fine"},
         "Invalid value for 'outcome' field."),
        ("tasks", {"personId": 1, "name": "x", "type": "Dance"}, "Invalid value for 'type' field."),
        ("deals", {"name": "x", "stageId": 9}, "Invalid value for 'stageId' field."),
        ("deals", {"name": "x", "stageId": 101, "agentCommision": 1},
         "Invalid fields in the request body: agentCommision."),
        ("appointments", {"title": "x", "start": "2026-05-13T10:00:00Z"},
         "Missing required field in the request: end."),
        ("customFields", {"label": "x", "type": "colour"}, "Invalid value for 'type' field."),
        ("customFields", {"type": "text"}, "Missing required field in the request: label."),
        ("customFields", {"label": "x"}, "Missing required field in the request: type."),
        ("customFields", {"label": "x", "type": "text", "name": "customX"},
         "Invalid fields in the request body: name."),
        ("customFields", {"label": "Language", "type": "text"}, "Invalid value for 'label' field."),
    ],
)  # fmt: skip
def test_a_bad_create_is_refused(sandbox: Any, person: int, path: str, body: dict[str, Any], words: str) -> None:
    answer = sandbox.raw(
        "POST", path, json={key: person if key == "personId" else value for key, value in body.items()}
    )
    assert (answer.status_code, answer.json()["errorMessage"]) == (400, words)


def test_a_note_is_for_somebody_who_is_there(sandbox: Any) -> None:
    assert sandbox.raw("POST", "notes", json={"personId": 5, "body": "x"}).status_code == 404


def test_our_note_carries_our_systems_name_and_is_no_persons_act(sandbox: Any, person: int) -> None:
    note = sandbox.fub().post("notes", {"personId": person, "body": "<b>x</b>", "isHtml": True})
    assert (note["systemName"], note["isExternal"], note["subject"], note["type"]) == ("leadpipe", True, "", "")
    assert read_human_action("notes", note) is None
    changed = sandbox.fub().put(f"notes/{note['id']}", {"body": "y"})
    assert changed["body"] == "y"
    assert sandbox.raw("DELETE", f"notes/{note['id']}").json() == {}
    assert sandbox.fub().find("notes", note["id"]) is None


@pytest.mark.parametrize(("what", "collection"), [("note", "notes"), ("call", "calls"), ("text", "textMessages")])
def test_an_agents_own_act_reads_as_a_persons(sandbox: Any, person: int, what: str, collection: str) -> None:
    act(sandbox, person, what)
    row = sandbox.fub().get(f"{collection}/1")
    action = read_human_action(collection, row)
    assert action is not None
    assert (action.person_id, action.kind) == (person, what)


def test_a_call_moves_the_persons_counters_and_a_mail_too(sandbox: Any, person: int) -> None:
    act(sandbox, person, "call")
    act(sandbox, person, "email")
    shown = sandbox.fub().get(f"people/{person}", {"fields": "allFields"})
    assert (shown["callsOutgoing"], shown["emailsSent"], shown["contacted"]) == (1, 1, 1)
    assert shown["lastOutgoingCall"] and shown["lastSentEmail"] and shown["lastOutgoingCallId"] == 1


def test_an_agents_text_hides_its_words_and_recordings_are_hidden(sandbox: Any, person: int) -> None:
    act(sandbox, person, "text")
    act(sandbox, person, "call")
    texts = sandbox.fub().get("textMessages", {"personId": person})["textmessages"]
    assert texts[0]["message"] == "* Body is hidden for privacy reasons *"
    assert sandbox.fub().get("calls/1")["recordingUrl"] == "* Recording URL is hidden for privacy reasons *"


def test_a_text_is_only_logged_and_cannot_be_changed(sandbox: Any, person: int) -> None:
    text = sandbox.fub().post(
        "textMessages", {"personId": person, "message": "hi", "toNumber": "+12815550101", "fromNumber": "+15005550006"}
    )
    assert (text["status"], text["isExternal"], text["isIncoming"]) == ("Sent", True, False)
    assert sandbox.control.messages() == []
    assert sandbox.raw("PUT", f"textMessages/{text['id']}", json={"message": "x"}).status_code == 404
    assert sandbox.raw("DELETE", f"textMessages/{text['id']}").status_code == 403


def test_a_call_may_be_of_nobody_we_know(sandbox: Any) -> None:
    row = sandbox.fub().post("calls", {"personId": 0, "phone": "(281) 555-0101", "isIncoming": True})
    assert (row["phone"], row["personId"]) == ("2815550101", 0)


def test_a_task_names_its_assignee_with_a_capital_and_is_done_with_a_one(sandbox: Any, person: int) -> None:
    task = sandbox.fub().post("tasks", {"personId": person, "name": "Call back", "assignedUserId": 3})
    assert (task["AssignedTo"], task["isCompleted"], task["type"]) == ("Priya Shah", 0, "Follow Up")
    assert sandbox.fub().put(f"tasks/{task['id']}", {"isCompleted": True})["isCompleted"] == 1
    assert sandbox.fub().get("tasks", {"isCompleted": "1"})["tasks"][0]["id"] == task["id"]


def test_a_deal_has_no_time_of_change_and_deleting_it_is_a_state(sandbox: Any, person: int) -> None:
    deal = sandbox.fub().post("deals", {"name": "A", "stageId": 102, "peopleIds": [person], "price": 400_000})
    assert "createdAt" in deal
    assert not {"created", "updated"} & set(deal)
    assert (deal["stageName"], deal["pipelineName"], deal["people"][0]["id"]) == ("Under Contract", "Buyers", person)
    sandbox.fub().delete(f"deals/{deal['id']}")
    assert sandbox.fub().get(f"deals/{deal['id']}")["status"] == "Deleted"


def test_an_appointment_must_resend_its_times_and_deleting_it_answers_nothing(sandbox: Any, person: int) -> None:
    body = {"title": "Showing", "start": "2026-05-13T15:00:00Z", "end": "2026-05-13T16:00:00Z",
            "invitees": [{"personId": person, "name": "Ana", "email": "a@example.com"}]}  # fmt: skip
    row = sandbox.fub().post("appointments", body)
    assert sandbox.raw("PUT", f"appointments/{row['id']}", json={"title": "X"}).status_code == 400
    assert sandbox.raw("PUT", f"appointments/{row['id']}", json={**body, "title": "X"}).json()["title"] == "X"
    assert sandbox.fub().get("appointments", {"personId": person})["appointments"][0]["id"] == row["id"]
    gone = sandbox.raw("DELETE", f"appointments/{row['id']}")
    assert (gone.status_code, gone.content) == (204, b"")


def test_times_bound_appointments_and_tasks(sandbox: Any, person: int) -> None:
    fub = sandbox.fub()
    for day in (13, 14, 15):
        at = f"2026-05-{day}T15:00:00Z"
        fub.post("appointments", {"title": str(day), "start": at, "end": at})
        fub.post("tasks", {"personId": person, "name": str(day), "dueDate": f"2026-05-{day}"})
    found = fub.get("appointments", {"start": "2026-05-14T00:00:00Z", "end": "2026-05-14T23:00:00Z"})
    assert [row["title"] for row in found["appointments"]] == ["14"]
    assert [row["name"] for row in fub.get("tasks", {"dueStart": "2026-05-14"})["tasks"]] == ["15", "14"]


def test_the_crms_own_unsubscribe_is_told_and_listed(sandbox: Any) -> None:
    from leadpipe.crm.optouts import KINDS

    person = sandbox.fub().post("people", {"emails": [{"value": "a@example.com"}]})["id"]
    url = f"{sandbox.config.gateway_url}/fub/hook"
    sandbox.fub().post("webhooks", {"event": "emEventsUnsubscribed", "url": url})
    act(sandbox, person, "unsubscribe")
    sandbox.wait(lambda: sandbox.gateway.at("/fub/hook"))
    (row,) = sandbox.fub().get("emEvents", {"type": "unsubscribe"})["emEvents"]
    assert (row["personId"], row["recipient"]) == (person, "a@example.com")
    assert row["type"] in KINDS


def test_marketing_events_name_whom_they_do_not_know(sandbox: Any) -> None:
    sandbox.fub().post("people", {"emails": [{"value": "a@example.com"}]})
    answer = sandbox.fub().post(
        "emEvents",
        {
            "emEvents": [
                {"type": "unsubscribe", "recipient": "a@example.com"},
                {"type": "open", "recipient": "b@example.com"},
            ]
        },
    )
    assert answer == {"emEventIds": [1], "recipientsNotFound": ["b@example.com"]}


def test_a_custom_fields_name_is_made_of_its_label(sandbox: Any) -> None:
    row = sandbox.fub().post("customFields", {"label": "Close Date", "type": "date", "hideIfEmpty": True})
    assert (row["name"], row["hideIfEmpty"], row["readOnly"]) == ("customCloseDate", True, False)
    assert row["name"] in {each["name"] for each in sandbox.fub().get("customFields", {"limit": 100})["customfields"]}


def test_an_agent_defines_no_custom_field(sandbox: Any) -> None:
    with pytest.raises(ConfigurationError, match="may not do that"):
        sandbox.fub(sandbox.config.fub_agent_key).post("customFields", {"label": "Mine", "type": "text"})


def test_a_score_field_can_be_written_once_it_is_defined(sandbox: Any, person: int) -> None:
    fub = sandbox.fub()
    assert {field.state for field in custom_fields.status(fub)} == {"missing"}
    with pytest.raises(Rejected, match="Invalid fields in the request body: customLeadpipeScore") as refusal:
        fub.put(f"people/{person}", {"customLeadpipeScore": 61.5})
    assert custom_fields.named_in(str(refusal.value)) == ("customLeadpipeScore",)
    assert all(field.is_right for field in custom_fields.install(fub))
    assert custom_fields.install(fub) == custom_fields.status(fub)
    fub.put(f"people/{person}", {"customLeadpipeScore": 61.5})
    assert fub.get(f"people/{person}", {"fields": "allFields"})["customLeadpipeScore"] == 61.5


@pytest.mark.parametrize(
    ("change", "state"), [({"type": "date"}, "other_type"), ({"readOnly": True}, "read_only"),
                          ({"name": "customLeadpipescore"}, "missing")]
)  # fmt: skip
def test_a_score_field_that_cannot_be_written_is_told_and_left_alone(
    sandbox: Any, change: dict[str, Any], state: str
) -> None:
    custom_fields.install(sandbox.fub())
    rows = sandbox.world.store.custom_fields
    number = next(n for n, row in rows.items() if row["name"] == "customLeadpipeScore")
    rows[number] |= change
    (field,) = [field for field in custom_fields.status(sandbox.fub()) if not field.is_right]
    assert (field.name, field.state) == ("customLeadpipeScore", state)
    assert "leadpipe webhooks install" in custom_fields.advice([field])


def test_small_tables_are_there(sandbox: Any) -> None:
    fub = sandbox.fub()
    assert [row["name"] for row in fub.get("stages", {"sort": "id"})["stages"]][0] == "Lead"
    assert fub.get("users", {"sort": "id"})["users"][0]["isOwner"] is True
    assert fub.get("pipelines")["pipelines"][0]["stages"][-1]["closedStage"] is True
    assert fub.get("timeframes/2")["name"] == "3-6 Months"
    assert sandbox.raw("DELETE", "users/2").status_code == 403
    assert fub.find("ponds", 1) is None


def test_every_row_the_sandbox_writes_fits_our_raw_tables(start: Any) -> None:
    sandbox = start(population={"aged": 60})
    fub, now = sandbox.fub(), sandbox.world.sandbox.now()
    person = sandbox.control.leads()[0]["person_id"]
    for what in ("note", "call", "text", "appointment", "deal"):
        act(sandbox, person, what)
    fub.post("tasks", {"personId": person, "name": "x", "assignedUserId": 2})
    for table in (tables.PEOPLE, tables.EVENTS, tables.NOTES, tables.CALLS, tables.TASKS, tables.APPOINTMENTS,
                  tables.USERS, tables.STAGES, tables.PIPELINES, tables.DEALS, tables.TEXT_MESSAGES):  # fmt: skip
        query = {"personId": person} if table.collection == "textMessages" else {"fields": "allFields"}
        rows = [row for page in fub.pages(table.collection, query) for row in page]
        assert rows, table.collection
        for row in rows:
            assert table.row(row, landed_by="poll", landed_at=now)[table.key] == row["id"]
