"""``leadpipe classify`` and ``leadpipe conversation`` as a user meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from leadpipe.cli.main import app
from leadpipe.runtime import Runtime
from tests.conversation.conftest import AddPerson, ReadReplies, Rows, Say, Write

if TYPE_CHECKING:
    from click.testing import Result

LINES = (
    '{"id": "a", "text": "can I stop by at 5?"}\n\n{"id": 2, "text": "STOP"}\n{"id": 3, "text": "sí, me interesa"}\n'
)


@pytest.fixture
def leadpipe(runtime: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A function that runs the command on this test's ledger."""
    monkeypatch.setattr("leadpipe.runtime.open_runtime", lambda **_: runtime())

    def run(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, arguments, input=stdin)

    return run


def test_classify_answers_each_line_in_order(tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text(LINES, encoding="utf-8")
    done = CliRunner().invoke(app, ["classify", "--jsonl", str(file)])
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [list(answer) for answer in answers] == [["id", "intent", "suppress", "sentiment", "confidence"]] * 3
    assert [(a["id"], a["intent"], a["suppress"]) for a in answers] == [
        ("a", "appointment", False),
        (2, "opt_out", True),
        (3, "interested", False),
    ]


def test_classify_reads_stdin_needs_no_environment_and_tells_bad_lines_by_number() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "leadpipe.cli.main", "classify", "--jsonl", "-"],
        input=LINES + 'nonsense\n{"id": 4}\n{"id": 5, "text": "wrong number"}\n',
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 4
    assert "stdin:5: no JSON" in done.stderr
    assert 'stdin:6: needs "id" and a "text"' in done.stderr


def test_classify_of_a_missing_file_says_which(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["classify", "--jsonl", str(tmp_path / "none.jsonl")])
    assert done.exit_code == 2
    assert "none.jsonl cannot be read" in done.stderr


@pytest.mark.parametrize(
    "command", [["classify"], ["conversation", "show"], ["conversation", "pause"], ["conversation", "resume"]]
)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "--help"])
    assert done.exit_code == 0
    assert "Example:" in done.stdout


def test_show_tells_both_sides_what_is_known_and_where_it_stands(
    leadpipe: Callable[..., Result], add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies
) -> None:
    add_person()
    write(state="delivered")
    say("Yes! we want 3 bedrooms under $400,000")
    read_replies()
    done = leadpipe("conversation", "show", "1")
    assert done.exit_code == 0
    for words in (
        "person 1: handed_off, awaits agent",
        "handed to the agent: interested",
        "budget_high_usd: 400000   \u201cwe want 3 bedrooms under $400,000\u201d",
        "lead by sms [interested]",
        "us by sms [delivered] reactivation/step1",
        "us by sms [queued] conversation/answer",
    ):
        assert words in done.stdout, done.stdout
    shown = json.loads(leadpipe("conversation", "show", "1", "--json").stdout)
    assert (shown["awaits"], len(shown["lines"])) == ("agent", 3)


def test_an_unread_reply_awaits_the_assistant_and_silence_is_no_conversation(
    leadpipe: Callable[..., Result], add_person: AddPerson, write: Write, say: Say
) -> None:
    add_person()
    write(state="delivered")
    assert leadpipe("conversation", "show", "1").stdout.startswith("person 1: no conversation yet\n")
    say("Yes! we want 3 bedrooms under $400,000")
    shown = leadpipe("conversation", "show", "1").stdout.splitlines()[0]
    assert shown.startswith("person 1: unread, awaits assistant since 20")
    assert shown.endswith("(a reply is not read yet)")
    found = json.loads(leadpipe("conversation", "show", "1", "--json").stdout)
    assert (found["state"], found["awaits"]) == ("unread", "assistant")


def test_pause_and_resume_take_effect_and_are_told(
    leadpipe: Callable[..., Result], add_person: AddPerson, write: Write, rows: Rows
) -> None:
    add_person()
    waiting = write()
    assert leadpipe("conversation", "pause", "1").stdout == "person 1: paused\n"
    assert rows("select automation_paused_reason as why from ledger.people") == [{"why": "command"}]
    state = rows("select state from ledger.messages where id = cast(:id as uuid)", id=waiting)
    assert state == [{"state": "cancelled"}]
    done = leadpipe("conversation", "resume", "1", "--json")
    assert json.loads(done.stdout) == {"person_id": 1, "automation": "resumed"}
    assert rows("select automation_paused_at as at from ledger.people") == [{"at": None}]


@pytest.mark.parametrize("verb", ["show", "pause", "resume"])
def test_a_person_nobody_knows_is_a_finding(verb: str, leadpipe: Callable[..., Result]) -> None:
    done = leadpipe("conversation", verb, "404")
    assert done.exit_code == 1
    assert "person 404 is not in the ledger" in done.stderr


def test_a_person_that_is_no_number_is_wrong_use(leadpipe: Callable[..., Result]) -> None:
    assert leadpipe("conversation", "show", "ana").exit_code == 2
