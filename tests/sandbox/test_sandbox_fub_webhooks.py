"""Follow Up Boss: webhooks, their signature, their delivery (FUB sheet 6)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from leadpipe.errors import ConfigurationError, Rejected
from leadpipe.gateway.signatures import is_from_fub
from leadpipe.sandbox.fub.notices import signature

KEY = "lp-test-system-key-0001"
BODY = (
    b'{"eventId":"5b0f6a52-6c1e-4f0b-9a55-0d9d3c1f7a10","eventCreated":"2025-03-04T05:06:07+00:00",'
    b'"event":"peopleUpdated","resourceIds":[101,102],"uri":"https://api.followupboss.com/v1/people?id=101,102"}'
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (BODY, "e204ac8d0fb0d67132ca20aca203778631c77e7fc8246e443ddccea9cbab4254"),
        (BODY.replace(b"/", b"\\/"), "ae6c192b12ce9c62907a388aef3a6b17cf7e369c169ec25adc9e80cb2fe7ad3a"),
    ],
)
def test_the_signature_is_the_sheets_worked_example(body: bytes, expected: str) -> None:
    assert signature(body, KEY) == expected
    assert is_from_fub(body, expected, [KEY])


def subscribe(sandbox: Any, *events: str) -> list[int]:
    hook = f"{sandbox.gateway_url}/fub/hook"
    return [sandbox.fub().post("webhooks", {"event": event, "url": hook})["id"] for event in events]


@pytest.fixture
def hooked(start: Any) -> Any:
    """A sandbox and a way to subscribe the gateway's place."""
    sandbox = start()
    sandbox.gateway_url = sandbox.config.gateway_url
    return sandbox


def notices(sandbox: Any) -> list[dict[str, Any]]:
    return [json.loads(each.body) for each in sandbox.gateway.at("/fub/hook")]


def test_managing_hooks(hooked: Any) -> None:
    fub = hooked.fub()
    number = subscribe(hooked, "peopleCreated")[0]
    assert fub.get(f"webhooks/{number}") == {
        "id": number, "status": "Active", "event": "peopleCreated", "url": f"{hooked.gateway_url}/fub/hook"
    }  # fmt: skip
    assert fub.put(f"webhooks/{number}", {"status": "Disabled"})["status"] == "Disabled"
    assert [hook["id"] for hook in fub.get("webhooks", {"status": "Disabled"})["webhooks"]] == [number]
    assert fub.get("webhooks", {"event": "notesCreated"})["webhooks"] == []
    gone = hooked.raw("DELETE", f"webhooks/{number}")
    assert (gone.status_code, gone.content) == (200, b"")
    with pytest.raises(Rejected, match="404"):
        fub.get(f"webhooks/{number}")


@pytest.mark.parametrize(
    "body",
    [
        {"event": "peopleVanished", "url": "https://hooks.example.com/x"},
        {"event": "peopleCreated", "url": "http://hooks.example.com/x"},
        {"event": "peopleCreated", "url": "http://127.0.0.1.evil.example/x"},
        {"event": "peopleCreated"},
        {"event": "peopleCreated", "url": "https://hooks.example.com/x", "secret": "s"},
    ],
)
def test_a_bad_hook_is_refused(hooked: Any, body: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="400"):
        hooked.fub().post("webhooks", body)


def test_two_hooks_an_event_and_no_more(hooked: Any) -> None:
    subscribe(hooked, "peopleCreated", "peopleCreated", "peopleUpdated")
    with pytest.raises(Rejected, match="400"):
        subscribe(hooked, "peopleCreated")


def test_our_own_command_installs_looks_and_removes(hooked: Any) -> None:
    from leadpipe.crm import webhooks
    from leadpipe.sandbox.environment import sandbox_environment
    from leadpipe.settings import Settings

    values = {name[9:].lower(): value for name, value in sandbox_environment(hooked.config).items()}
    ours = Settings(**values)
    assert {hook.state for hook in webhooks.status(hooked.fub(), ours)} == {"missing"}
    assert {hook.state for hook in webhooks.install(hooked.fub(), ours)} == {"active"}
    first = webhooks.status(hooked.fub(), ours)[0].hook_id
    hooked.fub().put(f"webhooks/{first}", {"status": "Disabled"})
    assert "disabled" in {hook.state for hook in webhooks.status(hooked.fub(), ours)}
    assert webhooks.remove(hooked.fub(), ours) > 3
    with pytest.raises(ConfigurationError):
        hooked.fub(hooked.config.fub_admin_key).get("webhooks")


def test_a_change_is_told_signed_over_the_raw_bytes(hooked: Any) -> None:
    subscribe(hooked, "peopleCreated", "peopleUpdated", "peopleTagsCreated", "peopleStageUpdated")
    person = hooked.fub().post("people", {"firstName": "Ana"})["id"]
    hooked.fub().put(f"people/{person}", {"tags": ["VIP"], "stage": "Contacted"})
    posted = hooked.wait(lambda: (found := hooked.gateway.at("/fub/hook")) and len(found) == 4 and found)
    for each in posted:
        assert is_from_fub(each.body, each.headers["fub-signature"], [KEY])
        assert each.headers["content-type"] == "application/json"
    by_event = {notice["event"]: notice for notice in notices(hooked)}
    assert by_event["peopleTagsCreated"]["data"] == {"tags": ["VIP"]}
    assert by_event["peopleStageUpdated"]["data"] == {"stage": "Contacted"}
    created = by_event["peopleCreated"]
    assert "data" not in created
    assert [int(number) for number in created["resourceIds"]] == [person]
    assert created["uri"] == f"https://api.followupboss.com/v1/people?id={person}"
    assert created["eventCreated"].endswith("+00:00")
    assert hooked.fub().get(f"people/{person}")["created"].endswith("Z")


def test_a_deletion_has_no_uri_and_child_records_send_none(hooked: Any) -> None:
    subscribe(hooked, "peopleDeleted", "notesDeleted", "notesCreated", "notesUpdated")
    person = hooked.fub().post("people", {"firstName": "Ana"})["id"]
    note = hooked.fub().post("notes", {"personId": person, "body": "x"})["id"]
    hooked.fub().put(f"notes/{note}", {"body": "y"})
    hooked.wait(lambda: len(notices(hooked)) == 2)
    hooked.raw("DELETE", f"people/{person}")
    hooked.wait(lambda: len(notices(hooked)) == 3)
    events = {notice["event"]: notice for notice in notices(hooked)}
    assert events["peopleDeleted"]["uri"] is None
    assert "notesDeleted" not in events
    # Ids of a note's notice are the note's, not the person's.
    assert [int(number) for number in events["notesCreated"]["resourceIds"]] == [note]


def test_changes_of_a_moment_share_one_notification(hooked: Any) -> None:
    subscribe(hooked, "peopleCreated")
    people = [hooked.world.store.people for _ in range(3)]

    async def create() -> list[int]:
        return [people[0].create({"firstName": str(number)}).id for number in range(120)]

    ids = hooked.board.run(create())
    hooked.wait(lambda: len(notices(hooked)) == 3)
    told = [int(number) for notice in notices(hooked) for number in notice["resourceIds"]]
    assert sorted(told) == ids


def test_slashes_are_escaped_in_some_and_some_ids_are_text(hooked: Any) -> None:
    subscribe(hooked, "peopleCreated")
    for number in range(8):
        hooked.fub().post("people", {"firstName": str(number)})
        hooked.wait(lambda number=number: len(notices(hooked)) == number + 1)
    bodies = [each.body for each in hooked.gateway.at("/fub/hook")]
    assert {b"\\/" in body for body in bodies} == {True, False}
    payloads = [hooked.world.webhooks._payload("peopleCreated", [7], None) for _ in range(200)]
    assert {type(payload["resourceIds"][0]) for payload in payloads} == {int, str}


def test_a_failed_delivery_is_tried_again_when_its_minutes_have_passed(hooked: Any) -> None:
    subscribe(hooked, "peopleCreated")
    hooked.gateway.statuses = [503, 302, 200]
    hooked.fub().post("people", {"firstName": "Ana"})
    hooked.wait(lambda: len(hooked.gateway.posted) == 1)
    assert hooked.control.answered_webhooks() == []
    hooked.control.jump(timedelta(seconds=61))
    hooked.wait(lambda: len(hooked.gateway.posted) == 2)
    hooked.control.jump(timedelta(seconds=299))
    hooked.wait(lambda: hooked.world.sandbox.delivery.count_under_way == 0)
    assert len(hooked.gateway.posted) == 2
    hooked.control.jump(timedelta(seconds=5))
    hooked.wait(lambda: len(hooked.gateway.posted) == 3)
    bodies = {each.body for each in hooked.gateway.posted}
    assert len(bodies) == 1
    event_id = json.loads(bodies.pop())["eventId"]
    assert hooked.wait(hooked.control.answered_webhooks) == [event_id]


def test_after_five_retries_it_is_gone(hooked: Any) -> None:
    subscribe(hooked, "peopleCreated")
    hooked.gateway.statuses = [500] * 10
    hooked.fub().post("people", {"firstName": "Ana"})
    for count in range(1, 7):
        hooked.wait(lambda count=count: len(hooked.gateway.posted) == count)
        hooked.control.jump(timedelta(hours=1))
    hooked.wait(lambda: hooked.control.summary()["waiting_jobs"] == 0)
    assert len(hooked.gateway.posted) == 6
    assert hooked.control.answered_webhooks() == []


@pytest.mark.parametrize("status", [406, 410])
def test_a_406_or_410_deletes_the_hook(hooked: Any, status: int) -> None:
    subscribe(hooked, "peopleCreated")
    hooked.gateway.statuses = [status]
    hooked.fub().post("people", {"firstName": "Ana"})
    hooked.wait(lambda: hooked.fub().get("webhooks")["webhooks"] == [])
    assert len(hooked.gateway.posted) == 1


def test_a_hook_that_fails_for_nine_days_is_disabled(hooked: Any) -> None:
    number = subscribe(hooked, "peopleCreated")[0]
    hooked.gateway.statuses = [500] * 5
    hooked.fub().post("people", {"firstName": "Ana"})
    hooked.wait(lambda: len(hooked.gateway.posted) == 1)
    hooked.control.jump(timedelta(days=8))
    hooked.wait(lambda: len(hooked.gateway.posted) == 2)
    assert hooked.fub().get(f"webhooks/{number}")["status"] == "Active"
    hooked.control.jump(timedelta(days=2))
    hooked.wait(lambda: hooked.fub().get(f"webhooks/{number}")["status"] == "Disabled")


def test_a_past_notification_is_found_with_or_without_dashes(hooked: Any) -> None:
    subscribe(hooked, "peopleCreated")
    hooked.fub().post("people", {"firstName": "Ana"})
    event_id = hooked.wait(lambda: notices(hooked) and notices(hooked)[0]["eventId"])
    found = hooked.fub().get(f"webhookEvents/{event_id}")
    assert found == hooked.fub().get(f"webhookEvents/{event_id.replace('-', '')}")
    assert found["event"] == "peopleCreated"
    with pytest.raises(Rejected, match="404"):
        hooked.fub().get("webhookEvents/0")


def test_notifications_are_lost_repeated_delayed_and_reordered_as_told(hooked: Any) -> None:
    subscribe(hooked, "peopleCreated")

    def told() -> list[str]:
        return [notice["eventId"] for notice in notices(hooked)]

    hooked.control.set_faults({"fub_webhook_lost": 1.0})
    hooked.fub().post("people", {"firstName": "lost"})
    hooked.wait(lambda: hooked.control.summary()["waiting_jobs"] == 0)
    assert told() == []
    hooked.control.set_faults({"fub_webhook_repeated": 1.0})
    hooked.fub().post("people", {"firstName": "twice"})
    hooked.wait(lambda: len(told()) == 2)
    assert len(set(told())) == 1
    hooked.control.set_faults({"fub_webhook_delayed": {"times": 1, "value": 3.0}})
    late = hooked.fub().post("people", {"firstName": "late"})["id"]
    hooked.wait(lambda: hooked.world.sandbox.faults.struck["fub_webhook_delayed"])
    early = hooked.fub().post("people", {"firstName": "early"})["id"]
    hooked.wait(lambda: len(told()) == 4)
    order = [int(number) for notice in notices(hooked)[2:] for number in notice["resourceIds"]]
    assert order == [early, late]
    assert hooked.world.sandbox.faults.as_json()["struck"]["fub_webhook_lost"] == 1
