"""Notifications that wait at the same moment share one commit.

What lives here: the group commit of the CRM's webhooks. What does not: what is stored (``fub``), reports with an effect
of their own (``reports.take``: one transaction each).

A commit waits for the disk, whatever it holds. A bulk change in the CRM sends hundreds of notifications within a
second; one statement for all that wait keeps each answer in the milliseconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import text
from starlette.concurrency import run_in_threadpool

from leadpipe.gateway.reports import Report, is_ledger_gone
from leadpipe.messaging import failpoints

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

MAX_GROUP = 500
_INSERT = text(
    "insert into ledger.inbox (source, kind, dedupe_key, body, headers, received_at, state) "
    "select source, kind, key, body, cast(headers as jsonb), :now, 'new' "
    "from unnest(cast(:sources as text[]), cast(:kinds as text[]), cast(:keys as text[]), cast(:bodies as bytea[]), "
    "cast(:headers as text[])) as t (source, kind, key, body, headers) "
    "on conflict (source, dedupe_key) do nothing"
)


class GroupCommit:
    """Stores reports durably; every caller returns after the commit that holds its report.

    One group is written at a time; those that arrive meanwhile form the next.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: list[tuple[Report, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def store(self, report: Report) -> None:
        """Return once the report is committed; a repetition is no error.

        Raises:
            sqlalchemy.exc.OperationalError: the ledger does not answer; nothing is stored.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((report, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                error = await self._try([report for report, _ in group])
                if error is not None and len(group) > 1 and not is_ledger_gone(error):
                    # One report that PostgreSQL refuses must not take the others with it.
                    for report, done in group:
                        _settle(done, await self._try([report]))
                    continue
                for _, done in group:
                    _settle(done, error)
        finally:
            self._writer = None

    async def _try(self, reports: Sequence[Report]) -> Exception | None:
        try:
            await run_in_threadpool(self._insert, reports)
        except Exception as error:  # noqa: BLE001 - handed to those who wait
            return error
        return None

    def _insert(self, reports: Sequence[Report]) -> None:
        now = self._runtime.clock.now()
        with self._runtime.engine.begin() as connection:
            connection.execute(
                _INSERT,
                {
                    "now": now,
                    "sources": [report.source for report in reports],
                    "kinds": [report.kind for report in reports],
                    "keys": [report.dedupe_key for report in reports],
                    "bodies": [report.body for report in reports],
                    "headers": [json.dumps(dict(report.headers)) for report in reports],
                },
            )
            failpoints.hit("inbox.before_commit")
        failpoints.hit("inbox.committed")


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():  # the caller hung up
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
