"""Everything held about a person, for the person: one file for programs, one for reading.

What lives here: gathering by the same rules by which an erasure clears, and the two forms. What does not: the rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.privacy import clear, lake_erase
from leadpipe.privacy.lake_rules import LAKE
from leadpipe.privacy.ledger_rules import LEDGER
from leadpipe.privacy.needles import collect
from leadpipe.privacy.subject import Subject, subject_of
from leadpipe.store.tables.mirrored import MIRRORED

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

ACT = "export"
# What says nothing to the person: bookkeeping of ours.
_LEFT_OUT = frozenset({"xid", "lease_owner", "lease_expires_at", "content_hash", "needles"})


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Every row about the person, by store and table.

    Attributes:
        ledger: rows by table of the ledger.
        lake: rows by table of the lake; the versions that mirror the ledger among them.
    """

    subject: Subject
    made_at: datetime
    ledger: Mapping[str, Sequence[Mapping[str, Any]]]
    lake: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def count_rows(self) -> int:
        """Rows in both stores."""
        return sum(map(len, self.ledger.values())) + sum(map(len, self.lake.values()))

    def as_json(self) -> str:
        """For a program: every row as it is kept."""
        return json.dumps(
            {
                "person_id": self.subject.person_id,
                "records": list(self.subject.people),
                "made_at": self.made_at.isoformat(),
                "ledger": self.ledger,
                "lake": self.lake,
            },
            default=_plain,
            ensure_ascii=False,
            indent=1,
        )

    def as_text(self) -> str:
        """For reading: Markdown, one section a table, empty fields left out."""
        lines = [
            f"# What is held about person {self.subject.person_id}",
            "",
            f"Made {self.made_at:%Y-%m-%d %H:%M} UTC: {self.count_rows} records. Times are UTC. The other file holds "
            "the same for programs.",
        ]
        for table, rows in self.ledger.items():
            lines += _section(LEDGER[table].about, f"ledger.{table}", rows)
        for table, rows in self.lake.items():
            lines += _section(LAKE[table].about, table, rows)
        return "\n".join(lines) + "\n"


def export(runtime: Runtime, person_id: int, *, actor: str | None = None) -> Exported:
    """Gather everything held about the person, and note in the audit log that it was.

    Raises:
        Rejected: the ledger does not know the person.
    """
    now = runtime.clock.now()
    with runtime.engine.begin() as connection:
        subject = subject_of(connection, person_id)
        pattern = collect(connection, runtime.lake, subject).pattern
        names = {**subject.parameters, "pattern": pattern}
        ledger: dict[str, list[dict[str, Any]]] = {}
        for table, rule in LEDGER.items():
            if not rule.rows:
                continue
            rows = connection.execute(text(f"select * from ledger.{table} where {rule.rows}"), names).mappings()  # noqa: S608
            found = [{name: value for name, value in row.items() if name not in _LEFT_OUT} for row in rows]
            if found:
                ledger[table] = found
        keys = {table: clear.keys_of(connection, table, subject, pattern=pattern) for table in MIRRORED}
        lake = {
            table: [{name: value for name, value in row.items() if name not in _LEFT_OUT} for row in rows]
            for table, rows in lake_erase.rows_of(runtime.lake, subject, keys).items()
        }
        made = Exported(subject=subject, made_at=now, ledger=ledger, lake=lake)
        acts.record(connection, kind=ACT, actor=actor, person_id=person_id, detail={"rows": made.count_rows}, now=now)
    return made


def write(made: Exported, folder: Path) -> tuple[Path, Path]:
    """Write both files, readable by this account alone; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths = tuple(folder / f"person-{made.subject.person_id}.{ending}" for ending in ("json", "md"))
    for path, content in zip(paths, (made.as_json(), made.as_text()), strict=True):
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
    return paths[0], paths[1]


def _section(title: str, table: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["", f"## {title} ({len(rows)}, `{table}`)"]
    for row in rows:
        lines.append("")
        lines += [f"- {name.replace('_', ' ')}: {_words(value)}" for name, value in row.items() if _is_told(value)]
    return lines


def _is_told(value: object) -> bool:
    return value is not None and value not in ("", "{}", b"", {}, [])


def _words(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, dict | list):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    plain = _plain(value) if isinstance(value, bytes | memoryview) else value
    return " ".join(str(plain).split())


def _plain(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
