"""Sensors that ask the ledger: one run for all that waits, none while one is under way, again after one died."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging import switch
from leadpipe.messaging.channels.base import SendResult
from leadpipe.runtime import Runtime
from sensors.crm import deliver_alerts, pending_writes, unsent_alerts, write_back
from sensors.first_touch import first_touch, new_leads
from sensors.lake import ledger_moves
from sensors.replies import read_replies, unread_replies
from sensors.sending import due_messages, send_due
from sensors.slots import UNDER_WAY, decide

Put = Callable[[Runtime, FixedClock], None]
ENDED = [status for status in DagsterRunStatus if status not in UNDER_WAY and status != DagsterRunStatus.MANAGED]


def put(runtime: Runtime, statement: str, **values: Any) -> None:
    with runtime.engine.begin() as connection:
        connection.execute(text(statement), values)


def add_notice(runtime: Runtime, clock: FixedClock, *, key: str = "n1", **changes: Any) -> None:
    row = {"lease": None, "state": "new"} | changes
    put(
        runtime,
        "insert into ledger.inbox (source, kind, dedupe_key, body, received_at, state, lease_expires_at) "
        "values ('fub', 'peopleCreated', :key, '{}', :now, :state, :lease)",
        key=key, now=clock.now(), **row,
    )  # fmt: skip


def add_point(runtime: Runtime, clock: FixedClock) -> None:
    put(
        runtime,
        "insert into ledger.people (person_id, crm_created_at, crm_updated_at, first_seen_at, refreshed_at) "
        "values (1, :now, :now, :now, :now)",
        now=clock.now(),
    )
    put(
        runtime,
        "insert into ledger.contact_points (id, kind, address, created_at) overriding system value "
        "values (1, 'email', 'lead1@example.com', :now)",
        now=clock.now(),
    )


def add_inbound(runtime: Runtime, clock: FixedClock) -> None:
    add_point(runtime, clock)
    put(
        runtime,
        "insert into ledger.inbound_messages (channel, provider_id, contact_point_id, person_id, body, received_at) "
        "values ('email', 'in-1', 1, 1, 'Yes, still looking', :at)",
        at=clock.now() - timedelta(minutes=1),
    )


def add_message(runtime: Runtime, clock: FixedClock, *, due: timedelta = timedelta(0)) -> None:
    add_point(runtime, clock)
    put(
        runtime,
        "insert into ledger.messages (id, person_id, contact_point_id, plan, step, occurrence, channel, purpose, body, "
        "state, due_at, created_at, changed_at) values (gen_random_uuid(), 1, 1, 'reactivation', 'ask', 1, 'email', "
        "'marketing', 'Hello', 'queued', :due, :now, :now)",
        due=clock.now() + due, now=clock.now(),
    )  # fmt: skip


def add_passage(runtime: Runtime, clock: FixedClock, *, plan: str = "nurture") -> None:
    add_point(runtime, clock)
    put(
        runtime,
        "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, state, step, opened_at, "
        "next_due_at) values (1, :plan, '1', 1, 'open', 'nudge', :now, :now)",
        plan=plan, now=clock.now(),
    )  # fmt: skip


def add_write(runtime: Runtime, clock: FixedClock) -> None:
    put(
        runtime,
        "insert into ledger.writebacks (person_id, kind, marker, created_at) values (1, 'tags', 'm1', :now)",
        now=clock.now(),
    )


def add_alert(runtime: Runtime, clock: FixedClock) -> None:
    put(
        runtime,
        "insert into ledger.alerts (kind, dedupe_key, title, body, created_at) values ('test', 'a1', 'T', 'B', :now)",
        now=clock.now(),
    )


SENSORS: list[Any] = [
    pytest.param(new_leads, first_touch, add_notice, id="new_leads"),
    pytest.param(unread_replies, read_replies, add_inbound, id="unread_replies"),
    pytest.param(due_messages, send_due, add_message, id="due_messages"),
    pytest.param(pending_writes, write_back, add_write, id="pending_writes"),
    pytest.param(unsent_alerts, deliver_alerts, add_alert, id="unsent_alerts"),
]


@pytest.mark.parametrize(("sensor", "job", "add"), SENSORS)
def test_work_starts_one_run_and_none_beside_it_and_again_after_it_died(
    sensor: dg.SensorDefinition, job: dg.JobDefinition, add: Put, runtime: Runtime, clock: FixedClock,
    add_run: Any, ask: Any, instance: dg.DagsterInstance,
) -> None:  # fmt: skip
    assert isinstance(ask(sensor), dg.SkipReason)
    add(runtime, clock)
    asked = ask(sensor)
    assert isinstance(asked, dg.RunRequest)
    # A key is remembered for ever: the run of a key that died would never be started again.
    assert asked.run_key is None
    assert asked.tags["leadpipe/waiting"] == "1"
    for status in UNDER_WAY:
        run = add_run(job, status)
        assert isinstance(ask(sensor), dg.SkipReason), status
        instance.delete_run(run.run_id)
    for status in ENDED:
        add_run(job, status)
    assert isinstance(ask(sensor), dg.RunRequest)


def test_runs_of_other_jobs_keep_no_lead_waiting(runtime: Runtime, clock: FixedClock, add_run: Any, ask: Any) -> None:
    add_notice(runtime, clock)
    for job in (read_replies, send_due, write_back):
        add_run(job, DagsterRunStatus.STARTED)
    assert isinstance(ask(new_leads), dg.RunRequest)


def test_a_leased_notice_waits_for_its_run_and_an_expired_lease_for_the_next(
    runtime: Runtime, clock: FixedClock, ask: Any
) -> None:
    """A run that dies after its claim loses nothing: the lease runs out and the rows are found again."""
    add_notice(runtime, clock, lease=clock.now() + timedelta(seconds=30))
    add_notice(runtime, clock, key="n2", state="handled")
    assert isinstance(ask(new_leads), dg.SkipReason)
    clock.advance(timedelta(seconds=31))
    assert isinstance(ask(new_leads), dg.RunRequest)


def test_a_message_due_later_starts_no_run(runtime: Runtime, clock: FixedClock, ask: Any) -> None:
    add_message(runtime, clock, due=timedelta(minutes=5))
    assert isinstance(ask(due_messages), dg.SkipReason)
    clock.advance(timedelta(minutes=5))
    assert isinstance(ask(due_messages), dg.RunRequest)


@pytest.mark.parametrize(
    "stopped", [{}, {"plans": ("reactivation",)}, {"channels": ("email",)}, {"contact_points": (1,)}]
)
def test_what_the_switch_holds_back_starts_no_run(
    stopped: dict[str, Any], runtime: Runtime, clock: FixedClock, ask: Any
) -> None:
    add_message(runtime, clock)
    switch.stop(runtime.engine, now=clock.now(), reason="test", **stopped)
    assert isinstance(ask(due_messages), dg.SkipReason)


def test_what_waits_for_a_provider_that_rests_starts_no_run(runtime: Runtime, clock: FixedClock, ask: Any) -> None:
    add_message(runtime, clock)
    runtime.breakers.note("ses", SendResult.misconfigured("20003"))
    runtime.breakers.exchange(runtime.engine, now=clock.now())
    assert isinstance(ask(due_messages), dg.SkipReason)
    switch.resume(runtime.engine, now=clock.now(), stale_after=timedelta(hours=24))
    assert not isinstance(ask(due_messages), dg.SkipReason)


@pytest.mark.parametrize("cap", ["cap_per_hour", "cap_per_day"])
def test_what_a_cap_holds_back_starts_no_run(cap: str, runtime: Runtime, clock: FixedClock, ask: Any) -> None:
    add_message(runtime, clock)
    runtime.settings = runtime.settings.model_copy(update={cap: 0})
    assert isinstance(ask(due_messages), dg.SkipReason)


def test_a_due_passage_starts_a_run_even_when_sending_is_stopped(runtime: Runtime, clock: FixedClock, ask: Any) -> None:
    """Plans go on in time while nothing leaves; what they store waits in the queue."""
    add_passage(runtime, clock)
    switch.stop(runtime.engine, now=clock.now(), reason="test")
    assert isinstance(ask(due_messages), dg.RunRequest)


def test_the_mirror_starts_whenever_none_is_under_way(ask: Any, add_run: Any) -> None:
    from leadpipe.definitions import defs

    assert isinstance(ask(ledger_moves), dg.RunRequest)
    add_run(defs.resolve_job_def("mirror_ledger"), DagsterRunStatus.STARTED)
    assert isinstance(ask(ledger_moves), dg.SkipReason)


@pytest.mark.parametrize(
    ("count", "under_way", "starts"),
    [(0, False, False), (0, True, False), (1, True, False), (1, False, True), (500, False, True)],
)
def test_the_decision(count: int, under_way: bool, starts: bool) -> None:
    decided = decide(count_waiting=count, is_run_under_way=under_way, what="lead")
    assert isinstance(decided, dg.RunRequest) is starts
