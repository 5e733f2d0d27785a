"""The send protocol as ``docs/sending.md`` shows it: drawings and a table, made from the table of moves.

What lives here: turning ``protocol.MOVES`` into mermaid and markdown, and putting both into the page. What does not:
any move (``protocol``). Write the page anew with ``python -m leadpipe.messaging.drawing docs/sending.md``; a test fails
while the two differ.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from leadpipe.errors import BadRecord
from leadpipe.messaging.protocol import LOOKED_UP, MOVES, NEEDS_REASON, TERMINAL, UNSURE, WAITING, WENT_OUT, State

BEGIN = "<!-- Made by `python -m leadpipe.messaging.drawing docs/sending.md` from leadpipe/messaging/protocol.py. -->"
END = "<!-- Until here. -->"
# One drawing of all moves is a ball of wool; these are read one after the other.
_PARTS: tuple[tuple[str, frozenset[State | None]], ...] = (
    ("Until it leaves", frozenset({None, *WAITING})),
    ("Until it is known what the call did", UNSURE),
    ("What the provider reports afterwards", WENT_OUT),
)


def drawn() -> str:
    """The part of the page that is made: one drawing for each part of a message's life, then every move as a row."""
    parts = [BEGIN]
    for title, befores in _PARTS:
        parts.append(f"**{title}**\n\n```mermaid\nstateDiagram-v2\n" + "\n".join(_arrows(befores)) + "\n```")
    parts.append("| event | from | to |\n| --- | --- | --- |\n" + "\n".join(_rows()))
    parts.append(
        f"Over, but for worse news from the provider: {_named(TERMINAL)}. Nothing becomes {_named(NEEDS_REASON)} "
        f"without a reason in `code`. The event `{LOOKED_UP}` moves nothing; it says that somebody looked."
    )
    return "\n\n".join([*parts, END])


def written_into(page: str) -> str:
    """The page with its made part written anew.

    Raises:
        BadRecord: the page lacks the two marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadRecord(f"the page has no part between {BEGIN!r} and {END!r}; put both lines where it belongs")
    return before + drawn() + after


def _arrows(befores: frozenset[State | None]) -> Iterator[str]:
    events: dict[tuple[State | None, State], list[str]] = {}
    for event, table in MOVES.items():
        for before in _befores(befores & table.keys()):
            for after in _ordered(table[before]):
                events.setdefault((before, after), []).append(str(event))
    for (before, after), names in events.items():
        yield f"  {before or '[*]'} --> {after}: {', '.join(names)}"
    shown = {after for _, after in events}
    for state in _ordered(TERMINAL & shown):
        yield f"  {state} --> [*]"


def _rows() -> Iterator[str]:
    for event, table in MOVES.items():
        by_after: dict[frozenset[State], list[str]] = {}
        for before in _befores(table.keys()):
            by_after.setdefault(table[before], []).append(f"`{before}`" if before else "(new)")
        for afters, befores in by_after.items():
            yield f"| {event} | {', '.join(befores)} | {', '.join(f'`{state}`' for state in _ordered(afters))} |"


def _befores(states: Collection[State | None]) -> list[State | None]:
    return [state for state in (None, *State) if state in states]


def _ordered(states: Collection[State | None]) -> list[State]:
    return [state for state in State if state in states]


def _named(states: frozenset[State]) -> str:
    *first, last = (f"`{state}`" for state in _ordered(states))
    return f"{', '.join(first)} or {last}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(written_into(page.read_text(encoding="utf-8")), encoding="utf-8")
