"""A circuit breaker per provider: after repeated failures its channels rest, for every sender of the installation.

One outage must not turn a whole backlog into unknowns. After a pause each sender tries one message; as long as that
fails the next pause is longer, and a success lets everything go again.

What lives here: counting failures in a row, the pause that follows, and its row in ``ledger.controls``. What does not:
what becomes of a message.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.messaging.alerts import raise_alert
from leadpipe.messaging.channels.base import Outcome, SendResult

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0
# How soon a sender learns of what another one met.
LOOK_EVERY_SECONDS = 1.0
_PREFIX = "breaker:"

_READ = text("select substr(key, 9) as provider, value from ledger.controls where key like 'breaker:%'")
# Whoever saw more of the provider wins; a second is short, and both have seen it fail.
_WRITE = text(
    "insert into ledger.controls as c (key, value, changed_at) values (:key, cast(:value as jsonb), :now) "
    "on conflict (key) do update set value = excluded.value, changed_at = excluded.changed_at "
    "where (c.value ->> 'at')::float8 < (excluded.value ->> 'at')::float8"
)


@dataclass
class _Provider:
    """Seconds are those of the wall clock: providers recover by it, whatever the house's clock says.

    Attributes:
        at: when this was last changed in a way that others must know of.
    """

    failures: int = 0
    pause_seconds: float = FIRST_PAUSE_SECONDS
    open_until: float = 0.0
    at: float = 0.0


class Breakers:
    """The breakers as one process knows them; ``exchange`` tells the others and asks them."""

    def __init__(self, seconds: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._providers: dict[str, _Provider] = {}
        self._untold: set[str] = set()
        self._looked_at = float("-inf")

    def note(self, provider: str, result: SendResult) -> None:
        """Count one result. A 429 or a misconfiguration opens at once, a success closes; no call says nothing."""
        if not result.is_called:
            return
        state = self._providers.setdefault(provider, _Provider())
        if result.outcome in {Outcome.ACCEPTED, Outcome.REFUSED}:
            was_open = state.at > 0 and state.failures > 0
            self._providers[provider] = _Provider(at=state.at)
            if was_open:
                self._changed(provider)
            return
        state.failures += 1
        if result.needs_person:
            self._open(provider, LONGEST_PAUSE_SECONDS)
        elif result.retry_after_seconds:
            self._open(provider, min(result.retry_after_seconds, LONGEST_PAUSE_SECONDS))
        elif state.failures >= FAILURES_TO_OPEN:
            self._open(provider, state.pause_seconds)
            # Half open afterwards: the count stays, so that one more failure opens it again, for longer.
            state.pause_seconds = min(state.pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _open(self, provider: str, seconds: float) -> None:
        state = self._providers[provider]
        until = self._seconds() + seconds
        if until > state.open_until:
            state.open_until = until
            self._changed(provider)

    def _changed(self, provider: str) -> None:
        self._providers[provider].at = self._seconds()
        self._untold.add(provider)

    def is_open(self, provider: str) -> bool:
        """Whether the provider rests now."""
        state = self._providers.get(provider)
        return state is not None and state.open_until > self._seconds()

    def is_trying(self, provider: str) -> bool:
        """Whether its pause is over and nothing has succeeded since: one message may try."""
        state = self._providers.get(provider)
        return state is not None and state.failures >= FAILURES_TO_OPEN and not self.is_open(provider)

    def exchange(self, engine: Engine, *, now: datetime) -> None:
        """Write down what this process learnt, and now and then read what others did."""
        is_due = self._seconds() - self._looked_at >= LOOK_EVERY_SECONDS
        if not self._untold and not is_due:
            return
        # Results are noted on another thread meanwhile: what it adds is told the next time.
        telling, self._untold = self._untold, set()
        try:
            with engine.begin() as connection:
                for provider in sorted(telling):
                    self._tell(connection, provider, now)
                found = connection.execute(_READ).all()
        except Exception:
            self._untold |= telling
            raise
        self._looked_at = self._seconds()
        for row in found:
            theirs = _Provider(**row.value)
            if theirs.at > self._providers.get(row.provider, _Provider()).at:
                self._providers[row.provider] = theirs

    def _tell(self, connection: Connection, provider: str, now: datetime) -> None:
        state = self._providers[provider]
        connection.execute(_WRITE, {"key": f"{_PREFIX}{provider}", "value": json.dumps(vars(state)), "now": now})
        if state.pause_seconds >= LONGEST_PAUSE_SECONDS:
            raise_alert(
                connection,
                kind="provider_down",
                dedupe_key=f"provider_down:{provider}:{now:%Y-%m-%d}",
                title=f"{provider} has not answered for minutes",
                body="Its messages wait, best first, and go by themselves when it answers again; what is stale by then "
                "expires. Every two minutes one message tries. See `leadpipe sending status`.",
                now=now,
            )


def resting(connection: Connection, *, seconds: float | None = None) -> dict[str, float]:
    """Providers that rest now and for how many seconds more."""
    at = time.time() if seconds is None else seconds
    left = {row.provider: _Provider(**row.value).open_until - at for row in connection.execute(_READ)}
    return {provider: rest for provider, rest in sorted(left.items()) if rest > 0}


def forget(connection: Connection, *, now: datetime) -> None:
    """Let every provider be tried anew: a person says that it is right again."""
    providers = [row.provider for row in connection.execute(_READ)]
    for provider in providers:
        value = json.dumps(vars(_Provider(at=time.time())))
        connection.execute(_WRITE, {"key": f"{_PREFIX}{provider}", "value": value, "now": now})


def channels_of(providers: Iterable[str], *, sms_provider: str) -> set[str]:
    """The channels that go by these providers."""
    of = {"email": "ses", "sms": sms_provider, "whatsapp": "twilio"}
    wanted = set(providers)
    return {channel for channel, provider in of.items() if provider in wanted}
