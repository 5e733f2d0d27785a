"""Sealing: what was committed since the last seal becomes the next link of the chain.

What lives here: one sealing, and the thread that seals every second. What does not: what is covered (``sources``),
checking it (``verify``).

A transaction id below ``pg_snapshot_xmin`` belongs to a finished transaction, so nothing can appear behind a seal any
more (the mirror reads the same way). Writers know nothing of seals and never wait for one; one sealer works at a time,
wherever the others run.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.audit.sources import SOURCES
from leadpipe.store.locks import lock_key
from leadpipe.store.tables.mirrored import XID_NUMBER

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import Clock

EVERY_SECONDS = 1.0
# After an error, and while another process is the sealer.
AFTER_ERROR_SECONDS = 15.0
# Rows of one link: its hash is made of one text in the database.
LINK_ROWS = 50_000
FIRST_HASH = bytes(32)
_LOCK = lock_key("audit")
_log = logging.getLogger(__name__)

_NEW = " union all ".join(
    f"select {XID_NUMBER} as xid, '{source.table}' as source, id as row_id, {source.row_hash} as row_hash "  # noqa: S608
    f"from {source.name} s where {XID_NUMBER} >= :since and {XID_NUMBER} < :below "
    # An erasure stamps rows anew, so that the mirror takes them; they are sealed already.
    f"and not exists (select 1 from ledger.audit a where a.source = '{source.table}' and a.row_id = s.id)"
    for source in SOURCES
)
_TAKE = text(
    f"""
    insert into ledger.audit (seq, seal_id, source, row_id, row_hash)
    select :last_seq + n, :last_seal + 1 + (n - 1) / :link, source, row_id, row_hash
    from (
      select row_number() over (order by xid, source, row_id) as n, source, row_id, row_hash from ({_NEW}) new
    ) counted
    """  # noqa: S608 - our own names
)
# What a link's hash covers, beside the hash before it.
LINK_TEXT = "string_agg(seq || ':' || source || ':' || row_id || ':' || encode(row_hash, 'hex'), chr(10) order by seq)"
_LINK = text(
    f"""
    insert into ledger.audit_seals (id, below_xid, first_seq, count_rows, previous_hash, hash, sealed_at)
    select :id, :below, min(seq), count(*), :previous, sha256(:previous || convert_to({LINK_TEXT}, 'UTF8')), :now
    from ledger.audit where seal_id = :id returning hash
    """  # noqa: S608 - our own names
)


def seal(engine: Engine, *, clock: Clock) -> int | None:
    """Seal what was committed since the last time; returns how many rows, None when another process is sealing."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        if not connection.execute(text("select pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}).scalar():
            return None
        last = connection.execute(
            text(
                "select id, below_xid, hash, first_seq + count_rows - 1 as last_seq from ledger.audit_seals "
                "order by id desc limit 1"
            )
        ).one_or_none()
        since, last_seal, last_seq = (last.below_xid, last.id, last.last_seq) if last else (0, 0, 0)
        previous = bytes(last.hash) if last else FIRST_HASH
        below = int(connection.execute(text("select pg_snapshot_xmin(pg_current_snapshot())::text")).scalar_one())
        if below <= since:
            return 0
        taken = connection.execute(
            _TAKE, {"last_seq": last_seq, "last_seal": last_seal, "link": LINK_ROWS, "since": since, "below": below}
        ).rowcount
        now = clock.now()
        for number in range(-(-taken // LINK_ROWS)):
            names = {"id": last_seal + 1 + number, "below": below, "previous": previous, "now": now}
            previous = bytes(connection.execute(_LINK, names).scalar_one())
    return taken


class Sealer:
    """Seals every second until stopped; an error is logged and tried again, since whatever waits is sealed later."""

    def __init__(self, engine: Engine, *, clock: Clock, every_seconds: float = EVERY_SECONDS) -> None:
        self._engine, self._clock, self._every = engine, clock, every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-sealer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the sealing under way."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        wait = self._every
        while not self._stop.wait(wait):
            try:
                wait = self._every if seal(self._engine, clock=self._clock) is not None else AFTER_ERROR_SECONDS
            except Exception as error:  # noqa: BLE001 - the next second tries again; the reason is in the log
                _log.warning("the audit log was not sealed (%s); it is tried again", type(error).__name__)
                wait = AFTER_ERROR_SECONDS
