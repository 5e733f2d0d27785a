"""The send protocol in small: one intent of two people at one address, two workers, a provider, and what may happen.

What lives here: the whole state as one value, and every step that can follow it. What does not: exploring it
(``test_messaging_model``), walking it beside the real ledger (``test_messaging_model_walks``).

What decides is the code's own: the table of moves, what a verdict, a result and a report mean, what overtakes a
message. The model adds only what surrounds them: who holds which lock, what is committed, what the provider took.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from leadpipe.messaging import batch, callbacks, outcomes
from leadpipe.messaging.channels.base import Outcome, SendResult
from leadpipe.messaging.gate import state_for
from leadpipe.messaging.protocol import (
    NEEDS_REASON,
    TERMINAL,
    UNSURE,
    WAITING,
    WENT_OUT,
    Event,
    IllegalMove,
    State,
    is_legal,
)
from leadpipe.policy.verdict import Finding

# What the protocol rests on; a model without one of them must break.
SAFEGUARDS = frozenset(
    {"intent keys", "row lock", "attempt commit", "own attempt", "suppression check", "unread check", "call lock",
     "session check", "last look", "alert"}
)  # fmt: skip
A, B = "A", "B"
NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)
RESULTS = {
    "accepts": SendResult.accepted("p"),
    "refuses": SendResult.refused("30005"),
    "is busy": SendResult.not_sent("20429"),
    "times out": SendResult.unknown("ReadTimeout"),
    "accepts and times out": SendResult.unknown("ReadTimeout"),
}
# What becomes of the messages of a worker that died.
RECOVERED = State.UNKNOWN
OVERTAKEN = SendResult.not_sent("overtaken")
# A report of each kind, of either provider, and the state it stands for.
REPORTS: dict[str, State] = {
    **{
        status: callbacks._TWILIO_STATES[status]  # noqa: SLF001
        for status in ("accepted", "sent", "delivered", "undelivered", "failed")
    },
    "bounce": State.BOUNCED,
    "complaint": State.COMPLAINED,
}


class Row(NamedTuple):
    """A message; ``owner`` is the worker whose call it awaits."""

    person: str
    state: State
    owner: int | None = None
    count_accepted: int = 0
    is_told: bool = False


class Worker(NamedTuple):
    """A sender.

    Attributes:
        phase: ``idle``, ``open`` (its claim is not committed), ``claimed``, ``late`` (more than a second passed),
            ``clear`` (it took the address anew and looked again), ``called``, ``wrote`` (its outcome is committed, it
            may not know).
        to: what its open claim decided.
        saw: the row's state when it did.
        result: what its call did, by ``RESULTS``, or ``overtaken``.
        has_lost: its session was ended, and with it all it held.
    """

    phase: str = "idle"
    row: int = 0
    to: State | None = None
    code: str = ""
    saw: State | None = None
    result: str = ""
    has_lost: bool = False


class World(NamedTuple):
    """Everything that is committed, and what the workers hold in memory.

    Attributes:
        fault: what the last step did that must never happen.
    """

    rows: tuple[Row, ...] = ()
    workers: tuple[Worker, ...] = (Worker(), Worker())
    is_suppressed: bool = False
    is_unread: bool = False
    is_paused: bool = False
    is_merged: bool = False
    is_stopped: bool = False
    fault: str = ""


# What a provider's list can say of a message.
LISTED = ("accepted", "sent", "delivered", "undelivered", "failed")
# What somebody did, with whom or with what.
Step = tuple[str, ...]
START = World()


class Broken(AssertionError):
    """An invariant does not hold."""


class Model:
    """The steps that follow a world, all safeguards in place but ``without``."""

    def __init__(self, *without: str) -> None:
        assert SAFEGUARDS.issuperset(without)
        self._without = frozenset(without)
        self.moves_made: set[tuple[Event, State | None, State]] = set()

    def _has(self, safeguard: str) -> bool:
        return safeguard not in self._without

    def steps(self, world: World) -> Iterator[tuple[Step, World]]:
        """Every step possible now and the world after it.

        Raises:
            Broken, IllegalMove: the ledger refuses a step, or its reason is missing.
        """
        yield from self._plan(world)
        for number in range(len(world.workers)):
            yield from self._work(world, number)
        yield from self._from_provider(world)
        yield from self._reconcile(world)
        yield ("stop sending",), world._replace(is_stopped=True)
        yield ("resume",), world._replace(is_stopped=False)
        # These take the lock of the address or of the message and wait while a claim holds it.
        if not self._is_locked(world):
            yield from self._about_what_waits(world)
            # And these wait for calls under way too.
            if not self._is_being_called(world):
                yield from self._from_people(world)

    def _moved(self, world: World, number: int, event: Event, to: State, code: str, **changes: Any) -> World:
        row = world.rows[number]
        if not is_legal(event, row.state, to):
            raise IllegalMove(f"{event} does not lead from {row.state} to {to}")
        if to in NEEDS_REASON and not code:
            raise Broken(f"it becomes {to} without a reason")
        self.moves_made.add((event, row.state, to))
        return _with_row(world, number, row._replace(state=to, owner=None)._replace(**changes))

    def _moved_if_legal(self, world: World, number: int, event: Event, to: State, code: str) -> World:
        is_late = not is_legal(event, world.rows[number].state, to)
        return world if is_late else self._moved(world, number, event, to, code)

    def _is_locked(self, world: World) -> bool:
        """Whether a claim's transaction is open: it holds the address and the message."""
        phases = {"open"} if self._has("attempt commit") else {"open", "called"}
        return self._has("row lock") and any(worker.phase in phases for worker in world.workers)

    def _is_being_called(self, world: World) -> bool:
        """Whether a sender holds the address: from its claim, or its last look, until its call has ended."""
        return self._has("call lock") and any(
            worker.phase in {"claimed", "clear"} and not worker.has_lost for worker in world.workers
        )

    # -- planning

    def _plan(self, world: World) -> Iterator[tuple[Step, World]]:
        """A planner hands the intent over, first or again: an edited plan, the other person, a second run."""
        for person in (A, B):
            is_known = bool(world.rows) if self._has("intent keys") else any(r.person == person for r in world.rows)
            for how in ("", "for review"):
                after = world
                if not is_known:
                    state, code = _judged(world.is_suppressed)
                    if how and state is State.QUEUED:
                        state, code = State.REVIEW, "needs_review"
                    assert is_legal(Event.ENQUEUE, None, state)
                    assert code or state not in NEEDS_REASON
                    self.moves_made.add((Event.ENQUEUE, None, state))
                    after = world._replace(rows=(*world.rows, Row(person, state)))
                yield ("plan", person, how), after

    # -- a worker

    def _work(self, world: World, number: int) -> Iterator[tuple[Step, World]]:
        name, worker = str(number), world.workers[number]
        if worker.phase == "idle":
            yield from self._open(world, number)
            return
        yield ("crash", name), _dead(_with_worker(world, number, Worker()), number)
        if worker.phase == "open":
            yield ("commit claim", name), self._commit_claim(world, number)
            if not self._has("attempt commit") and worker.to is State.SENDING:
                yield from self._call(world, number)
        if worker.phase == "claimed":
            yield ("wait", name), _with_worker(world, number, worker._replace(phase="late"))
            yield from self._call(world, number)
        if worker.phase == "late":
            yield ("look again", name), self._look_again(world, number)
        if worker.phase == "clear":
            yield from self._call(world, number)
        if worker.phase in {"claimed", "late", "clear", "called"} and world.rows[worker.row].owner == number:
            # Its session broke while it goes on: others take it for dead, and it holds nothing.
            lost = worker._replace(has_lost=worker.phase != "called")
            yield ("lose session", name), _dead(_with_worker(world, number, lost), number)
        if worker.phase == "called":
            yield ("write outcome", name), self._write_outcome(world, number)
        if worker.phase == "wrote":
            yield ("forget", name), _with_worker(world, number, Worker())
            yield ("write outcome again", name), self._write_outcome(world, number)

    def _open(self, world: World, number: int) -> Iterator[tuple[Step, World]]:
        """Begin a claim: locks are taken and everything is decided, nothing is committed."""
        if world.is_stopped or self._is_locked(world):
            return
        for index, row in enumerate(world.rows):
            if row.state not in {State.QUEUED, State.HELD}:
                continue
            overtaken = _overtaken_by(row.person == A and world.is_merged, world.is_paused)
            if overtaken:
                to, code = State.CANCELLED, overtaken
            elif world.is_unread and self._has("unread check"):
                to, code = State.HELD, "unread_inbound"
            else:
                to, code = _judged(world.is_suppressed and self._has("suppression check"))
                to = State.SENDING if to is State.QUEUED else to
            opened = Worker(phase="open", row=index, to=to, code=code, saw=row.state)
            yield ("open claim", str(number)), _with_worker(world, number, opened)
            return

    def _commit_claim(self, world: World, number: int) -> World:
        worker = world.workers[number]
        assert worker.to is not None
        row = world.rows[worker.row]
        event = Event.CANCEL if worker.to is State.CANCELLED else Event.CLAIM
        if worker.to is not State.SENDING:
            after = self._moved_if_legal(world, worker.row, event, worker.to, worker.code)
            return _with_worker(after, number, Worker())
        for rule, is_broken in (
            ("claimed after a suppression", world.is_suppressed),
            ("claimed with an answer unread", world.is_unread),
            ("claimed though overtaken", world.is_paused or (row.person == A and world.is_merged)),
        ):
            if is_broken:
                world = world._replace(fault=rule)
        if row.state is worker.saw:
            world = self._moved(world, worker.row, event, State.SENDING, "", owner=number)
        return _with_worker(world, number, Worker(phase="claimed", row=worker.row))

    def _look_again(self, world: World, number: int) -> World:
        worker = world.workers[number]
        row = world.rows[worker.row]
        has_come = _has_come(world, row) or world.is_stopped or row.state is not State.SENDING
        is_clear = not worker.has_lost and (not has_come or not self._has("last look"))
        changed = worker._replace(phase="clear") if is_clear else worker._replace(phase="called", result="overtaken")
        return _with_worker(world, number, changed)

    def _call(self, world: World, number: int) -> Iterator[tuple[Step, World]]:
        worker = world.workers[number]
        row = world.rows[worker.row]
        if worker.has_lost and self._has("session check"):
            yield (
                ("call", str(number), "not"),
                _with_worker(world, number, worker._replace(phase="called", result="overtaken")),
            )
            return
        if came := _has_come(world, row):
            world = world._replace(fault=f"called after {came}")
        for what in RESULTS:
            called = _with_worker(world, number, worker._replace(phase="called", result=what))
            if what.startswith("accepts"):
                called = _with_row(called, worker.row, row._replace(count_accepted=row.count_accepted + 1))
            yield ("call", str(number), what), called

    def _write_outcome(self, world: World, number: int) -> World:
        """The commit of what the call did; ``wrote`` until the worker knows of the commit, and may try it again."""
        worker = world.workers[number]
        row = world.rows[worker.row]
        if worker.phase == "called" and not self._has("attempt commit") and row.state in WAITING:
            # Claim and outcome in one transaction.
            world = self._moved(world, worker.row, Event.CLAIM, State.SENDING, "", owner=number)
        if worker.phase == "called" or not self._has("own attempt"):
            to, code = _moved_by(worker.result)
            if to is State.HELD and row.state is State.PARKED:
                to = State.REFUSED
            world = self._moved_if_legal(world, worker.row, Event.OUTCOME, to, code)
        # What it would write once more is kept only where it could do harm: fewer worlds.
        result = "" if self._has("own attempt") else worker.result
        return _with_worker(world, number, Worker(phase="wrote", row=worker.row, result=result))

    # -- what comes back

    def _from_provider(self, world: World) -> Iterator[tuple[Step, World]]:
        """Reports of what was taken: any of them, in any order, any number of times, or none."""
        for index, row in enumerate(world.rows):
            for report, to in REPORTS.items() if row.count_accepted else ():
                yield ("report", report), self._moved_if_legal(world, index, Event.CALLBACK, to, report)

    def _reconcile(self, world: World) -> Iterator[tuple[Step, World]]:
        for index, row in enumerate(world.rows):
            if row.state is State.SENDING and row.owner is None:
                yield ("recover",), self._moved(world, index, Event.RECOVER, RECOVERED, "worker_died")
            for status in LISTED if row.count_accepted else ():
                yield ("look up", status), self._moved_if_legal(world, index, Event.RECONCILE, REPORTS[status], status)
            if row.state is State.UNKNOWN:
                parked = self._moved(
                    world, index, Event.RECONCILE, State.PARKED, "no_trace", is_told=self._has("alert")
                )
                yield ("give up",), parked
            if row.state in {State.UNKNOWN, State.PARKED}:
                for what, to in (("sent", State.ACCEPTED), ("not sent", State.REFUSED)):
                    yield ("resolve", what), self._moved(world, index, Event.RESOLVE, to, f"resolved_{what}")

    # -- people

    def _from_people(self, world: World) -> Iterator[tuple[Step, World]]:
        cancel = self._cancel_waiting
        yield ("STOP",), cancel(world._replace(is_suppressed=True), "suppressed_stop_keyword")
        yield ("reply",), world._replace(is_unread=True)
        if world.is_unread:
            yield ("read", "it ends the plan"), cancel(world._replace(is_unread=False), "reply")
            yield ("read", "it changes nothing"), world._replace(is_unread=False)
        yield ("take over",), cancel(world._replace(is_paused=True), "human_acted")
        if not world.is_merged:
            yield ("merge",), self._merge(world)

    def _about_what_waits(self, world: World) -> Iterator[tuple[Step, World]]:
        """What moves waiting messages alone, and does nothing to one that is with a sender."""
        yield ("edit plan",), self._cancel_waiting(world, "plan_changed")
        for index, row in enumerate(world.rows):
            if row.state in WAITING:
                yield ("expire",), self._moved(world, index, Event.EXPIRE, State.EXPIRED, "stale")
            if row.state is State.REVIEW:
                yield ("release",), self._moved(world, index, Event.RELEASE, *_judged(world.is_suppressed))
                yield ("reject",), self._moved(world, index, Event.REJECT, State.CANCELLED, "rejected")

    def _cancel_waiting(self, world: World, code: str) -> World:
        for index, row in enumerate(world.rows):
            if row.state in WAITING:
                world = self._moved(world, index, Event.CANCEL, State.CANCELLED, code)
        return world

    def _merge(self, world: World) -> World:
        """A is merged into B: what waits of A goes on with B, unless B has the intent already."""
        world = world._replace(is_merged=True)
        for index, row in enumerate(world.rows):
            if row.person == A and row.state in WAITING:
                if any(other.person == B for other in world.rows):
                    world = self._moved(world, index, Event.CANCEL, State.CANCELLED, "merged")
                else:
                    world = _with_row(world, index, row._replace(person=B))
        return world


def check(world: World) -> None:
    """What holds in every world.

    Raises:
        Broken: it does not.
    """
    if world.fault:
        raise Broken(world.fault)
    if sum(row.count_accepted for row in world.rows) > 1:
        raise Broken("accepted twice")
    for row in world.rows:
        if row.state in TERMINAL - WENT_OUT and row.state is not State.REFUSED and row.count_accepted:
            raise Broken(f"it went out and the ledger says {row.state}")
        if row.state is State.PARKED and not row.is_told:
            raise Broken("parked, and nobody was told")


def is_settled(world: World) -> bool:
    """Nothing is left to happen to any message but what the provider may still say of it."""
    return all(row.state in TERMINAL | WENT_OUT for row in world.rows)


def _has_come(world: World, row: Row) -> str:
    """What keeps a message to this person from being called, in a word or two."""
    reasons = {
        "a suppression": world.is_suppressed,
        "an answer nobody read": world.is_unread,
        "a person took over": world.is_paused,
        "a merge": row.person == A and world.is_merged,
    }
    return next((what for what, holds in reasons.items() if holds), "")


def is_unsure(world: World) -> bool:
    """A provider may have something of which nobody knows."""
    return any(row.state in UNSURE for row in world.rows)


@lru_cache
def _judged(is_suppressed: bool) -> tuple[State, str]:
    """The gate's own answer to a case with or without a refusal."""
    found = (Finding(rule="C9", decision="BLOCK", code="suppressed"),) if is_suppressed else ()
    state, code, _ = state_for(cast("Any", SimpleNamespace(findings=found)), "m")
    return state, code or ""


@lru_cache
def _overtaken_by(is_merged: bool, is_paused: bool) -> str:
    """The claim's own answer to a person who was merged or taken over."""
    row = SimpleNamespace(
        merged_into=2 if is_merged else None, deleted_at=None, automation_paused_at=NOW if is_paused else None,
        stage="Lead", enrolment_state="open", is_detached=False,
    )  # fmt: skip
    settings = SimpleNamespace(stop_stages=())
    claim = batch.Batch(cast("Any", None), cast("Any", settings), NOW, "w", {}, cast("Any", None))
    return claim._overtaken_by(cast("Any", row))  # noqa: SLF001


@lru_cache
def _moved_by(result: str) -> tuple[State, str]:
    """The move that a call's result asks for."""
    answer = OVERTAKEN if result == "overtaken" else RESULTS[result]
    claimed = SimpleNamespace(request=SimpleNamespace(message_id="m"), count_not_sent=0)
    made = outcomes._move(cast("Any", claimed), answer, NOW)  # noqa: SLF001
    assert made.event is Event.OUTCOME
    assert made.to is not State.ACCEPTED or answer.outcome is Outcome.ACCEPTED
    return made.to, made.code or ""


def _with_row(world: World, number: int, row: Row) -> World:
    return world._replace(rows=(*world.rows[:number], row, *world.rows[number + 1 :]))


def _with_worker(world: World, number: int, worker: Worker) -> World:
    return world._replace(workers=(*world.workers[:number], worker, *world.workers[number + 1 :]))


def _dead(world: World, number: int) -> World:
    """What this worker had claimed belongs to nobody any more."""
    rows = tuple(row._replace(owner=None) if row.owner == number else row for row in world.rows)
    return world._replace(rows=rows)
