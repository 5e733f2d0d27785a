"""The first-touch pass: waiting CRM notices become answered leads.

What lives here: the order of the steps and what happens when one fails. What does not: any rule of the steps.

A pass lingers for more work before it ends: starting a Dagster run costs 2-3 s of processor time and 5 s of waiting, so
a run that stays while leads arrive answers the next one within a second (``docs/decisions``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.crm import inbox, intake
from leadpipe.crm.inbox import Notice
from leadpipe.errors import LeadpipeError, TransientError
from leadpipe.messaging import failpoints
from leadpipe.messaging.drain import Budget, drain
from leadpipe.messaging.enqueue import enqueue
from leadpipe.outreach.facts import zips_of
from leadpipe.outreach.first_touch import plan_new_leads
from leadpipe.outreach.variables import market_variables_for
from leadpipe.readiness import refuse_unready
from leadpipe.store.away import transient_when_away

if TYPE_CHECKING:
    from leadpipe.messaging.channels.base import Channel
    from leadpipe.runtime import Runtime

# A burst is read in few pages and few requests for people, within the CRM's limits (FUB sheet 2).
BATCH = 500
POLL_SECONDS = 0.25
RETRY_AFTER = timedelta(seconds=5)
# A server that was killed is back within seconds; one that stays away longer than a lease needs no waiting for.
AWAY_SECONDS = 120.0


@dataclass(kw_only=True)
class FirstTouch:
    """What the passes of one run did; counts only."""

    count_notices: int = 0
    count_people: int = 0
    count_intents: int = 0
    count_set_aside: int = 0
    states: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])

    def as_metadata(self) -> dict[str, Any]:
        """Counts for Dagster; never contact details."""
        return {
            "notices": self.count_notices,
            "people": self.count_people,
            "intents": self.count_intents,
            "quarantined": self.count_set_aside,
            **{f"messages_{state}": count for state, count in self.states.items()},
        }


def answer_new_leads(
    runtime: Runtime, *, linger_seconds: float, channels: dict[str, Channel] | None = None
) -> FirstTouch:
    """Work off waiting notices until none came for ``linger_seconds``, at most three times that long in all.

    A failing batch is given back with its reason and tried again; after too many attempts its rows are kept aside, and
    a notice that nobody can read at once.

    Raises:
        ConfigurationError: sending is live and settings are missing that it needs; every notice waits untouched.
    """
    refuse_unready(runtime.settings)
    report = FirstTouch()
    channels = channels if channels is not None else runtime.channels
    begun = idle_since = time.monotonic()
    while True:
        now = runtime.clock.now()
        notices = inbox.lease(runtime.engine, source="fub", worker=runtime.worker, now=now, limit=BATCH)
        if notices:
            _work(runtime, notices, channels, report)
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since >= linger_seconds:
            return report
        if time.monotonic() - begun >= 3 * max(linger_seconds, 1):
            return report
        if not notices:
            time.sleep(POLL_SECONDS)


def _work(runtime: Runtime, notices: list[Notice], channels: dict[str, Channel], report: FirstTouch) -> None:
    ids = [notice.id for notice in notices]
    report.count_notices += len(ids)
    try:
        wanted = intake.read_notices(notices)
        with transient_when_away("first touch"):
            taken = intake.take_in(
                wanted,
                crm=runtime.crm,
                lake=runtime.lake,
                engine=runtime.engine,
                now=runtime.clock.now(),
                settings=runtime.settings,
            )
            failpoints.hit("intake.stored")
            report.count_set_aside += taken.count_set_aside
            answer(runtime, taken, channels, report)
    except TransientError as error:
        report.failures.append(str(error))
        _give_back_as_soon_as_possible(runtime, ids, reason=str(error))
        return
    except LeadpipeError as error:
        if len(notices) > 1:
            # One notice that nobody can work off must not take the others' leads with it: halves find it soon.
            report.count_notices -= len(ids)
            for half in (notices[: len(ids) // 2], notices[len(ids) // 2 :]):
                _work(runtime, half, channels, report)
            return
        report.failures.append(str(error))
        inbox.give_back(runtime.engine, ids, now=runtime.clock.now(), reason=str(error), after=RETRY_AFTER * 6)
        return
    unread = dict(wanted.unread)
    now = runtime.clock.now()
    inbox.finish(runtime.engine, [notice_id for notice_id in ids if notice_id not in unread], now=now)
    inbox.keep_aside(runtime.engine, unread)


def _give_back_as_soon_as_possible(runtime: Runtime, ids: Sequence[int], *, reason: str) -> None:
    """Give the notices back; while PostgreSQL itself is away, as soon as it answers: their lease is much longer.

    Raises:
        TransientError: it stayed away; the lease ends by itself.
    """
    until = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            with transient_when_away("giving notices back"):
                inbox.give_back(
                    runtime.engine,
                    ids,
                    now=runtime.clock.now(),
                    reason=reason,
                    after=RETRY_AFTER,
                    is_their_fault=False,
                )
                return
        except TransientError:
            if time.monotonic() > until:
                raise
            time.sleep(POLL_SECONDS)


def _market_facts(runtime: Runtime, person_ids: Sequence[int]) -> dict[str, Mapping[str, Any]]:
    with runtime.engine.connect() as connection:
        zips = zips_of(connection, person_ids)
    return market_variables_for(runtime.market_facts.for_zips(zips), now=runtime.clock.now())


def answer(runtime: Runtime, taken: intake.Intake, channels: dict[str, Channel], report: FirstTouch) -> None:
    """From stored people to sent first messages; also what the poller calls for people no webhook told of."""
    from leadpipe.conversation.takeover import pause_for_people

    now = runtime.clock.now()
    pause_for_people(runtime.engine, taken.human_ids, settings=runtime.settings, now=now)
    people = sorted({*taken.person_ids, *(inquiry.person_id for inquiry in taken.inquiries)})
    report.count_people += len(people)
    if not people:
        return
    intents = plan_new_leads(
        runtime.engine,
        people,
        listings_by_person=runtime.recommender.for_people(runtime.engine, people, now=now),
        market_facts=_market_facts(runtime, people),
        settings=runtime.settings,
        clock=runtime.clock,
    )
    report.count_intents += len(intents)
    if not intents:
        return
    enqueue(runtime.engine, intents, clock=runtime.clock, settings=runtime.settings, run_key="first_touch")
    sent = drain(
        engine=runtime.engine,
        channels=channels,
        settings=runtime.settings,
        clock=runtime.clock,
        breakers=runtime.breakers,
        budget=Budget(max_messages=len(intents), max_seconds=60),
        only_message_ids=[intent.id for intent in intents],
    )
    report.states.update(sent.counts)
