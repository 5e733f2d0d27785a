"""The values in a payload of Follow Up Boss: ids, numbers and times, whatever JSON type they came in.

What lives here: reading one value, and the whole as JSON. What does not: which field means what (``columns``,
``mapping``, ``inquiries``, ``human_actions``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
MAX_INT = 2**63 - 1


def read_time(value: object) -> datetime | None:
    """An ISO time of the API as aware UTC; None for missing or empty.

    Raises:
        ValueError: the text is no time.
    """
    if value is None or value == "":
        return None
    at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def read_id(row: Row) -> int | None:
    """A record's id; None when it has none that could be one."""
    value = row.get("id")
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if 0 < number <= MAX_INT else None


def read_whole(value: object) -> int | None:
    """A number as the ledger can hold it; None for what is none, whatever its JSON type (sheet 9.7)."""
    try:
        number = int(float(str(value))) if not isinstance(value, int) else int(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= MAX_INT else None


def time_or_none(value: object) -> datetime | None:
    """``read_time``, and None for what is no time."""
    try:
        return read_time(value)
    except ValueError:
        return None


def canonical(payload: Mapping[str, Any]) -> str:
    """The payload as JSON with sorted keys, so that equal content hashes equally."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
