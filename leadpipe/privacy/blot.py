"""Blotting a person out of texts that are not ours to rewrite: logs, dbt's files, Dagster's runs.

What lives here: text files in place, text columns of Dagster's tables. What does not: finding out where (``scan``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.privacy.scan import LAKE, kind_of, walk

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.privacy.needles import Needles
    from leadpipe.settings import Settings


def text_files(settings: Settings, needles: Needles) -> dict[str, int]:
    """Blot the needles out of text files of the home (logs, dbt's, Dagster's); returns hits by file.

    In place and of the same length, so that a process that appends to the file goes on undisturbed.
    """
    home = settings.home.absolute()
    pattern = re.compile(needles.pattern.encode(), re.I)
    blotted: dict[str, int] = {}
    for path in walk(home):
        if kind_of(path, home) == LAKE or path.suffix in {".duckdb", ".skops", ".parquet"}:
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


def dagster(engine: Engine, needles: Needles, counts: dict[str, int]) -> list[str]:
    """Blot the needles out of Dagster's tables; adds hits to ``counts`` and returns the tables that were changed."""
    changed: list[str] = []
    with engine.begin() as connection:
        columns = connection.execute(
            text(
                "select format('%I.%I', c.table_schema, c.table_name) as name, format('%I', c.column_name) as column "
                "from information_schema.columns c join pg_tables t on t.schemaname = c.table_schema "
                "and t.tablename = c.table_name where c.table_schema = 'dagster' "
                "and c.data_type in ('text', 'character varying') order by 1, 2"
            )
        ).all()
        for name, column in columns:
            count = connection.execute(
                text(
                    f"update {name} set {column} = regexp_replace({column}, :pattern, '[erased]', 'gi') "  # noqa: S608
                    f"where {column} ~* :pattern"
                ),
                {"pattern": needles.pattern},
            ).rowcount
            if count:
                counts[name] = counts.get(name, 0) + count
                changed.append(name)
    return sorted(set(changed))
