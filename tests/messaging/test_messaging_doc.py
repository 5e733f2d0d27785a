"""The page about sending says what the protocol does."""

from __future__ import annotations

from pathlib import Path

from leadpipe.messaging.protocol import MOVES, State

PAGE = Path(__file__).parents[2] / "docs" / "sending.md"


def moves_table() -> str:
    """Every move as a row: event, states before, states after."""
    order = list(State)
    lines: list[str] = []
    for event, table in MOVES.items():
        by_after: dict[frozenset[State], list[str]] = {}
        for before in (None, *order):
            if before in table:
                by_after.setdefault(table[before], []).append(f"`{before}`" if before else "(new)")
        for afters, befores in by_after.items():
            after = ", ".join(f"`{state}`" for state in order if state in afters)
            lines.append(f"| {event} | {', '.join(befores)} | {after} |")
    return "\n".join(lines)


def test_the_page_lists_every_move_of_the_protocol() -> None:
    assert moves_table() in PAGE.read_text(encoding="utf-8"), f"put this into {PAGE.name}:\n{moves_table()}"
