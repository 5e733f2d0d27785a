"""The reply pass against the real ledger: readings, consequences, answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.clock import FixedClock
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from leadpipe.work.replies import Replies, answer_replies
from tests.conversation.conftest import AddPerson, Rows, Say, Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine


class NoMarket:
    """Market facts of a house without any."""

    def for_zips(self, zips: Any) -> dict[str, Any]:
        return {}


@pytest.fixture
def read_replies(
    ledger_engine: Engine, settings: Settings, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Replies]:
    """A function that lets the turn settle and runs one reply pass."""

    def run(**changes: Any) -> Replies:
        runtime = Runtime(settings.model_copy(update=changes))
        runtime.__dict__.update(engine=ledger_engine, clock=clock, market_facts=NoMarket())
        clock.advance(timedelta(seconds=3))
        return answer_replies(runtime, linger_seconds=0)

    return run


def test_a_question_is_passed_on_answered_and_handed_over(
    add_person: AddPerson, write: Write, say: Say, read_replies: Callable[..., Replies], rows: Rows
) -> None:
    add_person()
    write(state="delivered")
    say("Does it have a garage?")
    report = read_replies(a2p_campaign_id="C1")
    assert (report.count_turns, dict(report.intents), dict(report.answers)) == (1, {"question": 1}, {"queued": 1})
    answer = rows("select step, occurrence, channel, body from ledger.messages where plan = 'conversation'")
    assert answer == [
        {
            "step": "answer",
            "occurrence": 1,
            "channel": "sms",
            "body": "Thank you for your question, Ana. I passed it on to Bo Lee. - automated assistant, Demo Realty. "
            "Reply STOP to opt out.",
        }
    ]
    assert rows("select reason, assigned_user_id, closed_at from ledger.handoffs") == [
        {"reason": "question", "assigned_user_id": 7, "closed_at": None}
    ]
    assert {row["kind"] for row in rows("select kind from ledger.writebacks")} == {"task", "note"}
