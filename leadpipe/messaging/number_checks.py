"""What lists outside say of our numbers: do-not-call files and answers of the reassigned-numbers database.

What lives here: reading such a file, matching it with the ledger's numbers, and the numbers still to be asked about.
What does not: what an answer means for a message (``policy``), the command (``cli.numbers``).

A do-not-call file names the numbers that are on it, so a number of ours that is not in it, but in an area code that
is, is not listed; about other area codes the file says nothing (a subscription buys area codes; 47 CFR 64.1200(c)(2)).
The reassigned-numbers database answers number by number: ``yes`` (it changed hands), ``no``, ``no_data``.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.errors import BadRecord, ConfigurationError
from leadpipe.leads.identity import normalise_phone
from leadpipe.messaging import suppression

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

DNC, REASSIGNED = "dnc", "reassigned"
COLUMNS = ("number", "area_code", "local", "result")
_STATE = re.compile(r"state:[A-Z]{2}")
# The database's own words, and what people make of them in a spreadsheet.
_ANSWERS = {"yes": "yes", "y": "yes", "no": "no", "n": "no", "no_data": "no_data", "no data": "no_data"}
_SHOWN_LINES = 5

_KNOWN = text("select id, address from ledger.contact_points where kind = 'phone'")
# An older file changes nothing.
_WRITE = """
    insert into ledger.number_checks (contact_point_id, list, result, checked_at, recorded_at)
    select id, %(list)s, result, %(day)s, %(now)s from unnest(%(ids)s::bigint[], %(results)s::text[]) as t (id, result)
    on conflict (contact_point_id, list) do update
      set result = excluded.result, checked_at = excluded.checked_at, recorded_at = excluded.recorded_at
      where ledger.number_checks.checked_at <= excluded.checked_at
"""
_TO_ASK = text(
    """
    select c.address, max(s.at) as agreed_at
    from ledger.contact_points c
    join ledger.person_contact_points o on o.contact_point_id = c.id and o.detached_at is null
    left join ledger.consents s on s.person_id = o.person_id and s.channel in ('sms', 'phone', 'all', 'any')
    left join ledger.number_checks k on k.contact_point_id = c.id and k.list = 'reassigned'
    where c.kind = 'phone' and c.address like '+1%' and (k.checked_at is null or k.checked_at <= :stale)
      and k.result is distinct from 'yes'
      and not exists (
        select 1 from ledger.suppressions r where r.contact_point_id = c.id and r.action = 'suppress'
          and r.channel in ('sms', 'all'))
    group by c.id, c.address
    having max(s.at) <= :old
    order by c.address
    """
)
_STATUS = text(
    """
    select list, result, count(*) as count, min(checked_at) as oldest_at, max(checked_at) as newest_at
    from ledger.number_checks group by 1, 2 order by 1, 2
    """
)


@dataclass(kw_only=True)
class Imported:
    """What a file said of our numbers; counts and line numbers, never a number."""

    which: str
    day: date
    count_lines: int = 0
    results: Counter[str] = field(default_factory=Counter[str])
    count_foreign: int = 0
    count_detached: int = 0
    unreadable: list[str] = field(default_factory=list[str])
    count_unreadable: int = 0

    def set_aside(self, line: int, why: str) -> None:
        """Count a line that says nothing, and keep the first few for a person to look up."""
        self.count_unreadable += 1
        if len(self.unreadable) < _SHOWN_LINES:
            self.unreadable.append(f"line {line}: {why}")


def list_name(name: str) -> str:
    """The list as it is stored: ``dnc``, ``reassigned`` or ``state:TX``.

    Raises:
        BadRecord: there is no such list.
    """
    wanted = f"state:{name[6:].upper()}" if name.lower().startswith("state:") else name.lower()
    if wanted in {DNC, REASSIGNED} or _STATE.fullmatch(wanted):
        return wanted
    raise BadRecord(f"no list {name!r}; use dnc, reassigned, or state: with two letters, as in state:TX")


def import_file(
    engine: Engine,
    path: Path,
    *,
    which: str,
    day: date,
    now: datetime,
    columns: Mapping[str, str] | None = None,
    is_dry_run: bool = False,
) -> Imported:
    """Store what the file says of our numbers; the same file again changes nothing, an older one neither.

    A number that changed hands is also suppressed and taken from everybody who had it (C19).

    Args:
        engine: the ledger's.
        path: a CSV file of UTF-8 text with a header line.
        which: ``dnc``, ``reassigned`` or ``state:XX``.
        day: the day the file is of; rules count its age from then.
        now: when it is read.
        columns: our names to the file's: ``number``, or ``area_code`` and ``local``; ``result`` for ``reassigned``.
        is_dry_run: read and count, write nothing.

    Raises:
        ConfigurationError: the file cannot be read, or a column is missing; nothing is written then.
    """
    which = list_name(which)
    if day > now.date():
        raise ConfigurationError(f"the file's day {day} lies ahead; give the day it was made")
    report = Imported(which=which, day=day)
    with engine.connect() as connection:
        known = {row.address: row.id for row in connection.execute(_KNOWN)}
    said, codes = _matched(path, which, columns or {}, known, report)
    if which != REASSIGNED:
        said |= {point: "no" for number, point in known.items() if point not in said and _area_code(number) in codes}
    report.results.update(said.values())
    if not is_dry_run and said:
        with engine.begin() as connection:
            _write(connection, which, said, day=day, now=now)
            if which == REASSIGNED:
                report.count_detached = _detach(connection, said, now)
    return report


def _matched(
    path: Path, which: str, columns: Mapping[str, str], known: Mapping[str, int], report: Imported
) -> tuple[dict[int, str], set[str]]:
    """Answers by contact point, and the area codes that the file covers."""
    said: dict[int, str] = {}
    codes: set[str] = set()
    for line, raw, answer in _lines(path, which, columns):
        report.count_lines += 1
        point = normalise_phone(raw) if not _is_plain(raw) else None
        number = f"+1{raw}" if point is None else point.address
        if not number:
            report.set_aside(line, "holds no telephone number")
            continue
        result = "yes" if which != REASSIGNED else _ANSWERS.get(answer.strip().lower())
        if result is None:
            report.set_aside(line, f"answers {answer.strip()[:20]!r}; yes, no or no_data are known")
            continue
        codes.add(_area_code(number))
        if number in known:
            said[known[number]] = result
        else:
            report.count_foreign += 1
    return said, codes


def _lines(path: Path, which: str, columns: Mapping[str, str]) -> Iterator[tuple[int, str, str]]:
    """Line number, number and answer of each line with something on it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = {name.strip().lower(): name for name in reader.fieldnames or ()}
            number, area, local, result = (
                names.get(columns.get(ours, ours).strip().lower())
                for ours in ("number", "area_code", "local", "result")
            )
            if number is None and (area is None or local is None):
                raise ConfigurationError(_missing(path, "number (or area_code and local)", names))
            if which == REASSIGNED and result is None:
                raise ConfigurationError(_missing(path, "result", names))
            for row in reader:
                raw = row.get(number) if number is not None else f"{row.get(area) or ''}{row.get(local) or ''}"
                yield reader.line_num, (raw or "").strip(), (row.get(result) or "") if result is not None else ""
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read as a CSV file of UTF-8 text: {error}") from error


def _missing(path: Path, column: str, names: Mapping[str, str]) -> str:
    there = ", ".join(names) or "none"
    return f"{path} has no column {column}, it has {there}; name it with --column, as in --column number=Phone"


def _is_plain(raw: str) -> bool:
    """Ten digits of the North American plan, as these files write millions of them; no parser is needed."""
    return len(raw) == 10 and raw.isascii() and raw.isdigit() and raw[0] not in "01"


def _area_code(number: str) -> str:
    return number[2:5] if number.startswith("+1") else ""


def _write(connection: Connection, which: str, said: Mapping[int, str], *, day: date, now: datetime) -> None:
    values = {"list": which, "day": day, "now": now, "ids": list(said), "results": list(said.values())}
    connection.connection.cursor().execute(_WRITE, values)


def _detach(connection: Connection, said: Mapping[int, str], now: datetime) -> int:
    points = sorted(point for point, result in said.items() if result == "yes")
    people = [
        suppression.wrong_number(connection, contact_point_id=point, source=REASSIGNED, at=now, now=now)
        for point in points
    ]
    return sum(map(len, people))


def to_ask(engine: Engine, *, now: datetime, consent_days: int, answer_days: int) -> Iterable[tuple[str, date]]:
    """Numbers whose owner agreed too long ago and that nobody asked about lately, with the day of that consent.

    This is what the reassigned-numbers database is asked: did this number change hands since that day?
    """
    values = {"old": now - timedelta(days=consent_days), "stale": (now - timedelta(days=answer_days)).date()}
    with engine.connect() as connection:
        return [(row.address, row.agreed_at.date()) for row in connection.execute(_TO_ASK, values)]


def status(engine: Engine) -> list[dict[str, object]]:
    """Counts by list and result, with the days of the files behind them."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(_STATUS).mappings()]
