"""People whose conversations moved: a text, call, email or inquiry changes fields of theirs and not their ``updated``.

What lives here: reading them since the last pass, with the texts of those who have new ones. What does not: people who
were themselves changed (``sync``), people of an open conversation, who are read at every pass (``sync``).

Facts: FUB sheet 3.2 to 3.4. ``lastActivity`` is what such a change moves, and texts are listed by person only. The
filter's time zone is not stated, so it is tried on the newest person at every pass, as ``updatedAfter`` is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.crm import intake, watermark
from leadpipe.crm.passes import Pass, digest_of
from leadpipe.crm.sync import OVERLAP, PEOPLE_QUERY
from leadpipe.crm.values import read_id, read_time
from leadpipe.errors import Rejected

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.crm.client import FubClient
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

Row = dict[str, Any]
SOURCE = "fub_people_activity"


def touched(*, crm: FubClient, lake: Lake, engine: Engine, settings: Settings, now: datetime) -> Pass:
    """Store people with activity since the last pass, three minutes overlapping, and the texts of those with new ones.

    Before the first people pass there is no mark to start from, and it does nothing.

    Raises:
        TransientError: the CRM does not answer; the mark stays, the next pass reads the same again.
    """
    mark = watermark.read(engine, SOURCE) or watermark.read(engine, "fub_people")
    newest = next(crm.pages("people", {**PEOPLE_QUERY, "sort": "-lastActivity", "limit": 1}), [])
    at = _time(newest[0], "lastActivity") if newest else None
    result = Pass()
    if mark is None or at is None:
        return result
    people = _since(crm, mark - OVERLAP, newest[0], at)
    digest = digest_of(people)
    if people and not watermark.is_same(engine, SOURCE, digest):
        texted = [read_id(row) for row in people if (said := _time(row, "lastText")) and said >= mark - OVERLAP]
        texts = [row for i in texted for page in crm.pages("textMessages", {"personId": i}) for row in page]
        result.add(
            intake.store(
                people, [], {"textMessages": texts},
                lake=lake, engine=engine, now=now, landed_by="poll", settings=settings,
            )
        )  # fmt: skip
        watermark.put_digest(engine, SOURCE, digest, now=now)
    watermark.write(engine, SOURCE, at, now=now)
    return result


def _since(crm: FubClient, since: datetime, newest: Row, at: datetime) -> list[Row]:
    """Everyone with activity since, each once: by the documented filter where it works, else by walking."""
    if not _filter_works(crm, newest, at):
        return _once(_walk(crm, since))
    # No sort: the default order is keyset-paged and stays right while rows change under it.
    rows = _once(crm.pages("people", {**PEOPLE_QUERY, "lastActivityAfter": _written(since)}))
    if any((_time(row, "lastActivity") or since) < since - timedelta(seconds=1) for row in rows):
        return _once(_walk(crm, since))
    return rows


def _once(pages: Iterator[list[Row]]) -> list[Row]:
    return list({row.get("id"): row for page in pages for row in page}.values())


def _filter_works(crm: FubClient, newest: Row, at: datetime) -> bool:
    query = {**PEOPLE_QUERY, "lastActivityAfter": _written(at - timedelta(seconds=1)), "sort": "-lastActivity"}
    return any(read_id(row) == read_id(newest) for row in next(crm.pages("people", query), []))


def _walk(crm: FubClient, since: datetime) -> Iterator[list[Row]]:
    """Newest activity first down to ``since``; beyond the wall of offsets, everyone."""
    try:
        for page in crm.pages("people", {**PEOPLE_QUERY, "sort": "-lastActivity"}):
            fresh = [row for row in page if (_time(row, "lastActivity") or since) >= since]
            yield fresh
            if not fresh:
                return
    except Rejected as error:
        if error.code != "400":
            raise
        yield from crm.pages("people", PEOPLE_QUERY)


def _time(row: Row, name: str) -> datetime | None:
    try:
        return read_time(row.get(name))
    except ValueError:
        return None


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")
