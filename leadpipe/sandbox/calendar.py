"""Where the sandbox's simulated calendar begins, and lengths of time as people write them.

What lives here: the first moment and the reading of ``+1d``. What does not: the clock itself (``state``, and
``leadpipe.clock`` for the ledger's side).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

# A Tuesday, 10:00 in Chicago: legal hours for texts from coast to coast, a business day to follow, no holiday near.
STARTS_AT = datetime(2026, 5, 12, 15, 0, tzinfo=UTC)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")


def read_span(text: str) -> timedelta:
    """A length of time: ``+1d``, ``+3h``, ``+1d12h``, ``90m``.

    Raises:
        ValueError: not a length of time, or one that goes back; says how to write one.
    """
    bare = text.strip().lower().removeprefix("+")
    parts = _PART.findall(bare)
    if not parts or "".join(number + unit for number, unit in parts) != bare:
        raise ValueError(f"{text!r} is no length of time; write +1d, +3h, +90m or +1d12h (a clock goes forward only)")
    return sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta(0))
