"""A running sandbox from the outside: its clock, its population, its faults and its truth.

What lives here: the client of ``/_control`` and ``/_truth``, for the command, the demo and tests. What does not: what
the sandbox does with it (``app``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from leadpipe.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from sqlalchemy import Engine

Row = dict[str, Any]
DEFAULT_URL = "http://127.0.0.1:8800"
STATE_FILE = "sandbox.json"


@dataclass(frozen=True, kw_only=True)
class SandboxClock:
    """Simulated now and its distance from the wall clock."""

    now: datetime
    offset: timedelta


class SandboxControl:
    """Typed calls to one sandbox.

    Raises:
        TransientError: the sandbox does not answer; names the address.
    """

    def __init__(self, base_url: str = DEFAULT_URL, *, timeout: float = 120.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(base_url=self.base_url, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def _call(self, method: str, path: str, body: Row | None = None) -> Any:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise TransientError(
                f"no sandbox answers at {self.base_url} ({type(error).__name__}); start one with `leadpipe sandbox`"
            ) from error
        if answer.status_code != 200:
            raise TransientError(f"sandbox {path}: HTTP {answer.status_code} {answer.text[:200]}")
        return answer.json()

    def clock(self) -> SandboxClock:
        """What the sandbox's clock says."""
        return _clock(self._call("GET", "/_control/clock"))

    def jump(self, by: timedelta) -> SandboxClock:
        """Move the sandbox's clock forward. The ledger's is another one: see ``jump_all``."""
        return _clock(self._call("POST", "/_control/clock", {"jump_seconds": by.total_seconds()}))

    def populate(self, **wanted: Any) -> Row:
        """Start the population; the arguments are those of ``Arrivals.start``."""
        return self._call("POST", "/_control/population", wanted)

    def configure(self, **wanted: Any) -> Row:
        """Change fields of ``SandboxConfig`` while it runs."""
        return self._call("POST", "/_control/config", wanted)

    def set_limits(self, limits: dict[str, int]) -> Row:
        """Follow Up Boss's requests per ten seconds, by context."""
        return self._call("POST", "/_control/limits", limits)

    def set_faults(self, chances: dict[str, Any]) -> Row:
        """Replace the injected faults; an empty dictionary ends them all."""
        return self._call("POST", "/_control/faults", chances)

    def messages(self) -> list[Row]:
        """Every message a provider accepted."""
        return self._call("GET", "/_truth/messages")

    def leads(self) -> list[Row]:
        """Every person and what they did."""
        return self._call("GET", "/_truth/leads")

    def crm(self) -> dict[str, list[Row]]:
        """Every record of the CRM by collection, as its API would show it to the owner."""
        return self._call("GET", "/_truth/crm")

    def act(self, what: str, person_id: int) -> bool:
        """An agent of the team acts for a person; False when they are gone."""
        return bool(self._call("POST", "/_control/act", {"what": what, "person_id": person_id})["done"])

    def merge(self, winner: int, losers: list[int]) -> None:
        """An agent merges people, as only the CRM's own pages can."""
        self._call("POST", "/_control/merge", {"winner": winner, "losers": losers})

    def faults(self) -> Row:
        """The faults that are set, and how often each struck."""
        return self._call("GET", "/_control/faults")

    def answered_webhooks(self) -> list[str]:
        """Ids of the CRM's events whose webhook was answered with success."""
        return self._call("GET", "/_truth/webhooks")

    def summary(self) -> Row:
        """Counts for a live view, cheap to ask for."""
        return self._call("GET", "/_truth/summary")


def _clock(row: Row) -> SandboxClock:
    return SandboxClock(
        now=datetime.fromisoformat(row["now"]), offset=timedelta(seconds=float(row["offset_seconds"]))
    )  # fmt: skip


def jump_all(control: SandboxControl, engine: Engine | None, by: timedelta) -> SandboxClock:
    """Jump the sandbox's clock and bring the ledger's into step with it.

    The sandbox goes first: a notification from the future is taken, one that looks a day old is refused as a replay
    (messaging sheet 4.6). The ledger gets the same offset, not the same jump, so that the two agree afterwards
    whatever they said before.
    """
    from leadpipe.clock import set_offset

    clock = control.jump(by)
    if engine is not None:
        set_offset(engine, clock.offset)
    return clock


def note_url(home: Path, url: str) -> Path:
    """Leave the sandbox's address where ``leadpipe sandbox clock`` of the same home finds it."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / STATE_FILE
    path.write_text(json.dumps({"url": url}), encoding="utf-8")
    return path


def noted_url(home: Path) -> str:
    """The address left by the sandbox of this home, else the default.

    Raises:
        ConfigurationError: the file is there and cannot be read.
    """
    path = home / STATE_FILE
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["url"])
    except FileNotFoundError:
        return DEFAULT_URL
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} cannot be read; name the sandbox with --url") from error
