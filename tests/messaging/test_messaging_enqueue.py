"""Enqueueing on the real ledger: once per key, the first state, what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging.drain import Budget, drain
from leadpipe.messaging.enqueue import enqueue
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, FakeChannel, MakeIntent


def test_an_enqueued_email_leaves_once_and_enqueueing_again_changes_nothing(
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
    add_lead: AddLead,
    intent: MakeIntent,
    channels: dict[str, FakeChannel],
) -> None:
    wanted = [intent(add_lead(1)), intent(add_lead(2, pewc=True), "sms")]
    first = enqueue(ledger_engine, wanted, clock=clock, settings=live_settings, run_key="r1")
    assert (dict(first.count_by_state), first.count_repeats) == ({"queued": 2}, 0)
    again = enqueue(ledger_engine, wanted, clock=clock, settings=live_settings, run_key="r2")
    assert (again.count_new, again.count_repeats) == (0, 2)

    report = drain(
        engine=ledger_engine,
        channels=channels,
        settings=live_settings,
        clock=clock,
        budget=Budget(max_messages=10, max_seconds=5),
    )
    assert report.counts == {"accepted": 2}
    with ledger_engine.connect() as connection:
        counts = connection.execute(
            text(
                "select (select count(*) from ledger.messages where state = 'accepted'), "
                "(select count(*) from ledger.verdicts), (select count(*) from ledger.decisions), "
                "(select count(*) from ledger.message_events)"
            )
        ).one()
    assert tuple(counts) == (2, 4, 2, 6)
