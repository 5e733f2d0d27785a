"""Reading while what was read is being stored: threads that give pages to one consumer.

What lives here: the threads, what holds them back, how one's failure reaches the consumer. What does not: what they
read (``everyone``, ``history``).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
Give = Callable[[T], None]
LOOK_SECONDS = 0.2
# A thread that waits for its turn at the provider notices the end only then.
JOIN_SECONDS = 2.0


class _Stopped(Exception):  # noqa: N818 - the consumer has had enough
    """The consumer is gone."""


@dataclass(frozen=True)
class _Ended:
    error: Exception | None = None


def in_threads(readers: Sequence[Callable[[Give[T]], None]], *, ahead: int) -> Generator[T]:
    """What the readers give, as it comes; each reader's own things in its order.

    Args:
        readers: each is called once, in a thread of its own, with a function that takes one thing.
        ahead: so many things wait for the consumer at most; then the readers wait.

    Raises:
        Exception: whatever a reader raised, as soon as it did; the others are told to stop.
    """
    things: Queue[T | _Ended] = Queue(maxsize=ahead)
    stop = Event()

    def give(thing: T | _Ended) -> None:
        while not stop.is_set():
            with suppress(Full):
                things.put(thing, timeout=LOOK_SECONDS)
                return
        raise _Stopped

    def run(reader: Callable[[Give[T]], None]) -> None:
        ended = _Ended()
        try:
            reader(give)
        except _Stopped:
            return
        except Exception as error:  # noqa: BLE001 - raised again where the consumer is
            ended = _Ended(error)
        with suppress(_Stopped):
            give(ended)

    threads = [Thread(target=run, args=(reader,), daemon=True) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        count_reading = len(threads)
        while count_reading:
            thing = things.get()
            if not isinstance(thing, _Ended):
                yield thing
            elif thing.error is not None:
                raise thing.error
            else:
                count_reading -= 1
    finally:
        stop.set()
        for thread in threads:
            thread.join(JOIN_SECONDS)
