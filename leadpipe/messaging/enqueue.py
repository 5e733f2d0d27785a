"""Enqueueing: intents become messages, once per intent key, each with its first verdict.

What lives here: the order of the steps and the state an intent starts in. What does not: the rules (``policy``), the
rows (``entry``), leaving (``claim`` judges every message again when it goes).

A message is judged for the moment it is due, so that what is planned at night for the morning is not held for the
night. Batches are transactions of their own: a run that dies leaves whole batches, and running it again drops those as
repeats.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.messaging import failpoints, gate
from leadpipe.messaging.cases import read_cases, subject_of
from leadpipe.messaging.entry import Entry, enter, known_intents
from leadpipe.messaging.protocol import State
from leadpipe.policy.frozen import frozen
from leadpipe.store import inputs

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.clock import Clock
    from leadpipe.messaging.intent import Intent
    from leadpipe.policy.verdict import Verdict
    from leadpipe.settings import Settings

    _Run = Callable[[Callable[[list[Intent]], "list[_Entered]"], Iterable[list[Intent]]], Iterable["list[_Entered]"]]

BATCH = 2_500
# While one batch waits for PostgreSQL the other is judged.
AT_ONCE = 2
# Two batches that meet at one contact point can deadlock; PostgreSQL ends one of them, and it starts again.
DEADLOCK_ATTEMPTS = 5
_SHADOW_LOCK_CLASS = 7_306
# One message of a batch: id, state, code.
_Entered = tuple[str, str, str | None]


@dataclass(frozen=True, kw_only=True)
class Enqueued:
    """What became of the intents.

    Attributes:
        count_by_state: new messages by their first state.
        count_by_code: those that are not queued, by reason.
        count_repeats: intents the ledger had already; nothing was done about them.
        state_of: first state by message id, new messages only.
    """

    count_by_state: Mapping[str, int] = field(default_factory=dict[str, int])
    count_by_code: Mapping[str, int] = field(default_factory=dict[str, int])
    count_repeats: int = 0
    state_of: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def count_new(self) -> int:
        """Messages written."""
        return sum(self.count_by_state.values())

    def as_metadata(self) -> dict[str, Any]:
        """Counts for Dagster; never contact details."""
        return {
            "new": self.count_new,
            "repeats": self.count_repeats,
            **dict(self.count_by_state),
            **{f"why_{code}": count for code, count in self.count_by_code.items()},
        }


def enqueue(engine: Engine, intents: Sequence[Intent], *, clock: Clock, settings: Settings, run_key: str) -> Enqueued:
    """Write each intent once, as ``queued``, ``held``, ``blocked`` or ``review``, with verdict, event and decision.

    An intent whose person or contact point already met this plan, step and occurrence is dropped without effect.
    ``run_key`` names the planning run in ``ledger.decisions``.

    Raises:
        ConfigurationError: no policy pack covers a day; nothing of that batch is written.
    """
    by_state: Counter[str] = Counter()
    by_code: Counter[str] = Counter()
    state_of: dict[str, str] = {}
    write = partial(_write, engine, clock=clock, settings=settings, run_key=run_key)
    with _many_at_once(len(intents)) as run:
        for entered in run(write, _batches(intents)):
            state_of.update((message_id, state) for message_id, state, _ in entered)
            by_state.update(state for _, state, _ in entered)
            by_code.update(code for _, _, code in entered if code)
    return Enqueued(
        count_by_state=dict(by_state),
        count_by_code=dict(by_code),
        count_repeats=len(intents) - len(state_of),
        state_of=state_of,
    )


@contextmanager
def _many_at_once(count: int) -> Generator[_Run]:
    """How batches are run: one directly, several on two threads.

    A bulk makes hundreds of thousands of objects and not one cycle; the collector would walk them all again and again.
    """
    if count <= BATCH:
        yield map
        return
    gc.freeze()
    try:
        with ThreadPoolExecutor(AT_ONCE, "enqueue") as pool:
            yield pool.map
    finally:
        gc.unfreeze()


def _batches(intents: Sequence[Intent]) -> Iterator[list[Intent]]:
    """Batches in the order of the key, so that two runs over the same people meet their rows in the same order."""
    ordered = sorted(intents, key=lambda i: (i.person_id, i.plan, i.step, i.occurrence))
    for start in range(0, len(ordered), BATCH):
        yield ordered[start : start + BATCH]


def _write(engine: Engine, batch: list[Intent], *, clock: Clock, settings: Settings, run_key: str) -> list[_Entered]:
    import stamina
    from psycopg.errors import DeadlockDetected
    from sqlalchemy.exc import OperationalError

    def is_deadlock(error: Exception) -> bool:
        return isinstance(error, DeadlockDetected) or (
            isinstance(error, OperationalError) and isinstance(error.orig, DeadlockDetected)
        )

    for attempt in stamina.retry_context(on=is_deadlock, attempts=DEADLOCK_ATTEMPTS, wait_initial=0.05):
        # The attempt keeps a deadlock from being raised here; what follows the commit must stand inside of it.
        with attempt:
            with engine.begin() as connection:
                entries = _enter(connection, batch, now=clock.now(), settings=settings, run_key=run_key)
                failpoints.hit("enqueue.before_commit")
            failpoints.hit("enqueue.committed")
            return [(entry.intent.id, str(entry.state), entry.code) for entry in entries]
    raise AssertionError("stamina ends by returning or raising")


def _enter(
    connection: Connection, batch: list[Intent], *, now: datetime, settings: Settings, run_key: str
) -> list[Entry]:
    known = known_intents(connection, batch)
    new = [intent for intent in batch if intent.id not in known]
    if not new:
        return []
    subjects = [subject_of(intent, judged_for=intent.due_at if intent.due_at > now else None) for intent in new]
    cases = read_cases(connection, subjects, now=now, settings=settings)
    verdicts = gate.judge_cases(cases, settings=settings)
    entries = _entries(connection, new, cases, verdicts, settings)
    written = enter(connection, entries, now=now)
    is_new = [entry.intent.id in written for entry in entries]
    gate.record(
        connection,
        [s for s, keep in zip(subjects, is_new, strict=True) if keep],
        [v for v, keep in zip(verdicts, is_new, strict=True) if keep],
        moment="enqueue",
        now=now,
        settings=settings,
    )
    kept = [entry for entry, keep in zip(entries, is_new, strict=True) if keep]
    inputs.keep(connection, {one for entry in kept for one in entry.intent.inputs}, now=now)
    gate.write_rows(
        connection,
        "decisions (person_id, plan, step, outcome, code, run_key, message_id, at)",
        (
            (e.intent.person_id, e.intent.plan, e.intent.step, str(e.state), e.code, run_key, e.intent.id, now)
            for e in kept
        ),
    )
    return kept


def _entries(
    connection: Connection, intents: list[Intent], cases: list[Any], verdicts: list[Verdict], settings: Settings
) -> list[Entry]:
    shadow = _Shadow(connection, {intent.plan for intent in intents}, settings.shadow_first)
    entries: list[Entry] = []
    for intent, case, verdict in zip(intents, cases, verdicts, strict=True):
        state, code, until = _first_state(intent, verdict)
        if state in {State.QUEUED, State.HELD} and shadow.covers(intent.plan):
            state, code, until = State.REVIEW, "shadow", None
        # Held until the law allows it, and never before the plan wants it.
        until = max(until, intent.due_at) if until is not None else None
        entries.append(Entry(intent=intent, state=state, code=code, not_before_at=until, inputs=frozen(case)))
    return entries


def _first_state(intent: Intent, verdict: Verdict) -> tuple[State, str | None, datetime | None]:
    """A refusal stands whatever else holds; then a person's release comes before any waiting for hours."""
    state, code, until = gate.state_for(verdict, intent.id)
    if intent.needs_review and state in {State.QUEUED, State.HELD}:
        return State.REVIEW, "model_text" if intent.is_model_written else "needs_review", None
    return state, code, until


class _Shadow:
    """A plan's first N messages wait for release (setting ``shadow_first``); blocked ones do not count."""

    def __init__(self, connection: Connection, plans: set[str], first: int) -> None:
        self._left: dict[str, int] = {}
        if not first:
            return
        for plan in sorted(plans):
            # Two runs that count at once would both take the same places.
            connection.execute(
                text("select pg_advisory_xact_lock(:class, hashtext(:plan))"),
                {"class": _SHADOW_LOCK_CLASS, "plan": plan},
            )
            seen = connection.execute(
                text(
                    "select count(*) from (select 1 from ledger.messages "
                    "where plan = :plan and state <> 'blocked' limit :first) seen"
                ),
                {"plan": plan, "first": first},
            ).scalar_one()
            self._left[plan] = first - int(seen)

    def covers(self, plan: str) -> bool:
        """Whether this message is one of the first; uses up a place."""
        left = self._left.get(plan, 0)
        self._left[plan] = left - 1
        return left > 0
