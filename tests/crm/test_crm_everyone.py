"""Everyone, several pages at a time: nobody is left out, whatever changes meanwhile and whatever the list can do."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpipe.crm.client import FubClient
from leadpipe.crm.everyone import everyone
from leadpipe.crm.readahead import Give, in_threads
from leadpipe.errors import Rejected, TransientError

Row = dict[str, Any]
QUERY = {"fields": "allFields"}


class List:
    """A list that falls by id, a hundred rows a page; ``before`` is called ahead of every page."""

    def __init__(
        self, ids: set[int], *, has_filter: bool = True, has_sort: bool = True, before: Callable[[], None] | None = None
    ) -> None:
        self.ids, self.has_filter, self.has_sort = ids, has_filter, has_sort
        self.before = before or (lambda: None)
        self.asked: list[Row] = []
        self.lock = threading.Lock()

    def walk(self, path: str, query: Row) -> Iterator[tuple[list[Row], str | None]]:
        assert path == "people" and query["fields"] == "allFields"
        below = query.get("idLessThan", 10**12) if self.has_filter else 10**12
        while True:
            with self.lock:
                self.before()
                self.asked.append(dict(query))
                rising = query.get("sort") == "id" and self.has_sort
                found = sorted((i for i in self.ids if i < below), reverse=not rising)[: query.get("limit", 100)]
                has_more = any(i < found[-1] for i in self.ids) if found else False
            yield [{"id": i} for i in found], "more" if has_more else None
            if not has_more:
                return
            below = found[-1]

    def pages(self, path: str, query: Row) -> Iterator[list[Row]]:
        return (rows for rows, _ in self.walk(path, query))


def read(account: List) -> list[int]:
    return [row["id"] for page in everyone(cast(FubClient, account), QUERY) for row in page]


@given(seed=st.integers(0, 2**32), count=st.integers(0, 900), spread=st.sampled_from([1, 7, 400]))
def test_everyone_is_read_once_however_their_ids_lie(seed: int, count: int, spread: int) -> None:
    dice = random.Random(seed)
    ids = set(dice.sample(range(1, max(count, 1) * spread + 1), count)) if count else set[int]()
    found = read(List(set(ids)))
    assert sorted(found) == sorted(ids)


def test_a_large_account_is_read_from_several_places_at_a_small_price() -> None:
    account = List(set(range(10_001, 30_001)))
    assert sorted(read(account)) == sorted(account.ids)
    assert len({query.get("idLessThan") for query in account.asked}) > 6
    assert len(account.asked) < 200 * 1.15


def test_ids_far_from_one_and_in_clumps_are_still_read_side_by_side() -> None:
    account = List({*range(5_000_000, 5_004_000), *range(9_000_000, 9_000_500)})
    assert sorted(read(account)) == sorted(account.ids)
    assert len(account.asked) < 80


def test_who_is_created_deleted_or_edited_meanwhile_costs_nobody_else() -> None:
    ids, dice = set(range(1, 8_001)), random.Random(3)
    gone: set[int] = set()

    def churn() -> None:
        account.ids.add(max(account.ids) + 1)
        lost = dice.choice(sorted(account.ids))
        account.ids.discard(lost)
        gone.add(lost)

    account = List(set(ids), before=churn)
    found = read(account)
    assert ids - gone <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("has_sort", [True, False])
def test_a_filter_that_is_ignored_is_seen_by_the_rows_and_everyone_is_read_page_by_page(has_sort: bool) -> None:
    account = List(set(range(1, 6_001)), has_filter=False, has_sort=has_sort)
    assert set(read(account)) == account.ids


def test_a_list_that_does_not_sort_is_only_cut_less_well() -> None:
    account = List(set(range(100_000, 106_000)), has_sort=False)
    assert sorted(read(account)) == sorted(account.ids)


def test_a_filter_that_is_refused_is_done_without() -> None:
    class Refusing(List):
        def pages(self, path: str, query: Row) -> Iterator[list[Row]]:
            if "idLessThan" in query:
                raise Rejected("FUB GET /people: HTTP 400 Unknown filter", code="400")
            return super().pages(path, query)

    account = Refusing(set(range(1, 4_001)))
    assert set(read(account)) == account.ids


def test_one_page_that_cannot_be_read_fails_the_whole_and_is_not_the_end() -> None:
    count = iter(range(10_000))

    def before() -> None:
        if next(count) == 17:
            raise TransientError("FUB GET /people: HTTP 502 4 times")

    with pytest.raises(TransientError):
        read(List(set(range(1, 8_001)), before=before))


# threads


def test_each_readers_things_come_in_its_order_and_all_of_them() -> None:
    def reader(name: str) -> Callable[[Give[tuple[str, int]]], None]:
        def run(give: Give[tuple[str, int]]) -> None:
            for number in range(50):
                give((name, number))

        return run

    found = list(in_threads([reader("a"), reader("b")], ahead=3))
    for name in ("a", "b"):
        assert [number for whose, number in found if whose == name] == list(range(50))


def test_a_consumer_that_stops_stops_the_readers_and_they_never_run_far_ahead() -> None:
    given: list[int] = []

    def run(give: Give[int]) -> None:
        for number in range(1_000):
            given.append(number)
            give(number)

    things = in_threads([run], ahead=5)
    assert [next(things), next(things)] == [0, 1]
    time.sleep(0.05)
    things.close()
    count = len(given)
    assert count <= 9
    time.sleep(0.05)
    assert len(given) == count
    assert not [thread for thread in threading.enumerate() if "in_threads" in thread.name]
