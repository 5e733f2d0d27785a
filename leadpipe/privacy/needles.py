"""What a scan looks for: a person's addresses, name and words, in every spelling in which they may lie on a disk.

What lives here: collecting them, and finding them in text and in bytes. What does not: where is looked (``scan``).

A needle must belong to this person alone: an address that somebody else has too, a name that two people bear, a reply
of two words would be found for ever. Those are left out, and the certificate says which kinds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.privacy.subject import Subject
    from leadpipe.store.lake import Lake

# Shorter words may be anybody's.
MIN_WORDS = 40
MIN_NAME = 6
MAX_WORDS = 120
# Beside a phone's digits in text, between its groups.
_GAP = r"[^0-9a-z]{0,3}"


@dataclass(frozen=True, kw_only=True)
class Needles:
    """What is looked for, without case.

    Attributes:
        literals: addresses and sentences.
        names: first and last name, wherever they stand side by side.
        phones: digits, a US number without its 1.
        left_out: kinds that do not tell this person from others.
    """

    literals: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    phones: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.literals or self.names or self.phones)

    @cached_property
    def pattern(self) -> str:
        """One regular expression that PostgreSQL and RE2 understand alike; to be used without case."""
        parts = [_escaped(literal) for literal in self.literals]
        parts += [
            f"(^|[^a-z]){_escaped(first)}[^0-9a-z]{{1,4}}{_escaped(last)}($|[^a-z])" for first, last in self.names
        ]
        parts += [f"(^|[^0-9])1?{_GAP}{_phone_pattern(digits)}($|[^0-9])" for digits in self.phones]
        return "|".join(parts) or "a^"

    @property
    def anchors(self) -> tuple[str, ...]:
        """Short texts, lower case, of which at least one is wherever the pattern meets something."""
        ends = (digits[-4:] if len(digits) == 10 else digits for digits in self.phones)
        return tuple(dict.fromkeys([*self.literals, *(last for _, last in self.names), *ends]))

    def as_json(self) -> dict[str, Any]:
        """For the ledger, until the scan has looked."""
        return {
            "literals": list(self.literals),
            "names": [list(name) for name in self.names],
            "phones": list(self.phones),
            "left_out": list(self.left_out),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Needles:
        """As it was stored."""
        return cls(
            literals=tuple(value.get("literals", ())),
            names=tuple((str(first), str(last)) for first, last in value.get("names", ())),
            phones=tuple(value.get("phones", ())),
            left_out=tuple(value.get("left_out", ())),
        )

    def and_those(self, others: Needles) -> Needles:
        """Both, each once."""
        return Needles(
            literals=tuple(sorted({*self.literals, *others.literals})),
            names=tuple(sorted({*self.names, *others.names})),
            phones=tuple(sorted({*self.phones, *others.phones})),
            left_out=tuple(sorted({*self.left_out, *others.left_out})),
        )

    def in_bytes(self, content: bytes) -> int:
        """How many of the needles are in the bytes; ``content`` may be a part of a file."""
        lowered = content.lower()
        found = sum(1 for each in self._byte_literals if each in lowered)
        for digits in self._byte_phones:
            found += any(_is_whole(lowered, at, len(digits)) for at in _places(lowered, digits))
        return found + sum(1 for name in self._byte_names if name.search(lowered))

    @cached_property
    def _byte_literals(self) -> list[bytes]:
        return [literal.lower().encode() for literal in self.literals]

    @cached_property
    def _byte_names(self) -> list[re.Pattern[bytes]]:
        # Before each value of a row of PostgreSQL stands its length, which after a name may be the byte of a letter.
        return [
            re.compile(b"(?<![a-z])" + re.escape(first.encode()) + b"[^a-z]{1,4}" + re.escape(last.encode()))
            for first, last in self.names
        ]

    @cached_property
    def _byte_phones(self) -> list[bytes]:
        spellings: set[str] = set()
        for digits in self.phones:
            spellings.add(digits)
            if len(digits) == 10:
                a, b, c = digits[:3], digits[3:6], digits[6:]
                spellings |= {f"{a}-{b}-{c}", f"({a}) {b}-{c}", f"{a}.{b}.{c}", f"{a} {b} {c}", f"({a}){b}-{c}"}
        return [spelling.encode() for spelling in sorted(spellings)]


def collect(connection: Connection, lake: Lake, subject: Subject) -> Needles:
    """Everything that tells this person from others, from both stores."""
    from sqlalchemy import text

    names = subject.parameters
    literals: set[str] = set()
    phones: set[str] = set()
    left_out: list[str] = []
    rows = connection.execute(
        text("select kind, address from ledger.contact_points where id = any(cast(:points as bigint[]))"), names
    ).all()
    spoken = [(row.kind, row.address) for row in rows if not row.address.startswith("erased:")]
    spoken += _as_given(lake, subject)
    shared = {row for row in spoken if _normal(*row) in subject.shared_addresses}
    if shared:
        left_out.append("addresses that somebody else has too")
    for kind, address in set(spoken) - shared:
        if kind == "phone":
            phones |= _digits(address)
        else:
            literals |= {address.lower(), quote(address.lower(), safe="")}
    name = connection.execute(_NAME, names).all()
    names_found = {
        (row.first_name.lower(), row.last_name.lower())
        for row in name
        if row.is_theirs and len(row.first_name + row.last_name) >= MIN_NAME
    }
    if any(not row.is_theirs for row in name):
        left_out.append("a name that somebody else bears too")
    literals |= {row.words[:MAX_WORDS].lower() for row in connection.execute(_WORDS, names)}
    usable = {literal for each in literals if (literal := each.strip()) and "\n" not in literal}
    return Needles(
        literals=tuple(sorted(usable)),
        names=tuple(sorted(names_found)),
        phones=tuple(sorted(phones)),
        left_out=tuple(left_out),
    )


def _name_query() -> Any:
    from sqlalchemy import text

    return text(
        """
        select btrim(p.first_name) as first_name, btrim(p.last_name) as last_name, not exists (
          select 1 from ledger.people o where o.person_id <> all(cast(:people as bigint[]))
            and lower(o.first_name) = lower(p.first_name) and lower(o.last_name) = lower(p.last_name)) as is_theirs
        from ledger.people p
        where p.person_id = any(cast(:people as bigint[])) and p.first_name <> '' and p.last_name <> ''
        """
    )


def _words_query() -> Any:
    from sqlalchemy import text

    return text(
        f"""
        with words as (
          select body as words, person_id from ledger.inbound_messages
          union all select message, person_id from ledger.inquiries
          union all select sentence, person_id from ledger.qualifications
        )
        select distinct split_part(w.words, chr(10), 1) as words from words w
        where w.person_id = any(cast(:people as bigint[])) and length(split_part(w.words, chr(10), 1)) >= {MIN_WORDS}
          and not exists (select 1 from words o where o.words = w.words
            and not coalesce(o.person_id = any(cast(:people as bigint[])), false))
        """  # noqa: S608 - a number of ours
    )


_NAME = _name_query()
_WORDS = _words_query()


def _as_given(lake: Lake, subject: Subject) -> list[tuple[str, str]]:
    """Addresses in every spelling that the CRM ever gave."""
    import duckdb

    found: list[tuple[str, str]] = []
    with lake.connect(read_only=True) as connection:
        try:
            rows = connection.execute(
                "select distinct payload from raw.fub__people where person_id in (select unnest(?::bigint[]))",
                [list(subject.people)],
            ).fetchall()
        except duckdb.CatalogException:
            return []
    for (payload,) in rows:
        record: dict[str, Any] = json.loads(payload)
        for kind, field in (("email", "emails"), ("phone", "phones")):
            entries = record.get(field)
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and entry.get("value"):
                    found.append((kind, str(entry["value"]).strip()))
    return found


def _normal(kind: str, address: str) -> str:
    if kind == "email":
        return address.lower()
    digits = "".join(filter(str.isdigit, address))
    return digits[-10:]


def _digits(phone: str) -> set[str]:
    digits = "".join(filter(str.isdigit, phone))
    if len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    # Shorter ones are extensions and typing errors, and would be found in any number.
    return {digits} if len(digits) >= 9 else set()


def _escaped(literal: str) -> str:
    return re.sub(r"([^\w\s@%\-,'])", r"\\\1", literal)


def _phone_pattern(digits: str) -> str:
    if len(digits) != 10:
        return digits
    return _GAP.join((digits[:3], digits[3:6], digits[6:]))


def _places(content: bytes, wanted: bytes) -> Iterable[int]:
    at = content.find(wanted)
    while at >= 0:
        yield at
        at = content.find(wanted, at + 1)


def _is_whole(content: bytes, at: int, length: int) -> bool:
    """No digit beside it, but for the country's 1: else it is a part of some longer number."""
    before, after = content[max(0, at - 2) : at], content[at + length : at + length + 1]
    if after.isdigit():
        return False
    if before[-1:] == b"1":
        return not before[:-1].isdigit()
    return not before[-1:].isdigit()
