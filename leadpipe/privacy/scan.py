"""Looking for a person in every file we keep, decoded: what the certificate of an erasure rests on.

What lives here: the places, how each is decoded, what was found and what could not be looked at. What does not: what is
looked for (``needles``), erasing.

A search over the bytes alone misses half of what is there: Parquet pages are compressed and encrypted, PostgreSQL
compresses long values and the pages in its log. So every row of every table is read by its own engine, live files by
the catalog's key, and the bytes of every file beside that, for what no engine shows any more.
"""

from __future__ import annotations

import gzip
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadpipe.privacy.disk import data_folder
from leadpipe.store.lake import CATALOG_SCHEMA

if TYPE_CHECKING:
    import duckdb
    from sqlalchemy import Engine

    from leadpipe.privacy.needles import Needles
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

OF_SERVER = "pg/data/"
LAKE = "the lake"
PART = 16 * 2**20
# Bytes that two parts of a file share, so that no needle is cut.
OVERLAP = 1024
# The one table that holds the needles themselves until the scan is done.
_OWN = "ledger.erasures"


@dataclass(kw_only=True)
class Scanned:
    """Where the person was found, how much was looked at, and what could not be.

    Attributes:
        found: hits by place: ``table ledger.messages``, ``file lake/....parquet`` ...
        looked_at: tables, files, bytes and rows by kind of place.
        not_looked_at: parts that cannot be reached, with the reason.
    """

    found: Counter[str] = field(default_factory=Counter[str])
    looked_at: Counter[str] = field(default_factory=Counter[str])
    not_looked_at: list[str] = field(default_factory=list[str])

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.found

    @property
    def is_in_files_of_postgresql(self) -> bool:
        """Whether bytes are in the server's files that no table shows."""
        return any(place.startswith(f"file {OF_SERVER}") for place in self.found)

    def as_json(self) -> dict[str, Any]:
        """For the certificate: places and counts, never what was found."""
        return {
            "is_clean": self.is_clean,
            "found": dict(sorted(self.found.items())),
            "looked_at": dict(sorted(self.looked_at.items())),
            "not_looked_at": list(self.not_looked_at),
        }


def scan(engine: Engine, lake: Lake, settings: Settings, needles: Needles) -> Scanned:
    """Look everywhere for the needles.

    Args:
        engine: the ledger; its database holds the lake's catalog and Dagster's runs too.
        lake: its files.
        settings: where the home is.
        needles: what to look for.
    """
    result = Scanned()
    if not needles:
        result.not_looked_at.append("everything: nothing was known about the person that tells them from others")
        return result
    _tables(engine, needles, result)
    with lake.connect(read_only=True) as connection:
        _parquet(engine, connection, lake, needles, result)
    _files(settings, lake, needles, result)
    return result


def _tables(engine: Engine, needles: Needles, result: Scanned) -> None:
    """Every row of every table, as its own database reads it."""
    from sqlalchemy import text

    with engine.connect() as connection:
        tables = connection.execute(
            text(
                """
                select t.schemaname || '.' || t.tablename as name,
                  format('%I.%I', t.schemaname, t.tablename) as quoted,
                  array_remove(array_agg(c.column_name::text) filter (where c.udt_name = 'bytea'), null) as binary
                from pg_tables t join information_schema.columns c
                  on c.table_schema = t.schemaname and c.table_name = t.tablename
                where t.schemaname not in ('pg_catalog', 'information_schema') group by 1, 2 order by 1
                """
            )
        ).all()
        for table in tables:
            row = " || ' ' || ".join(
                ["t::text", *(f"coalesce(encode(t.\"{name}\", 'escape'), '')" for name in table.binary or [])]
            )
            if table.name == _OWN:
                row = "(to_jsonb(t) - 'needles')::text"
            hits = connection.execute(
                text(f"select count(*) from {table.quoted} t where {row} ~* :pattern"),  # noqa: S608 - catalog's names
                {"pattern": needles.pattern},
            ).scalar_one()
            result.looked_at["tables of PostgreSQL"] += 1
            if hits:
                result.found[f"table {table.name}"] += int(hits)
        sampled = connection.execute(
            text("select count(*) from pg_stats s where s::text ~* :pattern"), {"pattern": needles.pattern}
        ).scalar_one()
        if sampled:
            result.found["statistics of PostgreSQL"] += int(sampled)


def _parquet(
    engine: Engine, connection: duckdb.DuckDBPyConnection, lake: Lake, needles: Needles, result: Scanned
) -> None:
    """Every Parquet file under the lake's path, whether a snapshot names it or not."""
    keys = _keys(engine)
    root = lake.data_path
    files = [str(name) for (name,) in connection.execute("from glob(?)", [f"{root}**/*.parquet"]).fetchall()]
    for file in files:
        name = file.removeprefix(root)
        key = keys.get(file.rsplit("/", 1)[-1])
        result.looked_at["Parquet files"] += 1
        try:
            hits, rows = _in_parquet(connection, file, key, needles)
        except Exception as error:  # noqa: BLE001 - an unreadable file is a finding of its own, the others are read
            result.not_looked_at.append(f"lake/{name}: {type(error).__name__}" + ("" if key else ", no key known"))
            continue
        result.looked_at["rows of Parquet"] += rows
        if hits:
            result.found[f"file lake/{name}"] += hits


def _keys(engine: Engine) -> dict[str, str]:
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


def _in_parquet(connection: duckdb.DuckDBPyConnection, file: str, key: str | None, needles: Needles) -> tuple[int, int]:
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


def _files(settings: Settings, lake: Lake, needles: Needles, result: Scanned) -> None:
    """Every file of the home and of the server, byte by byte; what is packed is unpacked first."""
    home = settings.home.absolute()
    for path in _walk(home):
        if _kind(path, home) == LAKE and path.suffix == ".parquet":
            continue  # read row by row; its pages are compressed
        _look(path, str(path.relative_to(home)), _kind(path, home), needles, result)
    server = data_folder(lake.database_url)
    if server is not None:
        for path in _walk_server(*server):
            name = str(path.relative_to(server[0]))
            kind = "PostgreSQL's log" if name.startswith("pg_wal") else "PostgreSQL"
            _look(path, f"{OF_SERVER}{name}", kind, needles, result)
    else:
        result.not_looked_at.append(
            "the files of PostgreSQL: they are not on this machine; its tables were written anew and read row by row, "
            "its write-ahead log, replicas and backups end by its owner's retention"
        )
    if "://" in lake.data_path:
        result.not_looked_at.append("older versions of S3 objects: the bucket's lifecycle ends them")
    result.not_looked_at.append("backups: they expire by their retention, and a restore erases again before it sends")


def _look(path: Path, name: str, kind: str, needles: Needles, result: Scanned) -> None:
    try:
        hits = _in_duckdb(path, needles) if path.suffix == ".duckdb" else 0
        for part in _unpacked(path):
            hits += needles.in_bytes(part)
            result.looked_at[f"bytes of {kind}"] += len(part)
    except FileNotFoundError:
        return  # a log that was rotated, a table that was dropped meanwhile
    except OSError as error:
        result.not_looked_at.append(f"{name}: {error.strerror}")
        return
    result.looked_at[f"files of {kind}"] += 1
    if hits:
        result.found[f"file {name}"] += hits


def _walk_server(folder: Path, database: int) -> Iterator[Path]:
    """The server's files: of other databases on it none is ours."""
    others = {path for path in (folder / "base").iterdir() if path.name.isdigit() and path.name != str(database)}
    for path in sorted(folder.rglob("*")):
        if not others.isdisjoint(path.parents):
            continue
        if path.is_file() and not path.is_symlink():
            yield path


def _walk(home: Path) -> Iterator[Path]:
    for path in sorted(home.rglob("*")):
        # Extensions are libraries of others; the server's files are looked at by its own words of where they are.
        if any(path.is_relative_to(home / name) for name in ("duckdb", "pg/data")):
            continue
        if path.is_file() and not path.is_symlink():
            yield path


def _kind(path: Path, home: Path) -> str:
    first = path.relative_to(home).parts[0]
    names = {"lake": LAKE, "logs": "logs", "dagster": "Dagster's runs", "dbt": "dbt", "pg": "logs"}
    return names.get(first, "the home")


def _unpacked(path: Path) -> Iterable[bytes]:
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


def _in_duckdb(path: Path, needles: Needles) -> int:
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


def overwrite_in_files(settings: Settings, needles: Needles) -> dict[str, int]:
    """Blot the needles out of text files of the home (logs, dbt's, Dagster's); returns hits by file.

    In place and of the same length, so that a process that appends to the file goes on undisturbed.
    """
    import re

    home = settings.home.absolute()
    pattern = re.compile(needles.pattern.encode(), re.I)
    blotted: dict[str, int] = {}
    for path in _walk(home):
        if _kind(path, home) == LAKE or path.suffix in {".duckdb", ".skops", ".parquet"}:
            continue
        try:
            content = path.read_bytes()
            found = list(pattern.finditer(content))
            if not found:
                continue
            with path.open("r+b") as file:
                for match in found:
                    file.seek(match.start())
                    file.write(b"#" * (match.end() - match.start()))
        except OSError:
            continue  # the scan afterwards names it
        blotted[str(path.relative_to(home))] = len(found)
    return blotted
