"""Which templates of texts cost more than they look: letters outside the GSM alphabet in their own words.

What lives here: reading the fixed words of the text templates. What does not: counting segments
(``messaging.segments``), what a name or a place brings with it (``leadpipe explain MESSAGE`` says that of one message).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from leadpipe.messaging.segments import count_segments
from leadpipe.outreach.template_sources import folder

_TAG = re.compile(r"\{[{%#].*?[}%#]\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Costly:
    """A template whose own words leave the GSM alphabet, and the letters that do it."""

    name: str
    letters: str


@lru_cache(maxsize=1)
def costly_templates() -> tuple[Costly, ...]:
    """Every text template, by name and language, that takes 70 letters a segment instead of 160."""
    found: list[Costly] = []
    for path in sorted(folder().glob("[a-z]*.txt")):
        words = path.read_text(encoding="utf-8")
        # WhatsApp and email have no segments.
        if not words.startswith(("Subject:", "Content:")) and (letters := outside_gsm(_TAG.sub("", words))):
            found.append(Costly(path.stem, letters))
    return tuple(found)


def outside_gsm(words: str) -> str:
    """The letters outside the GSM alphabet, each once, in the order they stand."""
    return "".join(dict.fromkeys(letter for letter in words if count_segments(letter).not_gsm))
