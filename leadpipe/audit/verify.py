"""Verifying: nothing in the audit log, nor in the rows it covers, was changed, removed or put in another order.

What lives here: the checks and what they found. What does not: printing (``cli.audit``).

Whoever can write to the database could cut the newest links off and have the rest sealed anew. Against that a link that
was noted elsewhere (``head``) is looked for: every verification prints the newest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.audit.acts import RETENTION
from leadpipe.audit.seal import FIRST_HASH, LINK_TEXT
from leadpipe.audit.sources import DIGEST, ERASURE, SOURCES, Source
from leadpipe.errors import PermanentError
from leadpipe.store.tables.mirrored import XID_NUMBER

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# A forged table names every row; the first few say enough.
MOST_NAMED = 20

_LINKS = text(
    f"""
    with rows as (
      select seal_id, min(seq) as first_seq, count(*) as count_rows, max(seq) - min(seq) + 1 as span,
        {LINK_TEXT} as words
      from ledger.audit group by seal_id
    )
    select s.id, s.first_seq, s.count_rows, s.previous_hash, s.hash,
      coalesce(r.count_rows, 0) as found_rows, coalesce(r.first_seq, 0) as found_first, coalesce(r.span, 0) as span,
      sha256(s.previous_hash || convert_to(coalesce(r.words, ''), 'UTF8')) as hash_of_rows
    from ledger.audit_seals s left join rows r on r.seal_id = s.id order by s.id
    """  # noqa: S608 - our own names
)
_STRAY = text(
    "select a.seq from ledger.audit a left join ledger.audit_seals s on s.id = a.seal_id where s.id is null "
    "order by a.seq limit :most"
)


@dataclass(frozen=True, kw_only=True)
class Head:
    """The newest link: its number and its hash in hex."""

    seal_id: int
    hash: str

    def __str__(self) -> str:
        """As ``--head`` takes it."""
        return f"{self.seal_id}:{self.hash}"

    @classmethod
    def parse(cls, words: str) -> Head:
        """Read ``NUMBER:HASH``.

        Raises:
            PermanentError: it is none.
        """
        number, _, digest = words.partition(":")
        if not number.isdigit() or len(digest) != 64:
            raise PermanentError(f"{words!r} is no link; write it as `leadpipe audit verify` printed it, NUMBER:HASH")
        return cls(seal_id=int(number), hash=digest)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was compared and what is wrong; no problem means the log is as it was written.

    Attributes:
        count_rows: sealed rows.
        count_seals: links.
        count_unsealed: rows that are not sealed yet: the last second's, or more while no gateway runs.
        count_cleared: rows whose detail an erasure emptied; their hashes stand.
        head: the newest link.
    """

    count_rows: int
    count_seals: int
    count_unsealed: int
    count_cleared: int
    head: Head | None
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "is_intact": not self.problems,
            "rows": self.count_rows,
            "seals": self.count_seals,
            "unsealed": self.count_unsealed,
            "cleared_by_erasures": self.count_cleared,
            "head": str(self.head) if self.head else None,
            "problems": list(self.problems),
        }


def verify(engine: Engine, *, head: Head | None = None) -> Verified:
    """Compare every link with its rows and every sealed row with the table it came from, in one snapshot.

    Args:
        engine: the ledger.
        head: a link noted earlier; the chain must still hold it.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        problems: list[str] = []
        newest, count_seals, count_rows = _links(connection, head, problems)
        strays = connection.execute(_STRAY, {"most": MOST_NAMED}).scalars().all()
        problems += [f"row {seq} of the audit log belongs to no link: one was removed" for seq in strays]
        count_cleared = sum(_rows(connection, source, problems) for source in SOURCES)
        count_unsealed = sum(_unsealed(connection, source, problems) for source in SOURCES)
    return Verified(
        count_rows=count_rows,
        count_seals=count_seals,
        count_unsealed=count_unsealed,
        count_cleared=count_cleared,
        head=newest,
        problems=tuple(problems),
    )


def _links(connection: Connection, wanted: Head | None, problems: list[str]) -> tuple[Head | None, int, int]:
    before, next_id, next_seq, count, newest = FIRST_HASH, 1, 1, 0, None
    is_met = wanted is None
    for link in connection.execution_options(stream_results=True).execute(_LINKS):
        if link.id != next_id:
            problems.append(f"links {next_id} to {link.id - 1} are missing")
        elif bytes(link.previous_hash) != before:
            problems.append(f"link {link.id} does not follow link {link.id - 1}: one of them was changed")
        if link.first_seq != next_seq:
            problems.append(f"link {link.id} begins at row {link.first_seq}, not at {next_seq}")
        if link.found_rows != link.count_rows or link.span != link.found_rows or link.found_first != link.first_seq:
            problems.append(f"link {link.id} has {link.found_rows} rows and was sealed with {link.count_rows}")
        if bytes(link.hash_of_rows) != bytes(link.hash):
            problems.append(f"link {link.id} is not what was sealed: a row was changed, removed or put elsewhere")
        newest = Head(seal_id=link.id, hash=bytes(link.hash).hex())
        is_met = is_met or newest == wanted
        before, next_id, next_seq = bytes(link.hash), link.id + 1, link.first_seq + link.count_rows
        count += link.count_rows
    if not is_met:
        problems.append(f"link {wanted} is not in the chain: it was cut off or written anew since that was noted")
    return newest, next_id - 1, count


def _rows(connection: Connection, source: Source, problems: list[str]) -> int:
    """Name sealed rows that differ from the table's; returns how many had their detail cleared by an erasure."""
    rows = connection.execute(
        text(
            f"""
            select a.seq, a.row_id, s.id is null as is_missing
            from ledger.audit a left join {source.name} s on s.id = a.row_id
            where a.source = '{source.table}'
              and (s.id is null or a.row_hash <> {_of_row(source)})
              and not (s.id is null and exists (select 1 from ledger.acts t where t.kind = '{RETENTION}'
                and t.detail ->> 'table' = '{source.table}' and a.row_id <= cast(t.detail ->> 'up_to_id' as bigint)))
            order by a.seq limit :most
            """  # noqa: S608 - our own names
        ),
        {"most": MOST_NAMED},
    )
    for row in rows:
        what = "is missing" if row.is_missing else "was changed"
        problems.append(f"{source.name} row {row.row_id} {what} (row {row.seq} of the audit log)")
    emptied = connection.execute(
        text(
            f"""
            select count(*) as n, count(*) filter (where not exists (select 1 from ledger.erasures e
              where e.id::text = s.{source.detail} ->> '{ERASURE}')) as without
            from {source.name} s where s.{source.detail} ? '{DIGEST}'
            """  # noqa: S608 - our own names
        )
    ).one()
    if emptied.without:
        problems.append(f"{emptied.without} rows of {source.name} were emptied by no erasure of this ledger")
    return int(emptied.n)


def _unsealed(connection: Connection, source: Source, problems: list[str]) -> int:
    found = connection.execute(
        text(
            f"""
            select count(*) as n, count(*) filter (where {XID_NUMBER.replace("xid", "s.xid")} < b.xid) as behind
            from {source.name} s left join ledger.audit a on a.source = '{source.table}' and a.row_id = s.id,
              (select coalesce(max(below_xid), 0) as xid from ledger.audit_seals) b
            where a.seq is null
            """  # noqa: S608 - our own names
        )
    ).one()
    if found.behind:
        problems.append(f"{found.behind} rows of {source.name} are older than the newest link and in none")
    return int(found.n) - int(found.behind)


def _of_row(source: Source) -> str:
    """The row's hash, of alias ``s``."""
    columns = Source(
        table=source.table,
        what=source.what,
        columns=tuple(f"s.{name}" for name in source.columns),
        detail=f"s.{source.detail}",
    )
    return columns.row_hash
