"""How the fake account answers: bodies, error messages, one page of a list.

What lives here: the envelope, tokens and the wall of FUB sheet 3.1, the bodies of section 8. What does not: routes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson
from starlette.responses import Response

from leadpipe.sandbox.fub.fields import LIST_KEYS, Row

T = TypeVar("T")
DEEP_OFFSET = 2_000
MAX_LIMIT = 100
NOT_FOUND = "Requested resource was not found."
# Lists whose `total` is text (3.1).
TEXT_TOTALS = frozenset({"events", "notes", "textMessages", "customFields"})


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request answered with an error body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks: a user, by which kind of key, and whether a registered system stands behind."""

    user_id: int
    role: str
    has_system: bool


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, read."""

    method: str
    collection: str
    rest: str
    query: dict[str, str]
    body: Row
    caller: Caller

    @property
    def record_id(self) -> int | None:
        """The id in the path, if there is one."""
        return int(self.rest) if self.rest.isdigit() else None


def json_answer(status: int, body: Any, headers: dict[str, str]) -> Response:
    """A JSON answer; slashes of the next link are escaped, as the real one escapes them."""
    if body is None:
        return Response(b"", status, headers)
    text = orjson.dumps(body)
    link = body.get("_metadata", {}).get("nextLink") if isinstance(body, dict) else None
    if link:
        quoted = orjson.dumps(link)
        text = text.replace(quoted, quoted.replace(b"/", b"\\/"), 1)
    return Response(text, status, headers, "application/json")


def error_answer(status: int, message: str, headers: dict[str, str]) -> Response:
    """An error body."""
    return json_answer(status, {"errorMessage": message}, headers)


def limit_of(query: dict[str, str]) -> int:
    """Rows a page: 10 by default, 100 at most."""
    text = query.get("limit", "10")
    return min(MAX_LIMIT, max(1, int(text))) if text.lstrip("-").isdigit() else 10


@dataclass(frozen=True, kw_only=True)
class Listing(Iterable[T]):
    """Rows to page through: the order they come in, a way to start below an id, and how many there are."""

    newest_first: Callable[[int | None], Iterator[T]]
    sorted_by: Callable[[str, bool], Iterator[T]]
    id_of: Callable[[T], int]
    count: Callable[[], int]

    def __iter__(self) -> Iterator[T]:
        return self.newest_first(None)


def page(
    collection: str, listing: Listing[T], query: dict[str, str], show: Callable[[T], Row], *, deep_tokens: bool
) -> Row:
    """One page of a list, with the token of the next.

    Default order is a keyset walk (token ``sinceId``); any sort falls back to offsets, which shift while data change.

    Raises:
        Refused: the wall of deep offsets, or a token that is none.
    """
    limit = limit_of(query)
    token = read_token(query.get("next"))
    sort = query.get("sort", "")
    field, is_falling = sort.lstrip("-"), sort.startswith("-")
    is_keyset = field == "" or (field == "id" and is_falling)
    text = query.get("offset", "0")
    given = int(text) if text.isdigit() else 0
    offset = int(token.get("offset", given))
    if given >= DEEP_OFFSET or (offset >= DEEP_OFFSET and not deep_tokens):
        raise Refused(400, "Deep pagination disabled, use 'nextLink' url")
    if "sinceId" in token:
        rows, offset = listing.newest_first(int(token["sinceId"])), 0
    elif is_keyset:
        rows = islice(listing.newest_first(None), offset, None)
    else:
        rows = islice(listing.sorted_by(field, is_falling), offset, None)
    found = list(islice(rows, limit + 1))
    shown = found[:limit]
    following = None
    if len(found) > limit:
        mark = {"sinceId": listing.id_of(shown[-1])} if is_keyset else {"offset": offset + limit}
        following = write_token(mark)
    key = LIST_KEYS.get(collection, collection)
    count = listing.count()
    metadata: Row = {
        "collection": key, "offset": offset, "limit": limit, "total": str(count) if collection in TEXT_TOTALS else count
    }  # fmt: skip
    if following is not None:
        kept = {name: value for name, value in query.items() if name not in {"next", "offset", "limit"}}
        words = urlencode({"limit": limit, **kept, "next": following})
        metadata |= {"next": following, "nextLink": f"https://api.followupboss.com/v1/{collection}?{words}"}
    elif collection == "people":
        # On the last page both are null here and missing elsewhere: either is the end.
        metadata |= {"next": None, "nextLink": None}
    return {"_metadata": metadata, key: [show(row) for row in shown]}


def write_token(mark: Row) -> str:
    """Unpadded base64 of JSON."""
    return base64.b64encode(json.dumps(mark, separators=(",", ":")).encode()).decode().rstrip("=")


def read_token(value: str | None) -> Row:
    """A token's content; empty for none."""
    if not value:
        return {}
    try:
        found = json.loads(base64.b64decode(value + "=" * (-len(value) % 4)))
    except ValueError as error:
        raise Refused(400, "Invalid value for 'next' parameter.") from error
    if not isinstance(found, dict):
        raise Refused(400, "Invalid value for 'next' parameter.")
    return found
