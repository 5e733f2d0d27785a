"""Where a setting's value stands, and the words for one that is wrong.

What lives here: reading the ``.env`` file, telling faults by variable, place and cure. What does not: which values are
right (``setting_values``), the settings (``settings``).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

PREFIX = "LEADPIPE_"
# Stands for a byte that is not UTF-8.
_UNREADABLE = "\ufffd"


@dataclass(frozen=True, kw_only=True)
class EnvFile:
    """What a ``.env`` file says.

    Attributes:
        path: absolute; None when there is no file.
        values: text by field name, of ours alone.
        faults: a line of words for each thing that cannot be read.
        touched: upper-case text of the lines with a fault, so that a reader can see whether they concern it.
    """

    path: Path | None
    values: Mapping[str, str]
    faults: tuple[str, ...] = ()
    touched: str = ""


def read_env_file(path: Path | None) -> EnvFile:
    """The file's values and what of it cannot be read; a file that is not there says nothing.

    Raises:
        ConfigurationError: the file is there and cannot be opened.
    """
    from dotenv.main import resolve_variables
    from dotenv.parser import parse_stream

    if path is None or not path.exists() or path.is_dir():
        return EnvFile(path=None, values={})
    path = path.absolute()
    try:
        raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}; let this account read it") from error
    faults: list[str] = []
    touched: list[str] = []
    text = raw.decode("utf-8", "replace")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        number = raw[: error.start].count(b"\n") + 1
        faults.append(f"{path} line {number} is not UTF-8; save the file as UTF-8")
        touched += [line for line in text.splitlines() if _UNREADABLE in line]
    pairs: list[tuple[str, str | None]] = []
    for binding in parse_stream(io.StringIO(text)):
        key = binding.key or ""
        if binding.error or (binding.value is None and key.upper().startswith(PREFIX)):
            # The parser counts the empty lines before it into a statement. What stands there may be a secret.
            statement = binding.original.string
            number = binding.original.line + statement[: len(statement) - len(statement.lstrip())].count("\n")
            if key:
                faults.append(f"{path} line {number}: {key} has no value; write {key}=VALUE")
            else:
                faults.append(f"{path} line {number} cannot be read; write NAME=value there and close every quote")
            touched.append(binding.original.string)
        elif key:
            pairs.append((key, binding.value))
    resolved = resolve_variables(pairs, override=True)
    values = {
        name.lower().removeprefix(PREFIX.lower()): value
        for name, value in resolved.items()
        if name.upper().startswith(PREFIX) and value is not None
    }
    return EnvFile(path=path, values=values, faults=tuple(faults), touched="\n".join(touched).upper())


def in_environment() -> set[str]:
    """Field names that the environment sets."""
    return {name.lower().removeprefix(PREFIX.lower()) for name in os.environ if name.upper().startswith(PREFIX)}


def faults_of(error: ValidationError, place_of: Callable[[str], str], *, told: Set[str]) -> list[str]:
    """A line of words for each value that is wrong, with the variable and where it stands.

    Args:
        error: what pydantic refused.
        place_of: words for where a field's value stands; empty for nowhere.
        told: fields whose value may be repeated.
    """
    lines: list[str] = []
    for problem in error.errors(include_url=False):
        name, *within = (str(part) for part in problem["loc"]) if problem["loc"] else ("",)
        # An entry of a list is told by its place, the first is 1.
        where = f" ({', '.join(_placed(part) for part in within)})" if within else ""
        words = words_of(problem, is_told=name in told and not within)
        if name:
            place = place_of(name)
            lines.append(f"{PREFIX}{name.upper()}{where}: {words}" + (f" ({place})" if place else ""))
        else:
            lines.append(words + _places(words, place_of))
    return lines


def _places(words: str, place_of: Callable[[str], str]) -> str:
    """Where the variables stand that a refusal names."""
    names = dict.fromkeys(re.findall(rf"{PREFIX}[A-Z0-9_]+", words))
    found = [f"{name} {place}" for name in names if (place := place_of(name.removeprefix(PREFIX).lower()))]
    return f" ({', '.join(found)})" if found else ""


def wrong_fields(error: ValidationError) -> set[str]:
    """Fields whose values are wrong by themselves; empty when only their company is."""
    return {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}


def _placed(part: str) -> str:
    return f"entry {int(part) + 1}" if part.isdigit() else part


def words_of(problem: ErrorDetails, *, is_told: bool = False) -> str:
    """What to write, in our own words; pydantic's where we have none."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if form := _FORMS.get(kind):
        words = form.format(**_plain(context))
        # Numbers, switches and choices are no secrets; what a secret's own field holds never comes here.
        return f"{words}, not '{problem['input']}'" if is_told and isinstance(problem["input"], str) else words
    return problem["msg"]


def _plain(context: Mapping[str, Any]) -> dict[str, str]:
    """``'a', 'b' or 'c'`` as ``a, b or c``."""
    return {name: str(value).replace("'", "") for name, value in context.items()}


_FORMS = {
    "literal_error": "write {expected}",
    "enum": "write {expected}",
    "bool_parsing": "write true or false",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "float_parsing": "write a number",
    "greater_than_equal": "write {ge} or more",
    "greater_than": "write a number above {gt}",
    "missing": "it is missing",
    "unexpected_keyword_argument": "there is no such name",
    "datetime_parsing": "write an ISO time with a zone",
    "datetime_from_date_parsing": "write an ISO time with a zone",
}
