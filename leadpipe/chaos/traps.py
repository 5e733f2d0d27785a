"""Traps: a chaos run's side of the failpoints.

What lives here: setting a trap at a step, taking it away, and counting those that were struck. What does not: dying at
one (``messaging.failpoints``), choosing where (``kills``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from leadpipe.messaging.failpoints import MYSELF, OTHER, SET, STRUCK


class Traps:
    """The traps of one kind of process: a folder that only those processes look into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (SET, STRUCK):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def set(self, name: str, victim: str = MYSELF) -> None:
        """Whoever reaches this step next kills ``victim``: itself, or the process of that id."""
        part = self.folder / f"{name}.part"
        part.write_text(victim)
        part.rename(self.folder / SET / name)

    def clear(self, names: Iterable[str]) -> None:
        """Take these traps away, as far as nobody struck them."""
        for name in names:
            with suppress(FileNotFoundError):
                (self.folder / SET / name).unlink()

    def disarm(self) -> None:
        """Take every trap away."""
        self.clear([path.name for path in (self.folder / SET).iterdir()])

    def is_set(self, name: str) -> bool:
        """Whether a trap waits at this step."""
        return (self.folder / SET / name).exists()

    def counts(self, *, of_others: bool | None = None) -> Counter[str]:
        """Hits by step; ``of_others`` counts only those that killed another process, or only those that did not."""
        found: Counter[str] = Counter()
        for path in (self.folder / STRUCK).iterdir():
            name, whom, *_ = path.name.rsplit(".", 3)
            if of_others is None or of_others == (whom == OTHER):
                found[name] += 1
        return found
