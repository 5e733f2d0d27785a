"""docs/analysts.md is true: every example in it runs, on the invented team's lake."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import duckdb
import psycopg
import pytest

from leadpipe.store import publish
from leadpipe.store.lake import Lake
from tests.dbt.seeding import NOW, Seeded
from tests.dbt.team import ANN, BEN, CY, EVE, GUS, at

DOC = Path(__file__).parents[2] / "docs" / "analysts.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(language, body) for language, body in BLOCK.findall(DOC.read_text())]
SQL = [body for language, body in BLOCKS if language == "sql"]
PYTHON = [body for language, body in BLOCKS if language == "python"]
# The time that a question about the past asks about.
MOMENT = re.compile(r"^with moment as \(.*\)$", re.MULTILINE)
KINDS = ("question", "as of", "time travel", "role", "an example of what it prints")


def examples(kind: str) -> list[str]:
    """The SQL blocks whose first line names this kind."""
    return [body for body in SQL if body.startswith(f"-- {kind}")]


def answers(seeded: Seeded, sql: str) -> list[tuple[object, ...]]:
    """The rows of the last statement."""
    with seeded.lake.connect(read_only=True) as connection:
        rows: list[tuple[object, ...]] = []
        for statement in connection.extract_statements(sql):
            rows = connection.execute(statement).fetchall()
        return rows


def environment(seeded: Seeded) -> dict[str, str]:
    """That of an analyst's process."""
    bin_folder = Path(sys.executable).parent
    return {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(seeded.empty_home),
        "LEADPIPE_HOME": str(seeded.settings.home),
        "LEADPIPE_DATABASE_URL": seeded.database_url,
        "LEADPIPE_LAKE_PATH": seeded.settings.lake_url,
    }


@pytest.fixture(scope="module")
def published(seeded: Seeded) -> publish.Published:
    """marts.duckdb of the team."""
    return publish.publish(seeded.lake, publish.path_of(seeded.settings), now=NOW)


def test_every_block_is_an_example_that_a_test_runs() -> None:
    assert len(SQL) + len(PYTHON) == len(BLOCKS)
    assert sum(len(examples(kind)) for kind in KINDS) == len(SQL)
    assert len(examples("question")) == 10
    assert len(PYTHON) == 4


# The last value of each row is left out where it is a rounding of the others.
ANSWERS: list[list[tuple[object, ...]]] = [
    [("Referral", 2, 2, 1.0, 8.5, 9.85), ("Zillow", 2, 2, 0.5, 202.0, 380.2)],
    [("no_contact_point", False, 1, [EVE])],
    [
        ("Google", 2, 1_000.0, 9_000.0, 8.0),
        ("Billboard", 0, 200.0, 0.0, -1.0),
        ("Zillow", 3, 600.0, 0.0, -1.0),
        ("Referral", 1, None, 0.0, None),
    ],
    [
        ("Zillow", 3, 2, 1, 1, 1, 0),
        ("Google", 2, 1, 1, 0, 0, 1),
        ("Referral", 1, 1, 1, 0, 0, 0),
    ],
    [
        ("reactivation", "ask", "still_looking_sms", "sms", 1, 1.0, 1.0),
        ("new_lead", "welcome_email", "welcome_email", "email", 4, 0.5, 0.0),
        ("reactivation", "ask", "still_looking_email", "email", 1, 0.0, 0.0),
    ],
    [
        ("Ada Agent", "Ann", "+15125550101", "interested", at("15:05:00"), 80.0, "asked about one home"),
    ],
    [("email", "ses", 3, 0.667, 0.333, 0.0), ("sms", "twilio", 1, 1.0, 0.0, 0.0)],
]


@pytest.mark.parametrize(("number", "expected"), list(enumerate(ANSWERS)), ids=[str(n) for n in range(1, 8)])
def test_a_question_is_answered_rightly(seeded: Seeded, number: int, expected: list[tuple[object, ...]]) -> None:
    found = answers(seeded, examples("question")[number])
    assert [tuple(pytest.approx(v) if isinstance(v, float) else v for v in row) for row in expected] == found


def test_what_a_reply_costs(seeded: Seeded) -> None:
    by_month = {str(row[0])[:7]: row[1:] for row in answers(seeded, examples("question")[7])}
    assert by_month == {
        "2025-12": (pytest.approx(0.0001), 0, None),
        "2026-02": (pytest.approx(0.0001), 0, None),
        "2026-03": (pytest.approx(0.0126), 3, pytest.approx(0.0042)),
    }


def test_which_hand_offs_wait(seeded: Seeded) -> None:
    assert answers(seeded, examples("question")[8]) == [("Ada Agent", 1, 1, 2, None), ("Bo Broker", 1, 0, 1, 10.0)]


def test_why_a_message_went(seeded: Seeded) -> None:
    (sql,) = examples("question")[9:]
    anybody = "(select max_by(person_id, accepted_at) from marts.message_lineage)"
    assert len(answers(seeded, sql)) > 0, "it needs no id of the reader's own"
    (row,) = answers(seeded, sql.replace(anybody, str(ANN)))
    assert row[1:5] == ("new_lead", "welcome_email", "welcome_email", "email")
    assert row[7:14] == ("created", "Property Inquiry", "Zillow", at("15:00:00"), "inquiry", "zillow", "ALLOW")


def test_past_states_are_what_they_were(seeded: Seeded) -> None:
    times = ("12:00:00", "16:00:00", "16:00:00")
    asked = [f"with moment as (select timestamptz '2026-03-02 {time}+00' as asked_at)" for time in times]
    stages, waiting, scores = (
        answers(seeded, MOMENT.sub(moment, sql)) for moment, sql in zip(asked, examples("as of"), strict=True)
    )
    assert stages == [("Lead", 3)], "Cy, Flo and Hal, before Cy bought and the others went"
    assert waiting == [("new_lead", "welcome_sms", "sms", 1), ("reactivation", "ask", "sms", 1)]
    assert scores == [(ANN, 80.0, "high", "asked about one home"), (BEN, 20.0, "low", "no reply yet")]
    assert CY not in [row[0] for row in scores]


@pytest.mark.parametrize("number", range(3))
def test_a_past_state_is_shown_as_it_stands_whatever_the_dates(seeded: Seeded, number: int) -> None:
    sql = examples("as of")[number]
    assert len(MOMENT.findall(sql)) == 1
    assert len(answers(seeded, sql)) > 0, "it needs no date of the reader's own"


def test_time_travel_shows_a_table_as_it_was(seeded: Seeded) -> None:
    (sql,) = examples("time travel")
    assert "at (version => 42)" in sql
    assert answers(seeded, sql.replace("42", str(seeded.lake.snapshot_id()))) == [(6,)]


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_a_python_example_runs_in_a_process_of_its_own(
    seeded: Seeded, published: publish.Published, tmp_path: Path, number: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PYTHON[number]],
        env=environment(seeded), cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = [
        "Closed: 1\nLead: 4\nNurture: 1\n",
        "answered within five minutes: 3\n",
        "",
        f"{(NOW, published.snapshot_id)}\n",
    ]
    assert done.stdout.startswith(expected[number]) or number == 3
    if number == 3:
        assert str(published.snapshot_id) in done.stdout
        assert done.stdout.endswith("(6,)\n")


@pytest.fixture
def analyst(seeded: Seeded) -> Generator[str]:
    """A URL that connects as the role of the document, made by the document's own statements."""
    (sql,) = examples("role")
    with psycopg.connect(seeded.database_url, autocommit=True) as connection:
        connection.execute(sql.encode())
        yield f"{seeded.database_url}&options=-c%20role%3Danalyst"
        connection.execute(b"drop owned by analyst")
        connection.execute(b"drop role analyst")


def test_the_role_reads_the_lake_and_nothing_else(seeded: Seeded, analyst: str) -> None:
    lake = Lake(database_url=analyst, data_path=seeded.settings.lake_url, home=seeded.settings.home)
    assert lake.query("select person_id from marts.leads where person_id = ?", [GUS]).num_rows == 1
    with lake.connect() as connection, pytest.raises(duckdb.Error, match="permission denied"):
        connection.execute("delete from marts.leads")
    with (
        lake.connect(read_only=True, with_ledger=True) as connection,
        pytest.raises(duckdb.Error, match="permission denied"),
    ):
        connection.execute("select address from pg.ledger.contact_points")
    # A table that the lake's catalog gets later is covered too.
    seeded.lake.query("select 1")
    with psycopg.connect(seeded.database_url, autocommit=True) as connection:
        connection.execute(b"create table lake_catalog.later (a int)")
        granted = connection.execute(
            b"select has_table_privilege('analyst', 'lake_catalog.later', 'select')"
        ).fetchone()
        connection.execute(b"drop table lake_catalog.later")
    assert granted == (True,)
