"""Empty tables of the lake, so that every query and every dbt model works before the first run.

What lives here: which tables exist from the start. What does not: their columns (each room's own schema).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from leadpipe.store import mirror
from leadpipe.store.tables.mirrored import MIRRORED

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

SPEND_SCHEMA = pa.schema([("month", pa.date32()), ("source", pa.string()), ("spend_usd", pa.float64())])


def schemas() -> dict[str, pa.Schema]:
    """Every lake table that is not built by dbt, with its columns."""
    from leadpipe.crm import audit
    from leadpipe.crm import tables as crm
    from leadpipe.market import tables as market
    from leadpipe.outreach.queue import QUEUE_SCHEMA
    from leadpipe.scoring.tables import LEAD_SCORES_SCHEMA

    found = {table.name: table.schema for table in crm.ALL}
    found |= {mirror.PREFIX + table: mirror.arrow_schema(table) for table in MIRRORED}
    found |= {"raw.spend": SPEND_SCHEMA, "outreach.queue": QUEUE_SCHEMA, "scoring.lead_scores": LEAD_SCORES_SCHEMA}
    found[audit.TABLE] = audit.SCHEMA
    found |= market.SCHEMAS
    return found


def create_tables(lake: Lake) -> None:
    """Create what is missing, columns too, in one connection; running it again changes nothing.

    A column that a newer version of leadpipe adds is empty in the rows of before.
    """
    with lake.connect(read_only=True) as connection:
        rows = connection.execute(
            "select schema_name || '.' || table_name, list(column_name) from duckdb_columns() "
            "where database_name = 'lake' group by all"
        ).fetchall()
    known: dict[str, list[str]] = dict(rows)
    wanted = schemas()
    if all(name in known and set(schema.names) <= set(known[name]) for name, schema in wanted.items()):
        return
    with lake.write("set-up") as connection:
        for name, schema in wanted.items():
            connection.register("empty", schema.empty_table())
            connection.execute(f"create table if not exists {name} as from empty")
            for column, kind, *_ in connection.execute("describe empty").fetchall():
                if name in known and column not in known[name]:
                    connection.execute(f'alter table {name} add column if not exists "{column}" {kind}')
            connection.unregister("empty")
