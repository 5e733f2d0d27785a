"""Random walks of the model's steps, made by the real code on a real ledger: both must come to the same states.

So the model cannot prove what the code does not do. ``python -m benchmarks walks`` makes longer ones.
"""

from __future__ import annotations

import os
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging import batch, cancel, outcomes, reconcile, review, suppression, switch, workers
from leadpipe.messaging.batch import Claimed
from leadpipe.messaging.callbacks import SesEvent, TwilioStatus, apply_ses_event, apply_twilio_status
from leadpipe.messaging.channels.base import SendResult
from leadpipe.messaging.claim import claim
from leadpipe.messaging.last_look import is_still_clear
from leadpipe.messaging.protocol import Event
from leadpipe.settings import Settings
from tests.messaging.protocol_model import OVERTAKEN, RESULTS, START, A, B, Model, Step, World, check, is_settled

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from tests.messaging.conftest import AddLead, Lead, MakeIntent, Put

# How many walks, and of how many steps each, the suite takes; `benchmarks walks` asks for more, other ones every time.
MORE = "MODEL_WALKS"
WALKS, STEPS = int(os.environ.get(MORE, "20")), 25
# Walks that are not mostly these get further.
ENDINGS = {"STOP", "reply", "take over", "edit plan", "merge", "expire", "reject", "stop sending"}
# SNS tells nobody what became of a message, so that a look at once gives up.
PROVIDERS = {"sms": "sns"}
WITHOUT_LIMITS = {
    "twilio_account_sid": "", "min_gap_minutes": 0, "cap_per_hour": 10**6, "cap_per_day": 10**6,
    "cap_per_plan_per_day": 10**6, "cap_per_number_per_day": 10**6,
}  # fmt: skip


class Real:
    """The model's steps on the real ledger: two people with one number, one intent."""

    def __init__(
        self,
        engine: Engine,
        configured: Settings,
        clock: FixedClock,
        put: Put,
        intent: MakeIntent,
        leads: dict[str, Lead],
    ) -> None:
        self._engine = engine
        self._settings = configured.model_copy(update=WITHOUT_LIMITS)
        self._clock = clock
        self._put = put
        self._intent = intent
        self._leads = leads
        # A new step and numbers of its own for each walk: one database serves them all.
        self._step = uuid4().hex
        self._claimed: dict[str, Claimed] = {}
        self._results: dict[str, SendResult] = {}
        self._taken: list[str] = []
        self._lost: set[str] = set()

    @property
    def count_accepted(self) -> int:
        """Messages the provider took."""
        return len(self._taken)

    def do(self, step: Step) -> None:
        """Make the step."""
        self._clock.advance(timedelta(seconds=1))
        name, *rest = step
        getattr(self, f"_{name.replace(' ', '_').lower()}")(*rest)

    def row(self) -> tuple[str, str] | None:
        """The message's person and state."""
        with self._engine.connect() as connection:
            found = connection.execute(
                text("select person_id, state from ledger.messages where step = :step"), {"step": self._step}
            ).one_or_none()
        whose = {lead.person_id: person for person, lead in self._leads.items()}
        return None if found is None else (whose[found.person_id], found.state)

    def log(self) -> list[tuple[str | None, str]]:
        """The states before and after of every event, oldest first."""
        with self._engine.connect() as connection:
            found = connection.execute(
                text(
                    "select e.from_state, e.to_state from ledger.message_events e join ledger.messages m "
                    "on m.id = e.message_id where m.step = :step order by e.id"
                ),
                {"step": self._step},
            )
            return [(row.from_state, row.to_state) for row in found]

    def told(self) -> int:
        """Alerts that name the message as parked."""
        with self._engine.connect() as connection:
            return connection.execute(
                text("select count(*) from ledger.alerts where kind = 'parked' and body like :named"),
                {"named": f"%{self._id(connection)}%"},
            ).scalar_one()

    def _id(self, connection: Connection) -> str:
        return connection.execute(
            text("select id::text from ledger.messages where step = :step"), {"step": self._step}
        ).scalar_one()

    @property
    def _point(self) -> int:
        return self._leads[A].phone_id

    def _sql(self, statement: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement), values)

    def _people(self) -> list[int]:
        return [lead.person_id for lead in self._leads.values()]

    def _plan(self, person: str, how: str) -> None:
        lead = self._leads[person]
        passage = self._passage if person == A else None
        self._put(
            self._intent(lead, "sms", step=self._step, enrolment_id=passage, needs_review=bool(how)),
            min_gap_minutes=0,
        )

    def begin(self) -> None:
        """A passage of A through the plan, which a merge hands to B."""
        with self._engine.begin() as connection:
            self._passage = connection.execute(
                text(
                    "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, opened_at) "
                    "values (:person, 'reactivation', '1', 1, :now) returning id"
                ),
                {"person": self._leads[A].person_id, "now": self._clock.now()},
            ).scalar_one()

    def _open_claim(self, worker: str) -> None:
        """The whole claim: between its beginning and its commit nothing of one thread can come."""
        self._sql("update ledger.messages set not_before_at = :now where state = 'held'", now=self._clock.now())
        found = claim(
            self._engine,
            settings=self._settings,
            now=self._clock.now(),
            worker=f"host:1:{worker}",
            providers=PROVIDERS,
            count=1,
        )
        for claimed in found.claimed:
            self._claimed[worker] = claimed
            self._lost.discard(worker)

    def _wait(self, worker: str) -> None:
        """A second passes; nothing is written."""

    def _look_again(self, worker: str) -> None:
        if worker in self._lost or not is_still_clear(self._engine, self._claimed[worker]):
            self._results[worker] = OVERTAKEN

    def _call(self, worker: str, what: str) -> None:
        if what == "not":
            self._results[worker] = OVERTAKEN
            return
        if what.startswith("accepts"):
            self._taken.append(f"SM{uuid4().hex}")
        self._results[worker] = SendResult.accepted(self._taken[-1]) if what == "accepts" else RESULTS[what]

    def _write_outcome(self, worker: str) -> None:
        outcomes.record(self._engine, [(self._claimed[worker], self._results[worker])], now=self._clock.now())

    _write_outcome_again = _write_outcome

    def _crash(self, worker: str) -> None:
        self._claimed.pop(worker, None)

    _forget = _crash

    def _lose_session(self, worker: str) -> None:
        """Its name is of no living session from the start: ``recover`` takes it for dead, whenever it comes."""
        self._lost.add(worker)

    def _recover(self) -> None:
        workers.recover(self._engine, now=self._clock.now())

    def _report(self, what: str, event: Event = Event.CALLBACK) -> None:
        now = self._clock.now()
        with self._engine.begin() as connection:
            message_id = self._id(connection)
            if what in {"bounce", "complaint"}:
                kind, detail = ("Bounce", {"bounceType": "Permanent"}) if what == "bounce" else ("Complaint", {})
                report = SesEvent(kind=kind, message_id=message_id, provider_id=self._taken[-1], detail=detail)
                apply_ses_event(connection, report, now=now)
                return
            status = TwilioStatus(message_id=message_id, sid=self._taken[-1], status=what)
            apply_twilio_status(connection, status, now=now, event=event)

    def _look_up(self, status: str) -> None:
        self._report(status, Event.RECONCILE)

    def _give_up(self) -> None:
        reconcile.reconcile(engine=self._engine, settings=self._settings, clock=self._clock)

    def _resolve(self, what: str) -> None:
        with self._engine.connect() as connection:
            message_id = self._id(connection)
        review.resolve(self._engine, message_id, was_sent=what == "sent", by="ada", now=self._clock.now())

    def _release(self) -> None:
        with self._engine.connect() as connection:
            message_id = self._id(connection)
        review.release(self._engine, message_id, by="ada", now=self._clock.now(), settings=self._settings)

    def _reject(self) -> None:
        with self._engine.connect() as connection:
            message_id = self._id(connection)
        review.reject(self._engine, message_id, by="ada", now=self._clock.now())

    def _stop(self) -> None:
        now = self._clock.now()
        with self._engine.begin() as connection:
            suppression.suppress(
                connection,
                contact_point_id=self._point,
                channels=suppression.PHONE_CHANNELS,
                source="stop_keyword",
                at=now,
                now=now,
            )

    def _reply(self) -> None:
        with self._engine.begin() as connection:
            suppression.lock_point(connection, [self._point])
            connection.execute(
                text(
                    "insert into ledger.inbound_messages (channel, provider_id, contact_point_id, body, received_at) "
                    "values ('sms', gen_random_uuid()::text, :point, 'Hi', :now)"
                ),
                {"point": self._point, "now": self._clock.now()},
            )

    def _read(self, what: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("update ledger.inbound_messages set read_at = :now"), {"now": self._clock.now()})
            if what == "it ends the plan":
                cancel.cancel_for_people(connection, self._people(), code="reply", at=self._clock.now())

    def _take_over(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                text("update ledger.people set automation_paused_at = :now where person_id = any(:people)"),
                {"now": self._clock.now(), "people": self._people()},
            )
            cancel.cancel_for_people(connection, self._people(), code="human_acted", at=self._clock.now())

    def _edit_plan(self) -> None:
        with self._engine.begin() as connection:
            cancel.cancel_for_people(connection, self._people(), code="plan_changed", at=self._clock.now())

    def _merge(self) -> None:
        from leadpipe.crm.sweep import follow_merges

        self._sql("update ledger.people set stage = 'Trash' where person_id = :id", id=self._leads[A].person_id)
        follow_merges(self._engine, now=self._clock.now())

    def _expire(self) -> None:
        now = self._clock.now()
        with self._engine.begin() as connection:
            connection.execute(
                text("update ledger.messages set expires_at = :now where step = :step"),
                {"now": now, "step": self._step},
            )
            switch.expire_stale(connection, now=now, stale_after=timedelta(days=2))

    def _stop_sending(self) -> None:
        switch.stop(self._engine, now=self._clock.now(), reason="a walk")

    def _resume(self) -> None:
        switch.resume(self._engine, now=self._clock.now(), stale_after=timedelta(days=2))


class Walk(RuleBasedStateMachine):
    """One walk of model and ledger together; ``begin`` makes the ledger's side."""

    start: Any = None

    def __init__(self) -> None:
        super().__init__()
        self._real: Real = type(self).start()
        self._model = Model()
        self._world: World = START

    @initialize(seed=st.integers(0, 2**64 - 1))
    def begin(self, seed: int) -> None:
        """One pair of dice for the whole walk: drawn step by step, the choices come out nearly alike."""
        self._dice = Random(seed)

    @rule()
    def step(self) -> None:
        """Any step the model has now, more often one that brings the message on than one that ends it."""
        possible = dict(self._model.steps(self._world))
        changing = [name for name in sorted(possible) if possible[name] != self._world]
        onward = [name for name in changing if name[0] not in ENDINGS]
        if not onward or (is_settled(self._world) and self._world.rows and self._dice.random() < 0.2):
            self._next_pair()
            return
        luck = self._dice.random()
        step = self._dice.choice(onward if luck < 0.85 else changing if luck < 0.95 else sorted(possible))
        self._real.do(step)
        self._world = possible[step]
        if step[0] == "open claim":
            self._world = dict(self._model.steps(self._world))["commit claim", step[1]]

    def _next_pair(self) -> None:
        """Little can happen to this intent any more: on with two other people."""
        self._end()
        self._real, self._world = type(self).start(), START

    @invariant()
    def both_stand_at_the_same_place(self) -> None:
        check(self._world)
        row = self._world.rows[0] if self._world.rows else None
        assert self._real.row() == (None if row is None else (row.person, str(row.state)))
        assert self._real.count_accepted == (row.count_accepted if row else 0) <= 1

    def teardown(self) -> None:
        self._end()

    def _end(self) -> None:
        log = self._real.log()
        assert [before for before, _ in log] == [None, *(after for _, after in log)][: len(log)]
        if any(after == "parked" for _, after in log):
            assert self._real.told() == 1


@pytest.fixture
def start(
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    add_lead: AddLead,
    put: Put,
    intent: MakeIntent,
) -> Any:
    """A function that begins a walk: two new people with one number, and nothing of earlier walks that could wait."""
    count = 0

    def begin() -> Real:
        nonlocal count
        count += 2
        began = clock.now()
        with ledger_engine.begin() as connection:
            # What a walk left waiting must not be claimed in the next one.
            people = list(connection.execute(text("select person_id from ledger.people")).scalars())
            cancel.cancel_for_people(connection, people, code="walk_over", at=began)
            connection.execute(text("update ledger.inbound_messages set read_at = :now"), {"now": began})
            connection.execute(text("delete from ledger.controls where key <> 'right_to_send'"))
        workers.recover(ledger_engine, now=began)
        reconcile.reconcile(engine=ledger_engine, settings=live_settings.model_copy(update=WITHOUT_LIMITS), clock=clock)
        phone = f"+1512556{count:04d}"
        leads = {A: add_lead(count, pewc=True, phone=phone), B: add_lead(count + 1, pewc=True, phone=phone)}
        real = Real(ledger_engine, live_settings, clock, put, intent, leads)
        real.begin()
        return real

    return begin


def walk(start: Any, *, count: int, is_random: bool = False) -> int:
    """Raises what the first walk finds in which model and ledger part; the message shows its steps.

    Returns how many walks were begun.
    """
    begun: list[None] = []

    def counted(*arguments: Any) -> Any:
        begun.append(None)
        return start(*arguments)

    machine = type("Started", (Walk,), {"start": staticmethod(counted)})
    run_state_machine_as_test(
        cast("Any", machine),
        settings=settings(
            max_examples=count,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not is_random,
            database=None,
            # The walk comes from its dice, so a shorter one is another one: nothing is gained by shrinking.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
    return len(begun)


def test_model_and_ledger_walk_together(start: Any) -> None:
    assert walk(start, count=WALKS, is_random=MORE in os.environ) >= WALKS


def test_a_ledger_that_sends_past_an_unread_answer_parts_from_the_model(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch.Batch, "_unread", lambda *_: (set(), set()))
    with pytest.raises(AssertionError, match="claimed with an answer unread|'sending'"):
        walk(start, count=20)
