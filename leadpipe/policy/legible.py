"""Words as a reader sees them: letters of other alphabets that look like ours, and letters that nobody sees.

What lives here: undoing such disguises before words are judged. What does not: the rules (``content``), links
(``links``). Letters of our own alphabet keep their accents.
"""

from __future__ import annotations

import unicodedata

# The last of the Latin letters; what lies beyond and is a letter looks like one at most.
_LAST_LATIN = "\u024f"


def legible(words: str) -> str:
    """The words without invisible letters, and with those of other alphabets as the ones they look like."""
    if words.isascii():
        return words
    from text_unidecode import unidecode

    seen = [letter for letter in unicodedata.normalize("NFKC", words) if unicodedata.category(letter) != "Cf"]
    return "".join(unidecode(letter) if letter > _LAST_LATIN and letter.isalpha() else letter for letter in seen)
