"""docs/sending.md shows the moves that the protocol has, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leadpipe.errors import BadRecord
from leadpipe.messaging import drawing
from leadpipe.messaging.protocol import MOVES

PAGE = Path(__file__).parents[2] / "docs" / "sending.md"


def test_the_page_shows_every_move_of_the_protocol() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == drawing.written_into(page), "run `python -m leadpipe.messaging.drawing docs/sending.md`"


def test_the_drawings_hold_every_move_once_with_all_its_events() -> None:
    drawn = re.findall(r"^  (\S+) --> (\S+): (.+)$", drawing.drawn(), flags=re.MULTILINE)
    found = [(event, before, after) for before, after, events in drawn for event in events.split(", ")]
    known = [
        (str(event), str(before or "[*]"), str(after))
        for event, table in MOVES.items()
        for before, afters in table.items()
        for after in afters
    ]
    assert sorted(found) == sorted(known)


def test_a_page_without_the_place_for_them_is_left_alone() -> None:
    with pytest.raises(BadRecord, match="has no part between"):
        drawing.written_into("# Some other page\n")
