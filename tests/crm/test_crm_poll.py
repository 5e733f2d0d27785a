"""The polling pass over a sandbox by HTTP: the order of its steps, who is answered, and what it tells a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leadpipe.clock import read_offset, set_offset
from leadpipe.crm import tables, webhooks
from leadpipe.crm.sync import Sync
from leadpipe.errors import TransientError
from leadpipe.runtime import Runtime
from leadpipe.sandbox.world import World
from leadpipe.work import poll
from tests.crm.conftest import EMAIL, Account, Asking, held_message

pytestmark = pytest.mark.usefixtures("without_small_tables", "without_lake")
SMALL = poll.SMALL


@pytest.mark.usefixtures("lands")
def test_the_first_pass_reads_everyone_and_welcomes_nobody(
    runtime: Runtime, account: Account, ask: Asking, answered: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "SMALL", SMALL)
    account.control("population", aged=130)
    account.inquire(firstName="Ana", emails=EMAIL)
    done = poll.poll(runtime, channels={})
    assert done.failures == []
    assert done.is_first
    assert done.count_people == 131
    assert answered == []
    assert ask.one("select count(*) from ledger.people") == 131
    assert ask.lake("select count(*), count(distinct person_id) from raw.fub__people") == [(131, 131)]
    for table in ("events", "users", "stages", "pipelines", "appointments", "deals"):
        held = runtime.crm.get(table)["_metadata"]["total"]
        assert done.count_by_table[f"raw.fub__{table}"] == int(held) > 0
        assert ask.lake(f"select count(*) from raw.fub__{table}") == [(int(held),)]


@pytest.mark.usefixtures("lands")
def test_a_second_pass_lands_nothing_again_and_answers_only_who_is_new(
    runtime: Runtime, account: Account, ask: Asking, answered: list[int]
) -> None:
    account.control("population", aged=20)
    poll.poll(runtime, channels={})
    new = account.inquire(firstName="Ana", emails=EMAIL)
    done = poll.poll(runtime, channels={})
    assert answered == [new]
    assert done.count_by_table["raw.fub__people"] == 1
    assert done.count_by_table["raw.fub__events"] == 1
    assert poll.poll(runtime, channels={}).count_by_table["raw.fub__people"] == 0
    assert answered == [new]


def test_an_old_lead_s_new_inquiry_is_answered(runtime: Runtime, account: Account, answered: list[int]) -> None:
    old = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    assert account.inquire(emails=EMAIL) == old
    poll.poll(runtime, channels={})
    assert answered == [old]


def test_a_lead_whose_run_died_between_storing_and_answering_is_answered_by_the_next_pass(
    runtime: Runtime, account: Account, sync: Sync, ask: Asking, answered: list[int]
) -> None:
    poll.poll(runtime, channels={})
    lost = account.inquire(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now)
    sync.activity(tables.EVENTS, now=ask.now)
    poll.poll(runtime, channels={})
    assert answered == [], "for two minutes the run that stored it may be at work"
    account.control("clock", jump_seconds=180)
    set_offset(runtime.engine, read_offset(runtime.engine) + timedelta(seconds=180))
    runtime.clock._read_at = 0.0  # type: ignore[attr-defined] - a jump is read within half a second
    poll.poll(runtime, channels={})
    assert answered == [lost]


# the CRM's own opt-outs, plans and webhooks


def test_the_crm_s_unsubscribes_become_suppressions_once(
    runtime: Runtime, world: World, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=[*EMAIL, {"value": "second@example.com"}])
    other = account.add(firstName="Bo", emails=[{"value": "bo@example.com"}])
    poll.poll(runtime, channels={})
    world.store.add("emEvents", {"type": "unsubscribe", "personId": person_id, "recipient": "ana1@example.com"})
    world.store.add("emEvents", {"type": "open", "personId": other})
    world.store.add("emEvents", {"type": "spamreport", "personId": other})
    assert poll.poll(runtime, channels={}).count_unsubscribes == 2
    assert poll.poll(runtime, channels={}).count_unsubscribes == 0
    found = ask.ledger(
        "select address, channel, source from ledger.suppressions join ledger.contact_points c "
        "on c.id = contact_point_id order by 1"
    )
    assert [tuple(row) for row in found] == [
        ("ana1@example.com", "email", "fub_unsubscribe"),
        ("bo@example.com", "email", "fub_spam_report"),
    ]


def test_an_unsubscribed_event_of_a_lead_suppresses_their_email(
    runtime: Runtime, account: Account, ask: Asking
) -> None:
    poll.poll(runtime, channels={})
    account.inquire(kind="Unsubscribed", firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    assert ask.ledger("select channel, source from ledger.suppressions") == [("email", "fub_unsubscribed_event")]


def test_running_action_plans_beside_ours_are_counted_and_told(
    runtime: Runtime, world: World, account: Account, ask: Asking, sync: Sync
) -> None:
    both, only_theirs = (account.add(firstName="Ana", emails=[{"value": f"l{n}@example.com"}]) for n in range(2))
    sync.people(now=ask.now)
    held_message(ask, both)
    for person_id, status in ((both, "Running"), (only_theirs, "Running"), (both, "Paused")):
        world.store.add("actionPlansPeople", {"personId": person_id, "actionPlanId": 1, "status": status})
    done = poll.poll(runtime, channels={})
    assert done.count_action_plans_running == 1
    assert "1 leads" in ask.one("select body from ledger.alerts where kind = 'action_plans_running'")


def test_missing_and_disabled_webhooks_are_told_and_installed_ones_are_not(
    runtime: Runtime, world: World, account: Account, ask: Asking
) -> None:
    done = poll.poll(runtime, channels={})
    assert f"{webhooks.EVENTS[0]}: missing" in done.hooks_wrong
    assert "leadpipe webhooks install" in ask.one("select body from ledger.alerts where kind = 'webhook_missing'")
    hooks = webhooks.install(runtime.crm, runtime.settings)
    assert all(hook.is_right for hook in hooks)
    assert webhooks.install(runtime.crm, runtime.settings) == hooks
    runtime.crm.put(f"webhooks/{hooks[2].hook_id}", {"status": "Disabled"})
    assert [hook.state for hook in webhooks.status(runtime.crm, runtime.settings)].count("disabled") == 1
    assert all(hook.is_right for hook in webhooks.install(runtime.crm, runtime.settings))
    moved = runtime.settings.model_copy(update={"fub_webhook_token": SecretStr("new")})
    assert {hook.state for hook in webhooks.status(runtime.crm, moved)} == {"stale"}
    assert all(hook.is_right for hook in webhooks.install(runtime.crm, moved))
    assert webhooks.remove(runtime.crm, moved) == len(webhooks.EVENTS)
    assert {hook.state for hook in webhooks.status(runtime.crm, moved)} == {"missing"}


# when a source fails


def test_one_failing_source_stops_no_other_and_is_told_after_a_while(
    runtime: Runtime, account: Account, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll.poll(runtime, channels={})
    person_id = account.add(firstName="Ana", emails=EMAIL)

    def broken(self: Sync, table: tables.RawTable, *, now: Any) -> Any:
        raise TransientError(f"FUB GET /{table.collection}: HTTP 502 4 times")

    monkeypatch.setattr(Sync, "activity", broken)
    done = poll.poll(runtime, channels={})
    assert len(done.failures) == 5
    assert ask.person(person_id).first_name == "Ana"
    told: Callable[[], int] = lambda: ask.one("select count(*) from ledger.alerts where kind = 'poll_failed'")  # noqa: E731
    assert told() == 0
    with runtime.engine.begin() as connection:
        connection.execute(
            text("update ledger.watermarks set value = cast(:value as jsonb) where source = 'poll:events'"),
            {"value": json.dumps({"at": (ask.now - timedelta(minutes=20)).isoformat()})},
        )
    poll.poll(runtime, channels={})
    assert told() == 1


def test_a_refused_key_is_told_at_once_and_named(runtime: Runtime, ask: Asking) -> None:
    wrong = Runtime(runtime.settings.model_copy(update={"fub_api_key": SecretStr("fka_wrong_key")}))
    try:
        done = poll.poll(wrong, channels={})
    finally:
        wrong.close()
    assert done.failures
    body = ask.one("select body from ledger.alerts where kind = 'poll_failed'")
    assert "LEADPIPE_FUB_API_KEY" in body
    assert "fka_wrong_key" not in body + "".join(done.failures)


def test_the_first_pass_goes_live_once(runtime: Runtime, ask: Asking) -> None:
    with runtime.engine.begin() as connection:
        connection.execute(text("delete from ledger.controls where key = 'go_live'"))
    poll.poll(runtime, channels={})
    first = ask.one("select value ->> 'at' from ledger.controls where key = 'go_live'")
    poll.poll(runtime, channels={})
    assert ask.one("select value ->> 'at' from ledger.controls where key = 'go_live'") == first
