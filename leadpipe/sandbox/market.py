"""Bridge listings and the Zillow Research CSV server.

What lives here: the wire of the zillow sheet's sections 2 and 4. What does not: real listings; every home is invented
from its ZIP, the same ZIP gives the same homes. The CSV rows are real where a folder of them is at hand.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
import re
import time
from collections import deque
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request, Response

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
ZHVI = "zhvi/Zip_zhvi_uc_sfrcondo_tier_0.33_0.67_sm_sa_month.csv"
ZORI = "zori/Zip_zori_uc_sfrcondomfr_sm_month.csv"
HOURLY_LIMIT = 5000
STREETS = ("Oak", "Maple", "Cedar", "Pecan", "Birch", "Willow", "Juniper", "Laurel")


class MarketApi:
    """Listings by ZIP with rate headers, and CSV files with ETags."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._calls: deque[float] = deque()

    def router(self) -> APIRouter:
        """Everything under ``/bridge`` and ``/zillow``."""
        router = APIRouter()
        router.add_api_route("/bridge/api/v2/OData/{dataset}/Property", self.listings, methods=["GET"])
        router.add_api_route("/bridge/api/v2/OData/{dataset}/Properties", self.listings, methods=["GET"])
        router.add_api_route("/bridge/api/v2/zestimates_v2/zestimates", self.zestimates, methods=["GET"])
        router.add_api_route("/zillow/research/public_csvs/{folder}/{name}", self.file, methods=["GET", "HEAD"])
        return router

    def _gate(self, request: Request) -> tuple[Response | None, dict[str, str]]:
        now = time.time()
        while self._calls and self._calls[0] < now - 3600:
            self._calls.popleft()
        left = HOURLY_LIMIT - len(self._calls)
        headers = {
            "Application-RateLimit-Limit": str(HOURLY_LIMIT), "Application-RateLimit-Remaining": str(left),
            "Application-RateLimit-Reset": str(int(now + 3600)), "Burst-RateLimit-Limit": "334",
            "Burst-RateLimit-Remaining": "300", "Burst-RateLimit-Reset": str(int(now + 60)),
        }  # fmt: skip
        if request.headers.get("Authorization") != f"Bearer {self._sandbox.config.bridge_token}":
            return _failure(401, "Invalid token", headers), headers
        if left <= 0 or self._sandbox.faults.strikes("bridge_429"):
            return _failure(429, "Rate limit exceeded", headers), headers
        if self._sandbox.faults.strikes("bridge_503"):
            return Response("<html>Service Unavailable</html>", 503, headers, "text/html"), headers
        self._calls.append(now)
        return None, headers

    async def listings(self, request: Request, dataset: str) -> Response:
        """Homes of the ZIPs named in ``$filter``, twelve a ZIP, one of them new each simulated day."""
        refused, headers = self._gate(request)
        if refused is not None:
            return refused
        if dataset != self._sandbox.config.bridge_dataset:
            return _failure(403, "Access to this dataset is not approved", headers)
        query = request.query_params
        wanted = query.get("$filter", "")
        zips = re.findall(r"'(\d{5})'", wanted)
        rows = [home for code in dict.fromkeys(zips) for home in self.homes(code)]
        for field, operator, number in re.findall(r"(ListPrice|BedroomsTotal) (le|ge|lt|gt|eq) (\d+)", wanted):
            rows = [row for row in rows if _compare(row[field], operator, int(number))]
        status = re.search(r"StandardStatus eq '([^']+)'", wanted)
        rows = [row for row in rows if not status or row["StandardStatus"] == status.group(1)]
        top, skip = min(200, int(query.get("$top", 10))), int(query.get("$skip", 0))
        body: Row = {"@odata.context": "$metadata#Property", "value": rows[skip : skip + top]}
        if len(rows) > skip + top:
            base = f"{self._sandbox.config.base_url}/bridge/api/v2/OData/{dataset}/Property"
            body["@odata.nextLink"] = str(request.url.include_query_params(**{"$skip": skip + top})).replace(
                str(request.url.replace(query="")), base
            )
        return Response(orjson.dumps(body), 200, headers, "application/json")

    def homes(self, code: str) -> list[Row]:
        """The homes of one ZIP today."""
        dice = random.Random(f"homes:{code}")
        today = self._sandbox.now()
        days = (today.date() - date(2026, 1, 1)).days
        base_price = 180_000 + int(hashlib.md5(code.encode()).hexdigest(), 16) % 60 * 10_000  # noqa: S324 - dice
        rows: list[Row] = []
        for number in [*range(11), 1000 + days]:
            local = dice if number < 11 else random.Random(f"new:{code}:{number}")
            price = base_price + local.randrange(-80, 160) * 1000
            street = f"{local.randrange(100, 9900)} {local.choice(STREETS)} St"
            is_new = number >= 11
            at = (today if is_new else today - timedelta(days=5 + number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            rows.append(
                {
                    "ListingKey": f"L{code}{number}", "ListingId": f"MLS{code}{number}", "StandardStatus": "Active",
                    "PropertyType": "Residential", "ListPrice": price, "BedroomsTotal": local.randrange(2, 6),
                    "BathroomsTotalInteger": local.randrange(1, 4), "LivingArea": local.randrange(900, 3600),
                    "LivingAreaUnits": "Square Feet", "UnparsedAddress": street, "City": "", "PostalCode": code,
                    "StateOrProvince": "", "InternetEntireListingDisplayYN": True,
                    "InternetAddressDisplayYN": number % 5 != 3, "InternetAutomatedValuationDisplayYN": False,
                    "ListOfficeName": "Sandbox Homes", "ListAgentFullName": "Robin Vale",
                    "Disclaimer": "Invented listing.", "FeedTypes": ["IDX"], "OnMarketDate": at[:10],
                    "ModificationTimestamp": at, "BridgeModificationTimestamp": at,
                }
            )  # fmt: skip
        return rows

    async def zestimates(self, request: Request) -> Response:
        """On-demand estimates, which leadpipe never stores."""
        refused, headers = self._gate(request)
        if refused is not None:
            return refused
        return Response(
            orjson.dumps({"success": True, "status": 200, "bundle": [], "total": 0}), 200, headers, "application/json"
        )

    async def file(self, request: Request, folder: str, name: str) -> Response:
        """One CSV in the published layout, with ETag and 304."""
        text = self._csv(f"{folder}/{name}")
        if text is None:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404, media_type="application/xml")
        etag = '"' + hashlib.md5(text.encode()).hexdigest() + '"'  # noqa: S324 - an ETag
        headers = {"ETag": etag, "Last-Modified": "Mon, 16 Nov 2026 10:00:00 GMT"}
        if request.headers.get("If-None-Match") == etag:
            return Response(status_code=304, headers=headers)
        return Response("" if request.method == "HEAD" else text, 200, headers, "text/csv")

    def _csv(self, path: str) -> str | None:
        if path not in {ZHVI, ZORI}:
            return None
        folder = self._sandbox.config.zillow_folder or Path(__file__).parents[2] / "tests" / "data" / "zillow"
        given = folder / Path(path).name
        return given.read_text() if given.exists() else _generated(path)


def _generated(path: str) -> str:
    """Rows of the published layout, for a sandbox without a folder of real files."""
    months = [(date(2024, 1, 1) + timedelta(days=31 * n)).replace(day=1) - timedelta(days=1) for n in range(1, 35)]
    out = io.StringIO()
    writer = csv.writer(out)
    keys = ["RegionID", "SizeRank", "RegionName", "RegionType", "StateName", "State", "City", "Metro", "CountyName"]
    writer.writerow(keys + [month.isoformat() for month in months])
    for rank, code in enumerate(("77084", "77449", "96815", "60614", "79936", "32501")):
        start = 250_000 + rank * 20_000 if path == ZHVI else 1_500 + rank * 100
        values = [round(start * (1 + 0.003 * n), 2) for n in range(len(months))]
        writer.writerow([90_000 + rank, rank, code, "zip", "TX", "TX", "", "", "", *values])
    return out.getvalue()


def _compare(value: float, operator: str, number: int) -> bool:
    return {"le": value <= number, "ge": value >= number, "lt": value < number, "gt": value > number,
            "eq": value == number}[operator]  # fmt: skip


def _failure(status: int, message: str, headers: dict[str, str]) -> Response:
    body = {"success": False, "status": status, "bundle": {"name": "Error", "message": message}}
    return Response(orjson.dumps(body), status, headers, "application/json")
