"""What polling cannot see: deletions, merges, Trash and changes that the sweep finds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leadpipe.crm import totals, touched, watermark
from leadpipe.crm.sync import Sync
from leadpipe.runtime import Runtime
from leadpipe.sandbox.world import World
from leadpipe.work import poll
from leadpipe.work.sweep import sweep as nightly_sweep
from tests.crm.conftest import EMAIL, Account, Asking, held_message

pytestmark = pytest.mark.usefixtures("without_small_tables", "without_lake")


def newest_rows(ask: Asking, person_id: int) -> list[Any]:
    return ask.lake(
        f"select stage, is_deleted, landed_by from raw.fub__people where person_id = {person_id} order by landed_at"
    )


@pytest.mark.usefixtures("lands")
def test_a_deleted_lead_is_tombstoned_once_its_own_get_says_404(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "MOST_PAGES_ELSE", -1)  # an account too large to be walked by day
    gone, here = (account.add(firstName="Ana", emails=[{"value": f"l{n}@example.com"}]) for n in range(2))
    poll.poll(runtime, channels={})
    held_message(ask, gone)
    account.delete(gone)
    poll.poll(runtime, channels={})
    assert ask.person(gone).deleted_at is None, "polling cannot see it"
    swept = nightly_sweep(runtime)
    assert swept.gone_ids == (gone,)
    assert ask.person(gone).deleted_at is not None
    assert ask.person(here).deleted_at is None
    assert ask.ledger("select state, code from ledger.messages") == [("cancelled", "deleted_in_crm")]
    assert newest_rows(ask, gone)[-1][1:] == (True, "sweep")
    assert nightly_sweep(runtime).gone_ids == ()


@pytest.mark.usefixtures("lands")
def test_a_deletion_nobody_told_of_is_found_by_the_next_poll_where_the_list_is_short_enough(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    gone, here = (account.add(firstName="Ana", emails=[{"value": f"l{n}@example.com"}]) for n in range(2))
    poll.poll(runtime, channels={})
    account.delete(gone)
    assert poll.poll(runtime, channels={}).count_gone == 1
    assert ask.person(gone).deleted_at is not None
    assert ask.person(here).deleted_at is None


def test_a_merge_is_followed_and_the_plan_goes_on_with_the_winner(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    winner = account.add(firstName="Ana", emails=[{"value": "ana@example.com"}])
    loser = account.add(firstName="Ana", emails=[{"value": "ana@work.example"}])
    poll.poll(runtime, channels={})
    message_id = held_message(ask, loser)
    account.merge(winner, loser)
    poll.poll(runtime, channels={})
    assert (ask.person(loser).stage, ask.person(loser).merged_into) == ("Trash", winner)
    assert set(ask.points(winner)) == {"ana@example.com", "ana@work.example"}
    assert ask.ledger("select person_id, state from ledger.enrolments") == [(winner, "open")]
    moved = ask.ledger("select person_id, state from ledger.messages where id = cast(:id as uuid)", id=message_id)
    assert moved == [(winner, "held")]


def test_a_merge_of_two_who_both_met_the_plan_keeps_the_winner_s_own_passage(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    winner = account.add(firstName="Ana", emails=[{"value": "ana@example.com"}])
    loser = account.add(firstName="Ana", emails=[{"value": "ana@work.example"}])
    poll.poll(runtime, channels={})
    held_message(ask, winner)
    held_message(ask, loser)
    account.merge(winner, loser)
    poll.poll(runtime, channels={})
    kept = ask.ledger("select person_id, state, end_reason from ledger.enrolments order by id")
    assert kept == [(winner, "open", None), (loser, "ended", "merged")]
    left = ask.ledger("select person_id, state, code from ledger.messages order by person_id")
    assert left == [(winner, "held", None), (loser, "cancelled", "merged")]


def test_a_lead_in_trash_stops_and_one_taken_back_out_is_a_lead_again(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    held_message(ask, person_id)
    account.change(person_id, stage="Trash")
    poll.poll(runtime, channels={})
    assert ask.person(person_id).stage == "Trash"
    assert ask.ledger("select state from ledger.messages") == [("cancelled",)]
    account.change(person_id, stage="Lead")
    poll.poll(runtime, channels={})
    assert (ask.person(person_id).stage, ask.person(person_id).deleted_at) == ("Lead", None)


@pytest.mark.usefixtures("lands")
def test_a_change_in_the_second_of_the_last_reading_is_found_by_the_sweep(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    account.change(person_id, firstName="Changed")
    updated_at = account.updated_at(person_id)
    with runtime.engine.begin() as connection:  # the CRM's stamp has whole seconds, so both versions carry this one
        connection.execute(
            text("update ledger.people set crm_updated_at = :at, refreshed_at = :at"), {"at": updated_at}
        )
    assert nightly_sweep(runtime).reread_ids == (person_id,)
    assert ask.person(person_id).first_name == "Changed"
    with runtime.engine.begin() as connection:
        connection.execute(text("update ledger.people set refreshed_at = refreshed_at + interval '3 seconds'"))
    assert nightly_sweep(runtime).reread_ids == ()


@pytest.mark.usefixtures("lands")
def test_a_missed_change_is_repaired_by_the_sweep(runtime: Runtime, account: Account, ask: Asking, sync: Sync) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    poll.poll(runtime, channels={})
    account.change(person_id, firstName="Changed")
    for source in ("fub_people", touched.SOURCE):
        watermark.write(runtime.engine, source, ask.now + timedelta(days=1), now=ask.now)
    poll.poll(runtime, channels={})
    assert ask.person(person_id).first_name == "Ana"
    assert nightly_sweep(runtime).reread_ids == (person_id,)
    assert ask.person(person_id).first_name == "Changed"


@pytest.mark.usefixtures("lands")
def test_when_a_tenth_of_everyone_vanishes_nobody_is_tombstoned_and_a_person_is_told(
    runtime: Runtime, world: World, account: Account, ask: Asking
) -> None:
    account.control("population", aged=60)
    poll.poll(runtime, channels={})
    agent_key = SecretStr(world.sandbox.config.fub_agent_key)
    narrowed = Runtime(runtime.settings.model_copy(update={"fub_api_key": agent_key}))
    try:
        swept = nightly_sweep(narrowed)
    finally:
        narrowed.close()
    assert swept.gone_ids == ()
    assert swept.count_missing_unbelieved > 25
    assert ask.one("select count(*) from ledger.people where deleted_at is not null") == 0
    assert ask.one("select kind from ledger.alerts where kind = 'people_missing'") == "people_missing"


def test_before_the_first_sync_a_sweep_does_nothing(runtime: Runtime, account: Account, ask: Asking) -> None:
    account.add(firstName="Ana", emails=EMAIL)
    assert nightly_sweep(runtime).count_seen == 0
    assert ask.one("select count(*) from ledger.people") == 0
