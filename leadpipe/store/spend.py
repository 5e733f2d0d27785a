"""The team's own spending by source and month, read from a CSV file into ``raw.spend``.

What lives here: the file's columns, their reading, the refusal of a file that lacks one. What does not: what the money
brought (``marts.source_roi``), where the file is (the setting ``spend_csv``).

The file has a header line and the columns ``month`` (2026-03 or 2026-03-01), ``source`` (as the CRM spells it) and
``spend_usd`` (1234.50; a dollar sign and thousands commas are taken off). Further columns are left alone.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leadpipe.errors import BadRecord, ConfigurationError
from leadpipe.store.bootstrap import SPEND_SCHEMA
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from leadpipe.store.lake import Lake

TABLE = "raw.spend"
COLUMNS = tuple(SPEND_SCHEMA.names)
SOURCE = "spend_csv"


@dataclass(frozen=True, kw_only=True)
class SpendLoaded:
    """Rows that ``raw.spend`` now holds, whether they differ from before, and the lines that could not be read."""

    count_rows: int
    is_changed: bool
    set_aside: tuple[SetAside, ...]

    def as_metadata(self) -> dict[str, int | bool]:
        """Counts for a materialization."""
        return {"dagster/row_count": self.count_rows, "changed": self.is_changed, "quarantined": len(self.set_aside)}


def load_spend(lake: Lake, path: Path) -> SpendLoaded:
    """Make the file's lines the content of ``raw.spend``; a file as before commits nothing.

    A line that cannot be read is set aside with its reason; the others count.

    Raises:
        ConfigurationError: no such file, it is no CSV of UTF-8 text, or a column is missing; the message names it, and
            the table keeps what it had.
    """
    rows, set_aside = _read(path)
    table = pa.Table.from_pylist(rows, schema=SPEND_SCHEMA)
    lake.create(TABLE, SPEND_SCHEMA)
    order = [(name, "ascending") for name in COLUMNS]
    is_changed = not lake.query(f"from {TABLE}").cast(SPEND_SCHEMA).sort_by(order).equals(table.sort_by(order))
    if is_changed:
        lake.replace(TABLE, table)
    return SpendLoaded(count_rows=table.num_rows, is_changed=is_changed, set_aside=tuple(set_aside))


def _read(path: Path) -> tuple[list[dict[str, Any]], list[SetAside]]:
    rows: list[dict[str, Any]] = []
    set_aside: list[SetAside] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = [name.strip().lower() for name in reader.fieldnames or []]
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise ConfigurationError(
                    f"{path} lacks the column {' and '.join(missing)} (its header: {', '.join(names) or 'none'}); "
                    f"LEADPIPE_SPEND_CSV needs {', '.join(COLUMNS)}"
                )
            reader.fieldnames = names
            for line in reader:
                try:
                    rows.append(_row(line))
                except BadRecord as error:
                    raw = ",".join(str(value) for value in line.values())
                    key = f"line {reader.line_num}"
                    set_aside.append(SetAside(source=SOURCE, record_key=key, reason=str(error), raw=raw.encode()))
    except OSError as error:
        raise ConfigurationError(f"LEADPIPE_SPEND_CSV: {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"LEADPIPE_SPEND_CSV: {path} is no CSV file of UTF-8 text: {error}") from error
    return rows, set_aside


def _row(line: dict[str, Any]) -> dict[str, Any]:
    month, source, spend = (str(line[name] or "").strip() for name in COLUMNS)
    try:
        first = date.fromisoformat(month if month.count("-") == 2 else f"{month}-01").replace(day=1)
    except ValueError:
        raise BadRecord(f"month {month!r} is not like 2026-03") from None
    if not source:
        raise BadRecord("source is empty")
    try:
        usd = float(spend.replace("$", "").replace(",", ""))
    except ValueError:
        raise BadRecord(f"spend_usd {spend!r} is no number") from None
    if not math.isfinite(usd) or usd < 0:
        raise BadRecord(f"spend_usd {spend!r} is no amount of money spent")
    return {"month": first, "source": source, "spend_usd": usd}
