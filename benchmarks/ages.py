"""How old what analysts see is: support of the figure ``analysts``.

What lives here: comparing, every few seconds, the ids that exist at the source with those in the lake. What does not:
the queries of the analysts (``analysts``).

The age of a table at a moment is the time since the oldest id was seen at the source that is not in the table yet. Both
sides are seen by one wall clock, so neither the simulated calendar nor a column named ``*_at`` has a say in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import text

from leadpipe.runtime import Runtime

if TYPE_CHECKING:
    from leadpipe.sandbox.control import SandboxControl

EVERY_SECONDS = 3.0
_EVENTS = "select id::text from ledger.message_events"


@dataclass(kw_only=True)
class Table:
    """One table of the lake beside its source, and how old it was at each look."""

    name: str
    source: Callable[[], set[str]]
    query: str
    waiting: dict[str, float] = field(default_factory=dict[str, float])
    seen: set[str] = field(default_factory=set[str])
    ages: list[float] = field(default_factory=list[float])
    extra: set[str] = field(default_factory=set[str])

    def look(self, there: set[str]) -> None:
        """Compare with ``there``, the ids in the lake, which were read before the source is."""
        wanted, now = self.source(), time.monotonic()
        self.extra = there - wanted
        self.waiting = {i: since for i, since in self.waiting.items() if i in wanted and i not in there}
        for new in wanted - there - self.waiting.keys():
            self.waiting[new] = now
        self.ages.append(now - min(self.waiting.values(), default=now))

    def result(self) -> dict[str, Any]:
        """The oldest it was, the usual age, and ids of the lake that no source knows."""
        ordered = sorted(self.ages)
        return {
            "max": round(max(ordered, default=0.0), 1),
            "p50": round(ordered[len(ordered) // 2], 1) if ordered else 0.0,
            "looks": len(ordered),
            "extra": len(self.extra),
            "waiting_at_the_end": len(self.waiting),
        }


class Ages:
    """Watches the tables on a thread of its own while the ``with`` block runs."""

    def __init__(self, runtime: Runtime, sandbox: SandboxControl) -> None:
        self._runtime = runtime
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ages")
        self.errors: list[str] = []

        def people() -> set[str]:
            return {str(lead["person_id"]) for lead in sandbox.leads() if lead["state"] not in {"merged", "deleted"}}

        def accepted() -> set[str]:
            return {row["our_id"] for row in sandbox.messages() if row["our_id"]}

        self.tables = (
            Table(name="raw", source=people, query="select distinct person_id::varchar from raw.fub__people"),
            Table(name="mirror", source=self._events, query="select id::varchar from raw.ledger__message_events"),
            Table(name="marts.leads", source=people, query="select person_id::varchar from marts.leads"),
            Table(
                name="marts.message_lineage",
                source=accepted,
                query="select message_id::varchar from marts.message_lineage where accepted_at is not null",
            ),
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def result(self) -> dict[str, Any]:
        """Seconds by table."""
        return {table.name: table.result() for table in self.tables}

    def _events(self) -> set[str]:
        with self._runtime.engine.connect() as connection:
            return set(connection.execute(text(_EVENTS)).scalars())

    def _watch(self) -> None:
        try:
            with self._runtime.lake.connect(read_only=True) as lake:
                while not self._stop.is_set():
                    for table in self.tables:
                        table.look({row[0] for row in lake.sql(table.query).fetchall()})
                    self._stop.wait(EVERY_SECONDS)
        except Exception as error:  # a figure that stopped looking must say so
            self.errors.append(f"ages: {type(error).__name__}: {error}")
