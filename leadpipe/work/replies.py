"""The reply pass: unread messages of leads become readings, consequences and answers.

What lives here: the order of the steps and what happens when one fails. What does not: any rule of the steps.

The answer is enqueued before the turn is marked read: until then the unread message holds everything to that person,
the answer too. A run that dies in between leaves an answer that cannot go and a turn that is read again; the second
reading finds the answer's key taken. So nothing is lost and nothing goes twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.conversation import background, drafting, effects, reading, turn
from leadpipe.conversation.background import Background
from leadpipe.conversation.decision import Decision, decide
from leadpipe.conversation.drafting import Answering
from leadpipe.conversation.openai_client import OpenAiClient, Usage
from leadpipe.conversation.reading import TurnReading
from leadpipe.conversation.turn import Turn
from leadpipe.errors import LeadpipeError
from leadpipe.messaging import failpoints
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.enqueue import enqueue
from leadpipe.outreach.facts import zip_of
from leadpipe.outreach.variables import market_variables

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

BATCH = 50
POLL_SECONDS = 0.25
RETRY_AFTER = timedelta(seconds=30)
# Leads who wrote are scored again together: one look at the lake serves all of a batch.
RESCORE_SECONDS = 20.0


@dataclass(kw_only=True)
class Replies:
    """What the passes of one run did; counts only."""

    count_turns: int = 0
    count_fallbacks: int = 0
    count_rescored: int = 0
    cost_usd: float = 0.0
    intents: Counter[str] = field(default_factory=Counter[str])
    answers: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])

    def as_metadata(self) -> dict[str, Any]:
        """Counts for Dagster; never contact details or words."""
        return {
            "turns": self.count_turns,
            "read_locally_instead": self.count_fallbacks,
            "rescored": self.count_rescored,
            "openai_cost_usd": round(self.cost_usd, 6),
            **{f"intent_{intent}": count for intent, count in sorted(self.intents.items())},
            **{f"answers_{state}": count for state, count in sorted(self.answers.items())},
        }


def answer_replies(runtime: Runtime, *, linger_seconds: float) -> Replies:
    """Read and answer waiting turns until none came for ``linger_seconds``, at most three times that long in all.

    Who wrote is scored again. A turn that fails is given back with its reason; the others go on.
    """
    desk = _Desk(runtime)
    begun = idle_since = time.monotonic()
    while True:
        did = desk.work()
        if did:
            idle_since = time.monotonic()
        is_idle = time.monotonic() - idle_since >= linger_seconds
        if is_idle or time.monotonic() - begun >= 3 * max(linger_seconds, 1):
            desk.rescore(at_once=True)
            return desk.report
        desk.rescore(at_once=False)
        if not did:
            time.sleep(POLL_SECONDS)


class _Desk:
    """One run's work: the reader it has, what it did, whom it must score again."""

    def __init__(self, runtime: Runtime) -> None:
        self.report = Replies()
        self._runtime = runtime
        self._client = OpenAiClient.from_settings(runtime.settings)
        self._to_rescore: set[int] = set()
        self._rescore_at = float("-inf")

    def work(self) -> bool:
        """Take and finish one batch of turns; False when none waited."""
        runtime = self._runtime
        now = runtime.clock.now()
        turns = turn.take(runtime.engine, worker=runtime.worker, now=now, limit=BATCH)
        if not turns:
            return False
        with runtime.engine.connect() as connection:
            behind = [background.gather(connection, each, runtime.settings, now=now) for each in turns]
        reads = reading.read_turns(turns, before=[b.before for b in behind], client=self._client, now=now)
        decisions = [
            decide(read.reading, each.text, is_with_agent=b.is_with_agent, paused_by=b.paused_by)
            for each, read, b in zip(turns, reads, behind, strict=True)
        ]
        answers = self._answers(turns, reads, decisions, behind)
        self._book(turns, reads, answers)
        for each, read, decision, answering, b in zip(turns, reads, decisions, answers, behind, strict=True):
            self._finish(each, read, decision, answering, b)
        return True

    def _answers(
        self, turns: list[Turn], reads: list[TurnReading], decisions: list[Decision], behind: list[Background]
    ) -> list[Answering]:
        runtime = self._runtime
        now = runtime.clock.now()
        market = self._market(behind)

        def one(number: int) -> Answering:
            return drafting.answer(
                turns[number],
                reads[number],
                decisions[number],
                behind[number],
                settings=runtime.settings,
                client=self._client,
                market=market[number],
                now=now,
            )

        with ThreadPoolExecutor(reading.CONCURRENCY, "draft") as pool:
            return list(pool.map(one, range(len(turns))))

    def _market(self, behind: Sequence[Background]) -> list[str]:
        """The market sentence for each lead's ZIP code, empty where none is fresh."""
        zips = [zip_of(b.known.row) if b.known else "" for b in behind]
        facts = self._runtime.market_facts.for_zips({code for code in zips if code})
        found: list[str] = []
        for code in zips:
            change, month = facts.get(code, (None, None))
            variables = market_variables(
                zip_code=code, change_12m_pct=change, month=month, now=self._runtime.clock.now()
            )
            found.append(str(variables["sentence"]) if variables else "")
        return found

    def _finish(
        self, each: Turn, read: TurnReading, decision: Decision, answering: Answering, behind: Background
    ) -> None:
        runtime = self._runtime
        try:
            if answering.intents:
                done = enqueue(
                    runtime.engine,
                    answering.intents,
                    clock=runtime.clock,
                    settings=runtime.settings,
                    run_key=f"replies:{each.id}",
                )
                self.report.answers.update(done.count_by_state)
                failpoints.hit("reply.answered")
            with runtime.engine.begin() as connection:
                is_ours = effects.conclude(
                    connection,
                    each,
                    read.reading,
                    decision,
                    settings=runtime.settings,
                    now=runtime.clock.now(),
                    words=read.words,
                    facts=read.facts,
                    number=behind.number if each.person_id is not None else None,
                    answer=answering.note,
                )
                failpoints.hit("reply.before_commit")
        except LeadpipeError as error:
            self._failed(each, error)
            return
        if is_ours:
            self.report.count_turns += 1
            self.report.intents[read.reading.intent] += 1
            if each.person_id is not None:
                self._to_rescore.add(each.person_id)

    def _failed(self, each: Turn, error: LeadpipeError) -> None:
        """The turn waits and is read again; until then nothing goes to that person. Somebody is told."""
        runtime = self._runtime
        now = runtime.clock.now()
        self.report.failures.append(str(error))
        turn.give_back(runtime.engine, each, worker=runtime.worker, now=now, after=RETRY_AFTER)
        with runtime.engine.begin() as connection:
            raise_alert(
                connection,
                kind="reply_not_handled",
                dedupe_key=f"reply_not_handled:{each.id}",
                title="A lead's reply could not be handled",
                body=f"Inbound message {each.id}: {error}. It is tried again every {RETRY_AFTER.seconds} s; all "
                f"messages to that person wait.",
                now=now,
                person_id=each.person_id,
            )

    def _book(self, turns: list[Turn], reads: list[TurnReading], answers: list[Answering]) -> None:
        """Costs are real whatever becomes of the turn, so they are booked first; a broken key is told once a day."""
        now = self._runtime.clock.now()
        used: list[tuple[Usage, int | None]] = []
        for each, read, answering in zip(turns, reads, answers, strict=True):
            used += [(usage, each.person_id) for usage in (*read.usages, *answering.usages)]
            self.report.count_fallbacks += bool(read.fallback)
        if self._client is not None:
            while self._client.lost:
                used.append((self._client.lost.pop(), None))
        self.report.cost_usd += sum(usage.cost_usd for usage, _ in used)
        broken = next((read.fallback for read in reads if read.needs_person), "")
        with self._runtime.engine.begin() as connection:
            for usage, person_id in used:
                connection.execute(
                    text(
                        "insert into ledger.token_usage (purpose, model, input_tokens, cached_tokens, output_tokens, "
                        "cost_usd, is_estimate, person_id, at) values (:purpose, :model, :input_tokens, "
                        ":cached_tokens, :output_tokens, :cost_usd, :is_estimate, :person, :now)"
                    ),
                    {**vars(usage), "person": person_id, "now": now},
                )
            if broken:
                raise_alert(
                    connection,
                    kind="openai_refuses",
                    dedupe_key=f"openai_refuses:{now:%Y-%m-%d}",
                    title="OpenAI refuses our calls; replies are read by the local model",
                    body=broken,
                    now=now,
                )

    def rescore(self, *, at_once: bool) -> None:
        """Score those who wrote; when that fails the next scoring of everybody has them."""
        is_due = time.monotonic() - self._rescore_at >= RESCORE_SECONDS
        if not self._to_rescore or not (at_once or is_due):
            return
        from leadpipe.scoring.score import score

        runtime = self._runtime
        self._rescore_at = time.monotonic()
        ids, self._to_rescore = self._to_rescore, set()
        try:
            done = score(runtime.engine, runtime.lake, runtime.settings, now=runtime.clock.now(), person_ids=ids)
        except Exception as error:  # noqa: BLE001 - whatever the lake or a model file does, the answers are out already
            import structlog

            structlog.get_logger().warning("leads who wrote were not scored again", error=type(error).__name__)
            self.report.failures.append(f"not scored again: {type(error).__name__}")
            return
        self.report.count_rescored += done.count_scored
