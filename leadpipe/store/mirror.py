"""The ledger's mirror in the lake: every version of every row below the snapshot's xmin, once.

What lives here: reading new versions from the ledger and appending them to ``raw.ledger__*``. What does not: what
they mean (dbt staging takes the newest version of each key).

A watermark on ids would lose rows: ids are drawn before their transactions commit (197 of 4,773 rows under three
writers). A transaction id below ``pg_snapshot_xmin`` belongs to a finished transaction, so nothing can appear behind
the mark any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.store.tables import MIRRORED, NOT_MIRRORED, SCHEMA, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.store.lake import Lake

CHUNK_ROWS = 20_000
PREFIX = "raw.ledger__"
_SOURCE = "mirror"


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """Rows appended by table, and the transaction id below which everything is now in the lake."""

    count_by_table: dict[str, int]
    below_xid: int


def mirror(engine: Engine, lake: Lake, *, now: datetime) -> Mirrored:
    """Append what the ledger committed since the last time. One mirror runs at a time; others wait for it.

    The mark moves only after the lake's commit: a crash between the two appends the same versions again, which staging
    folds, and never skips one.
    """
    from sqlalchemy import text

    from leadpipe.crm import watermark
    from leadpipe.store import locks

    counts: dict[str, int] = {}
    with locks.table_lock(lake.database_url, "mirror", shared=False):
        since = watermark.read_int(engine, _SOURCE) or 0
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            below = int(connection.execute(text("select pg_snapshot_xmin(pg_current_snapshot())::text")).scalar_one())
            for table in MIRRORED:
                counts[table] = _append(connection, lake, table, since, below)
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


def _append(connection: Connection, lake: Lake, table: str, since: int, below: int) -> int:
    from sqlalchemy import text

    columns = _columns(table)
    schema = arrow_schema(table)
    wanted = ", ".join(f'{expression} as "{name}"' for name, _, expression in columns)
    rows = connection.execution_options(stream_results=True, yield_per=CHUNK_ROWS).execute(
        text(
            f"select {wanted} from {SCHEMA}.{table} "  # noqa: S608 - names of our own metadata
            "where xid >= cast(:since as xid8) and xid < cast(:below as xid8)"
        ),
        {"since": str(since), "below": str(below)},
    )
    count = 0
    for part in rows.partitions():
        by_column: dict[str, list[Any]] = {name: [] for name in schema.names}
        for row in part:
            for name, value in zip(schema.names, row, strict=True):
                by_column[name].append(value)
        count += lake.append(PREFIX + table, pa.table(by_column, schema=schema))
    return count


def differences(engine: Engine, lake: Lake) -> dict[str, int]:
    """Keys per table that the lake lacks or has too many of, below the mirror's mark; empty when they agree."""
    from sqlalchemy import text

    from leadpipe.crm import watermark

    below = watermark.read_int(engine, _SOURCE) or 0
    found: dict[str, int] = {}
    for table, keys in MIRRORED.items():
        key = ", ".join(keys)
        with engine.connect() as connection:
            ours = set(
                connection.execute(
                    text(f"select {key} from {SCHEMA}.{table} where xid < cast(:below as xid8)"),  # noqa: S608
                    {"below": str(below)},
                ).tuples()
            )
        with lake.connect(read_only=True) as reader:
            theirs = set(reader.execute(f"select distinct {key} from {PREFIX}{table}").fetchall())  # noqa: S608
        missing = {tuple(map(str, row)) for row in ours} - {tuple(map(str, row)) for row in theirs}
        if missing:
            found[table] = len(missing)
    return found
