"""``leadpipe classify``: what replies mean, a JSON line each.

What lives here: arguments, lines and printing. What does not: reading words (``conversation.classify``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

BATCH = 500


def classify(
    jsonl: Annotated[str, typer.Option("--jsonl", help='File of {"id", "text"} objects, one a line; - reads stdin.')],
) -> None:
    """Read each text by the rules and the local model, and print its meaning, one JSON object a line, in order.

    What a text quotes below its own words, as email programs do, does not count. Output: {"id", "intent", "suppress",
    "sentiment", "confidence"}. Needs no key, no ledger and no network. A line that cannot be read is told on stderr
    with its number, the others are answered, and the exit code is 1.

    Example: echo '{"id": 1, "text": "can I stop by at 5?"}' | leadpipe classify --jsonl -
    """
    if jsonl == "-":
        raise typer.Exit(_answer(sys.stdin, "stdin"))
    try:
        with Path(jsonl).open(encoding="utf-8") as lines:
            raise typer.Exit(_answer(lines, jsonl))
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"--jsonl {jsonl} cannot be read: {error}; give a file of UTF-8 text, or -", err=True)
        raise typer.Exit(2) from error


def _answer(lines: Iterable[str], name: str) -> int:
    """Answer all lines a batch at a time; 1 when one of them could not be read."""
    from leadpipe.conversation.classify import classify_many

    problems: list[str] = []
    rows = _rows(lines, name, problems)
    while batch := list(islice(rows, BATCH)):
        for row, reading in zip(batch, classify_many([row["text"] for row in batch]), strict=True):
            answer = {
                "id": row["id"],
                "intent": reading.intent,
                "suppress": reading.suppress,
                "sentiment": reading.sentiment,
                "confidence": reading.confidence,
            }
            typer.echo(json.dumps(answer, ensure_ascii=False))
    for problem in problems:
        typer.echo(problem, err=True)
    return 1 if problems else 0


def _rows(lines: Iterable[str], name: str, problems: list[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            problems.append(f'{name}:{number}: no JSON ({error}); write {{"id": 1, "text": "..."}}')
            continue
        if not isinstance(row, dict) or not isinstance(row.get("text"), str) or "id" not in row:
            problems.append(f'{name}:{number}: needs "id" and a "text" that is a string')
            continue
        yield row
