"""Notices of the CRM, worked off by the first-touch pass."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from leadpipe.crm import inbox, intake, sweep
from leadpipe.crm.intake import Wanted
from leadpipe.crm.sync import Sync
from leadpipe.errors import BadRecord
from leadpipe.gateway import replay
from leadpipe.runtime import Runtime
from leadpipe.sandbox.world import World
from leadpipe.work import first_touch
from tests.crm.conftest import EMAIL, Account, Asking
from tests.store.sessions import end_all_sessions

pytestmark = pytest.mark.usefixtures("without_small_tables", "without_lake")


def put_notices(runtime: Runtime, **kinds: int) -> None:
    with runtime.engine.begin() as connection:
        for kind, record_id in kinds.items():
            connection.execute(
                text(
                    "insert into ledger.inbox (source, kind, dedupe_key, body, received_at) "
                    "values ('fub', :kind, :key, convert_to(:body, 'utf8'), :now)"
                ),
                {
                    "kind": kind,
                    "key": f"{kind}-{record_id}",
                    "body": json.dumps({"resourceIds": [record_id]}),
                    "now": runtime.clock.now(),
                },
            )


def test_a_deleted_person_s_notice_tombstones_and_an_unsubscribe_s_notice_suppresses(
    runtime: Runtime, world: World, account: Account, ask: Asking, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_last_known", lambda *_: [])
    here, gone = (account.add(firstName="Ana", emails=[{"value": f"l{n}@example.com"}]) for n in range(2))
    sync.people(now=ask.now)
    account.delete(gone)
    row = world.store.add("emEvents", {"type": "unsubscribe", "personId": here})
    put_notices(runtime, peopleDeleted=gone, emEventsUnsubscribed=row["id"])
    first_touch.answer_new_leads(runtime, linger_seconds=0, channels={})
    assert ask.person(gone).deleted_at is not None
    assert ask.person(here).deleted_at is None
    assert ask.ledger("select channel, source from ledger.suppressions") == [("email", "fub_unsubscribe")]
    assert {row.state for row in ask.ledger("select state from ledger.inbox")} == {"handled"}


def test_a_notice_that_cannot_be_worked_off_does_not_take_the_others_with_it(
    runtime: Runtime, account: Account, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_id = account.inquire(firstName="Ana", emails=EMAIL)
    take_in = intake.take_in

    def fussy(wanted: Wanted, **more: Any) -> Any:
        if 999 in wanted.people:
            raise BadRecord("a record that nobody can read")
        return take_in(wanted, **more)

    monkeypatch.setattr(intake, "take_in", fussy)
    put_notices(runtime, peopleUpdated=999, peopleCreated=person_id)
    done = first_touch.answer_new_leads(runtime, linger_seconds=0, channels={})
    assert done.count_notices == 2
    assert ask.person(person_id).outcome == "enrolled"
    states = ask.ledger("select kind, state, reason from ledger.inbox order by id")
    assert [tuple(row) for row in states] == [
        ("peopleUpdated", "new", "a record that nobody can read"),
        ("peopleCreated", "handled", None),
    ]


def test_notices_that_nobody_can_process_are_kept_aside_with_the_reason_shown_and_replayable(
    runtime: Runtime, account: Account, ask: Asking
) -> None:
    person_id = account.inquire(firstName="Ana", emails=EMAIL)
    put_notices(runtime, nonsenseHappened=7, peopleUpdated=-7, peopleCreated=person_id)
    done = first_touch.answer_new_leads(runtime, linger_seconds=0, channels={})
    assert (done.count_notices, done.failures) == (3, [])
    assert ask.person(person_id).outcome == "enrolled"
    kept = replay.rows(runtime, state="kept_aside")
    assert [(row.kind, row.reason) for row in reversed(kept)] == [
        ("nonsenseHappened", "unknown event: this version does not know what it asks for"),
        ("peopleUpdated", "1 of its 1 ids are none"),
    ]
    assert first_touch.answer_new_leads(runtime, linger_seconds=0, channels={}).count_notices == 0
    replay.replay(runtime, [row.id for row in kept])
    assert first_touch.answer_new_leads(runtime, linger_seconds=0, channels={}).count_notices == 2


def test_notices_are_given_back_at_once_when_postgresql_dies_under_a_pass_and_when_it_is_there_again(
    runtime: Runtime, account: Account, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_id = account.inquire(firstName="Ana", emails=EMAIL)
    put_notices(runtime, peopleCreated=person_id)
    take_in, give_back = intake.take_in, inbox.give_back
    fails = iter(("lake", "ledger"))

    def dying(*what: Any, **more: Any) -> Any:
        match next(fails, None):
            case "lake":
                with runtime.lake.connect(read_only=True) as connection:
                    connection.begin()
                    connection.execute("from ducklake_snapshots('lake')").fetchall()
                    end_all_sessions(runtime.database_url)
                    connection.execute("from ducklake_snapshots('lake')").fetchall()
            case "ledger":
                with runtime.engine.connect() as connection:
                    end_all_sessions(runtime.database_url)
                    connection.execute(text("select 1"))
        return take_in(*what, **more)

    away = iter(range(2))

    def give_back_later(*what: Any, **more: Any) -> None:
        if next(away, None) is not None:
            raise OperationalError("update ledger.inbox", {}, psycopg.OperationalError("the database is starting up"))
        give_back(*what, **more)

    monkeypatch.setattr(intake, "take_in", dying)
    monkeypatch.setattr(inbox, "give_back", give_back_later)
    for _ in range(2):
        done = first_touch.answer_new_leads(runtime, linger_seconds=0, channels={})
        assert len(done.failures) == 1
        (row,) = ask.ledger("select state, attempts, lease_expires_at from ledger.inbox")
        assert (row.state, row.attempts) == ("new", 0)
        assert row.lease_expires_at <= ask.now + first_touch.RETRY_AFTER
        with runtime.engine.begin() as connection:
            connection.execute(text("update ledger.inbox set lease_expires_at = null"))
    assert first_touch.answer_new_leads(runtime, linger_seconds=0, channels={}).failures == []
    assert ask.person(person_id).outcome == "enrolled"


def test_our_own_notes_are_not_read_back(runtime: Runtime, account: Account, ask: Asking) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    ours = runtime.crm.post("notes", {"personId": person_id, "body": "by us"})["id"]
    with runtime.engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.writebacks (person_id, kind, marker, state, crm_id, created_at) "
                "values (:person, 'note', 'm-1', 'done', :crm, :now)"
            ),
            {"person": person_id, "crm": str(ours), "now": ask.now},
        )
    assert intake._not_ours(runtime.engine, "notes", {ours, 77}) == {77}
