"""Looking for a person in every file we keep, decoded: what the certificate of an erasure rests on.

What lives here: the places, how each is decoded, what was found and what could not be looked at. What does not: what is
looked for (``needles``), erasing.

A search over the bytes alone misses half of what is there: Parquet pages are compressed and encrypted, PostgreSQL
compresses long values and the pages in its log. So every row of every table is read by its own engine, live files by
the catalog's key, and the bytes of every file beside that, for what no engine shows any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadpipe.privacy.decode import in_duckdb, in_parquet, keys_of_files, unpacked
from leadpipe.privacy.disk import data_folder

if TYPE_CHECKING:
    import duckdb
    from sqlalchemy import Engine

    from leadpipe.privacy.needles import Needles
    from leadpipe.settings import Settings
    from leadpipe.store.lake import Lake

OF_SERVER = "pg/data/"
LAKE = "the lake"
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
    keys = keys_of_files(engine)
    root = lake.data_path
    files = [str(name) for (name,) in connection.execute("from glob(?)", [f"{root}**/*.parquet"]).fetchall()]
    for file in files:
        name = file.removeprefix(root)
        key = keys.get(file.rsplit("/", 1)[-1])
        result.looked_at["Parquet files"] += 1
        try:
            hits, rows = in_parquet(connection, file, key, needles)
        except Exception as error:  # noqa: BLE001 - an unreadable file is a finding of its own, the others are read
            result.not_looked_at.append(f"lake/{name}: {type(error).__name__}" + ("" if key else ", no key known"))
            continue
        result.looked_at["rows of Parquet"] += rows
        if hits:
            result.found[f"file lake/{name}"] += hits


def _files(settings: Settings, lake: Lake, needles: Needles, result: Scanned) -> None:
    """Every file of the home and of the server, byte by byte; what is packed is unpacked first."""
    home = settings.home.absolute()
    for path in walk(home):
        if kind_of(path, home) == LAKE and path.suffix == ".parquet":
            continue  # read row by row; its pages are compressed
        _look(path, str(path.relative_to(home)), kind_of(path, home), needles, result)
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
        hits = in_duckdb(path, needles) if path.suffix == ".duckdb" else 0
        for part in unpacked(path):
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


def walk(home: Path) -> Iterator[Path]:
    """The files of a home that are ours to look at."""
    for path in sorted(home.rglob("*")):
        # Extensions are libraries of others; the server's files are looked at by its own words of where they are.
        if any(path.is_relative_to(home / name) for name in ("duckdb", "pg/data")):
            continue
        if path.is_file() and not path.is_symlink():
            yield path


def kind_of(path: Path, home: Path) -> str:
    """What a file of the home is, as the certificate counts it."""
    first = path.relative_to(home).parts[0]
    names = {"lake": LAKE, "logs": "logs", "dagster": "Dagster's runs", "dbt": "dbt", "pg": "logs"}
    return names.get(first, "the home")
