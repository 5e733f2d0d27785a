"""How many SMS segments a text costs.

What lives here: the GSM-7 and UCS-2 counting of messaging sheet 1.6. What does not: shortening or rewriting a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

GSM_SINGLE, GSM_PART = 160, 153
UCS_SINGLE, UCS_PART = 70, 67
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = frozenset("^{}\\[~]|€\f")
_GSM = _BASIC | _ESCAPED


@dataclass(frozen=True, slots=True)
class Segments:
    """The cost of a text: its encoding (``gsm7`` or ``ucs2``), its units and how many segments they fill."""

    encoding: str
    units: int
    count: int


@lru_cache(maxsize=4096)
def count_segments(text: str) -> Segments:
    """Segments of ``text``; an empty text has none. No escape or surrogate pair is split across two parts."""
    if not text:
        return Segments("gsm7", 0, 0)
    if _GSM.issuperset(text):
        return _fill("gsm7", [2 if letter in _ESCAPED else 1 for letter in text], GSM_SINGLE, GSM_PART)
    return _fill("ucs2", [2 if ord(letter) > 0xFFFF else 1 for letter in text], UCS_SINGLE, UCS_PART)


def _fill(encoding: str, widths: list[int], single: int, part: int) -> Segments:
    units = sum(widths)
    if units <= single:
        return Segments(encoding, units, 1)
    count, used = 1, 0
    for width in widths:
        if used + width > part:
            count, used = count + 1, 0
        used += width
    return Segments(encoding, units, count)
