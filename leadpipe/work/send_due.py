"""The sending pass: due steps become messages, due messages leave, unsure ones are looked up.

What lives here: the order. What does not: the protocol (``messaging``), the plans (``outreach``).
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.crm import watermark
from leadpipe.crm.sync import Sync
from leadpipe.errors import ConfigurationError, LeadpipeError
from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.cases import REFUSALS
from leadpipe.messaging.drain import Budget, drain
from leadpipe.messaging.enqueue import enqueue
from leadpipe.messaging.reconcile import reconcile
from leadpipe.outreach.advance import Advanced, advance
from leadpipe.outreach.pausing import take_up_again
from leadpipe.readiness import refuse_unready
from leadpipe.work.refusals import read_refusals

if TYPE_CHECKING:
    from leadpipe.messaging.channels.base import Channel
    from leadpipe.runtime import Runtime

POLL_SECONDS = 1.0
# Well inside of the quarter of an hour that the rule gives.
REFUSALS_AGE = timedelta(minutes=10)


@dataclass(kw_only=True)
class Sent:
    """What one run sent and looked up."""

    count_intents: int = 0
    states: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])

    def as_metadata(self) -> dict[str, Any]:
        """Counts for Dagster, and what went wrong without stopping the rest."""
        return {
            "intents": self.count_intents,
            **{f"messages_{state}": n for state, n in self.states.items()},
            **({"failures": "\n".join(self.failures)} if self.failures else {}),
        }


def send_due(runtime: Runtime, *, linger_seconds: float, channels: dict[str, Channel] | None = None) -> Sent:
    """Send what is due until nothing was for ``linger_seconds``, at most three times that long and a run's cap.

    Raises:
        ConfigurationError: sending is live and settings are missing that it needs; nothing was done.
    """
    refuse_unready(runtime.settings)
    report = Sent()
    channels = channels if channels is not None else runtime.channels
    take_up_again(runtime.engine, settings=runtime.settings, clock=runtime.clock)
    _freshen_refusals(runtime, report)
    begun = idle_since = time.monotonic()
    while True:
        did = _pass(runtime, channels, report)
        if did:
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since >= linger_seconds:
            return report
        is_over = time.monotonic() - begun >= 3 * max(linger_seconds, 1)
        if is_over or sum(report.states.values()) >= runtime.settings.cap_per_run:
            return report
        if not did:
            time.sleep(POLL_SECONDS)


def _freshen_refusals(runtime: Runtime, report: Sent) -> None:
    """Read the CRM's opt-outs when the poller has not done so lately; messages of marketing wait for that (C45)."""
    now = runtime.clock.now()
    last = watermark.read(runtime.engine, REFUSALS)
    if last is None or now - last < REFUSALS_AGE:
        return
    sync = Sync(runtime.keeper)
    try:
        read_refusals(runtime, sync, now=now)
    except LeadpipeError as error:
        report.failures.append(f"the CRM's opt-outs were not read: {error}")


def _advance(runtime: Runtime, report: Sent) -> Advanced:
    """Due passages move on; a wrong plan file keeps them back and tells the team, while what is queued still leaves."""
    try:
        return advance(runtime.engine, settings=runtime.settings, clock=runtime.clock, market=runtime.market_facts)
    except ConfigurationError as error:
        now = runtime.clock.now()
        if str(error) not in report.failures:
            report.failures.append(str(error))
        with runtime.engine.begin() as connection:
            raise_alert(
                connection,
                kind="plan_broken",
                dedupe_key=f"plan_broken:{now.date()}:{hashlib.sha256(str(error).encode()).hexdigest()[:12]}",
                title="A plan file is wrong; nobody moves on in any plan",
                body=str(error),
                now=now,
            )
        return Advanced()


def _pass(runtime: Runtime, channels: dict[str, Channel], report: Sent) -> bool:
    advanced = _advance(runtime, report)
    intents = advanced.intents
    report.count_intents += len(intents)
    if intents:
        enqueue(runtime.engine, intents, clock=runtime.clock, settings=runtime.settings, run_key="send_due")
    reconcile(engine=runtime.engine, settings=runtime.settings, clock=runtime.clock)
    sent = drain(
        engine=runtime.engine,
        channels=channels,
        settings=runtime.settings,
        clock=runtime.clock,
        breakers=runtime.breakers,
        budget=Budget(max_messages=500, max_seconds=20),
    )
    report.states.update(sent.counts)
    return advanced.count_passages > advanced.count_waiting or sum(sent.counts.values()) > 0
