"""The HTTP client of Bridge listings (RESO Web API, version 2).

What lives here: the token, filters, paging, rate limits and error mapping. What does not: what is kept of a listing
(``listing``), whom to show it (``recommend``, ``matches``). Facts: zillow sheet section 2.

Only MLS listings are asked for. Estimates of single homes have their own paths and terms: nothing here calls them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from leadpipe.errors import BadRecord, ConfigurationError, RateLimited, Rejected, TransientError
from leadpipe.market.listing import KEPT, Listing, read_listing
from leadpipe.settings import Settings

Row = dict[str, Any]
PAGE_SIZE = 200
# Plain paging ends there; what lies beyond needs the replication feed, which an MLS must allow.
REACHABLE = 10_000
READ_ATTEMPTS = 4
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is asked for: homes for sale, active, in some ZIP codes or one city, within a budget."""

    zips: tuple[str, ...] = ()
    city: str = ""
    state: str = ""
    low_usd: int | None = None
    high_usd: int | None = None
    beds: int | None = None

    def as_filter(self) -> str:
        """The OData filter; no ``in`` operator, which Bridge does not list."""
        parts = ["StandardStatus eq 'Active'", "PropertyType eq 'Residential'"]
        if self.zips:
            places = " or ".join(f"PostalCode eq {_quoted(code)}" for code in self.zips)
            parts.append(f"({places})")
        elif self.city:
            parts.append(f"tolower(City) eq {_quoted(self.city.lower())}")
        if self.state and not self.zips:
            parts.append(f"StateOrProvince eq {_quoted(self.state)}")
        bounds = (("ListPrice ge", self.low_usd), ("ListPrice le", self.high_usd), ("BedroomsTotal ge", self.beds))
        parts += [f"{test} {number}" for test, number in bounds if number is not None]
        return " and ".join(parts)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class BridgeClient:
    """Reads of one dataset.

    Raises:
        ConfigurationError: the token is refused (401).
        Rejected: the dataset is not approved, or not any more (``code`` 403), or the request is wrong.
        RateLimited: over the limit; ``retry_after_seconds`` runs to the earlier reset.
        TransientError: still failing after ``attempts``.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        dataset: str,
        attempts: int = READ_ATTEMPTS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._base = base_url.rstrip("/")
        self.dataset = dataset
        self._attempts = attempts
        self._sleep = sleep
        self._wall = wall
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            follow_redirects=False,
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """A client of the dataset that the settings name, or None while no token or dataset is set."""
        token = settings.bridge_token.get_secret_value()
        if not token or not settings.bridge_dataset:
            return None
        return cls(base_url=settings.bridge_base_url, token=token, dataset=settings.bridge_dataset)

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def listings(self, search: Search, *, limit: int = REACHABLE) -> tuple[list[Listing], list[tuple[str, str]]]:
        """All matching listings up to ``limit``, and those that could not be read as (key, reason)."""
        found: list[Listing] = []
        unread: list[tuple[str, str]] = []
        for page in self._pages(search, limit):
            for row in page:
                try:
                    found.append(read_listing(row, dataset=self.dataset))
                except BadRecord as error:
                    unread.append((str(row.get("ListingKey") or "?"), str(error)))
        return found[:limit], unread

    def first(self, search: Search, *, count: int, timeout_seconds: float) -> list[Listing]:
        """One page in one attempt, for when somebody waits; unreadable rows are left out."""
        answer = self._get(self._url(), self._params(search, count), attempts=1, timeout=timeout_seconds)
        found: list[Listing] = []
        for row in _rows(answer):
            try:
                found.append(read_listing(row, dataset=self.dataset))
            except BadRecord:
                continue
        return found

    def active_keys(self, keys: Sequence[str]) -> set[str]:
        """Which of these listings are still active, looked up now; for a check shortly before sending (C41)."""
        active: set[str] = set()
        for start in range(0, len(keys), 50):
            chunk = keys[start : start + 50]
            wanted = " or ".join(f"ListingKey eq {_quoted(key)}" for key in chunk)
            params = {
                "$filter": f"StandardStatus eq 'Active' and ({wanted})",
                "$select": "ListingKey,StandardStatus",
                "$top": str(PAGE_SIZE),
            }
            answer = self._get(self._url(), params, attempts=self._attempts, timeout=TIMEOUT_SECONDS)
            active |= {str(row.get("ListingKey")) for row in _rows(answer)} & set(chunk)
        return active

    def _url(self) -> str:
        return f"{self._base}/OData/{self.dataset}/Property"

    def _params(self, search: Search, top: int) -> dict[str, str]:
        return {
            "$filter": search.as_filter(),
            "$select": ",".join(KEPT),
            "$orderby": "BridgeModificationTimestamp desc",
            "$top": str(min(top, PAGE_SIZE)),
        }

    def _pages(self, search: Search, limit: int) -> Iterator[list[Row]]:
        """Pages until there is no next link, an empty page, or the limit; the link is followed as it came."""
        url: str | None = self._url()
        params: Mapping[str, str] | None = self._params(search, limit)
        count = 0
        while url is not None and count < min(limit, REACHABLE):
            answer = self._get(url, params, attempts=self._attempts, timeout=TIMEOUT_SECONDS)
            rows = _rows(answer)
            if not rows:
                return
            count += len(rows)
            yield rows
            url, params = self._next(answer), None

    def _next(self, answer: Row) -> str | None:
        link = answer.get("@odata.nextLink")
        if not link:
            return None
        if urlsplit(str(link))[:2] != urlsplit(self._base)[:2]:
            # The header with our token goes to Bridge alone.
            raise TransientError("Bridge answered a next link to another host; it is not followed")
        return str(link)

    def _get(self, url: str, params: Mapping[str, str] | None, *, attempts: int, timeout: float) -> Row:
        for attempt in range(1, attempts + 1):
            try:
                return self._once(url, params, timeout)
            except RateLimited as error:
                if attempt == attempts or error.retry_after_seconds > 60:
                    raise
                self._sleep(error.retry_after_seconds)
            except TransientError:
                if attempt == attempts:
                    raise
                self._sleep(2.0 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _once(self, url: str, params: Mapping[str, str] | None, timeout: float) -> Row:
        try:
            response = self._http.get(url, params=params, timeout=timeout)
        except httpx.TransportError as error:
            raise TransientError(f"Bridge listings: {type(error).__name__}") from error
        status = response.status_code
        if status == 429:
            raise RateLimited("Bridge listings: over the rate limit", retry_after_seconds=self._reset(response.headers))
        if status >= 500 or status == 408:
            raise TransientError(f"Bridge listings: HTTP {status}")
        if status == 401:
            raise ConfigurationError("Bridge listings: 401, the token is refused; set LEADPIPE_BRIDGE_TOKEN")
        if status != 200:
            raise Rejected(f"Bridge listings: HTTP {status} {_message(response)}", code=str(status))
        try:
            answer = response.json()
        except ValueError as error:
            raise TransientError("Bridge listings: HTTP 200 with a body that is no JSON") from error
        return answer

    def _reset(self, headers: Mapping[str, str]) -> float:
        """Seconds to the reset of the limit that is used up; of both, the later one."""
        waits = [1.0]
        for limit in ("Application", "Burst"):
            left, reset = headers.get(f"{limit}-RateLimit-Remaining"), headers.get(f"{limit}-RateLimit-Reset")
            if left == "0" and reset and reset.replace(".", "", 1).isdigit():
                waits.append(float(reset) - self._wall())
        return max(waits)


def _rows(answer: object) -> list[Row]:
    """The rows of either envelope; anything else must not pass for an empty list."""
    if isinstance(answer, dict):
        for name in ("value", "bundle"):
            rows = answer.get(name)
            if isinstance(rows, list):
                return [row for row in rows if isinstance(row, dict)]
    raise TransientError("Bridge listings: the answer holds no list")


def _message(response: httpx.Response) -> str:
    """The vendor's message; its place differs between envelopes (zillow sheet 2.1)."""
    try:
        body = response.json()
    except ValueError:
        return "no JSON body"
    bundle = body.get("bundle") if isinstance(body, dict) else None
    nested = bundle if isinstance(bundle, dict) else body if isinstance(body, dict) else {}
    return str(nested.get("message") or "no message")[:200]
