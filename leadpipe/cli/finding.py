"""What one check of the doctor found.

What lives here: the finding and three short ways to make one. What does not: any check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

State = Literal["ok", "note", "wrong"]
Check = Callable[["Runtime"], "Finding"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line: what was looked at, how it stands, and the cure when it is wrong.

    Attributes:
        state: ``ok``; ``note``, worth knowing and no fault; ``wrong``, something does not work or is not allowed.
    """

    name: str
    state: State
    words: str
    cure: str = ""


def ok(name: str, words: str) -> Finding:
    """It is as it should be."""
    return Finding(name=name, state="ok", words=words)


def note(name: str, words: str, cure: str = "") -> Finding:
    """Worth knowing, no fault."""
    return Finding(name=name, state="note", words=words, cure=cure)


def wrong(name: str, words: str, cure: str) -> Finding:
    """It is not as it should be; the cure says what to do."""
    return Finding(name=name, state="wrong", words=words, cure=cure)
