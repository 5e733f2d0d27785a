"""What a model's words say of a home, held against what is stored of it (C41).

What lives here: finding prices, rooms, sizes and features in words, and whether a stored field says the same. What does
not: promises, rates and values that nobody may state (the pack's ``claims``), availability (``content``).

Only words that a model wrote are read this way: a template prints stored fields, and counsel read its other words. What
is claimed and not stored waits for a person, who may know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from leadpipe.policy.case import Home

_MANY = {"k": 1_000, "thousand": 1_000, "mil": 1_000, "m": 1_000_000, "million": 1_000_000, "millones": 1_000_000}
_MONEY = re.compile(
    r"\$\s?(?P<figure>\d[\d,]*(?:\.\d+)?)\s?(?P<many>k|m|mil|thousand|million|millones)?\b"
    r"|\b(?P<plain>\d[\d,]*(?:\.\d+)?)\s?(?P<word>k|thousand|million|mil|millones)?\s?(?:dollars|d[oó]lares|usd)\b"
    r"|\b(?P<bare>\d{2,4}(?:\.\d+)?)\s?(?P<thousands>k)\b",
    re.IGNORECASE,
)
_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "un": 1, "una": 1, "dos": 2, "tres": 3,
          "cuatro": 4, "cinco": 5, "seis": 6}  # fmt: skip
_COUNT = rf"(?P<count>\d{{1,2}}|{'|'.join(_WORDS)})"
_BEDS = re.compile(
    rf"\b{_COUNT}[ -]?(?:bed(?:room)?s?|brs?|bd|bdrms?|dormitorios?|habitaci[oó]n(?:es)?|rec[aá]maras?|cuartos?)\b",
    re.IGNORECASE,
)
# Nothing of these is stored, so nothing can bear them out.
_UNSTORED = re.compile(
    r"\b\d[\d,.]*[ -]?(?:bath(?:room)?s?|ba|baños?|sq\.? ?(?:ft|feet)|square[ -]f(?:ee|oo)t|acres?|m2|metros)\b"
    r"|\b(?:built|renovated|remodel+ed|constru[ií]da?)\s+(?:in|en)\s+\d{4}\b"
    r"|\b\d+(?:\.\d+)?\s?(?:%|percent|por ciento)"
    r"|\b(?:hoa|property tax(?:es)?)\b[^.!?\n]{0,20}\d",
    re.IGNORECASE,
)


def unproven(words: str, home: Home | None) -> bool:
    """Whether the words state a price, a room or a size that no stored field of the home bears out."""
    if _UNSTORED.search(words):
        return True
    price, beds = (home.price_usd, home.beds) if home else (None, None)
    return any(dollars != price for dollars in _prices(words)) or any(count != beds for count in _bedrooms(words))


def _prices(words: str) -> Iterator[int]:
    for found in _MONEY.finditer(words):
        figure = found["figure"] or found["plain"] or found["bare"]
        many = found["many"] or found["word"] or found["thousands"] or ""
        yield round(float(figure.replace(",", "").rstrip(".")) * _MANY.get(many.lower(), 1))


def _bedrooms(words: str) -> Iterator[int]:
    for found in _BEDS.finditer(words):
        count = found["count"].lower()
        yield _WORDS[count] if count in _WORDS else int(count)
