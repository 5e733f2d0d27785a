"""Bridge listings over HTTP: the RESO Web API of one approved dataset, with its limits.

What lives here: the wire of the zillow sheet's section 2. What does not: the homes (``homes``), the filter language
(``odata``).
"""

from __future__ import annotations

import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadpipe.sandbox.homes import homes_in
from leadpipe.sandbox.odata import BadFilter, ordered, read_filter, selected
from leadpipe.sandbox.places import PLACES

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
BASE = "/bridge/api/v2"
DEFAULT_TOP, MAX_TOP, REPLICATION_TOP = 10, 200, 2_000
REACHABLE = 10_000
_ZIP = re.compile(r"PostalCode eq '(\w+)'")
_KEY = re.compile(r"'L(\d{5})\d+'")


class MarketApi:
    """Listings, with the rate headers of every answer."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._calls: deque[float] = deque()
        self._kept: dict[str, list[Row]] = {}
        self._kept_on = ""

    def routes(self) -> list[Route]:
        """Everything under ``/bridge``."""
        found: list[Route] = []
        for feed in ("", "/idx"):
            for name in ("Property", "Properties"):
                path = f"{BASE}/OData/{{dataset}}{feed}/{name}"
                found.append(Route(path, self.listings, methods=["GET"]))
                found.append(Route(path + "/replication", self.replication, methods=["GET"]))
        return [
            Route(BASE + "/OData/DataSystem", self.datasets, methods=["GET"]),
            Route(BASE + "/OData/{dataset}/Property('{key}')", self.listing, methods=["GET"]),
            *found,
            Route(BASE + "/zestimates_v2/zestimates", self.zestimates, methods=["GET"]),
        ]

    def homes(self, code: str) -> list[Row]:
        """The homes of one ZIP today."""
        now = self._sandbox.now()
        today = f"{now:%Y-%m-%d}"
        if self._kept_on != today:
            self._kept, self._kept_on = {}, today
        if code not in self._kept:
            self._kept[code] = homes_in(code, now)
        return self._kept[code]

    # gate

    def _gate(self, request: Request) -> tuple[Response | None, dict[str, str]]:
        now, limit = time.time(), self._sandbox.config.bridge_hourly_limit
        faults = self._sandbox.faults
        while self._calls and self._calls[0] < now - 3600:
            self._calls.popleft()
        left = max(0, limit - len(self._calls))
        burst = -(-limit // 15)
        burst_left = max(0, burst - sum(1 for at in self._calls if at > now - 60))
        is_refused = faults.strikes("bridge_429")
        wait = faults.value("bridge_429", 30.0)
        headers = {
            "Application-RateLimit-Limit": str(limit), "Application-RateLimit-Remaining": str(left),
            "Application-RateLimit-Reset": str(int(now + 3600)), "Burst-RateLimit-Limit": str(burst),
            "Burst-RateLimit-Remaining": "0" if is_refused else str(burst_left),
            "Burst-RateLimit-Reset": str(int(now + (wait if is_refused else 60))),
        }  # fmt: skip
        config = self._sandbox.config
        given = request.headers.get("Authorization") or f"Bearer {request.query_params.get('access_token', '')}"
        if given != f"Bearer {config.bridge_token}":
            return _failure(401, "Invalid token", headers), headers
        if left <= 0 or burst_left <= 0 or is_refused:
            return _failure(429, "Rate limit exceeded", headers), headers
        if faults.strikes("bridge_503"):
            return Response("<html>Service Unavailable</html>", 503, headers, "text/html"), headers
        if faults.strikes("bridge_500"):
            return _failure(500, "Internal server error", headers), headers
        self._calls.append(now)
        dataset = request.path_params.get("dataset")
        if dataset is not None and dataset != config.bridge_dataset:
            return _failure(403, "Access to this dataset is not approved", headers), headers
        return None, headers

    # answers

    async def listings(self, request: Request) -> Response:
        """One page of what the filter lets pass; everywhere the sandbox knows when it names no ZIP."""
        refused, headers = self._gate(request)
        if refused is not None:
            return refused
        query = request.query_params
        try:
            rows = self._found(query.get("$filter", ""))
            top, skip = _number(query.get("$top"), DEFAULT_TOP), _number(query.get("$skip"), 0)
        except BadFilter as error:
            return _failure(400, str(error), headers)
        top = min(MAX_TOP, top)
        if skip + top > REACHABLE:
            return _failure(400, "Use replication beyond 10000 records", headers)
        rows = ordered(rows, query.get("$orderby", ""))
        shown = [selected(row, query.get("$select", ""), query.get("$unselect", "")) for row in rows[skip : skip + top]]
        body: Row = {"@odata.context": "$metadata#Property", "value": shown}
        if query.get("$count") == "true":
            body["@odata.count"] = len(rows)
        if len(rows) > skip + top:
            body["@odata.nextLink"] = self._link(request, {"$skip": skip + top})
        return Response(orjson.dumps(body), 200, headers, "application/json")

    async def replication(self, request: Request) -> Response:
        """All listings, oldest change first; the next page's address is in the ``Link`` header."""
        refused, headers = self._gate(request)
        if refused is not None:
            return refused
        top = min(REPLICATION_TOP, _number(request.query_params.get("$top"), REPLICATION_TOP))
        start = _number(request.query_params.get("next"), 0)
        rows = ordered(
            self._found(request.query_params.get("$filter", "")), "BridgeModificationTimestamp asc,ListingKey asc"
        )
        if len(rows) > start + top:
            headers["Link"] = f'<{self._link(request, {"next": start + top})}>; rel="next"'
        body = {"@odata.context": "$metadata#Property", "value": rows[start : start + top]}
        return Response(orjson.dumps(body), 200, headers, "application/json")

    async def listing(self, request: Request) -> Response:
        """One listing."""
        refused, headers = self._gate(request)
        if refused is not None:
            return refused
        key = request.path_params["key"]
        row = next((home for home in self.homes(key[1:6]) if home["ListingKey"] == key), None)
        if row is None:
            return _failure(404, "Listing not found", headers)
        return Response(orjson.dumps(row), 200, headers, "application/json")

    async def datasets(self, request: Request) -> Response:
        """The datasets of this token."""
        refused, headers = self._gate(request)
        if refused is not None:
            return refused
        name = self._sandbox.config.bridge_dataset
        return Response(orjson.dumps({"value": [{"Name": name, "ID": name}]}), 200, headers, "application/json")

    async def zestimates(self, request: Request) -> Response:
        """On-demand estimates, which leadpipe never asks for: an address finds nothing."""
        refused, headers = self._gate(request)
        if refused is not None:
            return refused
        body = {"success": True, "status": 200, "bundle": [], "total": 0}
        return Response(orjson.dumps(body), 200, headers, "application/json")

    def _found(self, text: str) -> list[Row]:
        test = read_filter(text)
        zips = _ZIP.findall(text) or _KEY.findall(text) or [place.zip for place in PLACES]
        return [home for code in dict.fromkeys(zips) for home in self.homes(code) if test(home)]

    def _link(self, request: Request, changes: Row) -> str:
        query = request.url.include_query_params(**changes).query
        return f"{self._sandbox.config.base_url}{request.url.path}?{query}"


def _number(text: str | None, default: int) -> int:
    if not text:
        return default
    if not text.isdigit():
        raise BadFilter(f"{text!r} is no number")
    return int(text)


def _failure(status: int, message: str, headers: dict[str, str]) -> Response:
    body = {"success": False, "status": status, "bundle": {"name": "Error", "message": message}}
    return Response(orjson.dumps(body), status, headers, "application/json")
