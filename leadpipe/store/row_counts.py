"""How many rows the lake's tables hold, read from its catalog.

What lives here: one cheap question for the metadata of every materialization. What does not: counting for the truth's
sake (a count over the files; ``mirror.differences``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.store.lake import CATALOG_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Engine

_COUNTS = text(
    f"""
    select s.schema_name || '.' || t.table_name, coalesce(
      (select sum(f.record_count) from {CATALOG_SCHEMA}.ducklake_data_file f
       where f.table_id = t.table_id and f.end_snapshot is null)
      - coalesce((select sum(d.delete_count) from {CATALOG_SCHEMA}.ducklake_delete_file d
       where d.table_id = t.table_id and d.end_snapshot is null), 0), 0)
    from {CATALOG_SCHEMA}.ducklake_table t
    join {CATALOG_SCHEMA}.ducklake_schema s on s.schema_id = t.schema_id and s.end_snapshot is null
    where t.end_snapshot is null
    """  # noqa: S608 - our own names
)


def row_counts(engine: Engine, tables: Collection[str]) -> dict[str, int]:
    """Rows of each named table that exists, as of the newest snapshot; nothing is inlined in this lake (limit 0)."""
    with engine.connect() as connection:
        found = {name: int(count) for name, count in connection.execute(_COUNTS)}
    return {name: found[name] for name in tables if name in found}
