"""Marketing email that rests by itself: which plan or sending domain, why, and how a person lets it go again.

What lives here: the row ``controls['email_rates']`` and what a claim makes of it. What does not: counting what came
back (``reputation``), stops by hand (``switch``).

A pause holds email of purpose ``marketing`` alone: what a person just asked for is still answered. It stays until a
person resumes it, whatever the rate does; from then on only what was sent afterwards counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.messaging.protocol import Event, Move, State, write

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

KEY = "email_rates"
PURPOSE = "marketing"
ALERT, STOP, HARD = "alert", "stop", "hard"
LEVELS = ("", ALERT, STOP, HARD)
# Reason of a held message, by what came back too often.
CODES = {"complaints": "complaint_rate", "bounces": "bounce_rate"}
# What is held looks again so often; a resume wakes it at once.
LOOK_AGAIN = timedelta(hours=12)

_READ = text("select value from ledger.controls where key = :key")
_LOCKED = text("select value from ledger.controls where key = :key for update")
_MADE = text("insert into ledger.controls (key, changed_at) values (:key, :now) on conflict (key) do nothing")
_WRITE = text("update ledger.controls set value = cast(:value as jsonb), changed_at = :now where key = :key")
_STALE = text(
    "select id::text, state from ledger.messages where state = 'held' and code = any(:codes) "
    "and :plan in ('', plan) and due_at <= :stale_before order by id for no key update skip locked"
)
_WAKE = text(
    "update ledger.messages set not_before_at = :now, changed_at = :now "
    "where state = 'held' and code = any(:codes) and :plan in ('', plan)"
)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How the email of one plan or domain is taken.

    Attributes:
        scope: ``plan:reactivation`` or ``domain:demo-realty.example``.
        level: the highest reached and not resumed: ``alert``, ``stop``, ``hard``; empty: nothing to tell.
        why: ``complaints`` or ``bounces``.
        since_at: when that level was reached.
        count_back: of ``count_sent`` how many came back, when it was reached.
        resumed_at: since when it counts; None counts the whole window.
    """

    scope: str
    level: str = ""
    why: str = ""
    since_at: datetime | None = None
    count_back: int = 0
    count_sent: int = 0
    resumed_at: datetime | None = None

    @property
    def is_paused(self) -> bool:
        """Whether its marketing email rests."""
        return self.level in {STOP, HARD}

    @property
    def code(self) -> str:
        """The reason of a message that it holds."""
        return CODES[self.why]

    @property
    def share(self) -> float:
        """Of what was sent, the share that came back."""
        return self.count_back / max(self.count_sent, 1)

    def words(self) -> str:
        """For a person: what rests, why, since when."""
        kind, _, name = self.scope.partition(":")
        since = f" since {self.since_at:%Y-%m-%d %H:%M} UTC" if self.since_at else ""
        return (
            f"marketing email of {kind} {name} is paused{since}: {self.count_back} {self.why} of {self.count_sent} "
            f"emails ({self.share:.2%})"
        )


Rates = dict[str, Rate]


def code_of(rates: Iterable[Rate], *, plan: str, domain: str) -> str:
    """Why marketing email of this plan from this domain rests; empty when it may go."""
    scopes = {f"plan:{plan}", f"domain:{domain}"}
    return next((rate.code for rate in rates if rate.is_paused and rate.scope in scopes), "")


def read(connection: Connection) -> Rates:
    """What stands, by scope."""
    return from_json(connection.execute(_READ, {"key": KEY}).scalar())


def from_json(value: Mapping[str, Any] | None) -> Rates:
    """The row's value as it means."""
    return {scope: _rate(scope, kept) for scope, kept in (value or {}).items()}


def locked(connection: Connection, now: datetime) -> Rates:
    """What stands, for a change: others wait until the transaction ends."""
    connection.execute(_MADE, {"key": KEY, "now": now})
    return from_json(connection.execute(_LOCKED, {"key": KEY}).scalar_one())


def put(connection: Connection, rates: Rates, *, now: datetime) -> None:
    """Write the row; what says nothing is left out."""
    kept = {
        scope: {name: value for name, value in asdict(rate).items() if name != "scope" and value}
        for scope, rate in rates.items()
        if rate.level or rate.resumed_at
    }
    connection.execute(_WRITE, {"key": KEY, "value": orjson.dumps(kept).decode(), "now": now})


def resume(engine: Engine, scope: str, *, now: datetime, stale_after: timedelta) -> tuple[int, int] | None:
    """Let the marketing email of a plan or domain go again; returns what expired and what was woken.

    What would come too late expires first. None: it did not rest.
    """
    with engine.begin() as connection:
        rates = locked(connection, now)
        if scope not in rates or not rates[scope].is_paused:
            return None
        rates[scope] = Rate(scope=scope, resumed_at=now)
        put(connection, rates, now=now)
        plan = scope.partition(":")[2] if scope.startswith("plan:") else ""
        names = {"codes": sorted(CODES.values()), "plan": plan}
        stale = connection.execute(_STALE, {**names, "stale_before": now - stale_after}).all()
        moves = [
            (State(row.state), Move(message_id=row.id, event=Event.EXPIRE, to=State.EXPIRED, code="stale"))
            for row in stale
        ]
        write(connection, moves, at=now)
        woken = connection.execute(_WAKE, {**names, "now": now}).rowcount
        acts.record(connection, kind="sending", now=now, detail={"resumed": scope})
    return len(moves), woken


def _rate(scope: str, kept: Mapping[str, Any]) -> Rate:
    times: dict[str, Any] = {
        name: datetime.fromisoformat(kept[name]) if kept.get(name) else None for name in ("since_at", "resumed_at")
    }
    return Rate(scope=scope, **{**kept, **times})
