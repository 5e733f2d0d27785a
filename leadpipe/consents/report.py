"""What became of a file of consents: in words for each line, in counts for the whole.

What lives here: the account, which never holds a contact detail. What does not: deciding it (``importing``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Told:
    """What became of one consent, or of a line that gave none; never with a contact detail.

    Attributes:
        outcome: ``inquiry``, ``express``, ``pewc``, or why nothing is stored: ``known``, ``said_no``, ``stranger``,
            ``not_theirs``, ``shared``, ``unreadable``.
        effect: ``lifts`` when it is newer than a refusal that it takes back, ``overruled`` when a refusal stands.
    """

    line: int
    outcome: str
    person_id: int | None = None
    channel: str = ""
    asked: str = ""
    why: str = ""
    effect: str = ""

    def words(self) -> str:
        """One line for a person."""
        head = f"line {self.line}" + (f", {self.channel}" if self.channel else "")
        if self.outcome not in {"inquiry", "express", "pewc", "known"}:
            return f"{head}: {_NOTHING[self.outcome]}" + (f" ({self.why})" if self.why else "")
        asked = f", the file says {self.asked}" if self.outcome not in {self.asked, "known"} else ""
        why = f"; {self.why}" if self.why else ""
        effect = f"; {_EFFECTS[self.effect]}" if self.effect else ""
        what = "already there" if self.outcome == "known" else self.outcome
        return f"{head}: {what} of person {self.person_id}{asked}{why}{effect}"


_NOTHING = {
    "said_no": "says no, nothing is stored",
    "stranger": "nobody the ledger knows",
    "not_theirs": "the address is not, or no longer, that person's",
    "shared": "several people have the address: name one by person_id",
    "unreadable": "cannot be read",
}
_EFFECTS = {
    "lifts": "newer than their refusal, which it takes back",
    "overruled": "they have refused: it restores nothing",
}


@dataclass(kw_only=True)
class Imported:
    """The account of one file: counts by outcome.

    Attributes:
        outcomes: as in ``Told``, consents by what they became and lines that gave none by why.
        count_downgraded: consents that got less than the file claims, by what was missing.
        effects: as in ``Told``.
        sha256: of the file.
    """

    sha256: str
    is_dry_run: bool
    count_lines: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    count_downgraded: Counter[str] = field(default_factory=Counter[str])
    effects: Counter[str] = field(default_factory=Counter[str])

    def add(self, told: Told) -> None:
        """Count one."""
        self.outcomes[told.outcome] += 1
        if told.effect:
            self.effects[told.effect] += 1
        if told.outcome == "inquiry" and told.asked != "inquiry":
            self.count_downgraded[told.why] += 1

    def as_json(self) -> dict[str, Any]:
        """For a program and for the audit log."""
        return {
            "sha256": self.sha256,
            "is_dry_run": self.is_dry_run,
            "lines": self.count_lines,
            "outcomes": dict(sorted(self.outcomes.items())),
            "downgraded": dict(sorted(self.count_downgraded.items())),
            "effects": dict(sorted(self.effects.items())),
        }
