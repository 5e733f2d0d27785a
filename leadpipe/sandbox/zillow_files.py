"""Zillow Research files over HTTP: the published layout, ETags, a release a month.

What lives here: the CSV server of the zillow sheet's section 4. What does not: what the figures mean.

A folder of the user's own is served as it is. The built-in cut is old, and a fact older than 75 days is never told, so
its months are moved: the newest column is the newest month that would be out on the simulated day. When the calendar
passes a 16th, a column is added that goes on as the last one did, and the last quarter is restated, as each real
release restates its history.
"""

from __future__ import annotations

import csv
import hashlib
import io
from calendar import monthrange
from datetime import date, datetime
from email.utils import format_datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

FILES = {
    "Zip_zhvi_uc_sfrcondo_tier_0.33_0.67_sm_sa_month.csv": "zhvi",
    "Zip_zori_uc_sfrcondomfr_sm_month.csv": "zori",
}
RELEASE_DAY = 16
RESTATED_MONTHS = 3
RESTATED_BY = 1.001


class ZillowFiles:
    """The file server."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._kept: dict[tuple[str, int], bytes] = {}

    def routes(self) -> list[Route]:
        """Everything under ``/zillow``."""
        path = "/zillow/research/public_csvs/{folder}/{name}"
        return [Route(path, self.file, methods=["GET", "HEAD"])]

    async def file(self, request: Request) -> Response:
        """One CSV, with ETag and 304."""
        faults = self._sandbox.faults
        name, folder = request.path_params["name"], request.path_params["folder"]
        if faults.strikes("zillow_503", name):
            return Response("Service Unavailable", 503)
        body = self._body(folder, name)
        if body is None or faults.strikes("zillow_404", name):
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404, media_type="application/xml")
        etag = f'"{hashlib.md5(body).hexdigest()}"'  # noqa: S324 - an ETag
        released = _release_day(self._sandbox.now())
        headers = {"ETag": etag, "Last-Modified": format_datetime(released, usegmt=True)}
        if request.headers.get("If-None-Match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(body, 200, headers, "text/csv")

    def _body(self, folder: str, name: str) -> bytes | None:
        own: Path | None = self._sandbox.config.zillow_folder
        if own is not None:
            path = own / Path(name).name
            return path.read_bytes() if path.is_file() else None
        if FILES.get(name) != folder:
            return None
        newest, first = newest_month(self._sandbox.now()), newest_month(self._sandbox.started_at)
        more = _months_between(first, newest)
        if (name, more) not in self._kept:
            text = (files("leadpipe.sandbox") / "zillow" / name).read_text(encoding="utf-8")
            self._kept[name, more] = moved(text, newest=first, more=more).encode()
        return self._kept[name, more]


def newest_month(now: datetime) -> date:
    """The newest month end that is out: last month's from the 16th on, else the one before."""
    return _month_end(now.date().replace(day=1), -1 if now.day >= RELEASE_DAY else -2)


def moved(text: str, *, newest: date, more: int = 0) -> str:
    """The file with its months moved so that the last column is ``newest``, and ``more`` columns added."""
    rows = list(csv.reader(io.StringIO(text)))
    head = rows[0]
    first = next(position for position, name in enumerate(head) if _is_month(name))
    by = _months_between(date.fromisoformat(head[-1]), newest)
    months = [_month_end(date.fromisoformat(name).replace(day=1), by) for name in head[first:]]
    months += [_month_end(newest.replace(day=1), ahead) for ahead in range(1, more + 1)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*head[:first], *(month.isoformat() for month in months)])
    for row in rows[1:]:
        writer.writerow([*row[:first], *_gone_on(row[first:], more)])
    return out.getvalue()


def _gone_on(values: list[str], more: int) -> list[str]:
    """A ZIP's figures after ``more`` further releases; untouched for none."""
    for _ in range(more):
        if not values[-1] or not values[-2]:
            values = [*values, ""]
            continue
        step = float(values[-1]) / float(values[-2])
        restated = [f"{float(each) * RESTATED_BY:.4f}" if each else "" for each in values[-RESTATED_MONTHS:]]
        values = [*values[:-RESTATED_MONTHS], *restated]
        values.append(f"{float(values[-1]) * step:.4f}")
    return values


def _is_month(name: str) -> bool:
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True


def _months_between(one: date, other: date) -> int:
    return (other.year - one.year) * 12 + other.month - one.month


def _month_end(first: date, by: int) -> date:
    """The last day of the month that lies ``by`` months after the month of ``first``."""
    year, month = divmod(first.year * 12 + first.month - 1 + by, 12)
    return date(year, month + 1, monthrange(year, month + 1)[1])


def _release_day(now: datetime) -> datetime:
    """When the newest file came out."""
    if now.day >= RELEASE_DAY:
        return now.replace(day=RELEASE_DAY, hour=10, minute=0, second=0, microsecond=0)
    before = _month_end(now.date().replace(day=1), -1)
    return datetime(before.year, before.month, RELEASE_DAY, 10, tzinfo=now.tzinfo)
