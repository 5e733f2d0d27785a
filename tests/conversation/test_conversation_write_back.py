"""What is journalled reaches the CRM once, whatever happens on the way. Over HTTP against the sandbox."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from leadpipe.clock import FixedClock
from leadpipe.crm import custom_fields
from leadpipe.crm.client import FubClient
from leadpipe.crm.ratelimit import LIMITS, WINDOW_SECONDS, RateLimiter
from leadpipe.crm.writeback import Written, carry_out
from leadpipe.crm.writeback_journal import LEASE, MAX_ATTEMPTS, WITHOUT_FIELDS, WriteBack, journal
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.store.rate_budget import OwnBudget
from leadpipe.work.write_back import write_back
from tests.conversation.conftest import AddPerson, ReadReplies, Rows, Say, Write
from tests.conversation.serving import Served, serving

if TYPE_CHECKING:
    from sqlalchemy import Engine

STATES = "select kind, state, code, crm_id, attempts from ledger.writebacks order by id"


@pytest.fixture
def sandbox() -> Generator[Served]:
    with serving() as served:
        yield served


def unhurried() -> RateLimiter:
    """A limiter for which an hour passes between two calls."""
    hours = itertools.count(0.0, 3_600.0)
    budget = OwnBudget(LIMITS, window_seconds=WINDOW_SECONDS, now=lambda: next(hours))
    return RateLimiter(budget, sleep=lambda seconds: None)


@pytest.fixture
def crm(sandbox: Served) -> Generator[FubClient]:
    config = sandbox.world.sandbox.config
    client = FubClient(
        base_url=f"{sandbox.url}/fub/v1",
        api_key=config.fub_api_key,
        system=config.fub_system,
        system_key=config.fub_system_key,
        limiter=unhurried(),
        sleep=lambda seconds: None,
    )
    yield client
    client.close()


@pytest.fixture
def person(crm: FubClient) -> int:
    """A person of the sandbox's CRM."""
    made = crm.post("people", {"firstName": "Ana", "emails": [{"value": "ana1@example.com"}], "tags": ["VIP"]})
    return int(made["id"])


@pytest.fixture
def put(ledger_engine: Engine, clock: FixedClock) -> Callable[..., int]:
    """A function that journals writes."""

    def run(*items: WriteBack) -> int:
        with ledger_engine.begin() as connection:
            return journal(connection, items, now=clock.now())

    return run


@pytest.fixture
def carry(ledger_engine: Engine, crm: FubClient, clock: FixedClock) -> Callable[..., Written]:
    """A function that runs one write-back pass."""

    def run(client: Any = None) -> Written:
        return carry_out(engine=ledger_engine, crm=client or crm, clock=clock, worker="w")

    return run


def notes(crm: FubClient, person_id: int) -> list[str]:
    return [str(row["body"]) for page in crm.pages("notes", {"personId": person_id}) for row in page]


def note(person_id: int, marker: str = "turn:1", body: str = "Lead wrote by text: hello") -> WriteBack:
    return WriteBack(person_id=person_id, kind="note", marker=marker, payload={"subject": "s", "body": body})


def test_note_task_tags_stage_and_fields_are_written_and_tags_are_added_to_what_is_there(
    crm: FubClient, person: int, put: Callable[..., int], carry: Callable[..., Written], rows: Rows
) -> None:
    put(
        note(person),
        WriteBack(person_id=person, kind="task", marker="handoff:1",
                  payload={"name": "Lead asks a question", "type": "Call", "dueDate": "2026-03-03",
                           "assignedUserId": None}),
        WriteBack(person_id=person, kind="tags", marker="tags:1", payload={"tags": ["leadpipe interested"]}),
        WriteBack(person_id=person, kind="stage", marker="stage:1", payload={"stage": "Nurture"}),
    )  # fmt: skip
    done = carry()
    assert (done.count_done, done.count_failed, done.count_waiting) == (4, 0, 0), rows(STATES)
    assert notes(crm, person) == ["Lead wrote by text: hello\n[leadpipe turn:1]"]
    tasks = [row["name"] for page in crm.pages("tasks", {"personId": person}) for row in page]
    assert tasks == ["Lead asks a question [leadpipe handoff:1]"]
    seen = crm.people([person])[0]
    assert set(seen["tags"]) == {"VIP", "leadpipe interested"}
    assert seen["stage"] == "Nurture"
    assert carry().count_done == 0


@pytest.mark.parametrize("fault", ["fub_500_after", "fub_drop_after"])
@pytest.mark.parametrize("kind", ["note", "task"])
def test_a_write_whose_answer_was_lost_is_looked_up_and_not_written_twice(
    fault: str,
    kind: str,
    sandbox: Served,
    crm: FubClient,
    person: int,
    put: Callable[..., int],
    carry: Callable[..., Written],
    rows: Rows,
    clock: FixedClock,
) -> None:
    payload = {"body": "hello"} if kind == "note" else {"name": "Call", "type": "Call"}
    put(WriteBack(person_id=person, kind=kind, marker="x:1", payload=payload))
    sandbox.faults(**{fault: 1.0})
    assert carry().count_retry == 1
    sandbox.faults()
    clock.advance(timedelta(minutes=5))
    assert carry().count_done == 1
    found = [row for page in crm.pages(f"{kind}s", {"personId": person}) for row in page]
    assert len(found) == 1
    assert rows(STATES)[0]["crm_id"] == str(found[0]["id"])


def test_a_process_killed_between_the_post_and_its_record_writes_one_note(
    crm: FubClient,
    person: int,
    put: Callable[..., int],
    carry: Callable[..., Written],
    rows: Rows,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(note(person))

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("leadpipe.crm.writeback.end", die)
        with pytest.raises(KeyboardInterrupt):
            carry()
    assert len(notes(crm, person)) == 1
    assert rows(STATES)[0]["state"] == "sending"
    assert carry().count_done == 0, "the dead worker's lease still holds"
    clock.advance(LEASE + timedelta(seconds=1))
    assert carry().count_done == 1
    assert len(notes(crm, person)) == 1


def test_a_lookup_that_fails_does_not_forget_that_the_note_may_be_there(
    sandbox: Served,
    crm: FubClient,
    person: int,
    put: Callable[..., int],
    carry: Callable[..., Written],
    clock: FixedClock,
) -> None:
    """The second pass cannot look; the third must still look before it writes."""
    put(note(person))
    sandbox.faults(fub_drop_after=1.0)
    carry()
    sandbox.faults(fub_500=1.0)
    clock.advance(timedelta(minutes=5))
    assert carry().count_retry == 1
    sandbox.faults()
    clock.advance(timedelta(minutes=10))
    assert carry().count_done == 1
    assert len(notes(crm, person)) == 1


def test_a_refused_key_keeps_every_write_and_tells_a_person_once(
    sandbox: Served, person: int, put: Callable[..., int], carry: Callable[..., Written], rows: Rows, crm: FubClient
) -> None:
    put(note(person, "turn:1"), note(person, "turn:2"), note(person, "turn:3"))
    wrong = FubClient(
        base_url=f"{sandbox.url}/fub/v1", api_key="wrong", system="leadpipe", system_key="wrong",
        limiter=unhurried(), sleep=lambda seconds: None,
    )  # fmt: skip
    with wrong:
        done = carry(wrong)
    assert (done.stopped_by, done.count_failed, done.count_waiting) == ("configuration", 0, 3)
    assert {(row["state"], row["attempts"]) for row in rows(STATES)} == {("pending", 0)}
    assert len(rows("select 1 from ledger.alerts where kind = 'crm_refuses'")) == 1
    assert carry().count_done == 3


def test_one_write_that_can_never_be_done_leaves_the_others_alone(
    person: int, put: Callable[..., int], carry: Callable[..., Written], rows: Rows
) -> None:
    put(
        WriteBack(person_id=person, kind="fields", marker="f:1", payload={"customNobodyDefined": 1}),
        note(person),
        WriteBack(person_id=person, kind="carrier_pigeon", marker="p:1", payload={}),
    )
    done = carry()
    assert (done.count_done, done.count_failed) == (1, 2)
    assert [row["state"] for row in rows(STATES)] == ["failed", "done", "failed"]


def test_scores_wait_while_the_account_lacks_their_fields_and_a_person_is_told_once(
    person: int, put: Callable[..., int], carry: Callable[..., Written], rows: Rows, crm: FubClient, clock: FixedClock
) -> None:
    put(
        WriteBack(person_id=person, kind="fields", marker="f:1", payload={"customLeadpipeScore": 61.5}),
        WriteBack(person_id=person + 1, kind="fields", marker="f:2", payload={"customLeadpipeScore": 12.0}),
        note(person),
    )
    done = carry()
    assert (done.count_done, done.count_failed, done.count_retry) == (1, 0, 2)
    assert [(row["state"], row["attempts"]) for row in rows(STATES)] == [("pending", 0), ("pending", 0), ("done", 1)]
    (alert,) = rows("select body from ledger.alerts where kind = 'crm_fields_missing'")
    assert "customLeadpipeScore" in alert["body"]
    assert "leadpipe webhooks install" in alert["body"]
    custom_fields.install(crm)
    assert carry().count_done == 0
    clock.advance(WITHOUT_FIELDS)
    carry()
    assert crm.get(f"people/{person}", {"fields": "allFields"})["customLeadpipeScore"] == 61.5


def test_a_write_that_never_gets_through_is_given_up_with_its_reason(
    put: Callable[..., int], rows: Rows, ledger_engine: Engine, clock: FixedClock
) -> None:
    put(note(1))
    down = FubClient(
        base_url="http://crm.example", api_key="k", system="s", system_key="k",
        limiter=unhurried(), sleep=lambda seconds: None,
        transport=httpx.MockTransport(lambda request: httpx.Response(503)),
    )  # fmt: skip
    with down:
        for _ in range(MAX_ATTEMPTS):
            carry_out(engine=ledger_engine, crm=down, clock=clock, worker="w")
            clock.advance(timedelta(hours=1))
    row = rows(STATES)[0]
    assert (row["state"], row["attempts"]) == ("failed", MAX_ATTEMPTS)
    assert "attempts" in row["code"]


def test_the_same_marker_is_journalled_once(put: Callable[..., int], rows: Rows) -> None:
    assert put(note(1), note(1, "turn:2")) == 2
    assert put(note(1)) == 0
    assert len(rows(STATES)) == 2


def test_fields_that_have_not_left_travel_with_the_newer_ones(put: Callable[..., int], rows: Rows) -> None:
    """A newer write of a person's fields supersedes the older; what only the older one held must not be lost."""
    put(WriteBack(person_id=1, kind="fields", marker="a", payload={"customScore": 10, "customBand": "low"}))
    put(WriteBack(person_id=2, kind="fields", marker="b", payload={"customScore": 20}))
    put(WriteBack(person_id=1, kind="fields", marker="c", payload={"customBand": "high"}))
    put(WriteBack(person_id=1, kind="fields", marker="c", payload={"customBand": "again"}))
    found = rows("select marker, state, payload from ledger.writebacks order by id")
    assert [(row["marker"], row["state"], row["payload"]) for row in found] == [
        ("a", "superseded", {"customScore": 10, "customBand": "low"}),
        ("b", "pending", {"customScore": 20}),
        ("c", "pending", {"customScore": 10, "customBand": "high"}),
    ]


def test_a_conversation_leaves_one_note_for_each_turn_in_the_crm(
    sandbox: Served,
    crm: FubClient,
    settings: Settings,
    ledger_engine: Engine,
    clock: FixedClock,
    add_person: AddPerson,
    write: Write,
    say: Say,
    read_replies: ReadReplies,
    person: int,
) -> None:
    add_person(person, emails=[{"value": "ana1@example.com"}], phones=[{"value": "+15125550101"}])
    write(person, state="delivered")
    say("Yes we are interested, under 400k")
    read_replies()
    say("Can we see it tomorrow?")
    read_replies()
    runtime = Runtime(settings)
    runtime.__dict__.update(engine=ledger_engine, clock=clock, crm=crm)
    done = write_back(runtime)
    assert (done.count_waiting, done.count_failed) == (0, 0)
    written = notes(crm, person)
    assert len(written) == 2
    assert sum("> Can we see it tomorrow?" in body for body in written) == 1
    assert sum("Read as interested" in body and "budget high usd: 400000" in body for body in written) == 1
    assert "leadpipe interested" in crm.people([person])[0]["tags"]
    assert len([row for page in crm.pages("tasks", {"personId": person}) for row in page]) == 1
