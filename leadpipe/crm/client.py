"""The HTTP client of Follow Up Boss.

What lives here: authentication, paging, error mapping and the retries that are safe. What does not: what the rows
mean (``mapping``), which rows to ask for (``sync``), pacing (``ratelimit``). Facts: FUB sheet sections 1, 3 and 8.
"""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx

from leadpipe.crm.erased import ABOUT, LISTS, Erased, erased_ids, without_erased
from leadpipe.crm.ratelimit import RateLimiter, ledger_budget
from leadpipe.errors import AmbiguousError, ConfigurationError, RateLimited, Rejected, TransientError
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

Row = dict[str, Any]
PAGE_LIMIT = 100
# Sheet section 8: GET and PUT may be repeated after a server error, 1, 2, 4 s apart; a POST must be looked up first.
READ_ATTEMPTS = 4
RECENT_PAGES = 2
RATE_LIMIT_ATTEMPTS = 8
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Cheap look at the raw answer: PHP writes emoji as escaped pairs, so this finds too much, never too little.
_UNSTORABLE_ESCAPE = re.compile(rb"\\u(0000|d[89a-f])", re.I)
TIMEOUT = httpx.Timeout(30.0, connect=5.0)


class FubClient:
    """Typed access to one account; safe to share between threads, which share its connections.

    Reads are retried a bounded number of times, creates never: a create whose answer was lost raises
    ``AmbiguousError`` and must be looked up before a second try.

    Raises:
        ConfigurationError: the key or system key is refused (401, 403).
        Rejected: the request itself is wrong, or the record is not there (``code`` is the HTTP status).
        TransientError: still failing after the bounded retries.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        system: str,
        system_key: str,
        erased: Erased | None = None,
        limiter: RateLimiter | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._sleep = sleep
        self._erased = erased or frozenset[int]
        self._limiter = limiter or RateLimiter(sleep=sleep)
        self._is_bulk = False
        self._http = httpx.Client(
            auth=(api_key, ""),
            headers={"X-System": system, "X-System-Key": system_key, "Accept": "application/json"},
            timeout=TIMEOUT,
            transport=transport,
            follow_redirects=False,
        )

    @classmethod
    def from_settings(cls, settings: Settings, *, engine: Engine | None = None) -> Self:
        """A client of the account that the settings name.

        Args:
            settings: where, and as whom.
            engine: the ledger: its rate budget is everybody's, and whom it says to be erased are not there for the
                client; None where none was ever set up.
        """
        return cls(
            limiter=RateLimiter(ledger_budget(engine)) if engine is not None else None,
            base_url=settings.fub_base_url,
            api_key=settings.fub_api_key.get_secret_value(),
            system=settings.fub_system,
            system_key=settings.fub_system_key.get_secret_value(),
            erased=partial(erased_ids, engine) if engine is not None else None,
        )

    def in_bulk(self) -> Self:
        """The same client for reads that nobody waits for: they keep an even pace and let other calls go first."""
        other = copy.copy(self)
        other._is_bulk = True
        return other

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    # one request

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Row:
        """One GET, answered as an object."""
        return self._request("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> Row:
        """One create. A lost answer raises ``AmbiguousError``: no idempotency keys (sheet section 7)."""
        return self._request("POST", path, params=params, body=body)

    def put(self, path: str, body: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> Row:
        """One partial update; repeating it is safe."""
        return self._request("PUT", path, params=params, body=body)

    def delete(self, path: str) -> None:
        """Delete one record: a webhook of ours, or an erased person where ``LEADPIPE_ERASE_AT_CRM`` says so."""
        self._request("DELETE", path)

    # lists

    def pages(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[list[Row]]:
        """Pages of a list until it says it ends.

        ``next``/``nextLink`` null or missing is the end; ``total`` and short pages prove nothing (sheet section 3.1).
        Only the ``next`` token is used: official examples show ``nextLink`` with foreign hosts, which must not see
        our credentials.
        """
        return (rows for rows, _ in self.walk(path, params))

    def walk(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[tuple[list[Row], str | None]]:
        """The same pages, each with the token of the one that follows it."""
        query: dict[str, Any] = {"limit": PAGE_LIMIT, **(params or {})}
        while True:
            answer = self.get(path, query)
            token = answer.get("_metadata", {}).get("next")
            yield self._kept(path, rows_of(answer, path)), token
            if not token:
                return
            query["next"] = token
            query.pop("offset", None)

    def people(self, ids: Iterable[int]) -> list[Row]:
        """People by id with all fields, Trash and unclaimed included; ids that are gone are simply not there."""
        return list(
            self._by_ids("people", ids, {"fields": "allFields", "includeTrash": "true", "includeUnclaimed": "true"})
        )

    def events(self, ids: Iterable[int]) -> list[Row]:
        """Events by id; one that is gone is left out."""
        return self.recent("events", ids)

    def recent(self, collection: str, ids: Iterable[int]) -> list[Row]:
        """Records of a list without an id filter, most likely its newest; an id that is gone is left out.

        One page of the list holds a hundred of them for one request: events allow two requests a second, notes one,
        and a bulk act of the team names dozens at once. Pages are read on while the way to those still missing is
        shorter than asking for each of them by itself, which is what happens to the rest.
        """
        missing = set(ids)
        most_pages = RECENT_PAGES + len(missing)
        found: list[Row] = []
        for number, page in enumerate(self.pages(collection) if missing else ()):
            found += [row for row in page if row.get("id") in missing]
            missing -= {row["id"] for row in found}
            page_ids = [row["id"] for row in page if isinstance(row.get("id"), int)] or [0]
            oldest = min(page_ids)
            if not missing or number + 1 >= most_pages or oldest < min(missing):
                break
            pages_to_go = (oldest - max(missing)) / (max(page_ids) - oldest + 1)
            if number + 1 >= RECENT_PAGES and pages_to_go >= len(missing):
                break
        return found + [row for i in sorted(missing) if (row := self.find(collection, i)) is not None]

    def find(self, collection: str, record_id: int) -> Row | None:
        """One record, or None when it is gone or not visible to this key (both answer 404)."""
        try:
            row = self.get(f"{collection}/{record_id}")
        except Rejected as error:
            if error.code == "404":
                return None
            raise
        if int(row.get("id", -1)) != record_id:
            # GET /people/undefined silently answered the whole list (zillow sheet section 5).
            raise Rejected(f"FUB answered another record than {collection}/{record_id}", code="wrong_id")
        return next(iter(self._kept(collection, [row])), None)

    def _by_ids(self, collection: str, ids: Iterable[int], params: Mapping[str, Any]) -> Iterator[Row]:
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), PAGE_LIMIT):
            chunk = wanted[start : start + PAGE_LIMIT]
            answer = self.get(collection, {**params, "id": ",".join(map(str, chunk)), "limit": PAGE_LIMIT})
            asked = set(chunk)
            # Unknown parameters are ignored without an error, so a refused filter would answer everything.
            yield from (row for row in self._kept(collection, rows_of(answer, collection)) if int(row["id"]) in asked)

    def _kept(self, collection: str, rows: list[Row]) -> list[Row]:
        """Without people who were erased: for us they are not there any more, wherever they are named."""
        return without_erased(collection, rows, self._erased()) if collection in {*ABOUT, *LISTS} else rows

    # the wire

    def _request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Row:
        what = f"FUB {method} /{path.split('?', maxsplit=1)[0]}"
        failures = throttles = 0
        while True:
            turn = self._limiter.wait(method, path, is_bulk=self._is_bulk)
            try:
                response = self._http.request(method, f"{self._base}/{path}", params=params, json=body)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failures += 1
                if failures >= READ_ATTEMPTS:
                    raise TransientError(f"{what}: no connection to {urlsplit(self._base).hostname}") from error
                self._sleep(2.0 ** (failures - 1))
                continue
            except httpx.TransportError as error:
                if method == "POST":
                    raise AmbiguousError(
                        f"{what}: the answer was lost; look the record up before a second try"
                    ) from error
                failures += 1
                if failures >= READ_ATTEMPTS:
                    raise TransientError(f"{what}: {type(error).__name__} {failures} times") from error
                self._sleep(2.0 ** (failures - 1))
                continue
            self._limiter.saw(turn, method, path, response.headers)
            if response.status_code == 429:
                throttles += 1
                pause = self._limiter.refused(response.headers)
                if throttles >= RATE_LIMIT_ATTEMPTS:
                    raise RateLimited(f"{what}: still over the rate limit", retry_after_seconds=pause)
                continue
            if response.status_code >= 500:
                if method == "POST":
                    raise AmbiguousError(f"{what}: HTTP {response.status_code}; look the record up before a second try")
                failures += 1
                if failures >= READ_ATTEMPTS:
                    raise TransientError(f"{what}: HTTP {response.status_code} {failures} times")
                self._sleep(2.0 ** (failures - 1))
                continue
            return _read(response, what)


def rows_of(answer: Row, path: str) -> list[Row]:
    """The rows of a list answer, whatever the array's key is called (sheet section 3.1).

    Raises:
        TransientError: the answer is no list; it must not pass for an empty one.
    """
    collection = answer.get("_metadata", {}).get("collection")
    if isinstance(collection, str) and isinstance(answer.get(collection), list):
        return answer[collection]
    lists = [value for key, value in answer.items() if key != "_metadata" and isinstance(value, list)]
    if len(lists) == 1:
        return lists[0]
    raise TransientError(f"FUB /{path} answered no list; its keys are {sorted(answer)[:5]}")


def _read(response: httpx.Response, what: str) -> Row:
    status = response.status_code
    if status in {200, 201, 204}:
        if not response.content:
            return {}
        try:
            answer = response.json()
        except ValueError:
            # No cause: the decoder's error carries the whole body.
            raise TransientError(f"{what}: HTTP {status} with a body that is no JSON") from None
        if _UNSTORABLE_ESCAPE.search(response.content):
            answer = _storable(answer)
        return answer if isinstance(answer, dict) else {"rows": answer}
    message = _error_message(response)
    if status == 401:
        raise ConfigurationError(f"{what}: 401, the API key is refused; set LEADPIPE_FUB_API_KEY")
    if status == 403:
        raise ConfigurationError(f"{what}: 403, this key may not do that ({message})")
    raise Rejected(f"{what}: HTTP {status} {message}", code=str(status))


def _storable(value: Any) -> Any:
    """The same value with U+FFFD for what no store can hold: NUL, and halves of a surrogate pair."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(each) for key, each in value.items()}
    return value


def _error_message(response: httpx.Response) -> str:
    """The vendor's message without what the caller sent; the body may be HTML or empty (sheet section 8)."""
    try:
        body = response.json()
    except ValueError:
        return "no JSON body"
    message = body.get("errorMessage") or body.get("error") if isinstance(body, dict) else None
    return str(message)[:200] if message else "no message"
