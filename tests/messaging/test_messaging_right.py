"""The right to send: nothing leaves a ledger that was copied, restored or put back, until a person takes the right."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from leadpipe.clock import FixedClock
from leadpipe.errors import ConfigurationError
from leadpipe.messaging import doubt, mark, review, right, take_over
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.doubt import Doubt
from leadpipe.messaging.drain import Budget, DrainReport, drain, run_worker
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.work import alerts, waiting, write_back
from tests.messaging.conftest import AddLead, FakeChannel, MakeIntent, Put

HOUR = timedelta(hours=1)


@pytest.fixture
def own(live_settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a home of this test's own, since the mark lies there."""
    return live_settings.model_copy(update={"home": tmp_path})


@pytest.fixture
def send(
    ledger_engine: Engine, own: Settings, clock: FixedClock, channels: dict[str, FakeChannel]
) -> Callable[..., DrainReport]:
    """A function that drains; keywords change settings."""

    def run(**changes: Any) -> DrainReport:
        return drain(
            engine=ledger_engine,
            channels=channels,
            settings=own.model_copy(update=changes),
            clock=clock,
            budget=Budget(max_messages=100, max_seconds=30),
        )

    return run


@pytest.fixture
def runtime(own: Settings, ledger_engine: Engine, clock: FixedClock) -> Generator[Runtime]:
    made = Runtime(own.model_copy(update={"alert_urls": ("json://team",)}))
    made.__dict__.update(engine=ledger_engine, clock=clock)
    yield made


@pytest.fixture
def elsewhere(ledger_engine: Engine) -> None:
    """The ledger says that it stands in another place, as a copy's does."""
    with ledger_engine.begin() as connection:
        connection.execute(
            text("update ledger.controls set value = jsonb_set(value, '{place,server}', '\"1\"') where key = :key"),
            {"key": right.KEY},
        )


def standing(engine: Engine, settings: Settings) -> right.Standing:
    with engine.connect() as connection:
        return right.standing(connection, settings)


def taken(engine: Engine, settings: Settings, clock: FixedClock, **more: Any) -> right.Standing:
    given: dict[str, Any] = {"by": "ana", "silent_since": None, "is_complete": False} | more
    return take_over.take_over(engine, settings, now=clock.now(), **given)


def caught_up(engine: Engine, clock: FixedClock) -> None:
    with engine.begin() as connection:
        take_over.note_caught_up(connection, now=clock.now())


def test_a_new_ledger_gives_its_right_once_to_who_sets_it_up(ledger_engine: Engine, own: Settings) -> None:
    found = standing(ledger_engine, own)
    assert (found.may_send, found.taken_by, found.epoch) == (True, "set-up", 1)
    assert not take_over.take_first(ledger_engine, own, now=datetime.now(UTC))


def test_a_ledger_that_was_sent_from_gives_its_right_to_nobody_by_itself(
    ledger_engine: Engine, own: Settings, add_lead: AddLead, intent: MakeIntent, put: Put, send: Any, clock: FixedClock
) -> None:
    put(intent(add_lead(1)))
    send()
    with ledger_engine.begin() as connection:
        connection.execute(text("delete from ledger.controls where key = :key"), {"key": right.KEY})
    assert not take_over.take_first(ledger_engine, own, now=clock.now())
    assert standing(ledger_engine, own).why == right.NEVER_TAKEN


@pytest.mark.usefixtures("elsewhere")
def test_from_a_copy_nothing_leaves(
    add_lead: AddLead, intent: MakeIntent, put: Put, send: Any, calls: Any, runtime: Runtime, rows: Any,
    clock: FixedClock,
) -> None:  # fmt: skip
    put(intent(add_lead(1)))
    with runtime.engine.begin() as connection:
        raise_alert(connection, kind="parked", dedupe_key="a", title="t", body="b", now=clock.now())
        connection.execute(
            text(
                "insert into ledger.writebacks (person_id, kind, marker, payload, created_at) "
                "values (1, 'note', 'm', '{\"body\": \"x\"}', :now)"
            ),
            {"now": clock.now()},
        )
    assert send().stopped_by == right.ELSEWHERE
    assert calls() == []
    assert [row.state for row in rows("messages")] == ["queued"]
    # Neither has a CRM to write to nor a phone to ring: both would raise.
    assert write_back.write_back(runtime).stopped_by == right.ELSEWHERE
    assert alerts.deliver_alerts(runtime, notify=None) == alerts.Alerted()
    with runtime.engine.connect() as connection:
        asked = (waiting.count_due, waiting.count_writebacks, waiting.count_alerts)
        assert [count(connection, runtime.settings, clock.now()) for count in asked] == [0, 0, 0]
    with pytest.raises(right.NoRightToSend, match="take-over"):
        right.must_be_here(runtime.engine, runtime.settings)


def test_the_claim_itself_refuses_a_right_that_went_while_the_drain_ran(
    ledger_engine: Engine, add_lead: AddLead, intent: MakeIntent, put: Put, send: Any, calls: Any, clock: FixedClock,
    channels: dict[str, FakeChannel], own: Settings,
) -> None:  # fmt: skip
    put(*(intent(add_lead(person)) for person in range(1, 40)))
    other = own.model_copy(update={"database_url": "postgresql://leadpipe@other.example/leadpipe"})

    def lose(_: Any) -> None:
        channels["email"].before = None
        taken(ledger_engine, other, clock, is_complete=True)

    channels["email"].before = lose
    assert send().stopped_by == right.ELSEWHERE
    assert 1 <= len(calls()) < 39


def test_another_address_of_the_same_server_is_another_place(
    add_lead: AddLead, intent: MakeIntent, put: Put, send: Any
) -> None:
    put(intent(add_lead(1)))
    assert send(database_url="postgresql://leadpipe@copy.example/leadpipe").stopped_by == right.ELSEWHERE
    assert send().counts == {"accepted": 1}


def test_a_ledger_that_went_back_is_known_by_the_mark_in_the_home_and_then_to_everybody(
    ledger_engine: Engine, own: Settings, add_lead: AddLead, intent: MakeIntent, put: Put, send: Any, calls: Any,
    clock: FixedClock, tmp_path: Path,
) -> None:  # fmt: skip
    put(intent(add_lead(1)))
    found = standing(ledger_engine, own)
    mark.write(tmp_path, ledger_id=found.ledger_id, epoch=found.epoch, mark=found.mark + 5)
    assert send().stopped_by == right.WENT_BACK
    # A sender with another home never saw the ledger further on.
    assert send(home=tmp_path / "other").stopped_by == right.WENT_BACK
    assert calls() == []
    taken(ledger_engine, own, clock, is_complete=True)
    assert send().counts == {"accepted": 1}


def test_every_drain_leaves_its_mark_in_the_home(
    ledger_engine: Engine, own: Settings, add_lead: AddLead, intent: MakeIntent, put: Put, send: Any, tmp_path: Path
) -> None:
    put(intent(add_lead(1)))
    send()
    send()
    found = standing(ledger_engine, own)
    assert json.loads((tmp_path / mark.FILE).read_text()) == {
        "ledger": found.ledger_id,
        "epoch": 1,
        "mark": found.mark,
    }
    (tmp_path / mark.FILE).write_text("no mark")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        send()


def test_threads_of_one_process_leave_their_marks_at_once(tmp_path: Path) -> None:
    def leave(worker: int) -> None:
        for number in range(200):
            mark.write(tmp_path, ledger_id="one", epoch=1, mark=1000 * worker + number)

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(leave, range(8)))
    assert [path.name for path in tmp_path.iterdir()] == [mark.FILE]
    assert mark.read(tmp_path, ledger_id="one", epoch=1) % 1000 == 199


@pytest.mark.usefixtures("elsewhere")
def test_a_ledger_that_only_moved_sends_on_at_once(
    ledger_engine: Engine, own: Settings, add_lead: AddLead, intent: MakeIntent, put: Put, send: Any, clock: FixedClock
) -> None:
    put(intent(add_lead(1), due_at=clock.now() - HOUR))
    found = taken(ledger_engine, own, clock, is_complete=True)
    assert (found.may_send, found.taken_by, found.epoch) == (True, "ana", 2)
    assert send().counts == {"accepted": 1}


@pytest.mark.usefixtures("elsewhere")
def test_after_a_take_over_nothing_leaves_before_all_was_read_and_then_only_what_is_not_in_doubt(
    ledger_engine: Engine, own: Settings, add_lead: AddLead, intent: MakeIntent, put: Put, send: Any, clock: FixedClock,
    rows: Any, calls: Any,
) -> None:  # fmt: skip
    silent_since = clock.now()
    put(intent(add_lead(1), due_at=silent_since - HOUR), intent(add_lead(2), due_at=silent_since))
    clock.advance(timedelta(minutes=10))
    found = taken(ledger_engine, own, clock, silent_since=silent_since)
    assert (found.is_here, found.may_send, found.why) == (True, False, right.CATCHING_UP)
    assert send().stopped_by == right.CATCHING_UP
    caught_up(ledger_engine, clock)
    assert send().counts == {"accepted": 1, "review": 1}
    assert [(row.person_id, row.state, row.code) for row in rows("messages")] == [
        (1, "review", "restored"),
        (2, "accepted", None),
    ]
    # What a person releases goes, once.
    (waits,) = [row.id for row in rows("messages") if row.state == "review"]
    assert review.release(ledger_engine, str(waits), by="ana", now=clock.now(), settings=own).state == "queued"
    assert send().counts == {"accepted": 1}
    assert len(calls()) == 2


@pytest.mark.usefixtures("elsewhere")
def test_a_send_worker_says_once_why_it_may_not_send_again_when_that_changes_and_when_it_may(
    ledger_engine: Engine, own: Settings, clock: FixedClock
) -> None:
    told: list[str] = []
    # What happens before each look; the second of two equal ones tells nothing.
    steps: list[Callable[[], object]] = [
        lambda: None,
        lambda: None,
        lambda: taken(ledger_engine, own, clock, silent_since=clock.now()),
        lambda: caught_up(ledger_engine, clock),
        lambda: None,
    ]

    def should_stop() -> bool:
        if not steps:
            return True
        steps.pop(0)()
        return False

    run_worker(
        engine=ledger_engine, channels={}, settings=own, clock=clock, should_stop=should_stop, idle_seconds=0,
        on_standing=told.append,
    )  # fmt: skip
    assert told == [right.ELSEWHERE, right.CATCHING_UP, ""]


@pytest.mark.usefixtures("elsewhere")
def test_a_move_after_a_restore_ends_no_doubt_and_saying_so_while_catching_up_does(
    ledger_engine: Engine, own: Settings, clock: FixedClock
) -> None:
    taken(ledger_engine, own, clock)
    caught_up(ledger_engine, clock)
    begun = standing(ledger_engine, own).doubt
    clock.advance(HOUR)
    assert taken(ledger_engine, own, clock, is_complete=True).doubt == begun
    taken(ledger_engine, own, clock)
    moved = taken(ledger_engine, own, clock, is_complete=True)
    assert (moved.may_send, moved.doubt) == (True, None)


def test_a_person_sees_what_will_follow_before(
    ledger_engine: Engine, own: Settings, add_lead: AddLead, intent: MakeIntent, put: Put, clock: FixedClock
) -> None:
    put(intent(add_lead(1), due_at=clock.now() - HOUR), intent(add_lead(2), due_at=clock.now() + HOUR))
    with ledger_engine.connect() as connection:
        follows = take_over.what_follows(connection, own, until=clock.now())
    assert (follows.count_in_doubt, follows.count_waiting, follows.since) == (1, 1, clock.now())


def test_a_take_over_looks_notes_up_and_drops_stages(ledger_engine: Engine, own: Settings, clock: FixedClock) -> None:
    with ledger_engine.begin() as connection:
        for kind in ("note", "task", "stage", "tags"):
            connection.execute(
                text(
                    "insert into ledger.writebacks (person_id, kind, marker, created_at) values (1, :kind, :kind, :now)"
                ),
                {"kind": kind, "now": clock.now()},
            )
    taken(ledger_engine, own, clock)
    with ledger_engine.connect() as connection:
        found = connection.execute(text("select kind, state from ledger.writebacks order by id")).all()
    assert [tuple(row) for row in found] == [
        ("note", "sending"), ("task", "sending"), ("stage", "superseded"), ("tags", "pending"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("since", "until", "nights"),
    [
        ("2026-03-03T10:00-06:00", "2026-03-03T18:00-06:00", 0),
        ("2026-03-03T23:00-06:00", "2026-03-04T05:00-06:00", 0),  # this night's run may still be under way
        ("2026-03-03T23:00-06:00", "2026-03-04T07:00-06:00", 1),
        ("2026-03-03T10:00-06:00", "2026-03-10T12:00-05:00", 7),
        ("2026-03-03T10:00-06:00", "2026-03-03T09:00-06:00", 0),
    ],
)
def test_nights_are_counted_by_the_teams_calendar(since: str, until: str, nights: int) -> None:
    begun, ended = datetime.fromisoformat(since), datetime.fromisoformat(until)
    assert doubt.nights_between(begun, ended, "America/Chicago") == nights


def test_what_is_in_doubt(
    ledger_engine: Engine, add_lead: AddLead, intent: MakeIntent, put: Put, clock: FixedClock
) -> None:
    """One message per line: made when, due when, for somebody who came when; all relative to the silence, in hours."""
    until = clock.now()
    taken_at, caught_up_at = until + HOUR, until + 2 * HOUR
    gap = Doubt(since=until - 20 * HOUR, until=until, taken_at=taken_at, caught_up_at=caught_up_at, nights=1)
    cases = [
        # made, due, person since, asked anew, purpose -> in doubt
        (-5.0, -1.0, -100.0, False, "marketing", True),  # waited, and was due
        (-5.0, 3.0, -100.0, False, "marketing", False),  # was due later
        (1.5, 1.5, -100.0, False, "marketing", True),  # made while catching up
        (1.5, 1.5, 0.5, False, "marketing", False),  # for somebody who came after
        (1.5, 1.5, -100.0, True, "inquiry_response", False),  # who asked after
        (1.5, 1.5, -100.0, False, "conversation", True),  # an answer to something of before, perhaps
        (3.0, 3.0, -100.0, False, "conversation", False),  # an answer to something of now
        (12.0, 12.0, -100.0, False, "marketing", True),  # planned in the night after
        (30.0, 30.0, -100.0, False, "marketing", False),  # planned in the second night after, of one
    ]
    wanted: dict[str, bool] = {}
    for number, (made, due, since, has_asked, purpose, is_doubtful) in enumerate(cases, start=1):
        lead = add_lead(number, asked_at=until + 0.5 * HOUR if has_asked else None)
        message = intent(lead, due_at=until + due * HOUR, purpose=purpose)
        put(message)
        wanted[message.id] = is_doubtful
        with ledger_engine.begin() as connection:
            connection.execute(
                text("update ledger.messages set created_at = :at where id = cast(:id as uuid)"),
                {"at": until + made * HOUR, "id": message.id},
            )
            connection.execute(
                text("update ledger.people set crm_created_at = :at where person_id = :id"),
                {"at": until + since * HOUR, "id": number},
            )
    with ledger_engine.connect() as connection:
        found = doubt.in_doubt(connection, list(wanted), gap, now=caught_up_at)
        assert {message_id: message_id in found for message_id in wanted} == wanted
        assert doubt.in_doubt(connection, list(wanted), None, now=caught_up_at) == set()
        assert doubt.in_doubt(connection, list(wanted), gap, now=caught_up_at + 100 * doubt.NIGHTLY) == set()


@pytest.mark.usefixtures("elsewhere")
def test_a_passage_in_doubt_asks_a_person_at_each_step_until_one_is_released(
    ledger_engine: Engine, own: Settings, add_lead: AddLead, intent: MakeIntent, put: Put, send: Any, clock: FixedClock,
    rows: Any,
) -> None:  # fmt: skip
    lead = add_lead(1)
    with ledger_engine.begin() as connection:
        enrolment = connection.execute(
            text(
                "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, step, opened_at, "
                "next_due_at) values (1, 'reactivation', '1', 1, 'first', :now, :due) returning id"
            ),
            {"now": clock.now() - 48 * HOUR, "due": clock.now() - HOUR},
        ).scalar_one()
    taken(ledger_engine, own, clock)
    caught_up(ledger_engine, clock)
    clock.advance(timedelta(days=2))
    put(intent(lead, enrolment_id=enrolment))
    assert send().counts == {"review": 1}
    (waits,) = [str(row.id) for row in rows("messages")]
    review.release(ledger_engine, waits, by="ana", now=clock.now(), settings=own)
    assert send().counts == {"accepted": 1}
    clock.advance(timedelta(days=4))
    put(intent(lead, enrolment_id=enrolment, step="second"))
    assert send().counts == {"accepted": 1}
