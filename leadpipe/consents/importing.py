"""A CSV file of consents, line by line into the ledger.

What lives here: finding whose a consent is, storing it once, and the account of it. What does not: reading a line
(``reading``), the command (``cli.consents``).

Only people and addresses that the ledger knows get a consent. Rows are added and never changed; their keys are made of
what they say, so that the same file again adds nothing. A consent lifts no refusal by being imported: a verdict counts
it only when it is newer than the refusal and worth enough (C10), and the account names those.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import text

from leadpipe.audit import acts
from leadpipe.consents.csv_file import Line, header_of, lines_of, sha256_of
from leadpipe.consents.reading import Given, read_line
from leadpipe.consents.report import Imported, Told
from leadpipe.errors import BadRecord
from leadpipe.messaging import suppression
from leadpipe.policy.standing import fact_code
from leadpipe.store import quarantine
from leadpipe.store.quarantine import SetAside

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.consents.mapping import Columns

BATCH = 2_000
SOURCE = "consents_csv"
ACT = "consents"

_PEOPLE = text(
    """
    select p.person_id as named, coalesce(p.merged_into, p.person_id) as person_id, p.crm_created_at
    from ledger.people p where p.person_id = any(cast(:ids as bigint[])) and p.deleted_at is null
    """
)
_POINTS = text(
    """
    select c.kind, c.address, c.id, p.person_id, p.crm_created_at, o.detached_at is not null as is_detached
    from ledger.contact_points c
    left join ledger.person_contact_points o on o.contact_point_id = c.id
    left join ledger.people p on p.person_id = o.person_id and p.merged_into is null and p.deleted_at is null
    where (c.kind, c.address) in (
      select kind, address from unnest(cast(:kinds as text[]), cast(:addresses as text[])) as wanted (kind, address))
    """
)
_KNOWN = text("select dedupe_key from ledger.consents where dedupe_key = any(cast(:keys as text[]))")
_WRITE = text(
    """
    insert into ledger.consents (
      person_id, contact_point_id, channel, level, scope, seller, source, evidence, at, expires_at, dedupe_key,
      recorded_at)
    values (:person_id, :point, :channel, :level, :scope, :seller, :source, cast(:evidence as jsonb), :at, :expires_at,
      :key, :now)
    on conflict (dedupe_key) do nothing
    """
)


def import_file(
    engine: Engine,
    path: Path,
    columns: Columns,
    *,
    brokerage_name: str,
    now: datetime,
    is_dry_run: bool = False,
    on_told: Callable[[Told], None] | None = None,
) -> Imported:
    """Store what the file proves, a few thousand lines a transaction; a stopped import goes on when run again.

    Args:
        engine: the ledger's.
        path: a CSV file of UTF-8 text with a header line.
        columns: how it is read.
        brokerage_name: ours, as a consent may name it.
        now: when.
        is_dry_run: say what would be stored, and store nothing.
        on_told: hears of every consent and every line that gave none, in the file's order.

    Raises:
        ConfigurationError: the file cannot be read, or a column is missing; nothing was written.
    """
    header = header_of(path)
    columns = columns.checked(header, path)
    lines = lines_of(path, header)
    report = Imported(sha256=sha256_of(path), is_dry_run=is_dry_run)
    for batch in iter(lambda: list(itertools.islice(lines, BATCH)), []):
        report.count_lines += len(batch)
        with engine.begin() as connection:
            told = _Batch(connection, report.sha256, now, is_dry_run).run(batch, columns, brokerage_name)
        for each in told:
            report.add(each)
            if on_told is not None:
                on_told(each)
    if not is_dry_run:
        with engine.begin() as connection:
            acts.record(connection, kind=ACT, now=now, detail={"import": report.as_json()})
    return report


@dataclass(frozen=True, kw_only=True)
class _Owner:
    """Whose a consent is, and since when they are known."""

    person_id: int
    point_id: int | None
    known_since: datetime


class _Batch:
    """Some lines, in one transaction."""

    def __init__(self, connection: Connection, sha256: str, now: datetime, is_dry_run: bool) -> None:
        self._connection = connection
        self._file = sha256[:12]
        self._now = now
        self._is_dry_run = is_dry_run

    def run(self, lines: Sequence[Line], columns: Columns, brokerage_name: str) -> list[Told]:
        """Read the lines, find the people, store; returns what became of each, in order."""
        found: list[tuple[int, Given | Told]] = []
        aside: list[SetAside] = []
        for number, fields, raw in lines:
            try:
                if isinstance(fields, str):
                    raise BadRecord(fields)
                given = read_line(fields, columns, brokerage_name=brokerage_name, now=self._now)
            except BadRecord as error:
                aside.append(SetAside(source=SOURCE, record_key=f"{self._file}:{number}", reason=str(error), raw=raw))
                found.append((number, Told(line=number, outcome="unreadable", why=str(error))))
                continue
            found += [(number, each) for each in given] or [(number, Told(line=number, outcome="said_no"))]
        if not self._is_dry_run:
            quarantine.store(self._connection, aside, now=self._now)
        return self._stored(found)

    def _stored(self, found: Sequence[tuple[int, Given | Told]]) -> list[Told]:
        given = [each for _, each in found if isinstance(each, Given)]
        people, points = self._people(given), self._points(given)
        owners = [each if isinstance(each, Told) else _owner(number, each, people, points) for number, each in found]
        rows = {
            index: self._row(found[index][0], each, owner)
            for index, ((_, each), owner) in enumerate(zip(found, owners, strict=True))
            if isinstance(each, Given) and isinstance(owner, _Owner)
        }
        known = self._write(list(rows.values()))
        refusals = suppression.active(self._connection, [row["point"] for row in rows.values() if row["point"]])
        told: list[Told] = []
        for index, ((number, each), owner) in enumerate(zip(found, owners, strict=True)):
            if isinstance(owner, Told):
                told.append(owner)
                continue
            assert isinstance(each, Given)
            row = rows[index]
            is_known = row["key"] in known
            known.add(row["key"])  # a second line that says the same
            told.append(
                Told(
                    line=number,
                    outcome="known" if is_known else each.level,
                    person_id=owner.person_id,
                    channel=each.channel,
                    asked=each.asked,
                    why=each.why,
                    effect=_effect(row, refusals.get(row["point"], {})),
                )
            )
        return told

    def _people(self, given: Sequence[Given]) -> dict[int, Any]:
        ids = sorted({each.person_id for each in given if each.person_id is not None})
        return {row.named: row for row in self._connection.execute(_PEOPLE, {"ids": ids})} if ids else {}

    def _points(self, given: Sequence[Given]) -> dict[tuple[str, str], list[Any]]:
        wanted = sorted(
            {(each.kind, each.address) for each in given if each.address}
            | {each.known_by for each in given if each.known_by is not None}
        )
        found: dict[tuple[str, str], list[Any]] = {}
        if wanted:
            values = {"kinds": [kind for kind, _ in wanted], "addresses": [address for _, address in wanted]}
            for row in self._connection.execute(_POINTS, values):
                found.setdefault((row.kind, row.address), []).append(row)
        return found

    def _row(self, line: int, given: Given, owner: _Owner) -> dict[str, Any]:
        evidence: dict[str, Any] = {**given.evidence}
        if given.asked != given.level:
            evidence |= {"asked": given.asked, "why_less": given.why}
        if given.at is None:
            # Counted from when the person came: an import makes no consent younger than it is.
            evidence["time"] = "unknown"
        says = [
            owner.person_id, owner.point_id, given.channel, given.asked, given.scope, given.seller, given.source,
            given.at, given.expires_at, sorted(given.evidence.items()),
        ]  # fmt: skip
        digest = hashlib.sha256(orjson.dumps(says, option=orjson.OPT_UTC_Z)).hexdigest()
        return {
            "person_id": owner.person_id,
            "point": owner.point_id,
            "channel": given.channel,
            "level": given.level,
            "scope": given.scope,
            "seller": given.seller,
            "source": given.source,
            "evidence": orjson.dumps({**evidence, "file": self._file, "line": line}).decode(),
            "at": given.at or owner.known_since,
            "expires_at": given.expires_at,
            "key": f"import:{digest[:40]}",
            "now": self._now,
        }

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> set[str]:
        """Add the rows, unless it is a dry run; returns the keys that were there before."""
        if not rows:
            return set()
        keys = [row["key"] for row in rows]
        known = set(self._connection.execute(_KNOWN, {"keys": keys}).scalars())
        fresh = [row for row in rows if row["key"] not in known]
        if fresh and not self._is_dry_run:
            self._connection.execute(_WRITE, fresh)
        return known


def _owner(
    number: int, given: Given, people: Mapping[int, Any], points: Mapping[tuple[str, str], list[Any]]
) -> _Owner | Told:
    """Whose the consent is; a ``Told`` says why nobody's."""
    by = (given.kind, given.address) if given.address or given.known_by is None else given.known_by
    here = points.get(by, [])
    live = [row for row in here if row.person_id is not None and not row.is_detached]

    def nobodys(outcome: str) -> Told:
        return Told(line=number, outcome=outcome, channel=given.channel)

    if given.person_id is not None:
        person = people.get(given.person_id)
        if person is None:
            return nobodys("stranger")
        point_id = next((row.id for row in live if row.person_id == person.person_id), None)
        if given.address and point_id is None:
            return nobodys("not_theirs")
        point_id = point_id if given.address else None
        return _Owner(person_id=person.person_id, point_id=point_id, known_since=person.crm_created_at)
    if len(live) != 1:
        return nobodys("shared" if live else "not_theirs" if any(row.person_id for row in here) else "stranger")
    [row] = live
    point_id = row.id if given.address else None
    return _Owner(person_id=row.person_id, point_id=point_id, known_since=row.crm_created_at)


def _effect(row: Mapping[str, Any], refusals: Mapping[str, Any]) -> str:
    """What the consent does to a refusal that stands for its channel; as ``policy.standing`` will judge it."""
    channels = {"phone": ("sms", "whatsapp"), "all": ("email", "sms", "whatsapp")}.get(
        row["channel"], (row["channel"],)
    )
    standing = [refusals[channel] for channel in channels if channel in refusals]
    if not standing:
        return ""
    enough = row["level"] == "pewc" or (row["channel"] == "email" and row["level"] == "express")
    is_newer = all(refusal.at < row["at"] and not fact_code(refusal.source) for refusal in standing)
    return "lifts" if enough and is_newer else "overruled"
