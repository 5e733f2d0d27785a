"""The part of OData's filter language that Bridge documents, evaluated over plain rows.

What lives here: ``$filter``, ``$orderby``, ``$select`` (zillow sheet 2.2). What does not: which rows there are.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Test = Callable[[Row], bool]
_TOKEN = re.compile(
    r"\s*(?:(?P<open>\()|(?P<close>\))|(?P<comma>,)|'(?P<text>(?:[^']|'')*)'"
    r"|(?P<time>\d{4}-\d{2}-\d{2}(?:T[\d:.]+Z?)?)|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][\w/]*))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "lt": operator.lt, "ge": operator.ge, "le": operator.le,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text, "startswith": str.startswith, "endswith": str.endswith,
}  # fmt: skip


class BadFilter(ValueError):  # noqa: N818 - reads as the state it names
    """A filter that cannot be read."""


def read_filter(text: str) -> Test:
    """The test that a filter describes; an empty one lets everything pass.

    Raises:
        BadFilter: it cannot be read.
    """
    if not text.strip():
        return lambda row: True  # noqa: ARG005 - no row fails
    reader = _Reader(_tokens(text))
    test = reader.either()
    reader.end()
    return test


def _tokens(text: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise BadFilter(f"cannot read $filter at {text[position : position + 20]!r}")
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "text":
            value = value.replace("''", "'")
        if kind == "number":
            value = float(value)
        found.append((kind, value))
        position = match.end()
    return found


class _Reader:
    """Recursive descent: or, and, not, comparison."""

    def __init__(self, tokens: list[tuple[str, Any]]) -> None:
        self._tokens = tokens
        self._at = 0

    def _peek(self) -> tuple[str, Any]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", None)

    def _take(self, kind: str) -> Any:
        found, value = self._peek()
        if found != kind:
            raise BadFilter(f"$filter: expected {kind}, found {value!r}")
        self._at += 1
        return value

    def _is_word(self, word: str) -> bool:
        if self._peek() == ("word", word):
            self._at += 1
            return True
        return False

    def end(self) -> None:
        if self._peek()[0] != "end":
            raise BadFilter(f"$filter: unexpected {self._peek()[1]!r}")

    def either(self) -> Test:
        tests = [self.both()]
        while self._is_word("or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self._is_word("and"):
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def one(self) -> Test:
        if self._is_word("not"):
            inner = self.one()
            return lambda row: not inner(row)
        if self._peek()[0] == "open":
            self._take("open")
            inner = self.either()
            self._take("close")
            return inner
        word = self._take("word")
        if word in _FUNCTIONS:
            return self._function(word)
        value = self._field(word)
        sign = self._take("word")
        if sign not in _COMPARE:
            raise BadFilter(f"$filter: no comparison {sign!r}")
        return _comparison(value, _COMPARE[sign], self._literal(), is_ne=sign == "ne")

    def _function(self, name: str) -> Test:
        self._take("open")
        value = self._field(self._take("word"))
        self._take("comma")
        part, call = str(self._literal()), _FUNCTIONS[name]
        self._take("close")
        return lambda row: call(str(value(row) or ""), part)

    def _field(self, word: str) -> Callable[[Row], Any]:
        """A field, or a function of one field: ``tolower(City)``, ``year(OnMarketDate)``."""
        if self._peek()[0] != "open":
            return lambda row: row.get(word)
        self._take("open")
        name = self._take("word")
        self._take("close")
        if word == "tolower":
            return lambda row: str(row.get(name) or "").lower()
        if word in {"year", "month", "day"}:
            part = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}[word]
            return lambda row: float(str(row.get(name) or "0000-00-00")[part])
        raise BadFilter(f"$filter: no function {word!r}")

    def _literal(self) -> Any:
        kind, value = self._peek()
        if kind in {"text", "number", "time"}:
            self._at += 1
            return value
        word = self._take("word")
        if word in {"true", "false", "null"}:
            return {"true": True, "false": False, "null": None}[word]
        raise BadFilter(f"$filter: {word!r} is no value")


def _comparison(value: Callable[[Row], Any], compare: Callable[[Any, Any], bool], wanted: Any, *, is_ne: bool) -> Test:
    def test(row: Row) -> bool:
        found = value(row)
        if found is None or wanted is None:
            return (found is not None or wanted is not None) if is_ne else (found is None and wanted is None)
        try:
            return compare(found, wanted)
        except TypeError:
            return False

    return test


def ordered(rows: list[Row], text: str) -> list[Row]:
    """Rows by ``$orderby``, the first field deciding first; unknown fields change nothing."""
    for part in reversed([part.split() for part in text.split(",") if part.strip()]):
        rows = sorted(rows, key=lambda row: str(row.get(part[0]) or ""), reverse=part[-1].lower() == "desc")
    return rows


def selected(row: Row, select: str, unselect: str) -> Row:
    """A row with the fields of ``$select``, or without those of ``$unselect``."""
    if select:
        names = {name.strip() for name in select.split(",")}
        return {key: value for key, value in row.items() if key in names or key.startswith("@")}
    gone = {name.strip() for name in unselect.split(",") if name.strip()}
    return {key: value for key, value in row.items() if key not in gone}
