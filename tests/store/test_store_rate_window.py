"""A provider's limit as arithmetic: never broken, nearly used up, and whoever waits for an answer goes first."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from leadpipe.store.rate_window import SLOTS, Window, window_of


def run(window: Window, *, until: float, is_bulk: bool, at: float = 0.0, most: int = 10_000) -> list[float]:
    """The moments at which a caller who always wants more may call."""
    left: list[float] = []
    while at < until and len(left) < most:
        pause = window.take(at, is_bulk=is_bulk)
        if pause == 0:
            left.append(at)
        at += pause
    return left


def most_in_a_window(moments: list[float], seconds: float) -> int:
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)


@given(
    limit=st.integers(1, 40),
    window=st.floats(0.5, 20),
    steps=st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.integers(1, 60)), min_size=1, max_size=12),
    offset=st.floats(0, 2_000_000_000),
)
def test_no_window_ever_holds_more_than_the_limit(
    limit: int, window: float, steps: list[tuple[float, bool, int]], offset: float
) -> None:
    budget, now = Window(limit, window), offset
    moments: list[float] = []
    for idle, is_bulk, wanted in steps:
        now += idle * window
        moments += run(budget, at=now, until=now + 4 * window, is_bulk=is_bulk, most=wanted)
        now = max(now, *moments[-1:])
    assert most_in_a_window(moments, window) <= limit


def test_all_of_the_limit_but_a_twentieth_is_used_in_bursts_and_at_an_even_pace() -> None:
    for is_bulk in (False, True):
        calls = run(Window(20, 10.0), until=300.0, is_bulk=is_bulk)
        assert 20 * 300 / 10 * 0.94 < len(calls) <= 20 * 301 / 10


def test_bulk_readers_keep_an_even_pace_and_make_good_only_a_little() -> None:
    window = Window(20, 10.0)
    calls = run(window, at=100.0, until=105.0, is_bulk=True)
    assert calls[:2] == [100.0] * 2, "a tenth of a window at once"
    gaps = [later - earlier for earlier, later in zip(calls[2:], calls[3:], strict=False)]
    assert all(abs(gap - 0.525) < 0.001 for gap in gaps)
    assert len(run(window, at=108.0, until=108.01, is_bulk=True)) <= 3


def test_a_caller_who_answers_somebody_waits_one_step_of_the_bulk_pace_not_a_window() -> None:
    window = Window(20, 10.0)
    bulk = run(window, until=60.0, is_bulk=True)
    now = bulk[-1] + 0.01
    pause = window.take(now, is_bulk=False)
    assert 0 < pause < 0.7
    assert window.take(now + pause - 0.001, is_bulk=True) > 0.001, "the reader steps aside for the one who waits"
    assert window.take(now + pause, is_bulk=False) == 0


def test_a_reader_goes_on_when_the_one_it_waited_for_never_came_back() -> None:
    window = Window(2, 10.0)
    assert [window.take(0.0, is_bulk=False) for _ in range(2)] == [0, 0]
    pause = window.take(0.0, is_bulk=False)
    assert pause > 0
    assert run(window, at=0.0, until=12.0, is_bulk=True)


def test_a_block_stops_both_kinds_until_it_is_over() -> None:
    window = Window(None, 10.0)
    window.block(5.0, 3.0)
    window.block(5.0, 1.0)
    assert [window.take(6.0, is_bulk=is_bulk) for is_bulk in (True, False)] == [2.0, 2.0]
    assert window.take(8.0, is_bulk=False) == 0


def test_calls_of_others_take_their_room_and_our_own_are_not_counted_twice() -> None:
    window = Window(10, 10.0)
    assert [window.take(0.0, is_bulk=False) for _ in range(3)] == [0] * 3
    window.learn(0.1, limit=10, window_seconds=10.0, remaining=7)
    assert window.left == 7
    window.learn(0.2, limit=10, window_seconds=10.0, remaining=1)
    assert window.left == 1, "six calls are somebody else's"
    window.learn(0.3, limit=10, window_seconds=10.0, remaining=9)
    assert window.left == 1, "an answer to an earlier call comes late"


def test_a_lower_limit_waits_until_enough_calls_have_left() -> None:
    window = Window(20, 10.0)
    for moment in range(10):
        assert window.take(moment * 0.1, is_bulk=False) == 0
    window.learn(1.0, limit=5, window_seconds=10.0, remaining=None)
    pause = window.take(1.0, is_bulk=False)
    assert window.take(1.0 + pause, is_bulk=False) == 0
    assert 1.0 + pause >= 10.5, "the sixth of ten calls has left"


def test_another_window_keeps_the_count_and_another_number_of_slots_too() -> None:
    window = Window(10, 10.0)
    assert [window.take(0.0, is_bulk=False) for _ in range(4)] == [0] * 4
    window.learn(0.0, limit=10, window_seconds=60.0, remaining=None)
    assert window.used == 4
    assert sum(window_of([1, 2, 3])) == 6
    assert len(window_of([1] * 3 * SLOTS)) == len(Window(1, 1.0).counts)


def test_a_pause_is_never_nothing() -> None:
    window = Window(7, 0.7)
    take: Callable[[float], float] = lambda now: window.take(now, is_bulk=False)  # noqa: E731
    for number in range(200):
        pause = take(number * 0.007)
        assert pause == 0 or pause >= 0.001
