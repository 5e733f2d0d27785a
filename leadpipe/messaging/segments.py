"""How many SMS segments a text takes, and in which alphabet.

What lives here: the GSM 03.38 alphabet and the packing of a text into parts (messaging sheet 1.6). What does not:
limits on length (``policy.content``).
"""

from __future__ import annotations

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = frozenset("^{}\\[~]|€\f")  # an escape septet and one more each
_GSM_ALONE, _GSM_PART = 160, 153
_UCS_ALONE, _UCS_PART = 70, 67


@dataclass(frozen=True, slots=True)
class Segments:
    """A text's size on the air.

    Attributes:
        count: segments billed; 0 for an empty text.
        encoding: ``GSM-7`` or ``UCS-2``.
        units: septets or UTF-16 code units.
        not_gsm: the first character outside GSM-7, empty when there is none.
    """

    count: int
    encoding: str
    units: int
    not_gsm: str = ""


def count_segments(text: str) -> Segments:
    """Segments of ``text`` as the carriers count them: a pair of units is never split over two parts."""
    not_gsm = next((letter for letter in text if letter not in _BASIC and letter not in _ESCAPED), "")
    if not_gsm:
        sizes = [2 if ord(letter) > 0xFFFF else 1 for letter in text]
        return Segments(_parts(sizes, _UCS_ALONE, _UCS_PART), "UCS-2", sum(sizes), not_gsm)
    sizes = [2 if letter in _ESCAPED else 1 for letter in text]
    return Segments(_parts(sizes, _GSM_ALONE, _GSM_PART), "GSM-7", sum(sizes))


def _parts(sizes: list[int], alone: int, part: int) -> int:
    if not sizes:
        return 0
    if sum(sizes) <= alone:
        return 1
    count, used = 1, 0
    for size in sizes:
        if used + size > part:
            count, used = count + 1, 0
        used += size
    return count
