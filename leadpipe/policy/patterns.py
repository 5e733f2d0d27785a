"""Many patterns of words that are looked for at once.

What lives here: whether one of some regular expressions is found in a text, in a fraction of the time that asking each
would take. What does not: the expressions (a policy pack's file), what follows when one is found (``content``).

A campaign names a first name and a town in most paragraphs, so most of them are new, and looking for 150 patterns in
each was a sixth of what judging a message costs. In lower case a pattern's first letters rule it out before it is
tried, groups that nothing is read from need not be kept, and those that begin at a word's edge share the look for it:
together that makes it five times as fast (``benchmarks policy``), and finds the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# What a pattern is made of, as far as it matters here: escapes, sets, and the opening of a group that is kept.
_PARTS = re.compile(r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<group>\((?!\?))", re.DOTALL)
# In a set, from one sign to another: letters of one case or figures, anything else spans both cases.
_RANGES = re.compile(r"(?:\\.|[^\\])-(?!\])(?:\\.|[^\\])")
_PLAIN_RANGES = re.compile(r"[a-z]-[a-z]|\d-\d")
# Letters beyond ASCII that are another case of one within, for a regular expression but not for ``str.lower``.
_OTHER_CASES = {0x130: "i", 0x131: "i", 0x17F: "s", 0x212A: "k"}


class Patterns:
    """Some regular expressions, upper and lower case the same where they do not say otherwise.

    Args:
        patterns: as ``re`` reads them; of what they find only whether they do is asked.

    Raises:
        re.error: one cannot be read.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        lowered = [pattern for pattern in patterns if _may_be_lowered(pattern)]
        others = [pattern for pattern in patterns if pattern not in lowered]
        self._lowered = re.compile(any_of([_without_groups(pattern) for pattern in lowered])) if lowered else None
        self._others = re.compile(any_of(others), re.IGNORECASE) if others else None

    def are_in(self, words: str) -> bool:
        """Whether one of them is found in the words."""
        if self._lowered is not None and self._lowered.search(_lower(words)):
            return True
        return self._others is not None and self._others.search(words) is not None


def _lower(words: str) -> str:
    return words.lower() if words.isascii() else words.translate(_OTHER_CASES).lower()


def _may_be_lowered(pattern: str) -> bool:
    """Whether it finds in lower case what it finds in any case: it names no capital and sets no flag of its own."""
    bare = re.sub(r"\\.", "", pattern, flags=re.DOTALL)
    if bare != bare.lower() or re.search(r"\(\?(?![:=!])", bare) or re.search(r"\\[1-9ux]", pattern):
        return False
    sets = [found["set"] for found in _PARTS.finditer(pattern) if found["set"]]
    return all(_PLAIN_RANGES.fullmatch(each) for chosen in sets for each in _RANGES.findall(chosen[1:-1]))


def _without_groups(pattern: str) -> str:
    """The pattern with every group that is kept as one that is not."""
    return _PARTS.sub(lambda found: "(?:" if found["group"] else found[0], pattern)


def any_of(patterns: Sequence[str]) -> str:
    """A pattern that is found where one of these is; those that begin at a word's edge share the look for it."""
    at_words = [pattern for pattern in patterns if pattern.startswith(r"\b") and not _has_branches(pattern)]
    others = [pattern for pattern in patterns if pattern not in at_words]
    shared = [rf"\b(?:{_either([each[2:] for each in at_words])})"] if at_words else []
    return "|".join([*shared, *([_either(others)] if others else [])])


def _either(patterns: Sequence[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def _has_branches(pattern: str) -> bool:
    """Whether it is several patterns: a bar stands outside all groups."""
    bare = re.sub(r"\\.|\[[^\]]*\]", "", pattern)
    while (inner := re.sub(r"\([^()]*\)", "", bare)) != bare:
        bare = inner
    return "|" in bare
