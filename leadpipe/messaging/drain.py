"""The one function that sends: claim, call in parallel, write outcomes, until nothing is due or the budget is used.

What lives here: the loop. What does not: which message goes (``claim``), how (``channels``), what an answer means
(``outcomes``). First touch calls it for its own messages, the ``send_due`` job and ``leadpipe send-worker`` for the
rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leadpipe.messaging import caps, failpoints, outcomes, suppression, switch, workers
from leadpipe.messaging.batch import Claimed
from leadpipe.messaging.breaker import Breakers
from leadpipe.messaging.channels.base import Channel, SendResult
from leadpipe.messaging.claim import claim

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import Clock
    from leadpipe.settings import Settings

CONCURRENCY = 16
# A call that could not start within a second of its claim looks once more for an opt-out or a stop.
RECHECK_AFTER_SECONDS = 1.0
# How long outcomes are kept in memory while the ledger is away; after that their rows become unknown.
LEDGER_PATIENCE_SECONDS = 60.0
OUTAGE_WAIT_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much one drain may do: messages handed to providers, and seconds of wall time to start them in."""

    max_messages: int
    max_seconds: float


@dataclass(kw_only=True)
class DrainReport:
    """What a drain did.

    Attributes:
        counts: messages by the state they went to.
        count_called: calls made to providers.
        stopped_by: why it ended early: ``stopped``, ``cap_hour``, ``cap_day``, ``provider_down``, ``budget``,
            ``ledger_restarted``; else "".
    """

    counts: dict[str, int] = field(default_factory=dict[str, int])
    count_called: int = 0
    count_recovered: int = 0
    stopped_by: str = ""

    def add(self, counts: Mapping[str, int]) -> None:
        """Add counts by state."""
        for state, count in counts.items():
            self.counts[state] = self.counts.get(state, 0) + count


def drain(
    *,
    engine: Engine,
    channels: Mapping[str, Channel],
    settings: Settings,
    clock: Clock,
    budget: Budget,
    only_message_ids: Sequence[str] | None = None,
    concurrency: int = CONCURRENCY,
    breakers: Breakers | None = None,
) -> DrainReport:
    """Send what is due, best priority first. Each message is called at most once, whatever happens to this process.

    Messages left in ``sending`` by workers that died become ``unknown`` first.
    """
    if only_message_ids is not None and not only_message_ids:
        return DrainReport()
    with workers.sign_of_life(engine) as life, ThreadPoolExecutor(concurrency, "send") as pool:
        loop = _Loop(
            engine=engine,
            channels=channels,
            settings=settings,
            clock=clock,
            life=life,
            pool=pool,
            concurrency=concurrency,
            breakers=breakers or Breakers(),
            only_message_ids=only_message_ids,
        )
        loop.report.count_recovered = workers.recover(engine, now=clock.now())
        return loop.run(budget)


def run_worker(
    *,
    engine: Engine,
    channels: Mapping[str, Channel],
    settings: Settings,
    clock: Clock,
    should_stop: Callable[[], bool],
    concurrency: int = CONCURRENCY,
    idle_seconds: float = 0.5,
    on_report: Callable[[DrainReport], None] | None = None,
    on_outage: Callable[[], None] | None = None,
) -> None:
    """``drain`` in a loop until ``should_stop``: what ``leadpipe send-worker`` runs.

    While the ledger does not answer it waits and tries again; ``on_outage`` hears of each try that failed.
    """
    from sqlalchemy.exc import OperationalError

    breakers = Breakers()
    while not should_stop():
        try:
            report = drain(
                engine=engine,
                channels=channels,
                settings=settings,
                clock=clock,
                budget=Budget(max_messages=settings.cap_per_run, max_seconds=10.0),
                concurrency=concurrency,
                breakers=breakers,
            )
        except OperationalError:
            if on_outage is not None:
                on_outage()
            time.sleep(OUTAGE_WAIT_SECONDS)
            continue
        if on_report is not None and (report.counts or report.count_recovered):
            on_report(report)
        if not report.count_called:
            time.sleep(idle_seconds)


def is_still_clear(engine: Engine, claimed: Claimed) -> bool:
    """Whether neither a refusal nor a stop came since the claim."""
    request = claimed.request
    with engine.connect() as connection:
        if switch.read(connection).stops(plan=request.plan, channel=request.channel):
            return False
        return not suppression.is_suppressed_since(
            connection, request.contact_point_id, request.channel, after_id=claimed.last_suppression_id
        )


@dataclass(kw_only=True)
class _Loop:
    """The state of one drain."""

    engine: Engine
    channels: Mapping[str, Channel]
    settings: Settings
    clock: Clock
    life: workers.Life
    pool: ThreadPoolExecutor
    concurrency: int
    breakers: Breakers
    only_message_ids: Sequence[str] | None
    counter: caps.Counter = field(default_factory=caps.Counter)
    report: DrainReport = field(default_factory=DrainReport)
    in_flight: dict[Future[SendResult], Claimed] = field(default_factory=dict[Future[SendResult], Claimed])

    def run(self, budget: Budget) -> DrainReport:
        started = time.monotonic()
        has_more, failed = True, None
        while has_more or self.in_flight:
            is_spent = (
                self.report.count_called >= budget.max_messages or time.monotonic() - started >= budget.max_seconds
            )
            if has_more and is_spent:
                has_more, self.report.stopped_by = False, "budget"
            free = min(self.concurrency - len(self.in_flight), budget.max_messages - self.report.count_called)
            # Claims of half the pool or more: a transaction a message would cost more than the call.
            if has_more and free > 0 and (free * 2 >= self.concurrency or not self.in_flight):
                try:
                    has_more = self._claim(free)
                except Exception as error:  # noqa: BLE001 - raised below, once the calls under way are written down
                    has_more, failed = False, error
            if self.in_flight:
                done, _ = wait(self.in_flight, return_when=FIRST_COMPLETED)
                self._record(done)
        if failed is not None:
            raise failed
        return self.report

    def _claim(self, count: int) -> bool:
        """Claim and start up to ``count`` calls; False when nothing more is to be had now."""
        if not self.life.is_seen():
            # Others would take what is claimed from now on for a dead worker's; the next drain begins a new life.
            self.report.stopped_by = "ledger_restarted"
            return False
        closed = [name for name, channel in self.channels.items() if self.breakers.is_open(channel.provider)]
        found = claim(
            self.engine,
            settings=self.settings,
            now=self.clock.now(),
            worker=self.life.name,
            providers={name: channel.provider for name, channel in self.channels.items()},
            count=count,
            closed_channels=closed,
            only_message_ids=self.only_message_ids,
            counter=self.counter,
        )
        # Messages that go to `sending` are counted by their outcome.
        self.report.add({state: n for state, n in found.counts.items() if state != "sending"})
        claimed_at = time.monotonic()
        for claimed in found.claimed:
            self.in_flight[self.pool.submit(self._call, claimed, claimed_at)] = claimed
        self.report.count_called += len(found.claimed)
        if not found.counts:
            self.report.stopped_by = found.stopped_by or ("provider_down" if closed else "")
        return bool(found.counts)

    def _call(self, claimed: Claimed, claimed_at: float) -> SendResult:
        """The one call of this attempt. Nothing of it raises: an exception of ours before the call is no send."""
        if time.monotonic() - claimed_at > RECHECK_AFTER_SECONDS:
            try:
                if not is_still_clear(self.engine, claimed):
                    return SendResult.not_sent("overtaken")
            except Exception as error:  # noqa: BLE001 - what cannot be looked up may have been refused by the person
                return SendResult.not_sent(f"unchecked_{type(error).__name__}")
        failpoints.hit("call.before")
        try:
            result = self.channels[claimed.request.channel].send(claimed.request)
        except Exception as error:  # noqa: BLE001 - a poison message must not take its batch along
            # Channels catch everything from the call on, so this came from building the request.
            return SendResult.refused(f"{outcomes.UNSENDABLE}{type(error).__name__}")
        failpoints.hit("call.answered")
        return result

    def _record(self, done: set[Future[SendResult]]) -> None:
        """Write outcomes; a ledger that is away for a moment is waited for, since the calls have been made."""
        import stamina
        from sqlalchemy.exc import OperationalError

        called = [(self.in_flight.pop(future), future.result()) for future in done]
        for claimed, result in called:
            self.breakers.note(self.channels[claimed.request.channel].provider, result)
        for attempt in stamina.retry_context(on=OperationalError, attempts=None, timeout=LEDGER_PATIENCE_SECONDS):
            with attempt:
                self.report.add(outcomes.record(self.engine, called, now=self.clock.now()))
