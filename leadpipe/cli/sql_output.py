"""Rows as a table, as JSON or as CSV.

What lives here: printing a result. What does not: running it (``sql_session``).
"""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable, Generator
from datetime import date, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import duckdb

# A table is for eyes: more rows than these are for a file, and the last line says how many there were.
TABLE_ROWS = 200
NARROW_COLUMNS = 80
CHUNK_ROWS = 5_000


def print_rows(rows: duckdb.DuckDBPyRelation | None, output: str, stream: TextIO) -> None:
    """Print a result; a statement without one prints nothing.

    JSON is one array of objects, CSV has a header line; both give times as ISO 8601 and empty values as null or
    nothing. Rows are streamed, so a large result needs no memory.
    """
    if rows is None:
        return
    if output == "json":
        _print_json(rows, stream)
    elif output == "csv":
        _print_csv(rows, stream)
    else:
        width = max(shutil.get_terminal_size((NARROW_COLUMNS * 2, 40)).columns, NARROW_COLUMNS)
        rows.show(max_rows=TABLE_ROWS, max_width=width)


def _print_json(rows: duckdb.DuckDBPyRelation, stream: TextIO) -> None:
    names = rows.columns
    stream.write("[")
    joint = "\n"
    for row in _fetched(rows):
        stream.write(joint + json.dumps(dict(zip(names, map(plain, row), strict=True)), ensure_ascii=False))
        joint = ",\n"
    stream.write("\n]\n" if joint != "\n" else "]\n")


def _print_csv(rows: duckdb.DuckDBPyRelation, stream: TextIO) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(rows.columns)
    for row in _fetched(rows):
        writer.writerow([_cell(value) for value in row])


def _fetched(rows: duckdb.DuckDBPyRelation) -> Generator[tuple[Any, ...]]:
    while chunk := rows.fetchmany(CHUNK_ROWS):
        yield from chunk


def _cell(value: object) -> object:
    kept = plain(value)
    return json.dumps(kept, ensure_ascii=False) if isinstance(kept, dict | list) else kept


def plain(value: object) -> object:
    """A value as JSON knows it: times as text, decimals as numbers, bytes as hex, not-a-number as null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return next((as_json(value) for kind, as_json in _PLAIN if isinstance(value, kind)), str(value))


_PLAIN: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (date, lambda value: value.isoformat()),  # a datetime is a date and keeps its time
    (time, time.isoformat),
    (timedelta, timedelta.total_seconds),
    (float, lambda value: value if math.isfinite(value) else None),
    (Decimal, float),
    (bytes, bytes.hex),
)
