"""The state machine: the table of moves, and what a move writes to the real ledger."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from leadpipe.clock import FixedClock
from leadpipe.messaging import enqueue, protocol
from leadpipe.messaging.protocol import (
    LOOKED_UP,
    MOVES,
    NEEDS_REASON,
    TERMINAL,
    UNSURE,
    WAITING,
    WENT_OUT,
    Event,
    IllegalMove,
    Move,
    State,
    database_refusals,
)
from leadpipe.settings import Settings
from leadpipe.store.tables.sending import MESSAGE_STATES

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, MakeIntent


def test_the_ledger_and_the_protocol_know_the_same_states() -> None:
    assert tuple(State) == MESSAGE_STATES


def test_every_state_is_reached_and_every_state_is_waiting_unsure_out_or_over() -> None:
    reached = {after for table in MOVES.values() for afters in table.values() for after in afters}
    assert reached == set(State)
    assert set(State) == WAITING | UNSURE | WENT_OUT | TERMINAL


def test_only_a_claim_starts_a_call_and_only_from_queued_or_held() -> None:
    starts = {
        (event, before) for event, table in MOVES.items() for before, afters in table.items() if State.SENDING in afters
    }
    assert starts == {(Event.CLAIM, State.QUEUED), (Event.CLAIM, State.HELD)}


def test_what_may_have_left_never_waits_again_except_after_a_call_that_certainly_did_nothing() -> None:
    back = {
        (event, before)
        for event, table in MOVES.items()
        for before, afters in table.items()
        if before in UNSURE | WENT_OUT and afters & WAITING
    }
    assert back == {(Event.OUTCOME, State.SENDING), (Event.OUTCOME, State.UNKNOWN)}


def test_a_message_that_is_over_moves_only_when_the_provider_says_worse() -> None:
    onward = {
        (before, after) for table in MOVES.values() for before, afters in table.items() for after in afters
        if before in TERMINAL
    }  # fmt: skip
    assert onward == {
        (State.DELIVERED, State.BOUNCED),
        (State.DELIVERED, State.COMPLAINED),
        (State.BOUNCED, State.COMPLAINED),
    }


@pytest.fixture
def message_id(
    ledger_engine: Engine, live_settings: Settings, clock: FixedClock, add_lead: AddLead, intent: MakeIntent
) -> str:
    wanted = intent(add_lead(1))
    enqueue.enqueue(ledger_engine, [wanted], clock=clock, settings=live_settings, run_key="r")
    return wanted.id


def test_a_move_that_the_table_forbids_raises_names_both_states_and_writes_nothing(
    ledger_engine: Engine, clock: FixedClock, message_id: str
) -> None:
    with ledger_engine.begin() as connection, pytest.raises(IllegalMove, match="outcome does not lead from queued"):
        protocol.move(connection, [Move(message_id=message_id, event=Event.OUTCOME, to=State.ACCEPTED)], at=clock.now())
    with ledger_engine.connect() as connection:
        assert connection.execute(text("select state from ledger.messages")).scalar_one() == "queued"
        assert connection.execute(text("select count(*) from ledger.message_events")).scalar_one() == 1


def test_a_move_of_an_unknown_message_raises(ledger_engine: Engine, clock: FixedClock) -> None:
    ghost = "00000000-0000-0000-0000-000000000001"
    with ledger_engine.begin() as connection, pytest.raises(IllegalMove, match="from None"):
        protocol.move(
            connection, [Move(message_id=ghost, event=Event.CANCEL, to=State.CANCELLED, code="x")], at=clock.now()
        )


def test_late_reports_are_returned_instead_of_raised(ledger_engine: Engine, clock: FixedClock, message_id: str) -> None:
    report = Move(message_id=message_id, event=Event.CALLBACK, to=State.DELIVERED)
    with ledger_engine.begin() as connection:
        assert protocol.move_where_legal(connection, [report], at=clock.now()) == [report]


EVERY = [(event, to) for event in Event for to in State]


def legal_from(state: State) -> list[tuple[Event, State]]:
    return [(event, to) for event, to in EVERY if protocol.is_legal(event, state, to)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(walk=st.lists(st.tuples(st.booleans(), st.integers(0, 10_000)), min_size=5, max_size=25))
def test_any_sequence_of_reports_leaves_a_log_that_leads_from_the_first_state_to_the_present_one(
    walk: list[tuple[bool, int]],
    ledger_engine: Engine,
    clock: FixedClock,
    message_id: str,
) -> None:
    state, ids = State.QUEUED, set[str]()
    with ledger_engine.connect() as connection:
        for number, (is_lawful, choice) in enumerate(walk):
            choices = (is_lawful and legal_from(state)) or EVERY
            event, to = choices[choice % len(choices)]
            clock.advance(timedelta(seconds=1))
            made = Move(message_id=message_id, event=event, to=to, code="why", provider="ses", provider_id=f"p{number}")
            refused = protocol.move_where_legal(connection, [made], at=clock.now())
            assert bool(refused) != protocol.is_legal(event, state, to)
            state = state if refused else to
            ids |= set() if refused else {f"p{number}"}
        row = connection.execute(text("select state, provider_id, accepted_at from ledger.messages")).one()
        log = connection.execute(
            text("select from_state, to_state, event, at from ledger.message_events order by id")
        ).all()
        connection.rollback()
    assert row.state == state == log[-1].to_state
    assert log[0].from_state is None
    assert all(after.from_state == before.to_state for before, after in pairwise(log))
    out = [entry.at for entry in log if entry.to_state in WENT_OUT]
    assert row.accepted_at == (out[0] if out else None)
    # Written once, by the first move that knew it.
    assert row.provider_id == (min(ids, key=lambda name: int(name[1:])) if ids else None)


EVERY_STATE = [None, *State]


def test_the_ledger_holds_the_moves_of_the_protocol(ledger_engine: Engine) -> None:
    with ledger_engine.connect() as connection:
        stored = {tuple(row) for row in connection.execute(text("select * from ledger.message_moves"))}
    known = {(e, before, after) for e, table in MOVES.items() for before, afters in table.items() for after in afters}
    assert stored == known, "protocol.MOVES changed: write a migration that changes table and triggers alike"


# Tries every pair in a transaction of its own within one call, and answers which the ledger took.
_TRY_STATES = """
create function pg_temp.taken(id uuid, pairs text[][]) returns table (before text, after text) language plpgsql as $$
declare pair text[];
begin
  foreach pair slice 1 in array pairs loop
    perform set_config('session_replication_role', 'replica', true);
    update ledger.messages m set state = pair[1] where m.id = taken.id;
    perform set_config('session_replication_role', 'origin', true);
    begin
      update ledger.messages m set state = pair[2], code = 'why' where m.id = taken.id;
      before := pair[1]; after := pair[2]; return next;
    exception when sqlstate 'LP001' then null;
    end;
  end loop;
end $$
"""
_TRY_EVENTS = """
create function pg_temp.logged(id uuid, tried text[][])
returns table (event text, before text, after text) language plpgsql as $$
declare one text[];
begin
  foreach one slice 1 in array tried loop
    begin
      insert into ledger.message_events (message_id, event, from_state, to_state, at)
      values (logged.id, one[1], nullif(one[2], ''), one[3], '2026-03-03');
      event := one[1]; before := nullif(one[2], ''); after := one[3]; return next;
    exception when sqlstate 'LP001' then null;
    end;
  end loop;
end $$
"""


def test_the_ledger_takes_exactly_the_moves_of_the_protocol(ledger_engine: Engine, message_id: str) -> None:
    pairs = [[before, after] for before in State for after in State]
    with ledger_engine.begin() as connection:
        connection.execute(text(_TRY_STATES))
        found = connection.execute(
            text("select * from pg_temp.taken(cast(:id as uuid), cast(:pairs as text[][]))"),
            {"id": message_id, "pairs": [[str(state) for state in pair] for pair in pairs]},
        )
        taken = {(State(before), State(after)) for before, after in found}
        connection.rollback()
    wanted = {(b, a) for b, a in pairs if b is a or any(protocol.is_legal(event, b, a) for event in Event)}
    assert taken == wanted


def test_the_ledger_logs_exactly_the_events_of_the_protocol(ledger_engine: Engine, message_id: str) -> None:
    names = [*(str(event) for event in Event), LOOKED_UP, "anything"]
    tried = [[name, str(before or ""), str(after)] for name in names for before in EVERY_STATE for after in State]
    with ledger_engine.begin() as connection:
        connection.execute(text(_TRY_EVENTS))
        found = connection.execute(
            text("select * from pg_temp.logged(cast(:id as uuid), cast(:tried as text[][]))"),
            {"id": message_id, "tried": tried},
        )
        logged = {tuple(row) for row in found}
        connection.rollback()
    moves = {(e, before, after) for e, table in MOVES.items() for before, afters in table.items() for after in afters}
    assert logged == moves | {(LOOKED_UP, state, state) for state in State}


@pytest.mark.parametrize("state", State)
def test_a_message_is_born_only_where_the_protocol_begins(ledger_engine: Engine, message_id: str, state: State) -> None:
    copy = text(
        "insert into ledger.messages (id, person_id, contact_point_id, plan, step, occurrence, channel, purpose, body, "
        "state, code, due_at, created_at, changed_at) select gen_random_uuid(), person_id, contact_point_id, plan, "
        "'second', occurrence, channel, purpose, body, :state, 'why', due_at, created_at, changed_at "
        "from ledger.messages"
    )
    with ledger_engine.begin() as connection:
        if protocol.is_legal(Event.ENQUEUE, None, state):
            connection.execute(copy, {"state": state})
        else:
            with pytest.raises(IllegalMove, match=f"no event leads from nothing to {state}"), database_refusals():
                connection.execute(copy, {"state": state})


def test_what_the_database_refuses_is_an_illegal_move_that_names_both_states_and_writes_nothing(
    ledger_engine: Engine, clock: FixedClock, message_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "is_legal", lambda *_: True)
    wild = Move(message_id=message_id, event=Event.CALLBACK, to=State.DELIVERED)
    with (
        pytest.raises(IllegalMove, match=f"message {message_id}: no event leads from queued to delivered; nothing was"),
        ledger_engine.begin() as connection,
    ):
        protocol.write(connection, [(State.QUEUED, wild)], at=clock.now())
    with ledger_engine.connect() as connection:
        assert connection.execute(text("select state from ledger.messages")).scalar_one() == "queued"
        assert connection.execute(text("select count(*) from ledger.message_events")).scalar_one() == 1


@pytest.mark.parametrize("state", sorted(NEEDS_REASON))
def test_no_message_ends_unsent_or_waits_for_a_person_without_a_reason(
    ledger_engine: Engine, clock: FixedClock, message_id: str, state: State
) -> None:
    before = next(b for table in MOVES.values() for b, afters in table.items() if b and state in afters)
    event = next(event for event in Event if protocol.is_legal(event, before, state))
    with ledger_engine.begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(text("update ledger.messages set state = :state"), {"state": before})
    with ledger_engine.begin() as connection, pytest.raises(IllegalMove, match=f"not become {state} without a reason"):
        protocol.write(connection, [(before, Move(message_id=message_id, event=event, to=state))], at=clock.now())
    with (
        pytest.raises(IllegalMove, match=f"not become {state} without a reason"),
        database_refusals(),
        ledger_engine.begin() as connection,
    ):
        connection.execute(text("update ledger.messages set state = :state, code = ''"), {"state": state})


@pytest.mark.parametrize(
    "change",
    ["update ledger.message_events set code = 'x'", "delete from ledger.message_events",
     "truncate ledger.message_events"],
    ids=["update", "delete", "truncate"],
)  # fmt: skip
def test_the_log_of_moves_stays_as_it_was_written(ledger_engine: Engine, message_id: str, change: str) -> None:
    with ledger_engine.begin() as connection, pytest.raises(DatabaseError, match="message_events is append-only"):
        connection.execute(text(change))
