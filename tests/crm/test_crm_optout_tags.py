"""A refusal reaches the account as a tag, once, and its echo moves nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from leadpipe.crm import intake
from leadpipe.messaging.suppression import suppress
from leadpipe.outreach.first_touch import plan_new_leads
from leadpipe.work.write_back import write_back

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime
    from tests.crm.conftest import Account, Asking

TABLES = "messages", "suppressions", "writebacks", "decisions", "enrolments", "human_actions", "alerts"


def hear_of(runtime: Runtime, person_id: int) -> None:
    """What a webhook about the person leads to, up to the first message."""
    now = runtime.clock.now()
    intake.take_in(
        intake.Wanted(people={person_id}),
        crm=runtime.crm,
        lake=runtime.lake,
        engine=runtime.engine,
        now=now,
        settings=runtime.settings,
    )
    plan_new_leads(
        runtime.engine,
        [person_id],
        listings_by_person={},
        market_facts={},
        settings=runtime.settings,
        clock=runtime.clock,
    )


def test_a_bounce_adds_its_tag_to_the_lead_s_own_and_the_tag_coming_back_does_nothing(
    runtime: Runtime, account: Account, ask: Asking
) -> None:
    old = (ask.now - timedelta(days=200)).strftime("%Y-%m-%dT%H:%M:%SZ")
    person_id = account.add(firstName="Ana", emails=[{"value": "ana@example.com"}], tags=["VIP"], createdAt=old)
    hear_of(runtime, person_id)
    point = ask.one("select id from ledger.contact_points where address = 'ana@example.com'")
    for _ in range(2):
        with runtime.engine.begin() as connection:
            suppress(connection, contact_point_id=point, channels=("email",), source="bounce", at=ask.now, now=ask.now)
    assert write_back(runtime).count_done == 1
    before = {name: ask.one(f"select count(*) from ledger.{name}") for name in TABLES}
    judged = ask.person(person_id)
    for _ in range(2):
        hear_of(runtime, person_id)
    after = ask.person(person_id)
    assert after.tags == ["VIP", "leadpipe bounced"]
    assert {name: ask.one(f"select count(*) from ledger.{name}") for name in TABLES} == before
    assert (after.outcome, after.last_human_at, after.automation_paused_at) == (judged.outcome, None, None)
    assert write_back(runtime).count_done == 0
