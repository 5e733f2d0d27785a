"""The ledger's figures for Prometheus: read together, at most every few seconds, whoever asks how often.

What lives here: the collector and its cache. What does not: the figures (``figures``, ``latencies``), who may see them
(``gateway.metrics``).

A ledger that cannot be read gives ``leadpipe_ledger_up 0`` and no other figure: nothing known is not nothing there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from leadpipe.clock import WallClock
from leadpipe.messaging import right
from leadpipe.monitoring import latencies, revocations
from leadpipe.monitoring.figures import FIGURES, RECENT_MINUTES, Figure
from leadpipe.monitoring.uptime import SLACK_SECONDS
from leadpipe.store.rate_window import KEPT_SLOTS, SLOTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.runtime import Runtime

log = logging.getLogger(__name__)
# Two scrapers, or an impatient person, cost no more than one.
CACHED_SECONDS = 5.0
# A figure is not worth keeping a gateway's connection for longer.
TIMEOUT_MS = 5_000
DURATIONS = {
    "leadpipe_webhook_lag_seconds": ("From the CRM's event to its notice here, last hour.", ("quantile",)),
    "leadpipe_first_touch_seconds": ("Each hop of the first messages of the last hour.", ("hop", "quantile")),
    "leadpipe_first_touches": ("First messages of the last hour that this was measured from.", ()),
    "leadpipe_right_to_send": ("1 while this installation may send; 0 for a copy, or a restore nobody took over.", ()),
    "leadpipe_ledger_up": ("1 when the ledger could be read for this answer.", ()),
    "leadpipe_ledger_read_seconds": ("How long reading these figures took.", ()),
}


class LedgerCollector(Collector):
    """Every figure of the ledger, for one registry."""

    def __init__(self, runtime: Runtime, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._runtime, self._monotonic = runtime, monotonic
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._families: list[GaugeMetricFamily] = []

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing, so that registering asks the ledger nothing."""
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The figures, up to ``CACHED_SECONDS`` old; one reader at a time, the others get what it read."""
        with self._lock:
            if self._monotonic() - self._read_at >= CACHED_SECONDS:
                self._families = self._read()
                self._read_at = self._monotonic()
            return self._families

    def _read(self) -> list[GaugeMetricFamily]:
        begun = self._monotonic()
        try:
            with self._runtime.engine.connect() as connection:
                connection.execute(text(f"set local statement_timeout = {TIMEOUT_MS}"))
                families = self._figures(connection)
        except SQLAlchemyError as error:
            log.warning("the figures could not be read: %s", type(error).__name__)
            return [_family("leadpipe_ledger_up", [((), 0)])]
        seconds = self._monotonic() - begun
        return [
            *families,
            _family("leadpipe_ledger_up", [((), 1)]),
            _family("leadpipe_ledger_read_seconds", [((), seconds)]),
        ]

    def _figures(self, connection: Connection) -> list[GaugeMetricFamily]:
        now = self._runtime.clock.now()
        parameters = {
            "now": now,
            "wall": WallClock().now(),
            "recent": now - timedelta(minutes=RECENT_MINUTES),
            "day_before": now - revocations.WINDOW,
            "by_person": list(revocations.BY_PERSON),
            "slack": timedelta(seconds=SLACK_SECONDS),
            "all_slots": SLOTS,
            "kept_slots": KEPT_SLOTS,
        }
        found = [_gauge(connection, figure, parameters) for figure in FIGURES if _is_there(connection, figure)]
        arrivals = latencies.arrivals(connection, now=now)
        lags = [arrival.lag_seconds for arrival in arrivals]
        hops = latencies.first_touch_hops(connection, arrivals, now=now)
        return [
            *found,
            _family("leadpipe_webhook_lag_seconds", _quantiles((), lags)),
            _family(
                "leadpipe_first_touch_seconds",
                [row for hop, values in hops.items() for row in _quantiles((hop,), values)],
            ),
            _family("leadpipe_first_touches", [((), len(hops["total"]))]),
            _family("leadpipe_right_to_send", [((), right.standing(connection, self._runtime.settings).may_send)]),
        ]


def _is_there(connection: Connection, figure: Figure) -> bool:
    if not figure.requires:
        return True
    return connection.execute(text("select to_regclass(:name)"), {"name": figure.requires}).scalar() is not None


def _gauge(connection: Connection, figure: Figure, parameters: dict[str, Any]) -> GaugeMetricFamily:
    statement = text(figure.sql)
    used = {name: value for name, value in parameters.items() if f":{name}" in figure.sql}
    family = GaugeMetricFamily(figure.name, figure.meaning, labels=figure.labels)
    for *labels, value in connection.execute(statement, used):
        family.add_metric([str(label) for label in labels], float(value))
    return family


def _family(name: str, rows: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
    meaning, labels = DURATIONS[name]
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _quantiles(labels: tuple[str, ...], values: list[float]) -> Iterable[tuple[tuple[str, ...], float]]:
    if values:
        for share in latencies.QUANTILES:
            yield (*labels, str(share)), latencies.quantile(values, share)
