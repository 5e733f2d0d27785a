"""What people ask about their own data: the law's two days, silence from receipt, and what answers it (C33)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from leadpipe.cli.main import app
from leadpipe.clock import FixedClock
from leadpipe.errors import Rejected
from leadpipe.messaging import suppression
from leadpipe.privacy.requests import Request, open_requests, receive
from leadpipe.runtime import Runtime
from leadpipe.work.watch import soon_due
from tests.messaging.conftest import add_lead, intent, live_settings, put, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from leadpipe.settings import Settings

__all__ = ["add_lead", "intent", "live_settings", "put", "rows"]

RECEIVED = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
ZONE = "America/Chicago"


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands still: the Tuesday on which they ask, an hour later."""
    return FixedClock(RECEIVED + timedelta(hours=1))


@pytest.fixture
def ask(ledger_engine: Engine, clock: FixedClock) -> Callable[..., Request]:
    """A function that takes a request in, made at ``RECEIVED`` unless said otherwise."""

    def take(person_id: int, kind: Any = "delete", at: datetime = RECEIVED) -> Request:
        with ledger_engine.begin() as connection:
            return receive(connection, person_id, kind=kind, received_at=at, now=clock.now(), zone=ZONE)

    return take


def still_open(engine: Engine) -> list[tuple[int, str]]:
    with engine.connect() as connection:
        return [(each.person_id, each.kind) for each in open_requests(connection)]


def test_c33_the_clock_counts_business_days_and_then_days(ask: Any, add_lead: Any, rows: Any) -> None:
    add_lead(1)
    made = ask(1)
    # Thanksgiving skipped.
    assert (made.acknowledge_by, made.done_by) == (date(2026, 12, 9), date(2027, 1, 8))
    [alert] = rows("alerts")
    assert (alert.kind, alert.person_id, alert.title) == ("privacy_request", 1, "Person 1 asks to be deleted")
    assert "by 2026-12-09 that you have it; the law's last day to do it is 2027-01-08" in alert.body
    [act] = rows("acts")
    assert (act.kind, act.person_id, act.detail["kind"]) == ("privacy_request", 1, "delete")


def test_c33_from_receipt_nothing_goes_by_any_channel(
    ask: Any, add_lead: Any, intent: Any, put: Any, rows: Any
) -> None:
    lead = add_lead(1, pewc=True)
    put(intent(lead), intent(add_lead(2)))
    ask(1)
    put(intent(lead, step="second"), intent(lead, "sms", step="third"))
    found = {(row.person_id, row.step): (row.state, row.code) for row in rows("messages")}
    assert found == {
        (1, "first"): ("cancelled", "suppressed_privacy_request"),
        (1, "second"): ("blocked", "privacy_request"),
        (1, "third"): ("blocked", "privacy_request"),
        (2, "first"): ("queued", None),
    }


def test_who_asks_what_is_held_is_not_silent(ask: Any, add_lead: Any, intent: Any, put: Any, rows: Any) -> None:
    lead = add_lead(1)
    ask(1, "export")
    put(intent(lead))
    assert [row.state for row in rows("messages")] == ["queued"]


def test_the_same_request_twice_is_one_and_another_kind_is_another(
    ask: Any, add_lead: Any, ledger_engine: Engine, rows: Any
) -> None:
    add_lead(1)
    first = ask(1)
    assert ask(1, at=RECEIVED + timedelta(minutes=30)) == first
    ask(1, "export")
    assert still_open(ledger_engine) == [(1, "delete"), (1, "export")]
    assert len(rows("acts")) == 2


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        (
            "delete",
            "insert into ledger.erasures (person_id, person_ids, actor, state, requested_at, done_at) "
            "values (1, '{1,5}', 'x', 'done', :at, :at)",
        ),
        ("export", "insert into ledger.acts (kind, actor, person_id, at) values ('export', 'x', 1, :at)"),
    ],
)
def test_what_came_after_it_answers_it_and_what_came_before_does_not(
    ask: Any, add_lead: Any, ledger_engine: Engine, clock: FixedClock, kind: str, statement: str
) -> None:
    add_lead(1)
    for at, expected in ((clock.now() - timedelta(days=1), [(1, kind)]), (clock.now() + timedelta(days=1), [])):
        ask(1, kind)
        with ledger_engine.begin() as connection:
            connection.execute(text(statement), {"at": at})
        assert still_open(ledger_engine) == expected


def test_no_start_lifts_it(ask: Any, add_lead: Any, ledger_engine: Engine, clock: FixedClock) -> None:
    lead = add_lead(1)
    values = {"contact_point_id": lead.phone_id, "at": clock.now(), "now": clock.now()}
    with ledger_engine.begin() as connection:
        suppression.suppress(connection, channels=[suppression.ALL], source="phrase", **values)
    ask(1)
    with ledger_engine.begin() as connection:
        assert not suppression.lift(connection, channel="sms", **values)


def test_a_request_of_tomorrow_is_none(ask: Any, add_lead: Any) -> None:
    add_lead(1)
    with pytest.raises(Rejected, match="lies ahead"):
        ask(1, at=RECEIVED + timedelta(days=1))


def test_nobody_the_ledger_does_not_know_can_ask(ask: Any) -> None:
    with pytest.raises(Rejected, match="not in the ledger"):
        ask(1)


@pytest.mark.parametrize(
    ("today", "title"),
    [
        (date(2026, 12, 31), None),
        (date(2027, 1, 1), "A request of person 1 is due in 7 days"),
        (date(2027, 1, 10), "A request of person 1 is 2 days over the law's last day"),
    ],
)
def test_the_last_week_is_told_daily(ask: Any, add_lead: Any, today: date, title: str | None) -> None:
    add_lead(1)
    told = list(soon_due([ask(1)], today=today))
    assert [each.title for each in told] == ([title] if title else [])


def test_the_commands_take_a_request_in_and_list_it(
    settings: Settings, add_lead: Any, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(**_: Any) -> Runtime:
        made = Runtime(settings)
        made.__dict__["clock"] = clock
        return made

    monkeypatch.setattr("leadpipe.runtime.open_runtime", opened)
    run = CliRunner().invoke
    add_lead(1)
    assert run(app, ["person", "requests"]).output == "no request is open\n"
    taken = run(app, ["person", "request", "1", "--kind", "delete", "--received", "2026-11-24T17:00"])
    assert taken.exit_code == 0, taken.output
    assert "by 2026-12-09 that you have it, done by 2027-01-08 with `leadpipe person erase 1 --yes`" in taken.output
    assert run(app, ["person", "requests"]).output == taken.output
    [found] = json.loads(run(app, ["person", "requests", "--json"]).output)
    assert (found["person_id"], found["kind"], found["done_by"]) == (1, "delete", "2027-01-08")
    assert run(app, ["person", "request", "9", "--kind", "export"]).exit_code == 1
    assert run(app, ["person", "request", "1", "--kind", "sell"]).exit_code == 2
