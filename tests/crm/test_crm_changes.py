"""What changes at the CRM do to a lead here: acts of the team pause, changes re-judge, stop stages end."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from leadpipe.crm import intake
from leadpipe.crm.intake import Wanted
from leadpipe.crm.sync import Sync
from leadpipe.runtime import Runtime
from leadpipe.work import poll
from tests.crm.conftest import EMAIL, Account, Asking, held_message

pytestmark = pytest.mark.usefixtures("without_small_tables", "without_lake")


def test_what_agents_do_is_recorded_and_pauses_automation_for_that_lead(
    runtime: Runtime, account: Account, ask: Asking
) -> None:
    poll.poll(runtime, channels={})
    leads = {
        act: account.add(firstName=act, emails=[{"value": f"{act}@example.com"}], phones=[{"value": "+15125550142"}])
        for act in ("call", "note", "text")
    }
    for act, person_id in leads.items():
        account.control("act", what=act, person_id=person_id)
    poll.poll(runtime, channels={})
    seen = ask.ledger("select kind, person_id from ledger.human_actions")
    assert {("call", leads["call"]), ("note", leads["note"]), ("text", leads["text"])} <= {tuple(row) for row in seen}
    for person_id in leads.values():
        assert ask.person(person_id).automation_paused_reason == "human_acted"
        assert ask.person(person_id).last_human_at is not None


def test_people_in_conversation_are_read_with_their_texts_at_every_pass(
    account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL, phones=[{"value": "+15125550142"}])
    assert sync.conversations([person_id], now=ask.now).human_ids == []
    account.control("act", what="text", person_id=person_id)
    assert sync.conversations([person_id], now=ask.now).human_ids == [person_id]
    assert sync.conversations([person_id], now=ask.now).person_ids == [], "the same as before"


def test_an_email_of_the_team_pauses_too_though_it_moves_no_updated(
    runtime: Runtime, account: Account, ask: Asking
) -> None:
    poll.poll(runtime, channels={})
    person_id = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    with runtime.engine.begin() as connection:
        connection.execute(text("update ledger.people set last_human_at = null"))
    account.control("act", what="email", person_id=person_id)
    email_id = max(row["id"] for page in runtime.crm.pages("emails", {"personId": person_id}) for row in page)
    taken = intake.take_in(
        Wanted(emails={email_id}), crm=runtime.crm, lake=runtime.lake, engine=runtime.engine, now=ask.now
    )
    assert taken.human_ids == (person_id,)
    assert ask.one("select kind from ledger.human_actions where person_id = :id", id=person_id) == "email"


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "Nurture"},
        {"assignedUserId": 3},
        {"price": 123_456},
        {
            "addresses": [
                {"type": "home", "street": "", "city": "Denver", "state": "CO", "code": "80202", "country": "US"}
            ]
        },
    ],
    ids=["stage", "agent", "price", "place"],
)
def test_a_change_of_what_is_judged_re_judges_what_is_held(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync, change: dict[str, Any]
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now)
    message_id = held_message(ask, person_id)
    account.change(person_id, firstName="Another name")
    sync.people(now=ask.now)
    assert ask.one("select not_before_at > :now from ledger.messages", now=ask.now), "a name re-judges nothing"
    account.change(person_id, **change)
    sync.people(now=ask.now)
    assert ask.one(
        "select not_before_at <= :now from ledger.messages where id = cast(:id as uuid)", id=message_id, now=ask.now
    )


def test_a_stop_stage_ends_the_plans_and_cancels_what_waits_at_once(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now)
    held_message(ask, person_id)
    account.change(person_id, stage="Under Contract")
    sync.people(now=ask.now)
    assert ask.ledger("select state, code from ledger.messages") == [("cancelled", "stop_stage")]
    assert ask.ledger("select state, end_reason from ledger.enrolments") == [("ended", "stop_stage")]
