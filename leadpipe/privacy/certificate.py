"""What an erasure would take and what it took: the plan, and the certificate without anything that tells who it was.

What lives here: the two reports, how long each step took, where the certificate is written. What does not: the steps.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadpipe.privacy.scan import Scanned
    from leadpipe.privacy.subject import Subject
    from leadpipe.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an erasure would take, without taking it."""

    subject: Subject
    ledger: dict[str, int]
    lake: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Ids and counts."""
        return {
            "person_id": self.subject.person_id,
            "records": list(self.subject.people),
            "addresses": len(self.subject.points),
            "shared_with": sorted({each for others in self.subject.shared.values() for each in others}),
            "ledger": self.ledger,
            "lake": self.lake,
        }


@dataclass(kw_only=True)
class Erased:
    """What an erasure did: the certificate's content, without anything that tells who it was."""

    erasure_id: int
    person_id: int
    records: tuple[int, ...]
    shared_with: tuple[int, ...]
    requested_at: datetime
    done_at: datetime | None = None
    ledger: dict[str, int] = field(default_factory=dict[str, int])
    lake: dict[str, int] = field(default_factory=dict[str, int])
    files: dict[str, int] = field(default_factory=dict[str, int])
    snapshots_expired: int = 0
    files_deleted: int = 0
    tables_rewritten: int = 0
    wal_switches: int = 0
    not_done: list[str] = field(default_factory=list[str])
    before: Scanned | None = None
    after: Scanned | None = None
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def as_json(self) -> dict[str, Any]:
        """The certificate."""
        return {
            "erasure": self.erasure_id,
            "person_id": self.person_id,
            "records": list(self.records),
            "requested_at": self.requested_at.isoformat(),
            "done_at": self.done_at.isoformat() if self.done_at else None,
            "removed_or_cleared": {"ledger": self.ledger, "lake": self.lake, "text_files": self.files},
            "lake_snapshots_expired": self.snapshots_expired,
            "lake_files_deleted": self.files_deleted,
            "tables_written_anew": self.tables_rewritten,
            "log_switches": self.wal_switches,
            "kept": {
                "salted_hashes": "of every address, so that it is never contacted again",
                "skeletons": "ids, times and codes of messages, consents and refusals (docs/privacy.md)",
                "shared_with": list(self.shared_with),
            },
            "models": "a model holds no row of a person; the next training has none of these",
            "scan_before": self.before.as_json() if self.before else None,
            "scan_after": self.after.as_json() if self.after else None,
            "not_done": self.not_done,
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
        }

    @contextmanager
    def timed(self, step: str) -> Generator[None]:
        """Notes how long the step took."""
        begun = time.monotonic()
        yield
        self.seconds[step] = time.monotonic() - begun


def path_of(settings: Settings, erasure_id: int) -> Path:
    """Where the certificate is written for people."""
    return settings.home.absolute() / "privacy" / f"erasure-{erasure_id}.json"
