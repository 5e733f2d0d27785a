"""A row that cannot be claimed, called or written down ends by itself; its batch goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.messaging import batch, review
from leadpipe.messaging import drain as drains
from leadpipe.messaging.channels.base import SendRequest, SendResult

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, FakeChannel, Go, MakeIntent, Put, Rows

Calls = Callable[[], list[SendRequest]]
# Its age cannot be computed: no date lies a day later.
LAST_MOMENT = "update ledger.messages set due_at = '9999-12-31 23:00+00', not_before_at = :now where person_id = 2"


@pytest.fixture
def three(put: Put, add_lead: AddLead, intent: MakeIntent) -> list[str]:
    """Ids of three messages to three people, due now."""
    wanted = [intent(add_lead(n)) for n in (1, 2, 3)]
    put(*wanted)
    return [one.id for one in wanted]


def states(rows: Rows) -> dict[int, tuple[str, str | None]]:
    return {row.person_id: (row.state, row.code) for row in rows("messages")}


def test_a_message_that_cannot_be_claimed_waits_for_a_person_and_the_others_go(
    three: list[str], ledger_engine: Engine, clock: FixedClock, go: Go, calls: Calls, rows: Rows
) -> None:
    with ledger_engine.begin() as connection:
        connection.execute(text(LAST_MOMENT), {"now": clock.now()})
    assert go().counts == {"accepted": 2, "review": 1}
    assert states(rows) == {1: ("accepted", None), 2: ("review", "unclaimable_OverflowError"), 3: ("accepted", None)}
    assert len(calls()) == 2
    [alert] = rows("alerts")
    assert (alert.kind, three[1] in alert.body) == ("unclaimable", True)
    review.reject(ledger_engine, three[1], by="ada", now=clock.now())
    assert go().counts == {}
    assert states(rows)[2] == ("cancelled", "rejected")


def test_such_a_message_alone_in_its_batch_waits_for_a_person_too(
    put: Put, add_lead: AddLead, intent: MakeIntent, ledger_engine: Engine, clock: FixedClock, go: Go, rows: Rows
) -> None:
    put(intent(add_lead(2)))
    with ledger_engine.begin() as connection:
        connection.execute(text(LAST_MOMENT), {"now": clock.now()})
    assert go().counts == {"review": 1}


def test_when_every_message_fails_the_fault_is_ours_and_none_of_them_moves(
    three: list[str], go: Go, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise TypeError("a fault of the code")

    monkeypatch.setattr(batch, "_request", broken)
    with pytest.raises(TypeError, match="a fault of the code"):
        go()
    assert set(states(rows).values()) == {("queued", None)}
    assert rows("attempts") == []


def test_a_message_that_no_request_can_be_made_of_is_refused_and_a_person_is_told(
    three: list[str], go: Go, rows: Rows, channels: dict[str, FakeChannel]
) -> None:
    def render(request: SendRequest) -> None:
        if request.message_id == three[1]:
            raise KeyError("first_name")

    channels["email"].before = render
    assert go().counts == {"accepted": 2, "refused": 1}
    assert states(rows)[2] == ("refused", "unsendable_KeyError")
    [alert] = rows("alerts")
    assert (alert.kind, three[1] in alert.body) == ("unsendable", True)


@pytest.mark.parametrize(
    ("answer", "ends_as"),
    [
        (SendResult.accepted("id\x00"), ("unknown", "unwritable_DataError")),
        (SendResult.refused(""), ("unknown", "unwritable_IllegalMove")),
    ],
    ids=["an id that cannot be stored", "a refusal without a reason"],
)
def test_an_answer_that_cannot_be_written_down_leaves_its_message_unknown_and_no_other(
    three: list[str], go: Go, rows: Rows, channels: dict[str, FakeChannel],
    answer: SendResult, ends_as: tuple[str, str],
) -> None:  # fmt: skip
    channels["email"].results = {three[1]: answer}
    assert go().counts == {"accepted": 2, "unknown": 1}
    assert states(rows) == {1: ("accepted", None), 2: ends_as, 3: ("accepted", None)}


def test_calls_under_way_are_written_down_when_the_next_claim_fails(
    three: list[str], go: Go, rows: Rows, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, claims = drains.claim, list[int]()

    def claim(*args: Any, **kwargs: Any) -> Any:
        claims.append(1)
        if len(claims) > 1:
            raise TypeError("a fault of the code")
        return real(*args, **{**kwargs, "count": 2})

    monkeypatch.setattr(drains, "claim", claim)
    with pytest.raises(TypeError, match="a fault of the code"):
        go()
    assert sorted(states(rows).values(), key=str) == [("accepted", None), ("accepted", None), ("queued", None)]
    clock.advance(timedelta(minutes=1))
    monkeypatch.undo()
    assert go().counts == {"accepted": 1}
