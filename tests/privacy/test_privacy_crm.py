"""What the CRM still tells of erased people is read past, and it can be told to delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.crm.client import FubClient
from leadpipe.crm.erased import erased_ids, without_erased
from leadpipe.crm.writeback import carry_out
from leadpipe.crm.writeback_journal import WriteBack, journal

if TYPE_CHECKING:
    from sqlalchemy import Engine

ERASED = frozenset({7})


@pytest.mark.parametrize(
    ("collection", "row", "is_kept"),
    [
        ("people", {"id": 7}, False),
        ("people", {"id": 8}, True),
        ("notes", {"id": 7, "personId": 8}, True),
        ("notes", {"id": 1, "personId": "7"}, False),
        ("events", {"id": 1, "personId": 7}, False),
        ("textMessages", {"id": 1, "personId": 7}, False),
        ("tasks", {"id": 1, "personId": None}, True),
        ("users", {"id": 7}, True),
        ("deals", {"id": 1, "people": [{"id": 7, "name": "Ada"}]}, False),
        ("deals", {"id": 1, "people": []}, True),
        ("appointments", {"id": 1, "invitees": [{"personId": 7}, {"userId": 3}]}, False),
    ],
)
def test_records_about_erased_people_are_left_out(collection: str, row: dict[str, Any], is_kept: bool) -> None:
    assert without_erased(collection, [row], ERASED) == ([row] if is_kept else [])
    assert without_erased(collection, [row], frozenset()) == [row]


def test_a_record_of_several_is_kept_without_the_one_and_without_what_the_team_called_it() -> None:
    deal = {"id": 2, "name": "Quimby and Rossi", "price": 5, "people": [{"id": 7, "name": "Ada"}, {"id": 8}]}
    assert without_erased("deals", [deal], ERASED) == [{"id": 2, "price": 5, "people": [{"id": 8}]}]


def test_the_client_reads_past_them_wherever_it_meets_them() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/people/7"):
            return httpx.Response(200, json={"id": 7})
        return httpx.Response(200, json={"_metadata": {"collection": "people"}, "people": [{"id": 7}, {"id": 8}]})

    client = FubClient(
        base_url="http://fub.example/v1", api_key="k", system="s", system_key="k",
        erased=lambda: ERASED, transport=httpx.MockTransport(answer),
    )  # fmt: skip
    assert [row["id"] for page in client.pages("people") for row in page] == [8]
    assert [row["id"] for row in client.people([7, 8])] == [8]
    assert client.find("people", 7) is None


@pytest.mark.parametrize("status", [200, 404])
def test_told_to_delete_and_gone_already_is_what_was_wanted(
    ledger_engine: Engine, clock: FixedClock, status: int
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(status, json={})

    client = FubClient(
        base_url="http://fub.example/v1", api_key="k", system="s", system_key="k",
        transport=httpx.MockTransport(answer),
    )  # fmt: skip
    with ledger_engine.begin() as connection:
        item = WriteBack(person_id=7, kind="delete_person", marker="erase:1:7", payload={})
        journal(connection, [item], now=clock.now())
    done = carry_out(engine=ledger_engine, crm=client, clock=clock, worker="w")
    assert (done.count_done, done.count_failed) == (1, 0)
    assert asked == ["DELETE /v1/people/7"]


def test_who_was_erased_is_asked_of_the_ledger(ledger_engine: Engine, clock: FixedClock) -> None:
    assert erased_ids(ledger_engine) == frozenset()
    with ledger_engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.people (person_id, crm_created_at, crm_updated_at, first_seen_at, refreshed_at, "
                "erased_at) values (7, :now, :now, :now, :now, :now), (8, :now, :now, :now, :now, null)"
            ),
            {"now": clock.now()},
        )
    assert erased_ids(ledger_engine) == ERASED
