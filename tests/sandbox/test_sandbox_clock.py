"""The truth's shapes and the simulated calendar."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from leadpipe.errors import TransientError
from tests.sandbox.people import accept

# the truth


def test_the_truths_rows_have_the_keys_that_the_contract_names(start: Any) -> None:
    sandbox = start(population={"aged": 3})
    accept(sandbox, next(row for row in sandbox.control.leads() if row["emails"]))
    (message,) = sandbox.control.messages()
    assert {"provider", "channel", "to", "body", "accepted_at", "plan", "step", "our_id"} <= set(message)
    lead = sandbox.control.leads()[0]
    assert {"person_id", "created_at", "state", "opted_out_at", "phones", "emails", "replies"} <= set(lead)
    assert datetime.fromisoformat(lead["created_at"]).tzinfo is not None


# the clock


def test_the_calendar_starts_on_a_tuesday_at_ten_in_chicago(sandbox: Any) -> None:
    from zoneinfo import ZoneInfo

    now = sandbox.control.clock().now.astimezone(ZoneInfo("America/Chicago"))
    assert (now.strftime("%A"), now.hour, now.minute) == ("Tuesday", 10, 0)
    import holidays

    week = [now.date() + timedelta(days=days) for days in range(8)]
    assert not set(week) & set(holidays.country_holidays("US", years=now.year))


def test_a_jump_moves_the_calendar_and_not_latencies(start: Any) -> None:
    sandbox = start(population={"aged": 5})
    before = sandbox.control.clock()
    after = sandbox.control.jump(timedelta(days=1))
    assert timedelta(days=1) <= after.now - before.now < timedelta(days=1, seconds=10)
    assert after.offset - before.offset == timedelta(days=1)
    accept(sandbox, next(row for row in sandbox.control.leads() if row["emails"]))
    (message,) = sandbox.control.messages()
    simulated, wall = (datetime.fromisoformat(message[key]) for key in ("accepted_at", "accepted_wall_at"))
    assert abs((simulated - wall) - after.offset) < timedelta(seconds=1)


def test_nothing_is_posted_while_the_clock_moves(start: Any) -> None:
    sandbox = start(jump_hold_seconds=2.0)
    sandbox.fub().post("webhooks", {"event": "peopleCreated", "url": f"{sandbox.config.gateway_url}/fub/hook"})
    sandbox.control.jump(timedelta(days=1))
    sandbox.fub().post("people", {"firstName": "Ana"})
    import time

    time.sleep(0.25)
    assert sandbox.gateway.posted == []
    sandbox.wait(lambda: len(sandbox.gateway.posted) == 1)


def test_a_clock_never_goes_back_by_the_command_and_the_control_client_reports_errors(sandbox: Any) -> None:
    from leadpipe.sandbox.calendar import read_span

    for text in ("-1d", "1", "d", "1x", "", "+1d2"):
        with pytest.raises(ValueError, match="no length of time"):
            read_span(text)
    assert read_span("+1d") == timedelta(days=1)
    assert read_span("1d12h") == timedelta(hours=36)
    assert read_span("+90m") == timedelta(minutes=90)
    assert read_span("+0s") == timedelta(0)
    with pytest.raises(TransientError, match="HTTP 400"):
        sandbox.control.populate(people=3)
