"""Channels that pool their connections: the same promises as those that block a thread each."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.clock import FixedClock
from leadpipe.messaging import calls, last_look, outcomes, switch
from leadpipe.messaging import claim as claims
from leadpipe.messaging import drain as drains
from leadpipe.messaging.channels.base import SendPooled, SendRequest, SendResult
from tests.messaging.conftest import FakeChannel

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.settings import Settings
    from tests.messaging.conftest import AddLead, Go, MakeIntent, Put, Rows


@dataclass
class FakePool(FakeChannel):
    """A fake that is asked by one event loop; ``threads`` are those it was asked from."""

    count_pools: int = 0
    threads: int = 0

    @asynccontextmanager
    async def pooled(self, connections: int) -> AsyncGenerator[SendPooled]:
        self.count_pools += 1
        seen: set[int] = set()

        async def send(request: SendRequest) -> SendResult:
            seen.add(threading.get_ident())
            self.threads = len(seen)
            return self.send(request)

        yield send


@pytest.fixture
def channels() -> dict[str, Any]:
    return {"email": FakePool("ses"), "sms": FakePool("twilio"), "whatsapp": FakeChannel("twilio")}


def test_each_message_is_called_once_from_one_loop_and_outcomes_are_written_together(
    put: Put, add_lead: AddLead, intent: MakeIntent, go: Go, rows: Rows, channels: dict[str, FakePool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    written: list[int] = []
    record = outcomes.record

    def counting(engine: Engine, called: Any, **more: Any) -> dict[str, int]:
        written.append(len(called))
        return record(engine, called, **more)

    monkeypatch.setattr(outcomes, "record", counting)
    put(*(intent(add_lead(n, pewc=True), "sms" if n % 2 else "email") for n in range(1, 81)))
    report = go()
    assert (report.counts, report.count_called) == ({"accepted": 80}, 80)
    requests = [request.message_id for channel in ("email", "sms") for request in channels[channel].requests]
    assert len(requests) == len(set(requests)) == 80
    assert [(channels[name].count_pools, channels[name].threads) for name in ("email", "sms")] == [(1, 1), (1, 1)]
    assert sum(written) == 80 and len(written) <= 40
    assert Counter(row.outcome for row in rows("attempts")) == {"accepted": 80}


def test_a_request_that_cannot_be_made_is_refused_and_the_others_go(
    put: Put, add_lead: AddLead, intent: MakeIntent, go: Go, rows: Rows, channels: dict[str, FakePool]
) -> None:
    put(*(intent(add_lead(n)) for n in range(1, 5)))

    def break_one(request: SendRequest) -> None:
        if request.to == "lead2@example.com":
            raise KeyError("a variable")

    channels["email"].before = break_one
    assert go().counts == {"accepted": 3, "refused": 1}
    assert [row.code for row in rows("messages") if row.state == "refused"] == ["unsendable_KeyError"]


def test_a_pooled_call_that_had_to_wait_looks_once_more_before_it_is_made(
    put: Put, add_lead: AddLead, intent: MakeIntent, go: Go, channels: dict[str, FakePool], ledger_engine: Engine,
    clock: FixedClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    put(intent(add_lead(1)))
    booked = claims.claim

    def claim_then_stop(engine: Engine, *, settings: Settings, **more: Any) -> Any:
        found = booked(engine, settings=settings, **more)
        if found.claimed:
            switch.stop(ledger_engine, now=clock.now(), reason="halt")
            time.sleep(0.1)
        return found

    monkeypatch.setattr(last_look, "START_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(drains, "claim", claim_then_stop)
    assert go().counts == {"held": 1}
    assert channels["email"].requests == []


def test_a_pool_that_cannot_be_opened_leaves_its_messages_unsent_and_the_drain_ends(
    put: Put, add_lead: AddLead, intent: MakeIntent, go: Go, rows: Rows, channels: dict[str, FakePool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    put(intent(add_lead(1)), intent(add_lead(2, pewc=True), "sms"))

    def refuse(_: int) -> Any:
        raise OSError("no certificates")

    monkeypatch.setattr(channels["email"], "pooled", refuse)
    assert go().counts == {"held": 1, "accepted": 1}
    assert [row.code for row in rows("messages") if row.state == "held"] == ["not_sent_unopened_OSError"]


def test_a_call_that_does_not_end_is_unknown_and_the_others_are_written(
    put: Put, add_lead: AddLead, intent: MakeIntent, go: Go, rows: Rows, channels: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    put(*(intent(add_lead(n)) for n in range(1, 4)))

    class Trickling(FakePool):
        @asynccontextmanager
        async def pooled(self, connections: int) -> AsyncGenerator[SendPooled]:
            async with super().pooled(connections) as send:

                async def slowly(request: SendRequest) -> SendResult:
                    if request.to == "lead2@example.com":
                        await asyncio.sleep(30)
                    return await send(request)

                yield slowly

    channels["email"] = Trickling("ses")
    monkeypatch.setattr(calls, "LONGEST_CALL_SECONDS", 0.2)
    assert go().counts == {"accepted": 2, "unknown": 1}
    assert [row.code for row in rows("messages") if row.state == "unknown"] == ["too_long"]
