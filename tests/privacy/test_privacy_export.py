"""The export holds everything about one person and nothing about another; retention removes what is due."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadpipe.audit.seal import seal
from leadpipe.audit.verify import verify
from leadpipe.cli.main import app
from leadpipe.privacy import retention
from leadpipe.privacy.export import export
from leadpipe.store import mirror
from tests.privacy.conftest import ASKED, NOW, WORDS, Place


def test_everything_about_one_person_and_nothing_about_another(place: Place) -> None:
    made = export(place.runtime, 7, actor="ann@desk")
    for told in (made.as_json(), made.as_text()):
        for words in ("Quimby", "ada.quimby@mail.example", "(512) 555-0107", WORDS, ASKED, "Hi Ada", "looked often"):
            assert words in told
        assert "Bob" not in told.replace("Bob Rossi", ""), "only in the deal that both are in"
        assert "bob.rossi" not in told
    rows = json.loads(made.as_json())
    assert len(rows["lake"]["raw.fub__people"]) == 2, "every version"
    assert {row["person_id"] for row in rows["ledger"]["messages"]} == {7}
    [act] = place.ledger("select actor, person_id, detail from ledger.acts where kind = 'export'")
    assert (act.actor, act.person_id, act.detail) == ("ann@desk", 7, {"rows": made.count_rows})


def test_the_commands_say_what_they_do_and_what_they_find(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadpipe.runtime.open_runtime", lambda: place.runtime)
    run = CliRunner().invoke

    written = run(app, ["person", "export", "7", "--out", str(tmp_path / "for-ada")])
    assert written.exit_code == 0, written.output
    files = sorted((tmp_path / "for-ada").iterdir())
    assert [file.name for file in files] == ["person-7.json", "person-7.md"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}

    planned = run(app, ["person", "erase", "7"])
    assert planned.exit_code == 0
    assert "nothing was changed" in planned.output
    assert "ledger.messages: 2" in planned.output
    assert run(app, ["person", "erase", "999"]).exit_code == 1
    assert run(app, ["person", "export", "999"]).exit_code == 1

    seal(place.runtime.engine, clock=place.runtime.clock)
    intact = run(app, ["audit", "verify", "--json"])
    assert intact.exit_code == 0
    found = json.loads(intact.output)
    assert found["is_intact"]
    assert run(app, ["audit", "verify", "--head", "x"]).exit_code == 2
    place.run("update ledger.acts set actor = 'somebody else'")
    assert run(app, ["audit", "verify", "--head", found["head"]]).exit_code == 1

    due = run(app, ["retention", "run", "--json"])
    assert due.exit_code == 0
    assert {each["due"] for each in json.loads(due.output)["due"]} == {0}


def test_what_is_past_its_time_goes_and_the_rest_and_its_proof_stay(place: Place) -> None:
    runtime = place.runtime
    seal(runtime.engine, clock=runtime.clock)
    soon, later = NOW + timedelta(days=100), NOW + timedelta(days=5 * 365 + 10)

    first = retention.due(runtime.engine, runtime.lake, now=soon)
    assert {each.rule.kind: each.count for each in first if each.count} == {"notifications": 2}
    unread = "select count(*) from ledger.inbox where length(body) > 0"
    assert place.ledger(unread)[0][0] == 2, "counting changes nothing"

    assert retention.carry_out(runtime.engine, runtime.lake, first, now=soon) == {"notifications": 2}
    assert place.ledger(unread)[0][0] == 0

    second = retention.due(runtime.engine, runtime.lake, now=later)
    done = retention.carry_out(runtime.engine, runtime.lake, second, now=later)
    assert done["verdicts"] == 2
    assert done["words from leads"] == 2
    assert done["words to leads"] == 2, "the two that are still queued are not touched"
    assert done["old versions of people"] == 1
    assert done["quarantine"] == 2
    assert place.ledger("select count(*) from ledger.messages where body = ''")[0][0] == 2
    assert len(place.lake("select * from raw.fub__people")) == 2, "the newest version of each"
    assert {each.count for each in retention.due(runtime.engine, runtime.lake, now=later)} == {0}

    seal(runtime.engine, clock=runtime.clock)
    assert verify(runtime.engine).problems == (), "rows past their time are said to be gone"
    mirror.mirror(runtime.engine, runtime.lake, now=later)
    assert mirror.differences(runtime.engine, runtime.lake) == {}
    assert place.lake("select * from raw.ledger__messages where body = 'Hi Ada, about ada.quimby@mail.example'") == []
