"""Taking a person out of the lake: rows, the files that held them, the snapshots that named those files.

What lives here: the steps under the lake's exclusive lock, which the caller holds. What does not: where the rows are
(``lake_rules``), proof (``scan``).

A delete in DuckLake leaves the rows in their files and in every snapshot. So files with deleted rows are written anew,
all snapshots but the newest expire, and every file that none names is deleted at once: time travel ends for everybody
(design section 3), and a query that reads an older file at that moment fails and has to be asked again. No commit can
be under way: every writer holds the lock shared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadpipe.crm import tables as crm
from leadpipe.crm.erased import LISTS, without_erased
from leadpipe.privacy.lake_rules import LAKE, Found, LakeRule
from leadpipe.store.lake import CATALOG_SCHEMA, retried
from leadpipe.store.mirror import PREFIX

if TYPE_CHECKING:
    import duckdb
    from sqlalchemy import Engine

    from leadpipe.privacy.needles import Needles
    from leadpipe.privacy.subject import Subject
    from leadpipe.store.lake import Lake

_RAW = {table.name: table for table in crm.ALL}
ERASED = "[erased]"
# The catalog's clock is the machine's own; a moment ahead covers a snapshot made within this second.
_AHEAD = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class LakeErased:
    """What went: rows by table, files written anew, snapshots, files deleted."""

    rows_by_table: dict[str, int]
    files_rewritten: int
    snapshots_expired: int
    files_deleted: int


def count_rows(lake: Lake, subject: Subject, keys: Mapping[str, Sequence[tuple[Any, ...]]]) -> dict[str, int]:
    """The person's rows by table, for the plan; reads only."""
    with lake.connect(read_only=True) as connection:
        found: dict[str, int] = {}
        for table, rule in _there(connection).items():
            _register(connection, table, rule, subject, keys)
            row = connection.execute(f"select count(*) from {table} where {_condition(table, rule)}").fetchone()  # noqa: S608
            if row and row[0]:
                found[table] = int(row[0])
    return found


def rows_of(
    lake: Lake, subject: Subject, keys: Mapping[str, Sequence[tuple[Any, ...]]]
) -> dict[str, list[dict[str, Any]]]:
    """The person's rows by table, for the export; tables without any left out."""
    with lake.connect(read_only=True) as connection:
        found: dict[str, list[dict[str, Any]]] = {}
        for table, rule in _there(connection).items():
            _register(connection, table, rule, subject, keys)
            rows = connection.execute(f"from {table} where {_condition(table, rule)}").to_arrow_table().to_pylist()
            if rows:
                found[table] = rows
    return found


def erase(
    lake: Lake,
    subject: Subject,
    keys: Mapping[str, Sequence[tuple[Any, ...]]],
    *,
    needles: Needles,
    wall_now: datetime,
) -> LakeErased:
    """Delete the person's rows, then the files and snapshots that still hold them.

    Args:
        lake: the lake; the caller holds ``locks.files_lock`` and ``locks.lake_lock``.
        subject: whose rows.
        keys: keys of the person's ledger rows by table, read before the ledger is cleared.
        needles: words to take out of records of several people.
        wall_now: the machine's own time, by which the catalog's snapshots are dated.
    """
    with lake.connect() as connection:
        counts = retried(lambda: _delete(connection, subject, keys, needles), what="erasing a person")
        connection.execute("call ducklake_flush_inlined_data('lake')").fetchall()
        rewritten = connection.execute("call ducklake_rewrite_data_files('lake', delete_threshold => 0.0)").fetchall()
        before = (wall_now + _AHEAD).isoformat()
        expired = connection.execute(
            f"call ducklake_expire_snapshots('lake', older_than => '{before}'::timestamptz)"
        ).fetchall()
        deleted = connection.execute("call ducklake_cleanup_old_files('lake', cleanup_all => true)").fetchall()
        deleted += connection.execute("call ducklake_delete_orphaned_files('lake', cleanup_all => true)").fetchall()
    return LakeErased(
        rows_by_table=counts,
        files_rewritten=sum(int(str(row[2])) for row in rewritten),
        snapshots_expired=len(expired),
        files_deleted=len(deleted),
    )


def _delete(
    connection: duckdb.DuckDBPyConnection,
    subject: Subject,
    keys: Mapping[str, Sequence[tuple[Any, ...]]],
    needles: Needles,
) -> dict[str, int]:
    counts: dict[str, int] = {}
    connection.begin()
    try:
        for table, rule in _there(connection).items():
            _register(connection, table, rule, subject, keys)
            kept = _without(connection, table, rule, subject, needles) if rule.found is Found.IN_LISTS else []
            row = connection.execute(f"delete from {table} where {_condition(table, rule)}").fetchone()  # noqa: S608
            if row and row[0]:
                counts[table] = int(row[0])
            if kept:
                import pyarrow as pa

                connection.register("kept", pa.Table.from_pylist(kept, schema=_RAW[table].schema))
                connection.execute(f"insert into {table} by name from kept")  # noqa: S608 - our own names
                connection.unregister("kept")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return counts


def _there(connection: duckdb.DuckDBPyConnection) -> dict[str, LakeRule]:
    """Rules of the tables that this lake has: dbt's come with its first build."""
    rows = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake'"
    ).fetchall()
    known = {name for (name,) in rows}
    return {table: rule for table, rule in LAKE.items() if table in known and rule.found is not Found.NEVER}


def _register(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    rule: LakeRule,
    subject: Subject,
    keys: Mapping[str, Sequence[tuple[Any, ...]]],
) -> None:
    import pyarrow as pa

    connection.register("erased_people", pa.table({"person_id": pa.array(subject.people, pa.int64())}))
    if rule.found is Found.BY_LEDGER:
        name, kind = _key(table)
        values = [key[0] for key in keys.get(table.removeprefix(PREFIX), ())]
        typed = [int(value) for value in values] if pa.types.is_integer(kind) else values
        connection.register("erased_keys", pa.table({name: pa.array(typed, kind)}))


def _key(table: str) -> tuple[str, Any]:
    """The first key column of a mirrored table, with its type in the lake."""
    from leadpipe.store.mirror import arrow_schema
    from leadpipe.store.tables.mirrored import MIRRORED

    short = table.removeprefix(PREFIX)
    field = arrow_schema(short).field(MIRRORED[short][0])
    return field.name, field.type


def _condition(table: str, rule: LakeRule) -> str:
    by_person = "person_id in (select person_id from erased_people)"
    if rule.found is Found.BY_PERSON:
        return by_person
    if rule.found is Found.BY_LEDGER:
        from leadpipe.store.mirror import arrow_schema

        name, _ = _key(table)
        by_key = f'"{name}" in (select "{name}" from erased_keys)'  # noqa: S608 - our own names
        names = arrow_schema(table.removeprefix(PREFIX)).names
        return f"({by_key} or {by_person})" if "person_id" in names else by_key
    name, field = LISTS[_RAW[table].collection]
    path = f"$.{name}[*].{field}"
    ids = "(select list(person_id::text) from erased_people)"
    listed = f"list_has_any(json_extract_string(payload, '{path}'), {ids})"
    return f"({by_person} or coalesce({listed}, false))"


def _without(
    connection: duckdb.DuckDBPyConnection, table: str, rule: LakeRule, subject: Subject, needles: Needles
) -> list[dict[str, Any]]:
    """Records of several people as they read without this one; records of nobody else are not among them."""
    raw = _RAW[table]
    kept: list[dict[str, Any]] = []
    rows = connection.execute(
        f"select payload, is_deleted, landed_by, landed_at from {table} where {_condition(table, rule)}"  # noqa: S608
    ).fetchall()
    for payload, is_deleted, landed_by, landed_at in rows:
        for record in without_erased(raw.collection, [json.loads(payload)], frozenset(subject.people)):
            scrubbed = json.loads(re.sub(needles.pattern, ERASED, json.dumps(record, ensure_ascii=False), flags=re.I))
            kept.append(raw.row(scrubbed, landed_by=landed_by, landed_at=landed_at, is_deleted=is_deleted))
    return kept


def forget_statistics(engine: Engine, *, pattern: str) -> int:
    """Make the catalog's least and greatest values of a column those of the files there are; returns how many changed.

    DuckLake widens them with every file and never narrows them, so the first address of the alphabet would stay.
    """
    from sqlalchemy import text

    with engine.begin() as connection:
        return connection.execute(
            text(
                f"""
                update {CATALOG_SCHEMA}.ducklake_table_column_stats t
                set min_value = f.least, max_value = f.greatest
                from (
                  select s.table_id, s.column_id, min(s.min_value collate "C") as least,
                    max(s.max_value collate "C") as greatest
                  from {CATALOG_SCHEMA}.ducklake_file_column_stats s
                  join {CATALOG_SCHEMA}.ducklake_data_file d on d.data_file_id = s.data_file_id
                  where d.end_snapshot is null group by 1, 2
                ) f
                where f.table_id = t.table_id and f.column_id = t.column_id
                  and concat_ws(' ', t.min_value, t.max_value) ~* :pattern
                """  # noqa: S608 - our own names
            ),
            {"pattern": pattern},
        ).rowcount
