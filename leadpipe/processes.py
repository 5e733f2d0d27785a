"""The same work shared out among several processes of this machine.

What lives here: starting them, handing out tasks, collecting answers, ending them. What does not: the work.

Threads do not help where Python itself computes. Each process has a pipe of its own and ends when it closes, so none
outlives whoever started it, however that ended.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context
from typing import TYPE_CHECKING, Any, TypeVar

from leadpipe.errors import TransientError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

Setup = TypeVar("Setup")
# A process that was told to end and has not after so long is ended.
PATIENCE_SECONDS = 10
# Objects made before the garbage collector looks at them, in a process that works on a bulk.
COLLECT_AFTER = 50_000


@dataclass(frozen=True)
class _Failure:
    error: Exception


@dataclass(frozen=True)
class Processes:
    """Processes that wait for tasks."""

    _pipes: tuple[Connection, ...]

    def answers(self, tasks: Iterable[Any]) -> Iterator[Any]:
        """The answers to these tasks as they come, in any order; each process has one task at a time.

        The first tasks are handed out at once, before the first answer is asked for.

        Raises:
            TransientError: a process died over its task.
            Exception: what a task raised, as it raised it.
        """
        waiting = iter(tasks)
        busy: set[Connection] = set()
        for pipe in self._pipes:
            self._hand_out(waiting, pipe, busy)
        return self._collected(waiting, busy)

    def _collected(self, waiting: Iterator[Any], busy: set[Connection]) -> Iterator[Any]:
        while busy:
            for pipe in connection.wait(list(busy)):
                assert isinstance(pipe, connection.Connection)
                try:
                    answer = pipe.recv()
                except EOFError as error:
                    raise TransientError("a process died over its part of the work; run it again") from error
                if isinstance(answer, _Failure):
                    raise answer.error
                busy.discard(pipe)
                self._hand_out(waiting, pipe, busy)
                yield answer

    def _hand_out(self, waiting: Iterator[Any], pipe: Connection, busy: set[Connection]) -> None:
        for task in waiting:
            pipe.send(task)
            busy.add(pipe)
            return


def count_processors() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def started(make: Callable[[Setup], Callable[[Any], Any]], setup: Setup, *, count: int) -> Generator[Processes]:
    """``count`` processes, each with what ``make(setup)`` gives there; they end with the block.

    Args:
        make: a function of a module; called once in each process, returns what does one task.
        setup: what it needs; like tasks and answers it travels by pickle.
        count: how many.
    """
    context = get_context("spawn")
    processes: list[SpawnProcess] = []
    pipes: list[Connection] = []
    try:
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(make, setup, theirs), name=f"part-{number}")
            process.start()
            theirs.close()
            processes.append(process)
            pipes.append(ours)
        yield Processes(tuple(pipes))
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(PATIENCE_SECONDS)
            if process.is_alive():
                process.terminate()
                process.join()


def _serve(make: Callable[[Any], Callable[[Any], Any]], setup: Any, pipe: Connection) -> None:
    # Ctrl-C reaches the whole group; who started this decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        work = make(setup)
        # Bulk work makes many objects and few cycles: the collector looks at what is new, and less often.
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER, 20, 20)
        while True:
            task = pipe.recv()
            pipe.send(work(task))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
        pipe.send(_Failure(_portable(error)))


def _portable(error: Exception) -> Exception:
    """The error itself where it travels, else its words."""
    import pickle

    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own, just made
    except Exception:  # noqa: BLE001 - errors of libraries refuse in many ways
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if isinstance(again, type(error)) else RuntimeError(str(error))
