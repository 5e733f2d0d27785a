"""What the scan looks for: every spelling of an address is met, and nobody else's is."""

from __future__ import annotations

import re

import pytest

from leadpipe.privacy.needles import Needles

ADA = Needles(literals=("ada.quimby+x@mail.example",), names=(("ada", "quimby"),), phones=("5125550107",))

HERE = [
    "to Ada.Quimby+X@mail.example today", "+15125550107", "15125550107", "5125550107", "(512) 555-0107",
    "512.555.0107", "call 512-555-0107.", "From=%2B15125550107&To=1", "{\"phone\":\"5125550107\"}",
    "(7,Ada,Quimby,\"\")",
    "Ada Quimby", "ADA QUIMBY", "sms:+15125550107?",
]  # fmt: skip
ELSEWHERE = [
    "ada-quimbyx@mail.example", "95125550107", "51255501071", "1712512555010799", "512555010", "Ada Smith",
    "Adam Quimby", "Canada Quimby",
    "5125550108", "a.quimby+x@mail.example",
]  # fmt: skip


@pytest.mark.parametrize("words", HERE)
def test_every_spelling_is_met_in_text_and_in_bytes(words: str) -> None:
    assert re.search(ADA.pattern, words, re.I)
    assert any(anchor in words.lower() for anchor in ADA.anchors)
    assert ADA.in_bytes(b"\x00\x1f" + words.encode() + b"\x00")


@pytest.mark.parametrize("words", ELSEWHERE)
def test_what_is_a_part_of_something_else_is_not_met(words: str) -> None:
    assert not re.search(ADA.pattern, words, re.I)
    assert not ADA.in_bytes(words.encode()) or "quimbyx" in words, "after a name any byte may stand"


def test_postgresql_and_duckdb_read_the_pattern_as_python_does(server_url: str) -> None:
    import duckdb
    import psycopg

    with psycopg.connect(server_url) as connection, duckdb.connect() as lake:
        for words, is_met in [*((each, True) for each in HERE), *((each, False) for each in ELSEWHERE)]:
            row = connection.execute("select %s::text ~* %s", [words, ADA.pattern]).fetchone()
            assert row == (is_met,), words
            found = lake.execute("select regexp_matches(?, ?, 'i')", [words, ADA.pattern]).fetchone()
            assert found == (is_met,), words


def test_a_row_of_postgresql_as_it_lies_on_disk_is_met() -> None:
    assert ADA.in_bytes(b"\x07\x00\x09Ada\x0fQuimby\x0bLead")


def test_nothing_to_look_for_meets_nothing() -> None:
    assert not Needles()
    assert not re.search(Needles().pattern, "anything at all", re.I)


def test_what_was_stored_is_what_is_looked_for() -> None:
    assert Needles.from_json(ADA.as_json()) == ADA
