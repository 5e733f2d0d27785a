"""People take over, hand-offs are repeated until somebody acts, and quiet ends when it is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from leadpipe.clock import FixedClock
from leadpipe.conversation import handoff, queue, takeover
from leadpipe.crm.human_actions import HumanAction, read_human_action, store_human_actions
from leadpipe.outreach import enrol
from leadpipe.outreach.golive import record_go_live
from leadpipe.settings import Settings
from tests.conversation.conftest import AddPerson, ReadReplies, Rows, Say, Write

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def live(ledger_engine: Engine, clock: FixedClock) -> datetime:
    """The team went live three days ago."""
    at = clock.now() - timedelta(days=3)
    with ledger_engine.begin() as connection:
        record_go_live(connection, at)
    return at


@pytest.fixture
def act(ledger_engine: Engine, settings: Settings, clock: FixedClock, live: datetime) -> Callable[..., tuple[int, ...]]:
    """A function by which somebody of the team acts in the CRM and the intake tells of it; returns who is paused."""
    ids = iter(range(100, 200))

    def run(person_id: int = 1, *, kind: str = "call", at: datetime | None = None) -> tuple[int, ...]:
        action = HumanAction(person_id=person_id, kind=kind, crm_id=str(next(ids)), user_id=7, at=at or clock.now())
        touched = store_human_actions(ledger_engine, [action], now=clock.now())
        return takeover.pause_for_people(ledger_engine, touched, settings=settings, now=clock.now())

    return run


@pytest.mark.parametrize("kind", ["call", "text", "email", "note"])
def test_any_act_of_a_person_pauses_automation_cancels_what_waits_and_closes_the_hand_off(
    kind: str,
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    rows: Rows,
    act: Callable[..., tuple[int, ...]],
    clock: FixedClock,
) -> None:
    add_person()
    write(state="delivered")
    say("does it have a garage?")
    read_replies()
    waiting = write()
    clock.advance(timedelta(minutes=5))
    assert act(kind=kind) == (1,)
    assert rows("select automation_paused_reason as why from ledger.people") == [{"why": "human_acted"}]
    state = rows("select state, code from ledger.messages where id = cast(:id as uuid)", id=waiting)
    assert state == [{"state": "cancelled", "code": "human_acted"}]
    assert rows("select closed_by from ledger.handoffs") == [{"closed_by": "human_acted"}]
    assert rows("select state, awaits from ledger.conversations") == [{"state": "paused", "awaits": "nobody"}]


def test_a_human_act_takes_plans_out_as_their_files_say(
    add_person: AddPerson, rows: Rows, act: Callable[..., tuple[int, ...]], ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person()
    entry = enrol.Entry(
        person_id=1, plan="nurture", plan_version="v", occurrence=1, step="agent_first",
        due_at=clock.now() + timedelta(days=1), reason="positive_reply", context={},
    )  # fmt: skip
    with ledger_engine.begin() as connection:
        enrol.open_passages(connection, [entry], now=clock.now())
    act()
    assert rows("select state, end_reason from ledger.enrolments") == [
        {"state": "done", "end_reason": "agent_took_over"}
    ]


def test_acts_from_before_going_live_pause_nobody(
    add_person: AddPerson, rows: Rows, act: Callable[..., tuple[int, ...]], live: datetime
) -> None:
    """The first sync brings years of calls; they must not silence the whole list."""
    add_person()
    assert act(at=live - timedelta(days=400)) == ()
    assert rows("select automation_paused_at as at from ledger.people") == [{"at": None}]
    assert act(at=live + timedelta(minutes=1)) == (1,)


def test_after_a_resume_only_a_newer_act_pauses_again(
    add_person: AddPerson,
    rows: Rows,
    act: Callable[..., tuple[int, ...]],
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    add_person()
    act()
    clock.advance(timedelta(hours=1))
    with ledger_engine.begin() as connection:
        assert takeover.resume(connection, 1, by="resumed", now=clock.now())
        assert not takeover.resume(connection, 1, by="resumed", now=clock.now())
    assert rows("select automation_paused_at as at from ledger.people") == [{"at": None}]
    assert act(at=clock.now() - timedelta(minutes=90)) == (), "an older act that was told late"
    clock.advance(timedelta(minutes=1))
    assert act() == (1,)


def test_our_own_notes_are_no_human_acts() -> None:
    """What we write comes back as a webhook; it must not pause what wrote it."""
    ours = {
        "id": 5, "personId": 1, "created": "2026-03-03T16:00:00Z", "createdById": 1, "systemName": "leadpipe",
        "body": "Lead wrote\n[leadpipe turn:1]",
    }  # fmt: skip
    assert read_human_action("notes", ours) is None
    assert read_human_action("notes", ours | {"systemName": None, "body": "called her, nice talk"}) is not None


def test_a_lead_can_be_handed_over_once_and_is_told_again_with_each_new_reason(
    add_person: AddPerson, rows: Rows, ledger_engine: Engine, settings: Settings, clock: FixedClock
) -> None:
    add_person()
    with ledger_engine.begin() as connection:
        for reason, inbound_id in (("question", 1), ("question", 1), ("appointment", 2)):
            handoff.open_handoff(
                connection, person_id=1, reason=reason, inbound_id=inbound_id, settings=settings, now=clock.now()
            )
    assert rows("select reason, alerts from ledger.handoffs") == [{"reason": "question", "alerts": 1}]
    assert len(rows("select 1 from ledger.writebacks where kind = 'task'")) == 1
    titles = [row["title"] for row in rows("select title from ledger.alerts order by id")]
    assert titles[0] == "Lead 1 asks a question"
    assert titles[-1] == "Lead 1 asks for an appointment"


def test_nobody_acts_so_the_agent_is_told_again_ever_more_seldom_and_then_no_more(
    add_person: AddPerson, rows: Rows, ledger_engine: Engine, settings: Settings, clock: FixedClock
) -> None:
    add_person()
    with ledger_engine.begin() as connection:
        handoff.open_handoff(
            connection, person_id=1, reason="appointment", inbound_id=1, settings=settings, now=clock.now()
        )
    told_after: list[float] = []
    opened = clock.now()
    for _ in range(400):
        clock.advance(timedelta(minutes=30))
        with ledger_engine.connect() as connection:
            is_due = handoff.count_due(connection, now=clock.now())
        count = handoff.repeat_due(ledger_engine, now=clock.now())
        assert count == is_due
        if count:
            told_after.append((clock.now() - opened) / timedelta(hours=1))
    assert told_after == [0.5, 2.5, 10.5, 34.5, 58.5, 106.5]
    assert rows("select alerts from ledger.handoffs") == [{"alerts": 7}]
    assert rows("select title from ledger.alerts order by id desc limit 1") == [
        {"title": "Lead 1 asks for an appointment, reminder 6"}
    ]


def test_a_closed_hand_off_is_repeated_no_more_and_the_next_one_is_a_new_one(
    add_person: AddPerson, rows: Rows, ledger_engine: Engine, settings: Settings, clock: FixedClock
) -> None:
    add_person()
    with ledger_engine.begin() as connection:
        first = handoff.open_handoff(
            connection, person_id=1, reason="question", inbound_id=1, settings=settings, now=clock.now()
        )
        assert handoff.close(connection, [1], by="human_acted", now=clock.now()) == 1
    clock.advance(timedelta(days=1))
    assert handoff.repeat_due(ledger_engine, now=clock.now()) == 0
    with ledger_engine.begin() as connection:
        second = handoff.open_handoff(
            connection, person_id=1, reason="question", inbound_id=2, settings=settings, now=clock.now()
        )
    assert second != first
    assert len(rows("select 1 from ledger.writebacks where kind = 'task'")) == 2


@pytest.mark.parametrize(
    ("words", "days"),
    [("not right now, maybe later", 90), ("maybe in 6 months", 180), ("in a few weeks maybe, not now", 30)],
)
def test_quiet_ends_when_the_time_the_lead_named_is_over(
    words: str,
    days: int,
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    rows: Rows,
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    add_person()
    write(state="delivered")
    say(words)
    read_replies()
    assert rows("select automation_paused_reason as why from ledger.people") == [{"why": "later"}]
    clock.advance(timedelta(days=days - 1))
    assert takeover.resume_due(ledger_engine, now=clock.now()) == 0
    clock.advance(timedelta(days=2))
    with ledger_engine.connect() as connection:
        assert takeover.count_due(connection, now=clock.now()) == 1
    assert takeover.resume_due(ledger_engine, now=clock.now()) == 1
    assert rows("select automation_paused_at as at from ledger.people") == [{"at": None}]


def test_a_human_pause_is_never_ended_by_time(
    add_person: AddPerson, act: Callable[..., tuple[int, ...]], ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person()
    act()
    clock.advance(timedelta(days=2_000))
    assert takeover.resume_due(ledger_engine, now=clock.now()) == 0


def test_the_queue_shows_who_awaits_what_since_when(
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    act: Callable[..., tuple[int, ...]],
    ledger_engine: Engine,
    clock: FixedClock,
) -> None:
    for person_id in range(1, 6):
        add_person(person_id)
        write(person_id, state="delivered")
    asked_at = clock.now()
    say("does it have a garage?", address="+15125550101")
    say("STOP", address="+15125550102")
    say("no thanks, not interested", address="+15125550103")
    read_replies()
    clock.advance(timedelta(hours=1))
    say("hello? anybody?", address="+15125550104")
    act(5)
    shown = {row["person_id"]: row for row in queue.rows(ledger_engine, now=clock.now())}
    assert {key: (r["state"], r["awaits"], r["reason"]) for key, r in shown.items()} == {
        1: ("handed_off", "agent", "question"),
        3: ("paused", "agent", "not_interested"),
        4: ("unread", "assistant", ""),
        5: ("paused", "nobody", "human_acted"),
    }
    assert shown[1]["since_at"] == asked_at + timedelta(seconds=3)
    assert shown[1]["count_alerts"] == 1
    assert shown[4]["since_at"] == clock.now()
    table = queue.table(ledger_engine, now=clock.now())
    assert table.schema == queue.SCHEMA
    assert table.num_rows == 4


def test_a_pause_by_the_leads_own_words_never_replaces_one_by_a_human(
    add_person: AddPerson, act: Callable[..., tuple[int, ...]], rows: Rows, ledger_engine: Engine, clock: FixedClock
) -> None:
    add_person()
    act()
    with ledger_engine.begin() as connection:
        takeover.pause(connection, 1, reason="later", now=clock.now())
        assert connection.execute(text("select automation_paused_reason from ledger.people")).scalar() == "human_acted"
