"""What the team pays its lead sources, from a CSV that it keeps itself.

What lives here: reading the file (``LEADPIPE_SPEND_CSV``) into ``raw.spend``. What does not: return on it
(``marts.source_roi``).

The file has a header ``month,source,spend_usd``: a month as ``2026-03`` or any day of it, the source as Follow Up Boss
names it, dollars. Rows of the same month and source are added up by the mart.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from leadpipe.errors import BadRecord, ConfigurationError
from leadpipe.store.bootstrap import SPEND_SCHEMA
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from pathlib import Path

    from leadpipe.store.lake import Lake

TABLE = "raw.spend"
COLUMNS = tuple(SPEND_SCHEMA.names)
_MONTH = re.compile(r"(\d{4})-(\d{2})(?:-\d{2})?")


@dataclass(frozen=True, kw_only=True)
class Spend:
    """What was read: rows, the newest month, and lines that could not be read."""

    count_rows: int
    last_month: date | None
    set_aside: tuple[SetAside, ...]


def land_spend(lake: Lake, path: Path) -> Spend:
    """Make the file's rows the whole content of ``raw.spend``; a line that cannot be read is set aside with a reason.

    Raises:
        ConfigurationError: the file is not there.
        BadRecord: a column is missing, or no line can be read; the table stays as it was.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
            names = [name.strip().lower() for name in (lines[0] if lines else _header(path))]
    except FileNotFoundError as error:
        raise ConfigurationError(f"LEADPIPE_SPEND_CSV names {path}, which is not there") from error
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise BadRecord(f"{path.name} lacks the column {', '.join(missing)}; it needs {','.join(COLUMNS)}")
    rows, set_aside = _read(path.name, lines)
    if lines and not rows:
        raise BadRecord(f"{path.name}: not one of {len(lines)} lines can be read, e.g. {set_aside[0].reason}")
    lake.replace(TABLE, pa.Table.from_pylist(rows, schema=SPEND_SCHEMA))
    return Spend(
        count_rows=len(rows), last_month=max((row["month"] for row in rows), default=None), set_aside=tuple(set_aside)
    )


def _header(path: Path) -> Sequence[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return next(csv.reader(file), [])


def _read(name: str, lines: Sequence[dict[str, str]]) -> tuple[list[dict[str, date | str | float]], list[SetAside]]:
    rows: list[dict[str, date | str | float]] = []
    set_aside: list[SetAside] = []
    for number, line in enumerate(lines, start=2):
        cells = {key.strip().lower(): (value or "").strip() for key, value in line.items() if isinstance(value, str)}
        try:
            rows.append({"month": _month(cells["month"]), "source": _source(cells), "spend_usd": _usd(cells)})
        except (ValueError, KeyError) as error:
            set_aside.append(
                SetAside(
                    source="spend_csv",
                    record_key=f"{name}:{number}",
                    reason=str(error),
                    raw=",".join(cells.values()).encode(),
                )
            )
    return rows, set_aside


def _month(text: str) -> date:
    match = _MONTH.fullmatch(text)
    if match is None:
        raise ValueError("month is not like 2026-03")
    return date(int(match[1]), int(match[2]), 1)


def _source(cells: dict[str, str]) -> str:
    if not cells["source"]:
        raise ValueError("source is empty")
    return cells["source"]


def _usd(cells: dict[str, str]) -> float:
    text = cells["spend_usd"].replace("$", "").replace(",", "")
    try:
        amount = float(text)
    except ValueError:
        raise ValueError("spend_usd is no number") from None
    if not 0 <= amount < 1e9:
        raise ValueError("spend_usd is negative or absurd")
    return amount
