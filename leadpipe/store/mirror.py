"""The ledger's mirror in the lake: every version of every row below the snapshot's xmin, once.

What lives here: reading new versions from the ledger and appending them to ``raw.ledger__*``. What does not: what
they mean (dbt staging takes the newest version of each key).

A watermark on ids would lose rows: ids are drawn before their transactions commit (197 of 4,773 rows under three
writers). A transaction id below ``pg_snapshot_xmin`` belongs to a finished transaction, so nothing can appear behind
the mark any more.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from leadpipe.store.tables.base import SCHEMA, metadata
from leadpipe.store.tables.mirrored import MIRRORED, NOT_MIRRORED, XID_NUMBER

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.store.lake import Lake

CHUNK_ROWS = 20_000
BATCH_ROWS = 100_000
PREFIX = "raw.ledger__"
LOCK = "mirror"
_SOURCE = "mirror"


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """Rows appended by table, and the transaction id below which everything is now in the lake."""

    count_by_table: dict[str, int]
    below_xid: int


def mirror(engine: Engine, lake: Lake, *, now: datetime) -> Mirrored:
    """Append what the ledger committed since the last time. One mirror runs at a time; others wait for it.

    All tables are read in one snapshot of the ledger and, up to ``BATCH_ROWS``, appended in one commit, so the lake
    never shows a message without its events. The mark moves only after the commit: a crash between the two appends the
    same versions again, which staging folds, and never skips one.
    """
    from sqlalchemy import text

    from leadpipe.crm import watermark
    from leadpipe.store import locks

    counts = dict.fromkeys(MIRRORED, 0)
    with locks.table_lock(lake.database_url, LOCK, shared=False):
        since = watermark.read_int(engine, _SOURCE) or 0
        batch: dict[str, list[pa.Table]] = {}
        waiting = 0
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            below = int(connection.execute(text("select pg_snapshot_xmin(pg_current_snapshot())::text")).scalar_one())
            for table in MIRRORED:
                for rows in _versions(connection, table, since, below):
                    batch.setdefault(PREFIX + table, []).append(rows)
                    counts[table] += rows.num_rows
                    waiting += rows.num_rows
                    if waiting >= BATCH_ROWS:
                        lake.append_all({name: pa.concat_tables(parts) for name, parts in batch.items()})
                        batch, waiting = {}, 0
        lake.append_all({name: pa.concat_tables(parts) for name, parts in batch.items()})
        watermark.write_int(engine, _SOURCE, below, now=now)
    return Mirrored(count_by_table=counts, below_xid=below)


def arrow_schema(table: str) -> pa.Schema:
    """The lake columns of a mirrored table: the ledger's, JSON and arrays as text, ``xid`` as a number."""
    return pa.schema([(name, kind) for name, kind, _ in _columns(table)])


def _columns(table: str) -> list[tuple[str, pa.DataType, str]]:
    kinds: dict[str, pa.DataType] = {
        "BIGINT": pa.int64(),
        "INTEGER": pa.int32(),
        "BOOLEAN": pa.bool_(),
        "FLOAT": pa.float64(),
        "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
        "DATETIME": pa.timestamp("us", tz="UTC"),
    }
    columns: list[tuple[str, pa.DataType, str]] = []
    for column in metadata.tables[f"{SCHEMA}.{table}"].columns:
        if column.name in NOT_MIRRORED.get(table, ()):
            continue
        if column.name == "xid":
            columns.append(("xid", pa.int64(), "xid::text::bigint"))
            continue
        kind = kinds.get(str(column.type).split("(")[0])
        expression = f'"{column.name}"' if kind is not None else f'"{column.name}"::text'
        columns.append((column.name, kind or pa.string(), expression))
    return columns


def _versions(connection: Connection, table: str, since: int, below: int) -> Generator[pa.Table]:
    """The rows whose last writer lies in ``[since, below)``, in chunks."""
    from sqlalchemy import text

    columns = _columns(table)
    schema = arrow_schema(table)
    wanted = ", ".join(f'{expression} as "{name}"' for name, _, expression in columns)
    rows = connection.execution_options(stream_results=True, max_row_buffer=CHUNK_ROWS).execute(
        text(
            f"select {wanted} from {SCHEMA}.{table} "  # noqa: S608 - names of our own metadata
            f"where {XID_NUMBER} >= :since and {XID_NUMBER} < :below"
        ),
        {"since": since, "below": below},
    )
    for part in rows.partitions(CHUNK_ROWS):  # yield_per would be ignored for a text statement
        by_column = zip(*part, strict=True)
        yield pa.table([pa.array(values, field.type) for values, field in zip(by_column, schema, strict=True)], schema)


def differences(engine: Engine, lake: Lake) -> dict[str, int]:
    """Rows per table whose newest version the lake lacks or has otherwise, below the mirror's mark; empty: none.

    Counts and hashes are compared, keys only where those disagree. Rows that the ledger wrote again since the mark are
    left out on both sides; they come with the next mirroring.
    """
    from sqlalchemy import text

    from leadpipe.crm import watermark
    from leadpipe.store import locks

    found: dict[str, int] = {}
    with locks.table_lock(lake.database_url, LOCK, shared=True):
        below = watermark.read_int(engine, _SOURCE) or 0
        with (
            engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
            lake.connect(read_only=True) as reader,
        ):
            for table, keys in MIRRORED.items():
                key = " || '/' || ".join(f"{name}::text" for name in keys)
                recent = connection.execute(
                    text(f"select {key} from {SCHEMA}.{table} where {XID_NUMBER} >= :below"),  # noqa: S608
                    {"below": below},
                ).scalars()
                reader.execute("create or replace temp table recent as select unnest(?::text[]) as key", [list(recent)])
                ledger = f"select {key} as key, {XID_NUMBER} as xid from {SCHEMA}.{table} where {XID_NUMBER} < :below"  # noqa: S608
                mirrored = (
                    f"select {key} as key, max(xid) as xid from {PREFIX}{table} group by all "  # noqa: S608
                    "having key not in (from recent)"
                )
                ours = connection.execute(
                    text(_FINGERPRINT.format(rows=ledger, hash=_POSTGRES_HASH)), {"below": below}
                ).one()
                theirs = reader.execute(_FINGERPRINT.format(rows=mirrored, hash=_DUCKDB_HASH)).fetchone()
                if theirs is None or tuple(map(int, ours)) != tuple(map(int, theirs)):
                    wanted = {tuple(row) for row in connection.execute(text(ledger), {"below": below})}
                    found[table] = len(wanted ^ set(reader.execute(mirrored).fetchall())) or 1
    return found


# Both databases know md5; fifteen of its digits make a number that neither overflows nor rounds.
_POSTGRES_HASH = "('x' || substr(md5(key || ':' || xid), 1, 15))::bit(60)::bigint"
_DUCKDB_HASH = "('0x' || substr(md5(key || ':' || xid), 1, 15))::bigint"
_FINGERPRINT = "select count(*), coalesce(sum({hash}), 0) from ({rows}) as versions"
