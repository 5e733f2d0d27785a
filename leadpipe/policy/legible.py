"""Words as a reader sees them: letters of other alphabets that look like ours, and letters that nobody sees.

What lives here: undoing such disguises before words are judged. What does not: the rules (``content``), links
(``links``). Letters of our own alphabet keep their accents.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# What is no Latin letter, mark or figure as everybody writes them: beyond the last Latin letters, and the soft hyphen.
_BEYOND = re.compile(r"[^\x00-\xac\xae-\u024f]")


def legible(words: str) -> str:
    """The words without invisible letters, and with those of other alphabets as the ones they look like."""
    if words.isascii():
        return words
    return _BEYOND.sub(lambda found: _as_read(found[0]), unicodedata.normalize("NFKC", words))


@lru_cache(maxsize=4096)
def _as_read(letter: str) -> str:
    """A letter of another alphabet as the one it looks like at most, one that nobody sees as none, a mark as it is."""
    if unicodedata.category(letter) == "Cf":
        return ""
    if not letter.isalpha():
        return letter
    from text_unidecode import unidecode

    return unidecode(letter)
