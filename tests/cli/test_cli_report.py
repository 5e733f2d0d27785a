"""The live view and the ledger's side of the report, on a real ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from sqlalchemy import text

from leadpipe.cli.live_view import Snapshot, draw, look
from leadpipe.cli.report import Backfilled, Planned, Report, believe

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import FixedClock


def person(
    engine: Engine, clock: FixedClock, person_id: int, *, outcome: str | None = None, is_new: bool = True
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.people (person_id, crm_created_at, crm_updated_at, first_seen_at, refreshed_at, "
                "is_new_lead, outcome) values (:id, :now, :now, :now, :now, :new, :outcome)"
            ),
            {"id": person_id, "now": clock.now(), "new": is_new, "outcome": outcome},
        )


def point(engine: Engine, clock: FixedClock, address: str) -> int:
    with engine.begin() as connection:
        return connection.execute(
            text(
                "insert into ledger.contact_points (kind, address, created_at) "
                "values (:kind, :address, :now) returning id"
            ),
            {"kind": "email" if "@" in address else "phone", "address": address, "now": clock.now()},
        ).scalar_one()


def test_a_person_is_accounted_for_by_a_message_a_decision_or_a_stated_outcome(
    ledger_engine: Engine, clock: FixedClock
) -> None:
    person(ledger_engine, clock, 1)
    person(ledger_engine, clock, 2, outcome="no_contact_point")
    person(ledger_engine, clock, 3)
    person(ledger_engine, clock, 4, outcome="before_go_live")
    with ledger_engine.begin() as connection:
        for number, outcome in ((3, "blocked"), (4, "before_go_live")):
            connection.execute(
                text(
                    "insert into ledger.decisions (person_id, plan, outcome, at) values (:id, 'new_lead', :out, :now)"
                ),
                {"id": number, "out": outcome, "now": clock.now()},
            )
    with ledger_engine.connect() as connection:
        # A sandbox's new leads all come after going live: who counts as older was not answered.
        assert believe(connection, now=clock.now()).people == {1: False, 2: True, 3: True, 4: False}


def test_replies_are_counted_by_address_and_waiting_ones_only_after_a_minute(
    ledger_engine: Engine, clock: FixedClock
) -> None:
    point_id = point(ledger_engine, clock, "+13125550101")
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.inbound_messages (channel, provider_id, contact_point_id, body, received_at) "
                "values ('sms', 'SM1', :point, 'yes', :now), ('whatsapp', 'SM2', :point, 'yes', :now)"
            ),
            {"point": point_id, "now": clock.now()},
        )
    with ledger_engine.connect() as connection:
        now = believe(connection, now=clock.now() + timedelta(seconds=30))
        later = believe(connection, now=clock.now() + timedelta(seconds=90))
    assert now.replies == {("+13125550101", "phone"): 2}
    assert (now.unhandled["unread_reply"], later.unhandled["unread_reply"]) == (0, 2)


def test_a_suppression_that_was_lifted_is_none_in_force(ledger_engine: Engine, clock: FixedClock) -> None:
    kept, lifted = (point(ledger_engine, clock, address) for address in ("a@example.com", "b@example.com"))
    with ledger_engine.begin() as connection:
        for point_id, action, minutes in ((kept, "suppress", 0), (lifted, "suppress", 0), (lifted, "lift", 1)):
            connection.execute(
                text(
                    "insert into ledger.suppressions (contact_point_id, channel, action, source, at, recorded_at) "
                    "values (:point, 'email', :action, 'phrase', :at, :at)"
                ),
                {"point": point_id, "action": action, "at": clock.now() + timedelta(minutes=minutes)},
            )
    with ledger_engine.connect() as connection:
        found = believe(connection, now=clock.now())
    assert found.suppressed == [("a@example.com", "email", clock.now())]


def test_an_inquiry_after_go_live_without_an_answer_is_unhandled_and_one_before_is_not(
    ledger_engine: Engine, clock: FixedClock
) -> None:
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.controls (key, value, changed_at) "
                "values ('go_live', jsonb_build_object('at', cast(:at as text)), :now)"
            ),
            {"at": clock.now().isoformat(), "now": clock.now()},
        )
        for event_id, minutes in ((1, -5), (2, 5)):
            connection.execute(
                text(
                    "insert into ledger.inquiries (event_id, person_id, type, occurred_at, first_seen_at) "
                    "values (:id, 1, 'Registration', :at, :at)"
                ),
                {"id": event_id, "at": clock.now() + timedelta(minutes=minutes)},
            )
    with ledger_engine.connect() as connection:
        assert believe(connection, now=clock.now() + timedelta(hours=1)).unhandled["unanswered_inquiry"] == 1


# the report


def report(**changes: object) -> Report:
    values: dict[str, object] = {
        "leads_new": 2,
        "first_touch_seconds": {"p50": 1.0, "p95": 2.0, "p99": 2.0, "max": 2.0},
        "messages": {},
        "replies": {},
        "opt_outs": 0,
        "handoffs": 0,
        "reactivation": Planned(planned=1, enqueued=1),
        "backfill": Backfilled(partitions=12, enqueued=1),
        "sent_after_suppression": 0,
        "duplicates": 0,
        "lost": 0,
        "runs": {"ok": 3, "failed": 0},
        "untouched": 0,
        "lost_by_kind": {},
        "failure": "",
    }
    return Report(**(values | changes))  # pyright: ignore[reportArgumentType]


def test_a_good_report_has_nothing_to_complain_of() -> None:
    assert report().complaints == []


@pytest.mark.parametrize(
    "changes",
    [
        {"duplicates": 1},
        {"lost": 1, "lost_by_kind": {"reply": 1}},
        {"sent_after_suppression": 1},
        {"runs": {"ok": 3, "failed": 1}},
        {"untouched": 1},
        {"failure": "the backfill failed"},
    ],
)
def test_each_thing_that_was_not_right_is_a_complaint(changes: dict[str, object]) -> None:
    assert len(report(**changes).complaints) == 1


def test_a_demo_that_was_stopped_is_judged_by_what_went_out_and_tells_what_was_under_way() -> None:
    stopped = report(is_interrupted=True, under_way=7)
    assert stopped.complaints == []
    assert stopped.remarks == ["under way when you stopped: 7 leads of the last minute"]
    assert len(report(is_interrupted=True, duplicates=1, sent_after_suppression=1).complaints) == 2
    assert report(untouched=1).remarks == []


def test_what_failed_or_was_late_is_not_called_under_way() -> None:
    stopped = report(
        is_interrupted=True,
        under_way=1,
        lost=2,
        lost_by_kind={"lead": 2},
        untouched=1,
        runs={"ok": 3, "failed": 10},
    )
    assert stopped.complaints == []
    assert stopped.remarks == [
        "under way when you stopped: 1 lead of the last minute",
        "late or failed when you stopped: 2 without an effect after a minute (lead 2)",
        "late or failed when you stopped: 10 Dagster runs failed",
        "late or failed when you stopped: 1 contactable new lead without a message after a minute",
        "a demo that you stop passes all the same; one that ends by --exit-after exits with 1 for these",
    ]
    assert "passes" not in " ".join(report(is_interrupted=True, untouched=1, duplicates=1).remarks)


# the view


def test_the_view_shows_counts_links_and_what_happened(ledger_engine: Engine, clock: FixedClock) -> None:
    person(ledger_engine, clock, 1)
    with ledger_engine.connect() as connection:
        snapshot = look(connection, at=clock.now())
    assert (snapshot.people, snapshot.messages, snapshot.replies) == (1, {}, {})
    snapshot.leads_in = 42
    snapshot.first_touch_seconds = [1.0, 2.0, 9.5]
    snapshot.messages = {("email", "delivered"): 17, ("sms", "held"): 3}
    snapshot.replies = {"interested": 5}
    console = Console(record=True, width=120, file=None)
    with console.capture() as captured:
        console.print(draw(snapshot, links={"Dagster UI": "http://127.0.0.1:3000"}, told=["jumped"], clock="9 s left"))
    shown = captured.get()
    for words in (
        "42 new",
        "p99 9.5 s",
        "delivered",
        "17",
        "interested",
        "http://127.0.0.1:3000",
        "jumped",
        "9 s left",
    ):
        assert words in shown, shown


def test_the_view_in_one_line_tells_the_same_where_there_is_no_terminal(clock: FixedClock) -> None:
    snapshot = Snapshot(at=clock.now(), leads_in=3, messages={("email", "delivered"): 2}, runs={"ok": 1, "failed": 0})
    assert "leads 3" in snapshot.line
    assert "sent 2" in snapshot.line
    assert "first touch p50 - " in snapshot.line
