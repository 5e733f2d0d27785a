"""The one function that sends: claim, call in parallel, write outcomes, until nothing is due or the budget is used.

What lives here: the loop. What does not: which message goes (``claim``), the calls under way (``calls``), what an
answer means (``outcomes``). First touch calls it for its own messages, the ``send_due`` job and ``leadpipe
send-worker`` for the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leadpipe.messaging import caps, outcomes, right, take_over, workers
from leadpipe.messaging.breaker import Breakers
from leadpipe.messaging.calls import Calls
from leadpipe.messaging.channels.base import Channel
from leadpipe.messaging.claim import claim
from leadpipe.messaging.last_look import LastLook
from leadpipe.messaging.under_way import Hold

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import Clock
    from leadpipe.settings import Settings

CONCURRENCY = 16
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
            ``ledger_restarted``, or why this installation may not send (``right``); else "".
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

    Messages left in ``sending`` by workers that died become ``unknown`` first. ``breakers`` are the process's own, so
    that it remembers a provider's failures from one drain to the next; what others met stands in the ledger. Without
    the right to send nothing happens, and the report says why.
    """
    if only_message_ids is not None and not only_message_ids:
        return DrainReport()
    with workers.sign_of_life(engine) as life:
        hold = Hold(life)
        look = LastLook(engine, hold)
        calls = Calls(channels=channels, concurrency=concurrency, look=look)
        loop = _Loop(
            engine=engine,
            channels=channels,
            settings=settings,
            clock=clock,
            life=life,
            hold=hold,
            look=look,
            calls=calls,
            concurrency=concurrency,
            breakers=breakers or Breakers(),
            only_message_ids=only_message_ids,
        )
        if not _may_send(engine, settings, clock, loop.report):
            return loop.report
        loop.report.count_recovered = workers.recover(engine, now=clock.now())
        with calls:
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
    on_standing: Callable[[str], None] | None = None,
) -> None:
    """``drain`` in a loop until ``should_stop``: what ``leadpipe send-worker`` runs.

    While the ledger does not answer it waits and tries again; ``on_outage`` hears of each try that failed.
    ``on_standing`` hears why this installation may not send (a code of ``right``) when that begins or changes, and ""
    when it may again.
    """
    from sqlalchemy.exc import OperationalError

    breakers = Breakers()
    why_not = ""
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
        before, why_not = why_not, report.stopped_by if report.stopped_by in right.CODES else ""
        if on_standing is not None and why_not != before:
            on_standing(why_not)
        if on_report is not None and (report.counts or report.count_recovered):
            on_report(report)
        if not report.count_called:
            time.sleep(idle_seconds)


def _may_send(engine: Engine, settings: Settings, clock: Clock, report: DrainReport) -> bool:
    """Whether the right is ours, before a drain that would find so with its first claim; keeps the ledger's mark."""
    with engine.connect() as connection:
        found = right.standing(connection, settings)
    if found.why == right.WENT_BACK:
        take_over.note_went_back(engine, settings, now=clock.now())
    right.remember(settings, found)
    report.stopped_by = found.why
    return found.may_send


@dataclass(kw_only=True)
class _Loop:
    """The state of one drain."""

    engine: Engine
    channels: Mapping[str, Channel]
    settings: Settings
    clock: Clock
    life: workers.Life
    hold: Hold
    look: LastLook
    calls: Calls
    concurrency: int
    breakers: Breakers
    only_message_ids: Sequence[str] | None
    counter: caps.Counter = field(default_factory=caps.Counter)
    report: DrainReport = field(default_factory=DrainReport)
    unwritten: Exception | None = None
    # Providers of whom one message is under way to see whether they are well again.
    tried: set[str] = field(default_factory=set[str])

    def run(self, budget: Budget) -> DrainReport:
        """Claim on this thread and write outcomes on another: neither waits for the other's commit."""
        outcomes_by_state = DrainReport()
        writer = threading.Thread(target=self._write_outcomes, args=(outcomes_by_state,), name="outcomes")
        writer.start()
        try:
            self._claim_all(budget)
        finally:
            self.calls.no_more()
            writer.join()
        if self.unwritten is not None:
            raise self.unwritten
        self.report.add(outcomes_by_state.counts)
        return self.report

    def _claim_all(self, budget: Budget) -> None:
        deadline = time.monotonic() + budget.max_seconds
        while True:
            room = self.calls.wait_for_room(until=lambda: self.unwritten is not None)
            if self.unwritten is not None:
                return
            free = min(room, budget.max_messages - self.report.count_called)
            if free <= 0 or time.monotonic() >= deadline:
                self.report.stopped_by = "budget"
                return
            if not self._claim(free):
                return

    def _claim(self, count: int) -> bool:
        """Claim and start up to ``count`` calls; False when nothing more is to be had now."""
        if not self.life.is_seen():
            # Others would take what is claimed from now on for a dead worker's; the next drain begins a new life.
            self.report.stopped_by = "ledger_restarted"
            return False
        self.breakers.exchange(self.engine, now=self.clock.now())
        resting = self._channels_where(self.breakers.is_open)
        trying = self._channels_where(self.breakers.is_trying)
        did, before = False, self.report.count_called
        # What its breaker lets try: one message a provider, and none while one is under way.
        for provider in sorted({self.channels[name].provider for name in trying} - self.tried):
            others = [name for name, channel in self.channels.items() if channel.provider != provider]
            did |= self._claim_some(1, closed=others, trying=provider)
        left = count - (self.report.count_called - before)
        did |= left > 0 and self._claim_some(left, closed=[*resting, *trying])
        if not did and self.tried:
            # The one message that tries may bring the others along.
            self.calls.wait_until(lambda: not self.tried or self.unwritten is not None)
            return self.unwritten is None
        if not did and (resting or trying) and not self.report.stopped_by:
            self.report.stopped_by = "provider_down"
        return did

    def _channels_where(self, holds: Callable[[str], bool]) -> list[str]:
        return [name for name, channel in self.channels.items() if holds(channel.provider)]

    def _claim_some(self, count: int, *, closed: Sequence[str], trying: str = "") -> bool:
        held_at = time.monotonic()
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
            hold=self.hold,
        )
        # Messages that go to `sending` are counted by their outcome.
        self.report.add({state: n for state, n in found.counts.items() if state != "sending"})
        if trying and found.claimed:
            self.tried.add(trying)
        self.calls.start(found.claimed, held_at=held_at)
        self.report.count_called += len(found.claimed)
        if not found.counts:
            self.report.stopped_by = found.stopped_by
        return bool(found.counts)

    def _write_outcomes(self, report: DrainReport) -> None:
        """Write what calls did, in groups as they come, until the last; what goes wrong ends the claims too."""
        try:
            for called in self.calls.finished():
                report.add(self._record(called))
                self.calls.settle(len(called))
        except Exception as error:  # noqa: BLE001 - raised by the thread that claims
            self.unwritten = error
            self.calls.wake()

    def _record(self, called: Sequence[outcomes.Called]) -> dict[str, int]:
        """Write outcomes; a ledger that is away for a moment is waited for, since the calls have been made."""
        import stamina
        from sqlalchemy.exc import OperationalError

        # Before anything is written: who waits for an address must not wait for the ledger too.
        self.look.let_go(claimed for claimed, _ in called)
        for claimed, result in called:
            provider = self.channels[claimed.request.channel].provider
            self.breakers.note(provider, result)
            self.tried.discard(provider)
        for attempt in stamina.retry_context(on=OperationalError, attempts=None, timeout=LEDGER_PATIENCE_SECONDS):
            with attempt:
                return outcomes.record(self.engine, called, now=self.clock.now())
        raise AssertionError("stamina ends by returning or raising")
