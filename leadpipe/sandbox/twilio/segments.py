"""How many parts a text has, counted as a carrier counts (messaging sheet 1.6).

What lives here: the count. What does not: leadpipe's own count (``messaging.segments``); a fake that asked the caller
for the number could not tell it was wrong.
"""

from __future__ import annotations

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = frozenset("^{}\\[~]|€\f")


def count_segments(text: str) -> int:
    """Parts of one text; an escape pair or a surrogate pair is never split."""
    if all(letter in _BASIC or letter in _ESCAPED for letter in text):
        sizes, alone, part = [2 if letter in _ESCAPED else 1 for letter in text], 160, 153
    else:
        sizes, alone, part = [2 if ord(letter) > 0xFFFF else 1 for letter in text], 70, 67
    if sum(sizes) <= alone:
        return 1
    count, used = 1, 0
    for size in sizes:
        if used + size > part:
            count, used = count + 1, 0
        used += size
    return count
