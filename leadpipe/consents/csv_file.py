"""A CSV file, line by line, so that what is wrong with one line costs that line.

What lives here: reading. What does not: what a line means (``reading``).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from leadpipe.errors import ConfigurationError

# Line number, fields by column, bytes; in place of the fields the reason why they cannot be had.
Line = tuple[int, Mapping[str, str] | str, bytes]


def header_of(path: Path) -> list[str]:
    """The names of the columns.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        with _opened(path) as file:
            return next(csv.reader(file), [])
    except (OSError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read as a CSV file: {error}") from error


def _opened(path: Path) -> TextIO:
    # What is no UTF-8 costs its line, not the file.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def lines_of(path: Path, header: Sequence[str]) -> Iterator[Line]:
    """Every line with something on it."""
    with _opened(path) as file:
        reader = csv.reader(file)
        next(reader, None)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num, f"is no CSV: {error}", b""
                continue
            if not any(row):
                continue
            raw = ",".join(row).encode("utf-8", "surrogateescape")
            yield reader.line_num, _fields(row, header), raw


def _fields(row: Sequence[str], header: Sequence[str]) -> Mapping[str, str] | str:
    if len(row) != len(header):
        return f"has {len(row)} fields where the header has {len(header)}"
    if any("\udc80" <= letter <= "\udcff" for value in row for letter in value):
        return "is no UTF-8 text"
    if any("\x00" in value for value in row):
        return "holds a NUL"
    return dict(zip(header, row, strict=True))


def sha256_of(path: Path) -> str:
    """The file's digest, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
