"""A simulated day with webhooks lost, and the CRM's copy at its end: ``python -m benchmarks drift --json``.

What lives here: the system, its day and the figures. What does not: what the team does and what equal means
(``crm_day``), the passes themselves, which are production's own.

A sandbox, PostgreSQL and the gateway run as processes of their own; this one does what Dagster's runs do, at their
pace: new leads, replies and due messages all the time, write-backs too, a poll every ``--poll-seconds``. Of the CRM's
webhooks 30 % are lost and 20 % come twice. Leads arrive, and the team edits, merges, deletes, texts and calls in the
CRM. The calendar jumps after each poll so that a day has passed at the end, with the night's sweep, audit and repairs
at their hour. Then everybody stops, and every raw table is compared with the CRM's, row by row and column by column,
until all are equal or one poll interval and the length of a poll are over.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from benchmarks.crm_day import Team, unequal
from benchmarks.world import sandbox_system
from leadpipe.chaos import jobs
from leadpipe.cli import services, truth
from leadpipe.cli.report import believe
from leadpipe.cli.sandbox_world import SandboxWorld
from leadpipe.cli.services import SANDBOX
from leadpipe.errors import LeadpipeError
from leadpipe.sandbox.control import jump_all

WEATHER = {
    "fub_webhook_lost": 0.3,
    "fub_webhook_repeated": 0.2,
    "fub_webhook_delayed": {"chance": 0.1, "value": 3.0},
    "fub_webhook_reordered": 0.1,
}
# The team's own requests count against the same windows, as they would not in the CRM's own pages.
LIMITS: dict[str, int] = dict.fromkeys(("global", "events", "notes", "PUT.people"), 100_000)
DAY = timedelta(days=1)
NIGHT_HOUR, NIGHT_MINUTE = 1, 10
PROMISED_SECONDS = 300.0
READY_SECONDS = 120.0
PACE = 0.2
QUIET_SECONDS = 4.0


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a table differs, or a lead was touched late or never without a reason."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks drift", description=__doc__)
    parser.add_argument("--aged", type=int, default=2_000, help="people of the past")
    parser.add_argument("--leads", type=int, default=200, help="leads that arrive over the day")
    parser.add_argument("--acts", type=int, default=600, help="what the team does over the day")
    parser.add_argument("--polls", type=int, default=10, help="polls a day; the calendar jumps by a share of it")
    parser.add_argument("--poll-seconds", type=float, default=60.0, help="between two polls; Dagster's schedule has 60")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    options = parser.parse_args(arguments)
    with sandbox_system(has_caps=False, seed=options.seed) as (system, config, stop):
        world = SandboxWorld(system=system, config=config)
        with world.closing():
            _set_up(world, options.aged, stop)
            with world.runtime.lake.keep_open():
                result = Day(world, options).pass_by()
    print(json.dumps(result) if options.json else _in_words(result))
    is_good = not result["unequal"] and not result["late"] and not result["untouched_without_reason"]
    return 0 if is_good and not result["failures"] else 1


def _set_up(world: SandboxWorld, aged: int, stop: threading.Event) -> None:
    """Sandbox, stores, gateway, webhooks and the first sync; no Dagster."""
    from leadpipe.clock import set_offset
    from leadpipe.crm import webhooks
    from leadpipe.work.poll import poll

    supervisor, runtime = world.system.supervisor, world.runtime
    supervisor.start(services.sandbox_service(world.config, home=world.system.home, without=world.system.without))
    world.system.set_up(runtime)
    supervisor.wait_until_ready((SANDBOX,), timeout_seconds=READY_SECONDS, stop=stop)
    set_offset(runtime.engine, world.sandbox.clock().offset)
    world.sandbox.configure(pace=PACE, carrier_pace=PACE)
    world.sandbox.set_limits(LIMITS)
    world.sandbox.populate(aged=aged)
    world.system.start_gateway(stop)
    webhooks.install(runtime.crm, world.system.settings)
    while not (done := poll(runtime)).is_history_complete:
        print("reading the history ...", file=sys.stderr)
    if done.failures:
        sys.exit(f"the first sync failed: {done.failures}")


@dataclass
class Day:
    """The day, from the first arrival to the comparison."""

    world: SandboxWorld
    options: argparse.Namespace
    failures: list[str] = field(default_factory=list[str])
    poll_seconds: list[float] = field(default_factory=list[float])
    night: dict[str, Any] = field(default_factory=dict[str, Any])

    @cached_property
    def team(self) -> Team:
        """Who works in the CRM by hand."""
        config = self.world.config
        http = httpx.Client(auth=(config.fub_api_key, ""), timeout=30)
        return Team(
            http=http,
            base=f"{config.base_url}/fub/v1",
            control=self.world.sandbox,
            dice=random.Random(self.options.seed),
            now=self.world.runtime.clock.now,
        )

    def pass_by(self) -> dict[str, Any]:
        """Let the day pass and compare."""
        options, sandbox = self.options, self.world.sandbox
        sandbox.set_faults(WEATHER)
        sandbox.populate(new=options.leads, seconds=options.polls * options.poll_seconds * 0.9)
        acts_a_poll = options.acts // options.polls
        night_at = self._night_at()
        for number in range(options.polls):
            self._until_next_poll(acts_a_poll)
            jump_all(sandbox, self.world.runtime.engine, DAY / options.polls)
            if self.world.runtime.clock.now() >= night_at:
                night_at += DAY
                self._pass("night", self._night)
            print(f"poll {number + 1} of {options.polls}: {sum(self.team.acts.values())} acts", file=sys.stderr)
        changed_at = self._calm_down()
        differing, seconds = self._compare(changed_at)
        return self._figures(differing, seconds)

    # passes

    def _until_next_poll(self, acts: int) -> None:
        """Work and let the team work for one interval, then poll."""
        begun, done = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < self.options.poll_seconds:
            due = int(acts * passed / self.options.poll_seconds)
            self.team.work(due - done)
            done = due
            self._work()
            time.sleep(0.25)
        self.team.work(acts - done)
        self._poll()

    def _work(self) -> None:
        from leadpipe.work.write_back import write_back

        self._pass("work", lambda: jobs.work_once(self.world.runtime))
        self._pass("write-back", lambda: write_back(self.world.runtime))

    def _poll(self) -> None:
        from leadpipe.work.poll import poll

        begun = time.monotonic()
        done: list[Any] = []
        self._pass("poll", lambda: done.append(poll(self.world.runtime)))
        self.failures += [failure for each in done for failure in each.failures]
        self.poll_seconds.append(time.monotonic() - begun)

    def _night(self) -> None:
        """What Dagster's schedules do between one and two at night."""
        from leadpipe.crm.written import journal_repairs
        from leadpipe.work.audit import audit
        from leadpipe.work.sweep import sweep

        runtime = self.world.runtime
        swept = sweep(runtime)
        found = audit(runtime)
        count = journal_repairs(runtime.engine, runtime.lake, now=runtime.clock.now())
        self.night = {"sweep": swept.as_metadata(), "audit": found.as_metadata(), "repairs": count}

    def _pass(self, name: str, run: Callable[[], object]) -> None:
        """One pass; what ends it is told, and the next one begins all the same, as Dagster's next run would."""
        try:
            run()
        except LeadpipeError as error:
            self.failures.append(f"{name}: {error}")

    def _night_at(self) -> datetime:
        zone = ZoneInfo(self.world.system.settings.team_timezone)
        now = self.world.runtime.clock.now().astimezone(zone)
        at = now.replace(hour=NIGHT_HOUR, minute=NIGHT_MINUTE, second=0)
        return at if at > now else at + DAY

    # the end

    def _calm_down(self) -> float:
        """Nobody writes any more, what is under way ends, polls go on; returns when the CRM last changed."""
        self.world.sandbox.configure(new_answer_share=0.0, aged_answer_share=0.0)
        before, changed_at, polled_at = "", time.monotonic(), time.monotonic()
        while time.monotonic() - changed_at < QUIET_SECONDS or self.world.sandbox.summary()["running_jobs"]:
            self._work()
            if time.monotonic() - polled_at >= self.options.poll_seconds:
                polled_at = time.monotonic()
                self._poll()
            found = json.dumps(self.world.sandbox.crm(), sort_keys=True)
            if found != before:
                before, changed_at = found, time.monotonic()
            time.sleep(0.25)
        return changed_at

    def _compare(self, changed_at: float) -> tuple[dict[str, dict[str, int]], float]:
        """What differs one poll after the last change, and when everything was equal, from that change on."""
        bound = self.options.poll_seconds
        while time.monotonic() - changed_at < bound and unequal(self.world.sandbox.crm(), self.world.runtime.lake):
            time.sleep(0.5)
        differing = unequal(self.world.sandbox.crm(), self.world.runtime.lake)
        if differing:
            self._poll()
            differing = unequal(self.world.sandbox.crm(), self.world.runtime.lake)
        return differing, time.monotonic() - changed_at

    def _figures(self, differing: dict[str, dict[str, int]], seconds: float) -> dict[str, Any]:
        runtime, sandbox = self.world.runtime, self.world.sandbox
        crm, leads, messages = sandbox.crm(), sandbox.leads(), sandbox.messages()
        with runtime.engine.connect() as connection:
            believed = believe(connection, now=runtime.clock.now())
        touches = truth.first_touches(leads, messages)
        never = [person for person, after in touches.items() if after == float("inf")]
        touched = [after for after in touches.values() if after != float("inf")]
        # Deleted by the team before a webhook or a poll told of them: nobody can have known.
        unknown = {p for p in never if p not in believed.people} - {row["id"] for row in crm["people"]}
        struck = sandbox.faults()["struck"]
        return {
            "people": len(crm["people"]),
            "records": sum(len(rows) for rows in crm.values()),
            "acts": dict(sorted(self.team.acts.items())),
            "webhooks": {
                "delivered": int(sandbox.summary()["webhooks_delivered"]),
                "lost": struck.get("fub_webhook_lost", 0),
                "repeated": struck.get("fub_webhook_repeated", 0),
            },
            "unequal": differing,
            "seconds_to_equal": round(seconds, 1),
            "poll_seconds": self.options.poll_seconds,
            "longest_poll_seconds": round(max(self.poll_seconds), 1),
            "night": self.night,
            "leads": len(touches),
            "first_touch_seconds": {
                name: truth.percentile(touched, share) for name, share in (("p50", 0.5), ("max", 1))
            },
            "late": sum(1 for after in touched if after > PROMISED_SECONDS),
            "never_with_reason": sum(1 for person in never if believed.people.get(person)),
            "deleted_before_read": len(unknown),
            "untouched_without_reason": sum(1 for p in never if p not in unknown and not believed.people.get(p)),
            "failures": self.failures,
        }


def _in_words(result: dict[str, Any]) -> str:
    hooks, failures = result["webhooks"], result["failures"] or "none"
    equal = "every raw table equals the CRM's" if not result["unequal"] else f"these differ: {result['unequal']}"
    never = result["untouched_without_reason"]
    return (
        f"{sum(result['acts'].values())} acts of the team, {hooks['lost']} webhooks lost and {hooks['repeated']} "
        f"repeated; {result['seconds_to_equal']} s after the last change {equal} ({result['records']} records). "
        f"{result['leads']} leads: {result['late']} touched after 5 minutes, {never} never and without a reason; "
        f"slowest {result['first_touch_seconds']['max']} s. Failures: {failures}"
    )


if __name__ == "__main__":
    sys.exit(main())
