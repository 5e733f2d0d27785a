"""Reading what is packed: Parquet with the catalog's keys, DuckDB files, zip and gzip.

What lives here: one kind of file each, and whether the needles are in it. What does not: where files are (``scan``).
"""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe.store.lake import CATALOG_SCHEMA

if TYPE_CHECKING:
    import duckdb
    from sqlalchemy import Engine

    from leadpipe.privacy.needles import Needles

PART = 16 * 2**20
# Bytes that two parts of a file share, so that no needle is cut.
OVERLAP = 1024


def keys_of_files(engine: Engine) -> dict[str, str]:
    """The catalog's encryption keys by file name."""
    from sqlalchemy import text

    keys: dict[str, str] = {}
    with engine.connect() as connection:
        for table in ("ducklake_data_file", "ducklake_delete_file"):
            rows = connection.execute(
                text(
                    f"select path, encryption_key from {CATALOG_SCHEMA}.{table} "  # noqa: S608 - our own names
                    "where encryption_key is not null and encryption_key <> ''"
                )
            )
            keys |= {str(row.path).rsplit("/", 1)[-1]: str(row.encryption_key) for row in rows}
    return keys


def in_parquet(connection: duckdb.DuckDBPyConnection, file: str, key: str | None, needles: Needles) -> tuple[int, int]:
    """Rows of a Parquet file in which a needle is, and all its rows; ``key`` is the catalog's, for an encrypted one."""
    quoted = file.replace("'", "''")
    options = f", encryption_config => {{footer_key_value: from_base64('{key}')}}" if key else ""
    source = f"read_parquet('{quoted}'{options})"
    described = connection.execute(f"describe from {source}").fetchall()
    # Numbers and times hold no address; what is text, and what may hold text, is read.
    texts = [name for name, kind, *_ in described if not _is_number(str(kind))]
    counted = connection.execute(f"select count(*) from {source}").fetchone()  # noqa: S608 - a file of ours
    rows = int(counted[0]) if counted else 0
    if not texts:
        return 0, rows
    quoted_names = [name.replace('"', '""') for name in texts]
    words = "concat_ws(chr(10), " + ", ".join(f'"{name}"::varchar' for name in quoted_names) + ")"
    # A search for a few words is three times as fast as the expression, and leaves it next to nothing to read.
    may_hold = " or ".join(f"contains(lower({words}), ?)" for _ in needles.anchors)
    row = connection.execute(
        f"select count(*) from {source} where ({may_hold}) and regexp_matches({words}, ?, 'i')",  # noqa: S608
        [*needles.anchors, needles.pattern],
    ).fetchone()
    return (int(row[0]) if row else 0), rows


def _is_number(kind: str) -> bool:
    return kind.split("(", maxsplit=1)[0] in {
        "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL", "BOOLEAN",
        "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIME",
    }  # fmt: skip


def unpacked(path: Path) -> Iterable[bytes]:
    """The content in parts; packed files as what they hold."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                yield packed.read(name)
        return
    opened = gzip.open if path.suffix == ".gz" else Path.open
    with opened(path, "rb") as file:  # type: ignore[operator]
        before = b""
        while part := file.read(PART):
            yield before + part
            before = part[-OVERLAP:]


def in_duckdb(path: Path, needles: Needles) -> int:
    """Rows of every table of a DuckDB file, which packs its values."""
    import duckdb

    hits = 0
    with duckdb.connect() as connection:
        quoted = str(path).replace("'", "''")
        try:
            connection.execute(f"attach '{quoted}' as looked_at (read_only)")
        except duckdb.Error as error:
            raise OSError(0, f"no DuckDB file that can be read ({type(error).__name__})") from error
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'looked_at'"
        ).fetchall()
        for schema, table in tables:
            row = connection.execute(
                f'select count(*) from looked_at."{schema}"."{table}" t where regexp_matches(t::varchar, ?, \'i\')',  # noqa: S608
                [needles.pattern],
            ).fetchone()
            hits += int(row[0]) if row else 0
    return hits
